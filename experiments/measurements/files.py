"""What measurements agree on without importing each other: the files that they write, and how many images they see."""

from __future__ import annotations

FEATURES = "features.npz"
"""What a segmenter sees in each image, see `dsr.experiments.measurements.features`."""

LOSSES = "losses.npz"
"""What a segmenter loses on each image, see `dsr.experiments.measurements.losses`."""

SURPRISES = "surprises.npz"
"""The same pixel by pixel, of the images that a report shows."""

FITTED_IMAGES, FITTED_PIXELS = 128, 4096
"""A temperature is one number: it is fitted to about so many pixels each of so many images at most, evenly spread."""
