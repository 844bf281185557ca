"""What the benchmarks that kill have in common."""

from __future__ import annotations

import signal
from multiprocessing.process import BaseProcess


def survives(process: BaseProcess, seconds: float) -> bool:
    """Start it, kill it after so long, and tell whether it was done by then; SystemExit if it ended otherwise."""
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise SystemExit(f"a run after a kill failed with exit code {process.exitcode}")
    return process.exitcode == 0
