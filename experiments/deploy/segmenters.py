"""A trained segmenter by its folder or name, as a function of pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from numpy.typing import NDArray

from dsr.data_pipelines.datasets import DatasetError, Label, LabelTable
from dsr.experiments.config.schema import SegmenterConfig
from dsr.experiments.deploy.errors import DeployError
from dsr.experiments.graph.artefacts import CLASSES
from dsr.experiments.graph.places import NAMED, below
from dsr.experiments.stored_json import from_json
from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.manifest import Manifest, intact

if TYPE_CHECKING:
    from dsr.models.segmenter.training import Segmenter

_MAX_CLASSES = 1 << 24


def find_trained(text: str, kind: str, work: Path) -> Path:
    """The folder of a trained network: the one named, or that of the only one of this name in a work folder.

    Args:
        text: A folder, or a name as `dsr status` lists it, with or without the fingerprint behind it.
        kind: "segmenter" or "restorer".
        work: The work folder.

    Raises:
        DeployError: there is none, several have the name, or the folder holds something else.
    """
    group = work / f"{kind}s"
    if (Path(text) / MANIFEST).is_file():
        found = [Path(text)]
    else:
        found = [folder for folder in below(group) if text in _names(folder, group)]
    if not found:
        raise DeployError(
            f"{text} is no folder of a trained {kind}, and none of that name is in {group}: dsr status lists"
        )
    if len(found) > 1:
        names = ", ".join(str(folder.relative_to(group)) for folder in found)
        raise DeployError(f"{text} names {len(found)} {kind}s: give one of {names}")
    manifest = Manifest.load(found[0])
    if manifest.kind != kind:
        raise DeployError(f"{found[0]} holds a {manifest.kind}, not a {kind}")
    return found[0]


def _names(folder: Path, group: Path) -> Iterator[str]:
    """What an artefact is called, with and without its fingerprint, and with and without its dataset."""
    path = folder.relative_to(group)
    for name in (path, path.with_name(NAMED.sub("", path.name) or path.name)):
        yield name.as_posix()
        yield name.name


def read_table(folder: Path) -> LabelTable:
    """The classes of a trained segmenter.

    Those trained before the folder said so are looked up in the shards of its work folder.

    Raises:
        DeployError: it is nowhere to be found. ArtefactError: damage.
    """
    folder, manifest = _training(folder)
    if CLASSES in manifest.files:
        labels = json.loads(files.read_bytes(intact(folder, CLASSES), _MAX_CLASSES))
    else:
        work = _work(folder, manifest)
        labels = _labels_of_shards(work, manifest.inputs.get("shards")) if work else None
    if labels is None:
        raise DeployError(f"{folder} does not say what its classes are, and its training shards are not beside it")
    try:
        return LabelTable(tuple(Label(**{**label, "color": tuple(label["color"])}) for label in labels))
    except (TypeError, KeyError, DatasetError) as error:
        raise DeployError(f"{folder}: its classes cannot be read ({error})") from None


def _training(folder: Path) -> tuple[Path, Manifest]:
    """The folder that says what a segmenter is: its own, or that of the one whose statistics were recalibrated."""
    manifest = Manifest.load(folder)
    fingerprint = manifest.inputs.get("segmenter")
    if fingerprint is None:
        return folder, manifest
    work = _work(folder, manifest)
    found = _by_fingerprint(work / "segmenters") if work else {}
    if fingerprint not in found:
        place = work / "segmenters" if work else "a work folder"
        raise DeployError(f"{folder} was made of another segmenter, which is not in {place}: put it back there")
    return found[fingerprint]


def _work(folder: Path, manifest: Manifest) -> Optional[Path]:
    """The work folder of an artefact, if it lies in one."""
    return next(iter(list(folder.resolve().parents)[manifest.name.count("/") + 1 :]), None)


def _by_fingerprint(group: Path) -> dict[str, tuple[Path, Manifest]]:
    """The artefacts in a folder of a work folder."""
    found = {}
    for place in below(group):
        try:
            manifest = Manifest.load(place)
        except ArtefactError:
            continue  # dsr verify names it
        found[manifest.fingerprint] = place, manifest
    return found


def _labels_of_shards(work: Path, fingerprint: Optional[str]) -> Any:
    """The classes of the dataset that shards with this fingerprint come from, directly or not; None if not found."""
    found = _by_fingerprint(work / "shards")
    while fingerprint in found:
        _, manifest = found[fingerprint]
        if "dataset" in manifest.config:
            return manifest.config["dataset"]["labels"]
        fingerprint = manifest.inputs.get("original") or manifest.inputs.get("compressed")
    return None


class SavedSegmenter:
    """A trained segmenter as a picklable function: uint8 RGB (H, W, 3) of any size -> train ids, uint8 (H, W).

    Pickled, it is the folder's name; every process that calls it loads the network on its first call. Its arithmetic
    then has one thread, as that of restorers has (`dsr.models.restorers.saved`), so that label maps do not depend on
    how many processes make them: call it in a process of its own.

    folder: Its artefact.
    config: What it is made of.
    table: Its classes.
    """

    def __init__(self, folder: Path) -> None:
        """Raises DeployError or ArtefactError where the folder holds no trained segmenter."""
        self.folder = folder
        self.config = read_config(folder)
        self.table = read_table(folder)
        self._loaded: Optional[Segmenter] = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Label one image. Raises RuntimeError where TensorFlow already runs with more threads."""
        if self._loaded is None:
            from dsr.models.tensorflow_process import single_threaded

            single_threaded()
            self._loaded = self.load()
        return self._loaded.label_map(pixels[None]).numpy()[0]

    def load(self) -> Segmenter:
        """The network. Raises ArtefactError for damaged weights."""
        from dsr.experiments.training.evaluation import read_segmenter

        return read_segmenter(self.config, self.table, self.folder)


def read_config(folder: Path) -> SegmenterConfig:
    """How a trained segmenter was made. Raises DeployError, ArtefactError."""
    _, manifest = _training(folder)
    try:
        return from_json(SegmenterConfig, manifest.config, strict=False)
    except (ValueError, UserError) as error:
        raise DeployError(f"{folder} is not a segmenter that this version of dsr trains ({error})") from None
