"""What was found in a dataset as a page: counts, sizes, classes and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dsr.data_pipelines.datasets import LabelTable
from dsr.experiments.analysis.page import environment, inlined
from dsr.experiments.checking import SplitFacts
from dsr.tfrecords.errors import cannot_write
from dsr.tfrecords.files import write_atomically


def write_check(dataset: str, table: LabelTable, splits: Sequence[SplitFacts], page: Path) -> None:
    """Write the page, one file that needs no other. Raises ArtefactError if it cannot be written."""
    text = (
        environment()
        .get_template("check.html.jinja")
        .render(dataset=dataset, table=table, splits=splits, style=inlined("report.css"))
    )
    try:
        write_atomically(page, text.encode(errors="replace"))
    except OSError as error:
        raise cannot_write(page, error) from None
