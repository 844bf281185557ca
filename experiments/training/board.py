"""What TensorBoard shows of a training: its curves in groups with a word on each, its settings, its pictures.

Curves keep their own names in `curves.json`; here they get tags that group them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from dsr.experiments.config.overrides import flatten

SCALES = {"1": "full", "2": "half", "4": "quarter", "8": "eighth"}
"""Of a discriminator: what it sees of the resolution."""

HELD_OUT = "held_out/"
"""What the name begins with of a number that was measured on images which nothing is trained on."""


class Tag(NamedTuple):
    """Where a curve is shown, and what it is."""

    tag: str
    says: str


RULES: tuple[tuple[str, str, str], ...] = (
    (
        "loss",
        "loss/total",
        "What is minimised, mean of the window; of a segmenter without weight decay and consistency",
    ),
    ("consistency", "loss/consistency", "Divergence of the predictions for pairs, in nats, before its weight"),
    (r"(generator|discriminator)_loss", r"loss/\1", "What the networks of this name minimise, mean of the window"),
    (r"(gan|l1|vgg|ms_ssim|dist)", r"loss/\1", "A term of the generator's loss, before its weight"),
    (r"(mse|bpp_y|bpp_z|ms_ssim_loss)", r"loss/\1", "A part of the codec's loss"),
    (r"bpp", "rate/bpp", "Estimated bits a pixel of the training patches"),
    (r"rd_bpp_(.+)", r"rate/fixed_patches/\1", "Bits a pixel of fixed patches with rounded latents"),
    (r"rd_psnr_(.+)", r"psnr/fixed_patches/\1", "PSNR in dB of fixed patches with rounded latents"),
    (
        r"d_(original|restored)_(\d+)",
        r"discriminator/\2/p_\1",
        "Which chance to be an original a discriminator gives",
    ),
    (r"learning_rate", "optimizer/learning_rate", "Of the last step"),
    (r"steps_per_second", "speed/steps_per_second", "Of the window; the first also traces the graph"),
    (r"miou", "train/miou", "Mean IoU of the training crops of the window"),
    (r"iou/(.+)", r"train/iou/\1", "IoU of a class, of the training crops of the window"),
    (r"psnr", "train/psnr", "PSNR in dB of training patches to their originals"),
    (r"psnr_gain", "train/psnr_gain", "That, minus the PSNR of the compressed patches"),
    (HELD_OUT + "miou", "held_out/miou", "Mean IoU of windows of a few test images; nothing is decided by it"),
    (HELD_OUT + "psnr", "held_out/psnr", "PSNR in dB of windows of a few test images; nothing is decided by it"),
)
"""(name of a curve, tag below the kind of network, what it is); patterns are of whole names."""


def tag_of(kind: str, name: str) -> Tag:
    """Of a curve of a `restorer`, `segmenter` or `codec`; one that no rule names is shown by its own name."""
    for pattern, tag, says in RULES:
        found = re.fullmatch(pattern, name)
        if found:
            parts = found.expand(tag).split("/")
            if parts[0] == "discriminator":
                parts[1] = SCALES.get(parts[1], f"1_{parts[1]}")
            return Tag("/".join([kind, *parts]), says)
    return Tag(f"{kind}/{name}", "")


def show_scalars(kind: str, values: Mapping[str, float]) -> None:
    """Write points of curves with the writer and at the step that are the default."""
    for name, value in values.items():
        tag, says = tag_of(kind, name)
        tf.summary.scalar(tag, value, description=says)


def show_settings(config: Any, inputs: Mapping[str, str]) -> None:
    """Write a training's configuration as a table and for the tab of hyperparameters.

    Args:
      config: A dataclass.
      inputs: Role -> name of what it is trained on.
    """
    leaves = flatten(config)
    rows = [*leaves.items(), *((f"input {role}", name) for role, name in inputs.items())]
    tf.summary.text("configuration", "| | |\n|-|-|\n" + "\n".join(f"| {key} | {value} |" for key, value in rows))
    plain = {key: value if isinstance(value, (bool, int, float)) else str(value) for key, value in leaves.items()}
    hparams.hparams({**plain, **{f"input.{role}": name for role, name in inputs.items()}})
