"""Inference times of the configurations (paper, Table IV): what each costs an image where images are analysed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any, Optional

from dsr.experiments.analysis.tables import Table
from dsr.experiments.results import InferenceTimes

STAGES = ("encode", "decode", "restore", "segment")

STAGES_OF = {
    "RO": ("segment",),
    "CC": ("encode", "decode", "segment"),
    "OR": ("encode", "decode", "restore", "segment"),
}
"""What an image goes through before its labels are known. OO and CO test originals as RO does, and OC compressed images
as CC."""

SAME_COST = {"RO": "OO, CO and RO", "CC": "OC and CC", "OR": "OR"}


@dataclass(frozen=True)
class Cost:
    """Median milliseconds an image of each stage that a configuration has; `versus_cc` is its whole over that of CC."""

    configuration: str
    point: str
    restorer: Optional[str]
    stages: dict[str, float]
    versus_cc: float

    @property
    def total(self) -> float:
        return sum(self.stages.values())

    @property
    def label(self) -> str:
        return SAME_COST[self.configuration] + (f", {self.restorer}" if self.restorer else "")


def costs(times: InferenceTimes) -> list[Cost]:
    """Operating point by operating point.

    RO, CC, and OR with each restorer, from what `dsr.experiments.measurements.inference_times` measured.
    """
    medians = {(s.stage, s.point, s.restorer): 1000 * median(s.seconds) for s in times.stages}
    restorers = [s.restorer for s in times.stages if s.stage == "restore"]
    found = []
    for point in dict.fromkeys(s.point for s in times.stages if s.point):
        of_codec = {stage: medians[stage, point, None] for stage in ("encode", "decode")}
        for configuration, needed in STAGES_OF.items():
            for restorer in restorers if "restore" in needed else [None]:
                known = {**of_codec, "segment": medians["segment", None, None]}
                if restorer:
                    known["restore"] = medians["restore", None, restorer]
                stages = {stage: known[stage] for stage in needed}
                whole = sum(known[stage] for stage in STAGES_OF["CC"])
                found.append(Cost(configuration, point, restorer, stages, sum(stages.values()) / whole))
    return found


def inference_times_table(times: InferenceTimes) -> Table:
    """One row a configuration, operating point and restorer.

    Milliseconds an image, empty where a stage is not needed.
    """
    rows: list[tuple[Any, ...]] = [
        (c.configuration, c.point, c.restorer, *(c.stages.get(stage) for stage in STAGES), c.total, c.versus_cc)
        for c in costs(times)
    ]
    columns = ("configuration", "point", "restorer", *(f"{stage}_ms" for stage in STAGES), "total_ms", "versus_cc")
    return Table(columns, rows)
