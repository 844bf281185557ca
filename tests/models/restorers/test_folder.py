"""Folders of restorers that come from elsewhere: what they claim is held against what they have, without TensorFlow."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from dsr.models.restorers.errors import RestorerError
from dsr.models.restorers.folder import DISCRIMINATORS, GENERATOR, MAX_BYTES, description_file, weights_file
from dsr.models.restorers.gan_config import DiscriminatorConfig, GeneratorConfig
from dsr.models.restorers.saved import read_config, read_start

HUGE = GeneratorConfig(width=500)
SMALL = DiscriminatorConfig(width=2)


def described(folder: Path) -> Path:
    """The folder with descriptions of both parts, of which the generator has some 3 billion weights."""
    for part, fields in ((GENERATOR, {"network": "gan", **asdict(HUGE)}), (DISCRIMINATORS, asdict(SMALL))):
        description_file(folder, part).write_text(json.dumps(fields))
    return folder


def test_weights_that_a_file_only_claims_to_have_are_refused(tmp_path: Path) -> None:
    path = weights_file(described(tmp_path), GENERATOR)
    parts = 12
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(parts):
            archive.writestr(f"{number}.npy", b"")
    data, place = bytearray(path.read_bytes()), 0
    for _ in range(parts):
        place = data.index(b"PK\1\2", place + 1)
        struct.pack_into("<I", data, place + 24, 2 * HUGE.parameters // parts + 1)  # the unpacked size
    path.write_bytes(data)
    with pytest.raises(RestorerError, match=rf"generator\.npz: .*a file of {len(data)} bytes for "):
        read_start(str(tmp_path))


def test_zeros_that_pack_to_nothing_are_no_weights(tmp_path: Path) -> None:
    path = weights_file(described(tmp_path), GENERATOR)
    network = GeneratorConfig.small()
    description_file(tmp_path, GENERATOR).write_text(json.dumps({"network": "gan", **asdict(network)}))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(2 * network.parameters))
    with pytest.raises(RestorerError, match=r"generator\.npz: .* bytes for "):
        read_start(str(tmp_path))


@pytest.mark.parametrize("text", ["[" * 50_000, " " * MAX_BYTES + "{}"])
def test_a_description_that_is_nested_or_long_without_end_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    description_file(tmp_path, GENERATOR).write_text(text)
    with pytest.raises(RestorerError, match=r"generator\.json"):
        read_config(tmp_path)
