"""Fits the perceptual indexes: NIQE's model of pristine patches, HOSA's codebook and regression.

    python -m dsr.experiments.tools.fit_perceptual --root ~/photographs/train --held-out ~/photographs/held-out \\
        --output models/metrics/perceptual/weights

Both need photographs only. NIQE is fitted to the sharp patches of these. HOSA learns from versions of them that are
degraded in known ways; no observers' opinions are to be had, so what it learns to tell, without the original, is how
far MS-SSIM has fallen: see `degradation`. Printed for photographs of --held-out: what both indexes make of each kind
and level. The same photographs give the same weights, on one machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import pearsonr, spearmanr

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import open_source
from dsr.models.metrics.fidelity import ms_ssim, to_db
from dsr.models.metrics.perceptual import PerceptualIndex
from dsr.models.metrics.perceptual.hosa import Codebook, Hosa, normalized_patches
from dsr.models.metrics.perceptual.niqe import Niqe, sharp_features
from dsr.models.metrics.perceptual.scene_statistics import luminance

Pixels = NDArray[np.uint8]

DISTORTIONS: dict[str, tuple[float, ...]] = {
    "jpeg": (75, 45, 25, 12, 5),
    "jpeg2000": (2, 1, 0.5, 0.25, 0.12),
    "bpg": (28, 33, 38, 43, 48),
    "blur": (0.6, 1, 1.6, 2.5, 4),
    "noise": (2, 4, 8, 16, 32),
    "rescale": (1.5, 2, 3, 4.5, 7),
}
"""Kind -> levels, mildest first: a codec's quality, the standard deviation of the blur in pixels or of the white noise
in grey levels, the factor by which an image is reduced and enlarged again."""

PRISTINE_DB, WORST_DB = 30.0, 5.0
"""MS-SSIM of the luminance in dB at which an image counts as not degraded at all, and as degraded entirely."""

SHORT_SIDE = 768
"""To which larger photographs are reduced, which averages away what their own compression did."""

TRAINED, MEASURED = 320, 480
"""Largest side of the middle piece of a photograph that HOSA is trained on, and that both are measured on."""

OTHERS = (0, 2)
"""Distances of the levels at which a photograph is seen."""

CODEBOOK_STEP, CODEBOOK_PATCHES = 4, 80
"""The codebook is learned from every fourth photograph (not fifth: levels come again after five), so many patches of
each version. The paper's is from the 30 photographs of CSIQ and their versions."""

REGULARIZATION = 1 / 256
"""The paper's C = 128 of LIBLINEAR: lambda = 1 / (2 C)."""

SEED = 0


def distorted(pixels: Pixels, kind: str, level: float, seed: int) -> Pixels:
    """An image at a level of a kind of `DISTORTIONS`; uint8 (H, W, 3) to the same. Only noise depends on the seed."""
    height, width, _ = pixels.shape
    if kind == "blur":
        return np.rint(gaussian_filter(pixels.astype(np.float64), (level, level, 0))).astype(np.uint8)
    if kind == "noise":
        noise = np.random.default_rng(seed).normal(0, level, pixels.shape)
        return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    if kind == "rescale":
        small = Image.fromarray(pixels).resize((round(width / level), round(height / level)), Image.Resampling.BICUBIC)
        return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    codec = make_codec(kind, level)
    return codec.decode(codec.encode(pixels))


def degradation(original: Pixels, pixels: Pixels) -> float:
    """How degraded an image is, from 0 to 100: linear in the MS-SSIM of its luminance in dB, 4 for each decibel lost.

    A measure against the original makes levels of unlike distortions comparable, as a level's number does not; of its
    luminance, because that is all that HOSA sees. In dB, because equal steps there look about equally large.
    """
    similarity = to_db(ms_ssim(luminance(original)[..., None], luminance(pixels)[..., None]))
    return 100 * float(np.clip((PRISTINE_DB - similarity) / (PRISTINE_DB - WORST_DB), 0, 1))


class Photographs:
    """All photographs below a folder, large ones reduced."""

    def __init__(self, folder: Path) -> None:
        self._source = open_source("photos", str(folder), short_side=SHORT_SIDE)
        self._samples = self._source.samples("all")

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> Pixels:
        return self._source.read(self._samples[number])[0]

    def middle(self, number: int, side: int) -> Pixels:
        """The middle of a photograph, `side` pixels high and wide at most."""
        pixels = self[number]
        top, left = (max(0, size - side) // 2 for size in pixels.shape[:2])
        return np.ascontiguousarray(pixels[top : top + side, left : left + side])

    def versions(self, number: int) -> Iterator[tuple[Pixels, float]]:
        """What HOSA learns from one: it as it is, and each kind at two levels, the next ones in the next photograph."""
        original = self.middle(number, TRAINED)
        yield original, 0.0
        for shift, (kind, levels) in enumerate(DISTORTIONS.items()):
            for other in OTHERS:
                pixels = distorted(original, kind, levels[(number + shift + other) % len(levels)], number)
                yield pixels, degradation(original, pixels)


def fit_niqe(photographs: Photographs) -> Niqe:
    """The model of sharp patches of all photographs."""
    features = np.concatenate([sharp_features(photographs[n]) for n in progress("NIQE", range(len(photographs)))])
    click.echo(f"NIQE: {len(features)} sharp patches of {len(photographs)} photographs")
    return Niqe.fitted(features)


def fit_hosa(photographs: Photographs) -> Hosa:
    """A codebook of some photographs' versions, then a regression on all of them."""
    codebook = learn_codebook(photographs)
    features, targets = [], []
    for number in progress("HOSA", range(len(photographs))):
        for pixels, target in photographs.versions(number):
            features.append(codebook.features(pixels).astype(np.float32))
            targets.append(target)
    slope, offset = regression(np.stack(features), np.array(targets))
    click.echo(f"HOSA: {len(targets)} versions of {len(photographs)} photographs")
    return Hosa(codebook, slope, offset)


def learn_codebook(photographs: Photographs) -> Codebook:
    """From patches at equal distances of every version of every fourth photograph."""
    patches = []
    for number in progress("codebook", range(0, len(photographs), CODEBOOK_STEP)):
        for pixels, _ in photographs.versions(number):
            found = normalized_patches(pixels)
            patches.append(found[:: max(1, len(found) // CODEBOOK_PATCHES)])
    return Codebook.learned(np.concatenate(patches), SEED)


def regression(features: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Slope (D,) and offset (1,) that minimise |slope|^2 REGULARIZATION + the sum of squared errors.

    That is LIBLINEAR's support vector regression with the squared loss and no insensitive zone, whose default of 0.1 is
    nothing on a scale of 100; it has a closed form, in the dual because there are fewer images than features.
    """
    center, mean = features.mean(axis=0), targets.mean()
    features = features - center
    kernel = (features @ features.T).astype(np.float64)
    kernel[np.diag_indices_from(kernel)] += REGULARIZATION
    slope = features.T @ np.linalg.solve(kernel, targets - mean)
    return slope, np.array([mean - center @ slope])


def measure(indexes: dict[str, PerceptualIndex], photographs: Photographs) -> None:
    """Print a table for the degradation and for each index: see `summary`."""
    rows = []
    for number in progress("measuring", range(len(photographs))):
        original = photographs.middle(number, MEASURED)
        pristine = measured(indexes, original, original)
        for kind, levels in DISTORTIONS.items():
            versions = (distorted(original, kind, level, number) for level in levels)
            rows.append([pristine, *(measured(indexes, original, pixels) for pixels in versions)])
    table = np.array(rows, float).reshape(len(photographs), len(DISTORTIONS), len(rows[0]), -1)
    for column, name in enumerate(["degradation", *indexes]):
        click.echo(f"\n| {name} | pristine | 1 | 2 | 3 | 4 | 5 | rising | Spearman, level | Spearman | Pearson |")
        click.echo("| --- |" + " --- |" * 10)
        for place, kind in enumerate(DISTORTIONS):
            click.echo(summary(kind, table[:, place, :, column], table[:, place, :, 0]))
        click.echo(summary("all", table[..., column], table[..., 0]))


def measured(indexes: dict[str, PerceptualIndex], original: Pixels, pixels: Pixels) -> list[Optional[float]]:
    """The degradation of an image, then its scores."""
    return [degradation(original, pixels), *(index.score(pixels) for index in indexes.values())]


def summary(kind: str, scores: NDArray[Any], degradations: NDArray[Any]) -> str:
    """A line of the table: mean score by level; steps to the next level at which it rose.

    Rank correlation with the level, rank and linear correlation with the degradation. Levels are the last axis; images
    without a score do not count.
    """
    levels = np.broadcast_to(np.arange(scores.shape[-1]), scores.shape)
    means = np.nanmean(scores.reshape(-1, scores.shape[-1]), axis=0)
    rising = np.mean(np.diff(scores)[np.isfinite(np.diff(scores))] > 0)
    known = np.isfinite(scores)
    by_level = spearmanr(scores[known], levels[known])[0]
    ranks, line = (correlation(scores[known], degradations[known])[0] for correlation in (spearmanr, pearsonr))
    cells = [*(f"{mean:.1f}" for mean in means), f"{rising:.0%}", *(f"{r:.3f}" for r in (by_level, ranks, line))]
    return f"| {kind} | {' | '.join(cells)} |"


def progress(label: str, numbers: range) -> Iterator[int]:
    """The numbers, with a bar on the console."""
    with click.progressbar(numbers, label=label) as bar:
        yield from bar


@click.command()
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--held-out", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Other photographs.")
@click.option("--output", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
def main(root: Path, held_out: Optional[Path], output: Path) -> None:
    """Fit both indexes to the photographs of --root and write niqe.npz and hosa.npz into --output."""
    photographs = Photographs(root)
    niqe, hosa = fit_niqe(photographs), fit_hosa(photographs)
    np.savez(output / "niqe.npz", **niqe.arrays())
    np.savez(output / "hosa.npz", **hosa.arrays())
    if held_out:
        measure({"niqe": niqe, "hosa": hosa}, Photographs(held_out))


if __name__ == "__main__":
    main()
