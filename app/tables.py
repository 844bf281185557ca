"""Results as text tables on standard output."""

from __future__ import annotations

from typing import Any

import click

from experiments.configs import CONFIGURATIONS


def print_results(results: dict[str, Any]) -> None:
    """mIoU in percent of each configuration at each operating point, with rate and fidelity of the test images."""
    miou = {(e["configuration"], e["point"]): 100 * e["miou"] for e in results["evaluations"]}
    header = f"{'operating point':<20}{'bpp':>8}{'PSNR':>8}" + "".join(f"{c:>8}" for c in CONFIGURATIONS)
    click.echo(header)
    for point in results["points"]:
        compressed = point["compressed"]
        fidelity = "inf" if compressed["psnr"] is None else format(compressed["psnr"], ".2f")
        values = [miou.get((c, None if c == "OO" else point["point"])) for c in CONFIGURATIONS]
        cells = "".join(f"{'-' if v is None else format(v, '.2f'):>8}" for v in values)
        click.echo(f"{point['point']:<20}{compressed['bpp']:>8.3f}{fidelity:>8}{cells}")


def print_evaluation(configuration: str, summary: dict[str, Any]) -> None:
    """Per-class IoU, mIoU and pixel accuracy of one configuration, in percent."""
    for name, iou in summary["per_class"].items():
        click.echo(f"{name:<20}{'-' if iou is None else format(100 * iou, '.2f'):>8}")
    click.echo(
        f"{configuration}: mIoU {100 * summary['miou']:.2f} %, pixel accuracy {100 * summary['pixel_accuracy']:.2f} %"
    )
