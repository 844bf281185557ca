"""Building wheels as pip does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOOK = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def built(hook: str, tree: Path, out: Path) -> Path:
    """What setuptools' `build_wheel` or `build_sdist` makes of a source tree, as pip calls it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HOOK, hook, str(out)],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    )
    return out / done.stdout.splitlines()[-1]
