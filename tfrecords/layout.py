"""Names inside the folder of an artefact, and of the folder while it is made."""

from __future__ import annotations

from pathlib import Path

from dsr.tfrecords import files

MANIFEST = "manifest.json"

SCRATCH = ".building"
"""What only the making needs lives in here, and vanishes when the artefact is whole."""

LOCK, IDENTITY, CLOCK, PART, REACHED = "lock", "identity.json", "seconds", "part-", "reached"
"""Names in the scratch folder: who makes it, what it is to be, for how long already, the parts that are done, and how
many units of its work are safe on disk."""


def partial_of(folder: Path) -> Path:
    """Where an artefact is while it is made."""
    return folder if files.is_url(folder) else folder.with_name(folder.name + ".partial")
