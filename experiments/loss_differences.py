"""Which cross-entropies of segmenters are set against each other, and what the difference is."""

from __future__ import annotations

SHIFT_OF_CO = ("CO + OO recalibrated", "OO + CO recalibrated")

SUMS = {SHIFT_OF_CO[0]: ("CO", "OO recalibrated"), SHIFT_OF_CO[1]: ("OO", "CO recalibrated")}
"""Sides of a difference that are two cross-entropies together: [CO - CO recalibrated] - [OO - OO recalibrated]."""

DIFFERENCES = {
    ("CC", "OO"): "usable information that compression takes",
    ("OC", "CC"): "shift: tested on other images than trained on",
    ("OC", "OO"): "compressing the test images: both together",
    ("CO", "OO"): "compressing the training images",
    SHIFT_OF_CO: "shift of CO, at least: what recalibrating batch normalisation saves more of CO than of OO",
    ("CO recalibrated", "OO recalibrated"): "at most what compression kept from being learned: both recalibrated",
    ("CO", "CO recalibrated"): "what recalibrating saves of CO",
    ("OO", "OO recalibrated"): "what recalibrating saves where nothing was compressed, so that it is no shift",
    ("RO", "OO"): "compressing and restoring the training images",
    ("CO", "RO"): "what restoring the training images saves",
    ("CC", "RR"): "usable information that restoring adds",
    ("RR", "OO"): "usable information that restored images lack",
    ("OR", "RR"): "shift that restoring the test images leaves",
    ("OR", "OO"): "compressing and restoring the test images: both together",
}
"""A configuration minus another, and what the difference of their cross-entropies is."""

ADAPTED = {"CO recalibrated": ("CO", "recalibrated"), "OO recalibrated": ("OO", "recalibrated")}
"""What is called otherwise than its configuration: this, and the adaptation of its segmenter."""
