"""Names of the files that measurements write."""

from __future__ import annotations

FEATURES = "features.npz"
"""What a segmenter sees in each image, see `dsr.experiments.measurements.features`."""
