"""What was measured beside a study's artefacts, kept in its folder for its report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, Optional, TypeVar

from dsr.experiments.analysis.tables import Table
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.results import ImagesTrial, InferenceTimes, ScalingTrial, from_json, load, to_json
from dsr.experiments.study import Study
from dsr.models.errors import UserError
from dsr.tfrecords.files import write_atomically

Value = TypeVar("Value")


@dataclass(frozen=True)
class Kept(Generic[Value]):
    """A measurement in a study's folder: NAME.json, and a table of it as NAME.csv.

    Attributes:
        name: Of the files.
        kind: The dataclass that is kept.
        several: Whether a list of these is.
    """

    name: str
    kind: type
    several: bool = False

    def keep(self, study: Study, value: Value, table: Table) -> None:
        """Writes both files, each at once."""
        folder = study.claim_folder()
        write_atomically(folder / f"{self.name}.json", json.dumps(to_json(value), indent=1).encode())
        write_atomically(folder / f"{self.name}.csv", table.to_csv().encode())

    def kept(self, study: Study) -> Optional[Value]:
        """What was kept last; None if nothing was. Raises ConfigError if it is damaged."""
        path = study.folder / f"{self.name}.json"
        try:
            return self._read(load(path))
        except FileNotFoundError:
            return None
        except (UserError, ValueError) as error:
            command = f"dsr {self.name.replace('_', '-')}"
            raise ConfigError(f"{path} is damaged ({error}): make it again with {command}, or remove it") from None

    def _read(self, value: Any) -> Any:
        if not self.several:
            return from_json(self.kind, value)
        if not isinstance(value, list):
            raise ValueError(f"expected a list, not {type(value).__name__}")  # noqa: TRY004 (it is the content of a file)
        return [from_json(self.kind, item) for item in value]


INFERENCE_TIMES: Kept[InferenceTimes] = Kept("inference_times", InferenceTimes)
RESTORER_IMAGES: Kept[list[ImagesTrial]] = Kept("restorer_images", ImagesTrial, several=True)
SCALING: Kept[list[ScalingTrial]] = Kept("scaling", ScalingTrial, several=True)
