"""What was measured beside a study's artefacts, kept in its folder for its report.

With the settings that it was measured with: they may have changed since, as may those of the next request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, Optional, TypeVar

from dsr.experiments.analysis.tables import Table
from dsr.experiments.config.overrides import ConfigError, flatten
from dsr.experiments.results import ImagesTrial, InferenceTimes, ScalingTrial
from dsr.experiments.stored_json import from_json, load, to_json
from dsr.experiments.stored_study import NO_PATHS, PATHS, claim_folder
from dsr.experiments.study import Study
from dsr.experiments.trained_codec import is_trained
from dsr.models.errors import UserError
from dsr.tfrecords.files import write_atomically

Value = TypeVar("Value")

NO_MATTER = (".root", ".log_every", ".checkpoint_every")
"""Ends of settings that change nothing of what is measured."""

OF_RESTORERS = "restorer."
"""The part of a configuration on which trials depend if images were restored for them."""


OF_CODECS = "codec."
"""The part on which what is measured depends if a point is of the codec that the study trains."""


@dataclass(frozen=True)
class Kept(Generic[Value]):
    """A measurement in a study's folder: NAME.json, and a table of it as NAME.csv.

    Attributes:
        name: Of the files.
        kind: The dataclass that is kept.
        parts: Of the configuration, on which it depends.
        several: Whether a list of these is, each a trial with its `restorer`, or None.
        varied: The setting that the measurement itself varies, so that it may be any.
    """

    name: str
    kind: type
    parts: tuple[str, ...]
    several: bool = False
    varied: str = ""

    def keep(self, study: Study, value: Value, table: Table) -> None:
        """Writes both files, each at once."""
        folder = claim_folder(study)
        settings, trials = self._settings(study), value if isinstance(value, list) else []
        if trials and not any(trial.restorer for trial in trials):
            settings = {name: text for name, text in settings.items() if not name.startswith(OF_RESTORERS)}
        content = {"settings": settings, "measured": to_json(value)}
        write_atomically(folder / f"{self.name}.json", json.dumps(content, indent=1).encode())
        write_atomically(folder / f"{self.name}.csv", table.to_csv().encode())

    def kept(self, study: Study) -> Optional[Value]:
        """What was kept last; None if nothing was. Raises ConfigError if it is damaged."""
        content = self._content(study)
        return None if content is None else content[1]

    def changed(self, study: Study) -> dict[str, tuple[str, str]]:
        """Settings that are not those that it was measured with: {name: (then, now)}.

        Nothing of what a version before 0.4.4 kept, which says no settings. Raises ConfigError if it is damaged.
        """
        then, now = (self._content(study) or ({}, None))[0], self._settings(study)
        return {name: (value, now[name]) for name, value in then.items() if name in now and now[name] != value}

    def _content(self, study: Study) -> Optional[tuple[dict[str, str], Any]]:
        """The settings, and what was measured."""
        path = study.folder / f"{self.name}.json"
        try:
            content = load(path)
            if not isinstance(content, dict) or "measured" not in content:
                return {}, self._read(content)
            settings = content.get("settings")
            if not isinstance(settings, dict) or not all(isinstance(value, str) for value in settings.values()):
                raise ValueError("its settings are none")
            return settings, self._read(content["measured"])
        except FileNotFoundError:
            return None
        except (UserError, ValueError) as error:
            command = f"dsr {self.name.replace('_', '-')}"
            raise ConfigError(f"{path} is damaged ({error}): make it again with {command}, or remove it") from None

    def _settings(self, study: Study) -> dict[str, str]:
        """As texts; of a file only that it is one, as it may lie elsewhere now."""
        found = {}
        trained = any(map(is_trained, study.config.points))
        for name, value in flatten(study.config).items():
            if name.startswith(OF_CODECS) and not trained:
                continue
            if name.startswith(self.parts) and not name.endswith(NO_MATTER) and name != self.varied:
                text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
                found[name] = "a file" if name in PATHS and value not in NO_PATHS else text
        return found

    def _read(self, value: Any) -> Any:
        if not self.several:
            return from_json(self.kind, value)
        if not isinstance(value, list):
            raise ValueError(f"expected a list, not {type(value).__name__}")  # noqa: TRY004 (it is the content of a file)
        return [from_json(self.kind, item) for item in value]


NETWORKS = ("restorer.gan.generator.", "restorer.rdn.network.", "segmenter.network.", "codec.network.")

INFERENCE_TIMES: Kept[InferenceTimes] = Kept("inference_times", InferenceTimes, NETWORKS)
RESTORER_IMAGES: Kept[list[ImagesTrial]] = Kept(
    "restorer_images",
    ImagesTrial,
    ("dataset.", OF_RESTORERS, "segmenter.", OF_CODECS),
    several=True,
    varied="restorer.images",
)
SCALING: Kept[list[ScalingTrial]] = Kept(
    "scaling",
    ScalingTrial,
    ("dataset.", OF_RESTORERS, "segmenter.", OF_CODECS),
    several=True,
    varied="segmenter.images",
)
