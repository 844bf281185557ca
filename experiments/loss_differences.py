"""Which cross-entropies of segmenters are set against each other, and what the difference is."""

from __future__ import annotations

DIFFERENCES = {
    ("CC", "OO"): "usable information that compression takes",
    ("OC", "CC"): "shift: tested on other images than trained on",
    ("OC", "OO"): "compressing the test images: both together",
    ("CO", "OO"): "compressing the training images",
    ("CO", "CO recalibrated"): "shift of CO, at least: what recalibrating its batch normalisation saves",
    ("CO recalibrated", "OO"): "at most what compression kept from being learned",
    ("RO", "OO"): "compressing and restoring the training images",
    ("CO", "RO"): "what restoring the training images saves",
    ("CC", "RR"): "usable information that restoring adds",
    ("RR", "OO"): "usable information that restored images lack",
    ("OR", "RR"): "shift that restoring the test images leaves",
    ("OR", "OO"): "compressing and restoring the test images: both together",
}
"""A configuration minus another, and what the difference of their cross-entropies is."""

ADAPTED = {"CO recalibrated": ("CO", "recalibrated")}
"""What is called otherwise than its configuration: this, and the adaptation of its segmenter."""
