"""Every state that a kill may leave a folder in, at any operation on its files.

A process that is killed leaves what it has done to the disk until then: its locks are gone, its files stay as they are.
So what each kill would leave can be recorded in one run, by copying the folder in front of every operation, and tried
afterwards.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, Optional

Tree = dict[str, Optional[bytes]]
"""What a file holds, by its path in the folder; None for a folder."""

AT_ONCE = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")
OPERATIONS = (*AT_ONCE, "open", "os.scandir", "os.listdir")
TOGETHER = 4  # so many files may change between two operations that Python sees, for libraries in C++ write them


def tree(folder: Path) -> Tree:
    """What is in a folder."""
    found: Tree = {}
    for path, folders, files in os.walk(folder):
        place = Path(path)
        found |= {(place / name).relative_to(folder).as_posix(): None for name in folders}
        for name in files:
            found[(place / name).relative_to(folder).as_posix()] = (place / name).read_bytes()
    return found


def put(content: Tree, folder: Path) -> None:
    """Make a folder hold this and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in sorted(content.items()):
        if data is None:
            (folder / name).mkdir(parents=True, exist_ok=True)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


def states(folder: Path, action: Callable[[], None]) -> list[Tree]:
    """The states in which a kill during `action` may leave the folder, without doubles, in order.

    Of what was written between two operations there is also each part, and each file cut short; what one operation
    does, it does at once.
    """
    recorder = _Recorder(folder)
    _recorders.append(recorder)
    try:
        action()
        recorder.look()
    finally:
        _recorders.remove(recorder)
    return list(recorder.found.values())


class _Recorder:
    def __init__(self, folder: Path) -> None:
        self.folder, self.last = folder, tree(folder)
        self.found: dict[int, Tree] = {}
        self.lock, self.looking, self.at_once = threading.RLock(), False, False
        self._keep(self.last)

    def look(self, event: str = "") -> None:
        """In front of the operation that the event is of."""
        with self.lock:
            if self.looking:
                return
            self.looking = True
            try:
                self._compare(tree(self.folder))
            finally:
                self.looking, self.at_once = False, event in AT_ONCE

    def _compare(self, now: Tree) -> None:
        last, self.last = self.last, now
        if self.at_once:
            self._keep(now)
            return
        changed = [name for name in {**last, **now} if last.get(name, 0) != now.get(name, 0)]
        for count in range(1, len(changed)) if len(changed) <= TOGETHER else (1, len(changed) - 1):
            for some in combinations(changed, count):
                self._keep(_with(last, now, some))
        for name in changed:
            data = now.get(name)
            if data:
                for length in (0, len(data) // 2):
                    self._keep({**_with(last, now, (name,)), name: data[:length]})
        self._keep(now)

    def _keep(self, content: Tree) -> None:
        self.found.setdefault(hash(frozenset(content.items())), content)


def _with(last: Tree, now: Tree, names: tuple[str, ...]) -> Tree:
    """`last` with what `now` has under these names."""
    mixed = {name: data for name, data in last.items() if name not in names}
    mixed |= {name: now[name] for name in names if name in now}
    folders = {parent.as_posix() for name in mixed for parent in Path(name).parents} - {"."}
    return {**dict.fromkeys(folders), **mixed}


_recorders: list[_Recorder] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in OPERATIONS:
        for recorder in _recorders:
            recorder.look(event)


def _fsync(descriptor: int) -> None:
    for recorder in _recorders:
        recorder.look()
    _really_fsync(descriptor)


sys.addaudithook(_hook)
_really_fsync, os.fsync = os.fsync, _fsync
