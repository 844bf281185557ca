"""The images that all of what is compared has, and numbers of them alone.

With --max-errors one codec may lack the images that are hardest, and would look better than it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Optional

from dsr.experiments.graph.artefacts import Artefact
from dsr.experiments.results import LeftOut
from dsr.experiments.stored_json import load
from dsr.experiments.summaries import ShardsSummary
from dsr.models.errors import UserError
from dsr.tfrecords.ledger import STATISTICS, Summary

OF_IMAGES = ("images", "height", "width", "bpp", "bpp_min", "bpp_max", "psnr", "ms_ssim", "ms_ssim_db", "identical")
"""What of a summary is of the images in shards, and not of how they were made."""


def common_keys(images: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Those of the first that all others have too, in its order.

    Raises UserError if there are none.
    """
    first, *others = images
    shared = set(first).intersection(*others)
    if not shared:
        raise UserError(
            "no image is in all of what is to be compared: leave out the operating points that lack most of them"
        )
    return tuple(key for key in first if key in shared)


def left_out(images: Mapping[tuple[Optional[str], Optional[str]], Sequence[str]]) -> list[LeftOut]:
    """What each domain, (operating point, restorer), lacks of the images that others have; none that lacks nothing."""
    keys = sorted(set().union(*images.values()))
    lacking = {
        domain: [key for key in keys if key not in there]
        for domain, there in ((domain, set(one)) for domain, one in images.items())
    }
    return [LeftOut(*domain, missing) for domain, missing in lacking.items() if missing]


def keys_of(shards: Artefact) -> list[str]:
    """Those of the images in existing shards, in their order."""
    return [row["key"] for row in load(shards.file(STATISTICS))]


def summary_of_images(shards: Artefact, keys: Optional[Collection[str]] = None) -> ShardsSummary:
    """What existing shards measured of these of their images, by default of all."""
    whole = shards.summary(ShardsSummary)
    if keys is None or len(keys) == whole.images:
        return whole
    wanted, summary = set(keys), Summary()
    for row in load(shards.file(STATISTICS)):
        if row["key"] in wanted:
            summary.add(row)
    found = summary.to_json(whole.errors, shards.seconds)
    return dataclasses.replace(whole, **{name: found[name] for name in OF_IMAGES})
