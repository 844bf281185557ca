"""Whether the files that shards were made from, originals or as they came, are still what they were.

Shards are named by their dataset's listing and file sizes, which is known at once (`Source.fingerprint`). A label that
was corrected may have the size it had, though. So such shards say in `sources.jsonl` which contents they were made
from, and the work folder remembers those, with the size and the times that each file had when it was last read: a file
of which these are the same is not read again, of any other the SHA-256 counts. Where contents differ from those that
the shards were first made from, a digest of all contents goes into the identity: the shards, and all that is made of
them, are then others and get names of their own, and what was made before keeps its own.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dsr.data_pipelines.datasets import Sample, Source
from dsr.experiments.graph.artefacts import place_of
from dsr.tfrecords import files
from dsr.tfrecords.files import Stamp
from dsr.tfrecords.ledger import SOURCES
from dsr.tfrecords.manifest import Identity, fingerprint
from dsr.tfrecords.workers import available_cores

CONTENT = "content"
"""In the configuration of such shards: which contents, if not those of their listing's first."""

_SETTLED = 2_000_000_000
"""Nanoseconds after which a change shows in a file's times, on file systems that count in seconds."""

_NAMED = 3


@dataclass
class Ledger:
    """What the work folder remembers of the files of one listing, by "image/NAME" and "label/NAME".

    first: SHA-256 of what shards were first made from. seen: the stamp and SHA-256 when a file was last read.
    """

    path: Path
    first: dict[str, str] = field(default_factory=dict)
    seen: dict[str, tuple[Stamp, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Path, identity: Identity) -> Ledger:
        """That of such shards; empty if there is none, or it cannot be read."""
        plain = dataclasses.replace(identity, config={k: v for k, v in identity.config.items() if k != CONTENT})
        ledger = cls(work / "sources" / f"{plain.name}-{plain.fingerprint[:8]}.json")
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            content = json.loads(files.read_bytes(ledger.path))
            seen = {key: ((int(a), int(b), int(c)), str(sha256)) for key, (a, b, c, sha256) in content["seen"].items()}
            ledger.first, ledger.seen = {key: str(sha256) for key, sha256 in content["first"].items()}, seen
        return ledger

    def save(self) -> None:
        """Raises OSError."""
        content = {"first": self.first, "seen": {key: [*stamp, sha256] for key, (stamp, sha256) in self.seen.items()}}
        files.make_folder(self.path.parent)
        with files.writing(self.path, self.path.parent) as file:
            file.write(json.dumps(content, sort_keys=True).encode())


def compare(
    work: Path, source: Source, samples: Sequence[Sample], identity: Identity
) -> tuple[Identity, tuple[str, ...]]:
    """The identity of such shards with regard to what their files hold now, and what there is to say about it.

    `identity` is that of the listing. Raises ReadError if a file cannot be read.
    """
    ledger = Ledger.of(work, identity)
    first = ledger.first or _recorded(place_of("shards", work, identity))
    if not first:
        return identity, ()
    now, hashed = _contents(source, samples, ledger)
    changed = [key for key, sha256 in now.items() if first.get(key, sha256) != sha256]
    if hashed:
        with suppress(OSError):  # then they are hashed again
            dataclasses.replace(ledger, first=first).save()
    if not changed:
        return identity, (f"its {len(now)} source files are as they were ({_how(len(now), hashed)})",)
    named = ", ".join(changed[:_NAMED]) + (", ..." if len(changed) > _NAMED else "")
    note = f"{len(changed)} of {len(now)} source files changed after shards were made of them: {named}"
    return dataclasses.replace(identity, config={**identity.config, CONTENT: fingerprint(now)}), (note,)


def _how(files: int, hashed: int) -> str:
    return f"{files - hashed} by size and time, {hashed} by SHA-256"


def stamps(source: Source, samples: Sequence[Sample]) -> dict[str, Stamp]:
    """Of the files of samples, those that will show if the file is changed from now on."""
    now, found = time.time_ns(), {}
    for kind, name, path in source.paths(samples):
        stamp = files.stamp(path)
        if stamp is not None and max(stamp[1:]) < now - _SETTLED:
            found[f"{kind}/{name}"] = stamp
    return found


def remember(work: Path, folder: Path, identity: Identity, before: dict[str, Stamp], after: dict[str, Stamp]) -> None:
    """Keep what the shards in `folder` were made from; `before` and `after` are the files' stamps then.

    Raises OSError.
    """
    ledger, contents = Ledger.of(work, identity), _recorded(folder)
    if not contents:
        return
    ledger.first = ledger.first or contents
    ledger.seen = {
        key: (stamp, contents[key]) for key, stamp in after.items() if before.get(key) == stamp and key in contents
    }
    ledger.save()


def _recorded(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that shards were made from; empty if they do not say."""
    try:
        lines = [json.loads(line) for line in files.read_bytes(folder / SOURCES).splitlines()]
        return {f"{line['kind']}/{line['name']}": str(line["sha256"]) for line in lines}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _contents(source: Source, samples: Sequence[Sample], ledger: Ledger) -> tuple[dict[str, str], int]:
    """SHA-256 of each file, and of how many it was computed; the ledger has seen them then."""
    now: dict[str, str] = {}
    unseen: dict[str, tuple[Stamp | None, Sample]] = {}
    settled = time.time_ns() - _SETTLED
    for sample in samples:
        for kind, name, path in source.paths([sample]):
            key, stamp = f"{kind}/{name}", files.stamp(path)
            if key in now or key in unseen:
                continue
            if stamp is not None and key in ledger.seen and ledger.seen[key][0] == stamp:
                now[key] = ledger.seen[key][1]
            else:
                unseen[key] = stamp, sample
    wanted = {sample: None for _, sample in unseen.values()}
    with ThreadPoolExecutor(available_cores()) as pool:  # hashing does not hold the interpreter
        for found in pool.map(lambda sample: list(source.files([sample])), wanted):
            for file in found:
                key = f"{file.kind}/{file.name}"
                if key in unseen:
                    now[key], stamp = file.sha256, unseen[key][0]
                    if stamp is not None and max(stamp[1:]) < settled:
                        ledger.seen[key] = stamp, file.sha256
    return now, len(unseen)
