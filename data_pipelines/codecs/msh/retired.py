"""Models that came with earlier releases: what they wrote is not lost, and whoever has it is told where they are."""

from __future__ import annotations

RETIRED = {
    "967197127c2bd644": ("0.3.0", 1),
    "fd18aa2c798bc778": ("0.3.0", 3),
    "ec6308f70bdff366": ("0.3.0", 5),
    "64de36ac6e015b2b": ("0.3.0", 6),
    "166dc816830a8045": ("0.3.1", 1),
    "f7dc6d7d15048fe8": ("0.3.1", 3),
    "491983a32783811b": ("0.3.1", 5),
    "c25182bb9d876a05": ("0.3.1", 6),
}
"""Start of a fingerprint, as bitstreams name it -> release and quality."""


def source_of(model: str) -> str:
    """What to do about a model that is not here, by its fingerprint or the start of it, hexadecimal."""
    release, quality = RETIRED.get(model[:16], (None, None))
    if release is None:
        return "give the file of the model that it was encoded with, as codec option model=FOLDER/codec.npz"
    file = f"quality{quality}.npz"
    return (
        f"it came with dsr {release} for quality {quality}; take data_pipelines/codecs/msh/weights/{file} from that "
        f"release and give it as codec option model={file}"
    )
