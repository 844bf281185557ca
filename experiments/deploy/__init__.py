"""Trained networks where they are used: label maps of a folder of images, and files for other runtimes.

Layers: `segmenters` (a trained segmenter by folder or name, as a function of pixels), `predicting` (a folder of images
to label maps), `exporting` (SavedModel, ONNX and TFLite, each checked against Keras).
"""
