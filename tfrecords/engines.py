"""The engines by name; each is imported when it is made, because it needs a package of its own."""

from __future__ import annotations

import importlib

from dsr.tfrecords.engine import Engine

ENGINES = {
    "beam": "dsr.tfrecords.beam:BeamEngine",
    "spark": "dsr.tfrecords.spark:SparkEngine",
    "dask": "dsr.tfrecords.dask:DaskEngine",
}
"""Name -> where its class is. Beside these there are the processes of this machine (`dsr.tfrecords.workers.run`)."""


def make_engine(name: str, where: str = "") -> Engine:
    """An engine.

    Args:
      name: one of ENGINES.
      where: which runner or cluster, in the engine's own words (Beam's options, Spark's master, Dask's scheduler);
        processes of this machine if empty.

    Raises:
      ArtefactError: its package is not installed, or does not know what `where` says.
    """
    module, _, made = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), made)(where)
    return engine
