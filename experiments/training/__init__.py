"""Training codec, restorer and segmenter, and evaluating segmenters, as artefacts."""
