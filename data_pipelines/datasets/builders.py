"""The datasets as TensorFlow Datasets builders, for those who want them in tfds's own format and tools.

    builder = DsrCamvid(root="~/CamVid", data_dir="~/tensorflow_datasets")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    dataset = builder.as_dataset(split="train")

One class a dataset; each is the same thin reading of a `Source`. This is the one module here that needs TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dsr.data_pipelines.datasets import DATASETS, IGNORE, open_source


class SourceBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Base: features `image` uint8 (H, W, 3), `label` uint8 (H, W, 1) of train ids (255 ignore), `key` bytes.

    root, options: as for `open_source`. Their fingerprint is the name of the builder's config, so another folder's
    content or another option is prepared in a directory of its own. Data are read where they lie: nothing is
    downloaded. Raises DatasetError.
    """

    VERSION = tfds.core.Version("1.0.0")
    SOURCE: ClassVar[str]

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self._source = open_source(self.SOURCE, root, **options)
        digests = [self._source.fingerprint(split) for split in self._source.splits]
        config = tfds.core.BuilderConfig(name="-".join(digest[:8] for digest in digests))
        super().__init__(data_dir=data_dir, config=config)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=DATASETS[self.SOURCE].about,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                    "key": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(self._source.describe()),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[str, Any]]]:
        return {split: self._generate_examples(split) for split in self._source.splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for sample in self._source.samples(split):
            image, label = self._source.read(sample)
            if label is None:
                label = np.full(image.shape[:2], IGNORE, np.uint8)
            yield sample.key, {"image": image, "label": label[..., None], "key": sample.key}


class DsrStreets(SourceBuilder):
    """See `streets.Streets`."""

    SOURCE = "streets"


class DsrCamvid(SourceBuilder):
    """See `camvid.CamVid`."""

    SOURCE = "camvid"


class DsrCityscapes(SourceBuilder):
    """See `cityscapes.Cityscapes`."""

    SOURCE = "cityscapes"


class DsrInriaAerial(SourceBuilder):
    """See `inria_aerial.InriaAerial`."""

    SOURCE = "inria_aerial"


class DsrSemanticDrone(SourceBuilder):
    """See `semantic_drone.SemanticDrone`."""

    SOURCE = "semantic_drone"


class DsrFolder(SourceBuilder):
    """See `folder.Folder`."""

    SOURCE = "folder"


class DsrPhotos(SourceBuilder):
    """See `photos.Photos`."""

    SOURCE = "photos"


class DsrOriginals(SourceBuilder):
    """See `originals.Originals`."""

    SOURCE = "originals"
