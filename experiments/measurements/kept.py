"""What was measured beside a study's artefacts, kept in its folder for its report."""

from __future__ import annotations

import json
from typing import Any

from dsr.experiments.analysis.tables import Table
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.study import Study
from dsr.tfrecords.manifest import write_atomically


def keep(study: Study, name: str, value: Any, table: Table) -> None:
    """Write NAME.json, and a table of it as NAME.csv."""
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(study.folder / f"{name}.json", json.dumps(value, indent=1).encode())
    write_atomically(study.folder / f"{name}.csv", table.to_csv().encode())


def kept(study: Study, name: str) -> Any:
    """What was kept last; None if nothing was. Raises ConfigError if it is damaged."""
    path = study.folder / f"{name}.json"
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        command = f"dsr {name.replace('_', '-')}"
        raise ConfigError(f"{path} is damaged ({error}): make it again with {command}, or remove it") from None
