"""What a study found: tables, figures and one report page.

Everything here reads the `Results` of a study (`dsr.experiments.results`), and the pictures that they name: no
TensorFlow, no work folder.
"""
