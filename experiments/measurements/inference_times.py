"""What each configuration costs where images are analysed.

Times of encoding, decoding, restoring and segmenting (paper, Table IV).
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Optional

import numpy as np

from dsr.data_pipelines.codecs import Codec
from dsr.data_pipelines.degradations import Degradation
from dsr.data_pipelines.degradations.chain import Chain, Sizes, enlarged, through
from dsr.data_pipelines.degradations.sampling import Downsample
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.conversion import sample_pixels
from dsr.experiments.graph.progress import Progress
from dsr.experiments.results import InferenceTimes, StageTimes
from dsr.experiments.study import Study
from dsr.experiments.trained_codec import TrainedCodec


def measure(study: Study, progress: Progress) -> InferenceTimes:
    """Seconds for each of a few test images and each stage, on one core, or on the GPU where there is one.

    The networks have random weights, since their times do not depend on what they learned: nothing has to be trained.
    The first call of each stage, which loads and compiles, does not count. This process can run nothing with several
    threads afterwards, nor before.

    Raises:
      ConfigError: no test image can be read.
    """
    from dsr.models.tensorflow_process import single_threaded

    single_threaded()
    images = sample_pixels(study.source, study.split("test"))
    if not images:
        raise ConfigError(f"no test image of {study.source.name} can be read: see dsr verify, or give another --root")
    stages: list[StageTimes] = []
    shares: list[float] = []
    degradations = {d.point: d.codec if isinstance(d, TrainedCodec) else d for d in study.degradations}
    codecs = {point: ways for point, degradation in degradations.items() if (ways := _coding(degradation))}
    works = 2 * len(codecs) + len(study.config.restorers) + 1
    with progress.meter(f"inference times {study.source.name}", works * (len(images) + 1)) as meter:

        def take(
            stage: str,
            work: Callable[[Any], Any],
            inputs: list[Any],
            point: Optional[str] = None,
            restorer: Optional[str] = None,
        ) -> list[Any]:
            """Outputs; the first input is worked on twice, and its first time is left out."""
            outputs, seconds = [], []
            for given in [inputs[0], *inputs]:
                start, working = time.perf_counter(), time.process_time()
                outputs.append(work(given))
                seconds.append(time.perf_counter() - start)
                if stage in ("restore", "segment"):  # codecs may work in a process of their own
                    shares.append((time.process_time() - working) / seconds[-1])
                meter.update(len(stages) * (len(inputs) + 1) + len(seconds), stage)
            stages.append(StageTimes(stage, point, restorer, seconds[1:]))
            return outputs[1:]

        for point, (encode, decode) in codecs.items():
            take("decode", decode, take("encode", encode, images, point=point), point=point)
        for name in study.config.restorers:
            take("restore", _restorer(study, name), images, restorer=name)
        take("segment", _segmenter(study), images)
    height, width = images[len(images) // 2].shape[:2]
    processor = None if _gpus() else round(min(1.0, median(shares)), 3)
    return InferenceTimes(_device(), height, width, stages, processor)


def _coding(degradation: Degradation) -> Optional[tuple[Callable[[Any], Any], Callable[[Any], Any]]]:
    """What a device does to an image, and a server to what it sent; None of what has no bitstream.

    Before its codec a device makes images small; what else comes before it in a chain happens in a camera.
    """
    stages = degradation.stages if isinstance(degradation, Chain) else (degradation,)
    codec, before = stages[-1], [stage for stage in stages[:-1] if isinstance(stage, Downsample)]
    if not isinstance(codec, Codec):
        return None

    def encode(pixels: np.ndarray) -> tuple[bytes, Sizes]:
        small, sizes = through(before, pixels, "")
        return codec.encode(small.pixels), sizes

    def decode(sent: tuple[bytes, Sizes]) -> np.ndarray:
        bitstream, sizes = sent
        return enlarged(codec.decode(bitstream), sizes)

    return encode, decode


def _restorer(study: Study, name: Any) -> Callable[[np.ndarray], np.ndarray]:
    from dsr.models.restorers.tiling import restore

    config = study.config.restorer.network(name)
    network = config.build()
    return lambda pixels: restore(network, config, pixels)


def _segmenter(study: Study) -> Callable[[np.ndarray], np.ndarray]:
    from dsr.models.segmenter.deeplab import build_deeplab
    from dsr.models.segmenter.training import Segmenter

    classes = study.source.table.num_classes
    network = build_deeplab(dataclasses.replace(study.config.segmenter.network, weights="none"), classes)
    segmenter = Segmenter(network, classes)
    return lambda pixels: segmenter.label_map(pixels[np.newaxis]).numpy()


def _gpus() -> list[Any]:
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU")


def _device() -> str:
    import tensorflow as tf

    gpus = _gpus()
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "a GPU")
    return f"one core of {_processor()}"


def _processor() -> str:
    """The processor's name as Linux tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
