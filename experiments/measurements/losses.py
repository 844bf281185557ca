"""What a segmenter loses on every image of shards, and the temperature at which it is asked, as artefacts."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import IGNORE, LabelTable
from dsr.data_pipelines.input import evaluation_dataset
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.graph.progress import Progress
from dsr.experiments.measurements.files import FITTED_IMAGES, FITTED_PIXELS, LOSSES, SURPRISES
from dsr.experiments.samples import spread
from dsr.experiments.summaries import TemperatureSummary
from dsr.experiments.training.evaluation import load_segmenter
from dsr.experiments.training.failures import in_one_sentence
from dsr.experiments.training.segmenter import refuse_unlabelled
from dsr.models.metrics.information import Losses, fit_temperature
from dsr.models.segmenter.training import iou_per_class
from dsr.tfrecords.building import building
from dsr.tfrecords.reader import ShardSet


def build_temperature(config: SegmenterConfig, table: LabelTable, artefact: Artefact, progress: Progress) -> None:
    """Fit the one temperature of a segmenter to labelled images that it was neither trained nor is tested on.

    The folder holds nothing but its manifest, whose summary has the temperature; it is 1 if no pixel is labelled.

    Raises:
      ArtefactError: damaged shards or a missing segmenter. TrainingError: the segmenter had diverged.
    """
    shards = ShardSet(artefact.inputs["shards"].folder)
    chosen = spread(FITTED_IMAGES, shards.num_images)
    with (
        in_one_sentence(artefact),
        building(artefact.folder, artefact.identity) as build,
        progress.meter(artefact.label, len(chosen)) as meter,
    ):
        logits_of = load_segmenter(config, table, artefact.inputs["segmenter"].folder).logits
        found, wanted = [np.zeros((0, table.num_classes), np.float32)], [np.zeros(0, np.uint8)]
        for number, batch in enumerate(evaluation_dataset(shards, batch=1)):
            if number in chosen:
                label = batch["label"].numpy()[0]
                rows = columns = slice(0, None, _stride(label.size))
                label = label[rows, columns]
                inside = label != IGNORE
                if inside.any():
                    found.append(logits_of(batch["image"]).numpy()[0, rows, columns][inside])
                    wanted.append(label[inside])
                meter.update(chosen[number] + 1)
        logits, labels = np.concatenate(found), np.concatenate(wanted)
        build.summary.update(
            images=len(chosen),
            pixels=len(labels),
            temperature=fit_temperature(logits, labels) if len(labels) else 1.0,
        )


def build_losses(
    config: SegmenterConfig, samples: int, table: LabelTable, artefact: Artefact, progress: Progress
) -> None:
    """Ask a segmenter for the probability of every labelled pixel of test shards, at its temperature if it has one.

    The folder then holds

      losses.npz     keys (images,) in their order, nats float64 and pixels int64 (images, classes): the sums of
                     -ln p(label) over the pixels of each class, and how many there are
      surprises.npz  of each of the evenly spread `samples` images, whose keys the summary has, an array "N" float16
                     (height, width): -log2 p(label) of each pixel, nan where there is no label

    Raises:
      ArtefactError: a damaged or missing segmenter, damaged shards, no labelled pixel, a full disk.
      TrainingError: the segmenter had diverged.
    """
    shards = ShardSet(artefact.inputs["shards"].folder)
    fitted = artefact.inputs.get("temperature")
    temperature = fitted.summary(TemperatureSummary).temperature if fitted else 1.0
    shown, classes = spread(samples, shards.num_images), table.num_classes
    with (
        in_one_sentence(artefact),
        building(artefact.folder, artefact.identity) as build,
        progress.meter(artefact.label, shards.num_images) as meter,
    ):
        refuse_unlabelled(shards)
        logits_of = load_segmenter(config, table, artefact.inputs["segmenter"].folder).logits
        keys, samples_shown, surprises = [], [], {}
        nats, pixels = np.zeros((shards.num_images, classes)), np.zeros((shards.num_images, classes), np.int64)
        confusion = np.zeros(classes**2, np.int64)
        for number, batch in enumerate(evaluation_dataset(shards, batch=1)):
            keys.append(batch["key"].numpy()[0].decode())
            label, logits = batch["label"].numpy()[0], logits_of(batch["image"])[0]
            inside = label != IGNORE
            losses = _nats(logits, label, temperature)
            wanted = label[inside].astype(np.int64)
            # Summed by NumPy, one after the other: the order is the same however many threads there are.
            nats[number] = np.bincount(wanted, losses[inside], classes)
            pixels[number] = np.bincount(wanted, minlength=classes)
            predicted = tf.argmax(logits, axis=-1).numpy()[inside]
            confusion += np.bincount(wanted * classes + predicted, minlength=classes**2)
            if number in shown:
                samples_shown.append(keys[-1])
                bits = np.where(inside, losses / math.log(2), np.nan)
                surprises[str(shown[number])] = np.minimum(bits, np.finfo(np.float16).max).astype(np.float16)
            meter.update(number + 1)
        np.savez(build.path / LOSSES, keys=np.array(keys), nats=nats, pixels=pixels)
        np.savez(build.path / SURPRISES, **surprises)
        build.summary.update(
            images=len(keys),
            bits=Losses(nats, pixels).bits,
            miou=float(np.nanmean(iou_per_class(confusion.reshape(classes, classes)))),
            samples=samples_shown,
        )


def _nats(logits: tf.Tensor, label: NDArray[np.uint8], temperature: float) -> NDArray[np.float64]:
    """-ln p(label) of each pixel (H, W), of class 0 where there is no label."""
    wanted = np.where(label == IGNORE, 0, label).astype(np.int32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits / temperature).numpy().astype(np.float64)


def _stride(pixels: int) -> int:
    """The stride of a lattice of about `FITTED_PIXELS` of so many pixels.

    It is odd, so as to meet all that the network's upsampling by 4 puts between its own logits alike.
    """
    return max(1, round(math.sqrt(pixels / FITTED_PIXELS))) // 2 * 2 + 1
