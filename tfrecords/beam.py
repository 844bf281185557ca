"""Conversion as an Apache Beam pipeline: the shards of an artefact spread over the workers of a Beam runner.

    Create(shards) -> Reshuffle -> ParDo(write a shard)

What the pipeline makes are files, which all workers and this process must reach under the same path: in a shared
folder, or in an object store. A shard that a runner tries again, or has done twice at once, is the same shard under the
same name, so what runners do about failed or slow workers does no harm. The workers need dsr installed as it is here,
as a container image or a worker pool of the runner.
"""

from __future__ import annotations

import io
import logging
import shlex
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import partial
from typing import Any

from dsr.tfrecords.clusters import attempt, raising
from dsr.tfrecords.engine import Work
from dsr.tfrecords.errors import ArtefactError


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings: importing Beam without its Google Cloud part gives one, and unknown options are errors here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


try:
    with _quiet():
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions
except ImportError as error:
    raise ArtefactError(f"the engine beam needs Apache Beam ({error}): pip install 'dsr[beam]'") from None

THIS_MACHINE = "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=0"
"""Beam's options for one process a core of this machine."""


class BeamEngine:
    """An engine of the converter (see `dsr.tfrecords.engine.Engine`) that has a Beam runner do the work.

    Args:
      options: for Beam, as on a command line: `--runner=FlinkRunner --flink_master=host:8081`.

    Raises:
      ArtefactError: Beam does not know an option, or not its value.
    """

    def __init__(self, options: str = "") -> None:
        messages = io.StringIO()
        try:
            with _quiet(), redirect_stderr(messages):
                self.options = PipelineOptions(shlex.split(options or THIS_MACHINE))
                known, given = (self.options.get_all_options(True, retain_unknown_options=u) for u in (False, True))
        except SystemExit:
            said = messages.getvalue().strip().rpartition("\n")[2]
            raise ArtefactError(f"Beam's options: {said}") from None
        for name in sorted(given.keys() - known.keys()):
            raise ArtefactError(f"Beam's options: no runner of this version knows --{name}")
        workers = self.options.view_as(WorkerOptions)
        workers.default_sdk_harness_log_level = workers.default_sdk_harness_log_level or "ERROR"

    def __call__(self, work: Work, tasks: Sequence[Any]) -> Generator[tuple[Any, None], None, None]:
        """Raises what a worker raised as UserError, and ArtefactError if the pipeline fails for another reason."""
        with raising(work, "Beam pipeline"), beam.Pipeline(options=self.options) as pipeline:
            shards = pipeline | "shards" >> beam.Create(list(tasks)) | "spread" >> beam.Reshuffle()
            shards | "write" >> beam.Map(partial(attempt, work))
        for task in tasks:
            yield task, None
