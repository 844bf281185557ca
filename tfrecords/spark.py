"""Conversion as an Apache Spark job: the shards of an artefact spread over executors, a task each.

As with Beam (`dsr.tfrecords.beam`), what comes out are files, which executors and this process reach under the same
path, and the executors need dsr installed as it is here. Spark tries the tasks of a lost executor again on another one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from dsr.tfrecords.clusters import attempt, raising
from dsr.tfrecords.engine import Work
from dsr.tfrecords.errors import ArtefactError

try:
    from pyspark import SparkConf, SparkContext
except ImportError as error:
    raise ArtefactError(f"the engine spark needs PySpark ({error}): pip install 'dsr[spark]', and Java") from None

THIS_MACHINE = "local[*]"
"""The master of one task a core of this machine."""


class SparkEngine:
    """An engine of the converter (see `dsr.tfrecords.engine.Engine`) that has Spark's executors do the work.

    Args:
      master: such as `spark://host:7077` or `local-cluster[2,1,1024]`; if empty that of `spark-submit` or of Spark's
        own configuration, else this machine's cores.
    """

    def __init__(self, master: str = "") -> None:
        self.conf = SparkConf().setAppName("dsr")
        self.conf.set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false")
        self.conf.setIfMissing("spark.master", THIS_MACHINE)
        if master:
            self.conf.setMaster(master)

    def __call__(self, work: Work, tasks: Sequence[Any]) -> Generator[tuple[Any, None], None, None]:
        """Raises what a worker raised as UserError, and ArtefactError if the job fails for another reason."""
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        with raising(work, "Spark job"):
            context = SparkContext(conf=self.conf)
            context.setLogLevel("OFF")
            try:
                context.parallelize(tasks, len(tasks)).map(partial(attempt, work)).count()
            finally:
                context.stop()
        for task in tasks:
            yield task, None
