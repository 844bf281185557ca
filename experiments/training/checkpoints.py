"""Checkpoints of a training: each is whole or not there, and says whether it still is what was written.

    step-000000600/
      model.index, model.data-...   what TensorFlow writes of the model and its optimizers
      state.json                    the seconds so far, and the curves
      digests.json                  SHA-256 of each of the others

A checkpoint is made under another name and renamed, so a kill leaves those before it. One that was damaged later is
passed over.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tensorflow as tf

from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.integrity import sha256

KEPT = 2
"""So many are kept: the newest, and one to go back to."""

MODEL, STATE, DIGESTS = "model", "state.json", "digests.json"

Curves = dict[str, list[list[float]]]
"""{"loss": [[step, value], ...], ...}: each value is the mean over the window of steps that ends at `step`."""


@dataclass
class State:
    """What a training has beside its model: at which step it is, the seconds it took until there, and its curves."""

    step: int = 0
    seconds: float = 0.0
    curves: Curves = field(default_factory=dict)


class Checkpoints:
    """The checkpoints in a folder, of all that TensorFlow tracks of a model."""

    def __init__(self, folder: Path, model: tf.keras.Model) -> None:
        """The variables of the model's optimizers must be there, or they are not saved."""
        self.folder = folder
        self.checkpoint = tf.train.Checkpoint(model=model)

    def save(self, state: State) -> None:
        """Keep the model and this as the newest checkpoint.

        Raises:
          OSError, tf.errors.OpError: it cannot be written; those before are still there.
        """
        new = self.folder / f"step-{state.step:09d}"
        unfinished = new.with_name(new.name + files.TEMPORARY)
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            unfinished.mkdir(parents=True)
            self.checkpoint.write(str(unfinished / MODEL))
            (unfinished / STATE).write_text(json.dumps(asdict(state)))
            digests = {path.name: sha256(path) for path in sorted(unfinished.iterdir())}
            (unfinished / DIGESTS).write_text(json.dumps(digests))
            for path in (*unfinished.iterdir(), unfinished):
                files.sync(path)
            shutil.rmtree(new, ignore_errors=True)  # a damaged one
            unfinished.rename(new)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        files.sync(self.folder)
        found = self._found()
        older, later = ([path for path in found if path < new], [path for path in found if path > new])
        for path in (*older[: 1 - KEPT], *later):
            shutil.rmtree(path)

    def restore(self) -> tuple[State, list[Path]]:
        """Give the model the variables of the newest whole checkpoint.

        Returns:
          What was saved with it, or that of a start if there is no checkpoint; and newer ones that are damaged.

        Raises:
          ArtefactError: all are damaged, or of another model.
        """
        damaged: list[Path] = []
        for path in reversed(self._found()):
            if not _whole(path):
                damaged.append(path)
                continue
            try:
                with _literal(path) as folder:
                    self.checkpoint.read(str(folder / MODEL)).assert_existing_objects_matched()
                return State(**json.loads(files.read_bytes(path / STATE))), damaged
            except (AssertionError, ValueError, TypeError, tf.errors.OpError) as error:
                raise ArtefactError(
                    f"{path} is a checkpoint of another network, as another version of dsr or of TensorFlow may have "
                    f"built: go on with that version, or delete {self.folder} to begin anew"
                ) from error
        if damaged:
            raise ArtefactError(
                f"{damaged[0]} is damaged, and so is every checkpoint before it: put a copy of one there if you have "
                f"any, or delete {self.folder} to begin anew"
            )
        return State(), damaged

    def _found(self) -> list[Path]:
        """The folders of all checkpoints, in order of their steps."""
        return sorted(path for path in self.folder.glob("step-*") if re.fullmatch(r"step-\d{9}", path.name))


def _whole(folder: Path) -> bool:
    """Whether each file in it, and no other, is what was written."""
    try:
        digests = json.loads(files.read_bytes(folder / DIGESTS))
        names = {path.name for path in folder.iterdir()} - {DIGESTS}
        return names == {*digests} >= {STATE} and all(sha256(folder / name) == digests[name] for name in names)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


@contextmanager
def _literal(folder: Path) -> Iterator[Path]:
    """The folder under a name that TensorFlow, which takes the name of a checkpoint as a pattern, takes as it is."""
    if not re.search(r"[][*?{}\\]", str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "checkpoint"
        link.symlink_to(folder.absolute())
        yield link
