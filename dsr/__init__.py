"""Dataset restoration: measure what image compression costs a segmentation network, and win it back.

What a program needs first is named here; all of it is imported on use, so that `import dsr` takes no time and needs
neither NumPy nor TensorFlow. One image through a codec:

    from dsr import make_codec, open_dataset, psnr

    source = open_dataset("streets", height=128, width=256)
    pixels, labels = source.read(source.samples("test")[0])  # uint8 (128, 256, 3) and (128, 256)
    bitstream = make_codec("bpg", 40).encode(pixels)
    print(8 * len(bitstream) / labels.size, "bits per pixel")
    print(psnr(pixels, make_codec("bpg").decode(bitstream)), "dB")

A whole study, as `dsr run --preset demo` does it:

    from pathlib import Path
    from dsr import Progress, Study, make, preset

    study = Study(preset("demo"), Path("dsr-work"))
    make(study.evaluations(), Progress())
    for case in study.cases():
        print(case.configuration, case.changed.point, study.evaluation(case).manifest.summary["miou"])

| name | what it is |
| --- | --- |
| `make_codec`, `find_quality` | a codec by name and quality; the quality that reaches a rate |
| `open_dataset` | a dataset by name: lists samples, reads pixels and labels |
| `psnr`, `ms_ssim` | how near one image is to another |
| `preset`, `Study`, `make` | a study's configuration by name, its graph of artefacts, making what is missing of it |
| `Progress` | what `make` tells how far it is; this one is silent |
| `ShardSet` | shards as TensorFlow reads them |
| `SavedRestorer` | a trained restorer, from pixels to pixels |
| `DatasetConfig`, `OperatingPoint` | which images a study is of, and at which codecs and qualities |
| `Codec`, `CodecError`, `QualityScale`, `CODECS` | what a codec of your own is made of, and where it is registered |
| `Source`, `Sample`, `Label`, `LabelTable`, `DATASETS` | the same for a dataset; see `examples/` of the repository |
| `UserError` | what every function raises if the caller can put it right; its text says how |

The folders of the repository are this package's rooms: `dsr.app`, `dsr.experiments`, `dsr.data_pipelines`,
`dsr.tfrecords`, `dsr.models`. `dsr.torch` gives shards to PyTorch, where that is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsr.data_pipelines.codecs import CODECS, Codec, CodecError, QualityScale, make_codec
    from dsr.data_pipelines.codecs.search import find_quality
    from dsr.data_pipelines.datasets import DATASETS, Label, LabelTable, Sample, Source
    from dsr.data_pipelines.datasets import open_source as open_dataset
    from dsr.experiments.config.presets import preset
    from dsr.experiments.config.schema import DatasetConfig, OperatingPoint
    from dsr.experiments.graph.making import make
    from dsr.experiments.graph.progress import Progress
    from dsr.experiments.study import Study
    from dsr.models.errors import UserError
    from dsr.models.metrics.fidelity import ms_ssim, psnr
    from dsr.models.restorers.saved import SavedRestorer
    from dsr.tfrecords.reader import ShardSet

    __version__: str

__all__ = [
    "CODECS",
    "DATASETS",
    "Codec",
    "CodecError",
    "DatasetConfig",
    "Label",
    "LabelTable",
    "OperatingPoint",
    "Progress",
    "QualityScale",
    "Sample",
    "SavedRestorer",
    "ShardSet",
    "Source",
    "Study",
    "UserError",
    "find_quality",
    "make",
    "make_codec",
    "ms_ssim",
    "open_dataset",
    "preset",
    "psnr",
]

_HOMES = {
    "CODECS": "dsr.data_pipelines.codecs:CODECS",
    "DATASETS": "dsr.data_pipelines.datasets:DATASETS",
    "Codec": "dsr.data_pipelines.codecs:Codec",
    "CodecError": "dsr.data_pipelines.codecs:CodecError",
    "DatasetConfig": "dsr.experiments.config.schema:DatasetConfig",
    "Label": "dsr.data_pipelines.datasets:Label",
    "LabelTable": "dsr.data_pipelines.datasets:LabelTable",
    "OperatingPoint": "dsr.experiments.config.schema:OperatingPoint",
    "Progress": "dsr.experiments.graph.progress:Progress",
    "QualityScale": "dsr.data_pipelines.codecs:QualityScale",
    "Sample": "dsr.data_pipelines.datasets:Sample",
    "SavedRestorer": "dsr.models.restorers.saved:SavedRestorer",
    "ShardSet": "dsr.tfrecords.reader:ShardSet",
    "Source": "dsr.data_pipelines.datasets:Source",
    "Study": "dsr.experiments.study:Study",
    "UserError": "dsr.models.errors:UserError",
    "find_quality": "dsr.data_pipelines.codecs.search:find_quality",
    "make": "dsr.experiments.graph.making:make",
    "make_codec": "dsr.data_pipelines.codecs:make_codec",
    "ms_ssim": "dsr.models.metrics.fidelity:ms_ssim",
    "open_dataset": "dsr.data_pipelines.datasets:open_source",
    "preset": "dsr.experiments.config.presets:preset",
    "psnr": "dsr.models.metrics.fidelity:psnr",
}
"""Name -> `module:attribute`, imported on use."""


def __getattr__(name: str) -> Any:
    """Import what is asked for by name; `__version__` is that of the installed package."""
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("dsr")
    if name not in _HOMES:
        raise AttributeError(f"module 'dsr' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """What `__all__` names, for completion in a shell."""
    return sorted([*globals(), *__all__, "__version__"])
