"""Options that say what spreads shards over processes: this machine or a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from dsr.tfrecords.engines import ENGINES, make_engine

WHERE = {"beam": "--beam-options", "spark": "--spark-master", "dask": "--dask-scheduler"}
"""Name of an engine -> the option that says which runner or cluster."""


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command receives as `engine` an Engine, or None for processes of this machine."""

    @functools.wraps(command)
    def wrapped(engine: str, beam_options: str, spark_master: str, dask_scheduler: str, **arguments: Any) -> Any:
        given = {"beam": beam_options, "spark": spark_master, "dask": dask_scheduler}
        for name, where in given.items():
            if where and name != engine:
                raise click.UsageError(f"{WHERE[name]} is for --engine {name}")
        made = make_engine(engine, given[engine]) if engine in ENGINES else None
        return command(engine=made, **arguments)

    for option in reversed(
        [
            click.option(
                "--engine",
                type=click.Choice(["local", *ENGINES]),
                default="local",
                show_default=True,
                help="What spreads the work: processes of this machine, Apache Beam, Apache Spark or Dask.",
            ),
            click.option(WHERE["beam"], default="", metavar="TEXT", help="Beam's own, as in the example above."),
            click.option(WHERE["spark"], default="", metavar="URL", help="Such as spark://host:7077."),
            click.option(WHERE["dask"], default="", metavar="ADDRESS", help="Such as tcp://host:8786."),
        ]
    ):
        wrapped = option(wrapped)
    return wrapped
