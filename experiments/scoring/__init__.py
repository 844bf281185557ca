"""Scoring what was not trained here: label maps of any program, and networks of any framework, on the test images.

Layers: `counts` (what an image adds to the scores, and the bootstrap over images), `predictions` (folders of label
maps), `networks` (a network in a file as a function of pixels), `study` (its evaluations as artefacts), `collecting`
(to results and their page).
"""
