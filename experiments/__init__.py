"""What is run: typed study configurations, the study as a graph of artefacts, training and evaluation, the report."""
