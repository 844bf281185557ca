"""What a study's numbers say to who has a budget: the best plans for each of a ladder of budgets, for the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

from dsr.experiments.analysis.scaling import scaling_view
from dsr.experiments.planning.demand import Demand
from dsr.experiments.planning.errors import PlanningError
from dsr.experiments.planning.known import Known, Score, known
from dsr.experiments.planning.plan import Row, make_plan
from dsr.experiments.planning.scaling import Law
from dsr.experiments.results import Results

BUDGETS = 25
ROWS = 6
COLUMNS = ("Point", "Repair", "Images", "bpp", "kB an image", "mIoU, %", "Known by")

Cells = tuple[str, ...]


@dataclass(frozen=True)
class PlanView:
    """Budgets as text, the rows of each, and the one that the page shows first."""

    columns: Cells
    budgets: list[str]
    rows: list[list[Cells]]
    first: int
    images: int
    scaled: bool
    note: str


def plan_view(results: Results) -> Optional[PlanView]:
    """The ladder of a study's budgets; None if it has nothing to plan with."""
    try:
        found = known(results, growth(results))
    except PlanningError:
        return None
    budgets = ladder(found)
    plans = [make_plan(found, Demand(budget, found.size)).rows[:ROWS] for budget in budgets]
    return PlanView(
        COLUMNS,
        [_amount(budget) for budget in budgets],
        [[_cells(row) for row in rows] for rows in plans],
        len(budgets) // 2,
        found.images,
        found.growth is not None,
        growth_note(results),
    )


def growth(results: Results) -> Optional[Law]:
    """What the number of images changes, if that was measured, and of these images."""
    if _of_other_images(results):
        return None
    view = scaling_view(results.scaling)
    return view.laws[0] if view else None


def _of_other_images(results: Results) -> bool:
    return any(name.startswith("dataset.") for name in results.changed.get("scaling", {}))


def growth_note(results: Results) -> str:
    """What is not as it was when the number of images was varied; "" if nothing, or if it was not."""
    changed = changes(results, "scaling")
    if not changed:
        return ""
    if _of_other_images(results):
        return f"the scaling law is of other images and not used ({changed}): run dsr scaling again"
    return f"the scaling law is of trainings with other settings: {changed}"


def changes(results: Results, measurement: str) -> str:
    """Settings that are not those of a measurement that was kept, in words; "" if there are none."""
    found = results.changed.get(measurement, {})
    return ", ".join(f"{name} {then}, not {now}" for name, (then, now) in found.items())


def ladder(found: Known) -> list[float]:
    """Budgets in bytes, by equal factors, around what the study's own images take at its rates.

    Without a scaling law from all of them at the coarsest rate to all of them at the finest; with one a quarter of that
    to four times that.
    """
    beyond = 1 if found.growth is None else 4
    of_all = [found.images * rated.bpp * found.size.pixels / 8 for rated in found.rated]
    low, high = min(of_all) / beyond, max(of_all) * beyond
    low = max(low, 1.0)
    step = math.log(max(high / low, 1.0)) / (BUDGETS - 1)
    return [low * math.exp(step * number) * (1 + 1e-9) for number in range(BUDGETS)]


def _cells(row: Row) -> Cells:
    return (
        row.point,
        row.repair or "–",
        f"{row.images:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"),
        f"{row.bpp:.3f}",
        f"{row.bytes / 1000:.1f}",
        _score(row.score),
        "; ".join([row.basis.value, *row.notes]),
    )


def _score(score: Optional[Score]) -> str:
    if score is None:
        return "–"
    interval = "" if score.interval is None else " ({:.1f} to {:.1f})".format(*(100 * end for end in score.interval))
    return f"{100 * score.value:.1f}{interval}"


def _amount(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
