"""Conversion on dask.distributed: the shards of an artefact spread over workers, a task each.

As with Beam (`dsr.tfrecords.beam`), what comes out are files, which workers and this process reach under the same path,
and the workers need dsr installed as it is here. Dask gives the tasks of a lost worker to another one.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from dsr.tfrecords.clusters import attempt, raising
from dsr.tfrecords.engine import Work
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.workers import available_cores

try:
    from distributed import Client, as_completed
except ImportError as error:
    raise ArtefactError(f"the engine dask needs dask.distributed ({error}): pip install 'dsr[dask]'") from None


class DaskEngine:
    """An engine of the converter (see `dsr.tfrecords.engine.Engine`) that has Dask's workers do the work.

    Args:
      scheduler: its address, such as `tcp://host:8786`; if empty, one process a core of this machine.
    """

    def __init__(self, scheduler: str = "") -> None:
        self.scheduler = scheduler

    def __call__(self, work: Work, tasks: Sequence[Any]) -> Generator[tuple[Any, None], None, None]:
        """Raises what a worker raised as UserError, and ArtefactError if Dask fails for another reason."""
        with raising(work, "Dask computation"), self._connect() as client:
            futures = client.map(partial(attempt, work), tasks, pure=False)
            shards = dict(zip(futures, tasks))
            for future in as_completed(futures):
                if future.result():
                    yield shards[future], None

    def _connect(self) -> Client:
        if self.scheduler:
            return Client(self.scheduler)
        return Client(n_workers=available_cores(), threads_per_worker=1, dashboard_address=None)
