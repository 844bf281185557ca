"""Values in JSON files: what a file may be, and that it is said truly what it is not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from dsr.experiments import stored_json
from dsr.experiments.stored_json import finite, load
from dsr.models.errors import UserError


@pytest.mark.parametrize(
    "content, said",
    [(b"[1, 2", "Expecting"), (b"[NaN]", "holds NaN"), (b"[-1e999]", "holds -1e999"), (b"[\xff]", "decode")],
)
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "rows.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"rows\.json is damaged .*{said}"):
        load(tmp_path / "rows.json")


def test_what_is_no_file_or_too_large_is_said_to_be_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(list(range(9))))
    assert load(tmp_path / "rows.json") == list(range(9))
    monkeypatch.setattr(stored_json, "MAX_BYTES", 8)
    with pytest.raises(UserError, match=r"rows\.json is damaged \(it has more than 8 bytes\)"):
        load(tmp_path / "rows.json")
    with pytest.raises(UserError, match=r"is damaged \(it is no file\)"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


def test_numbers_that_json_cannot_say_become_none() -> None:
    assert finite({"a": [1.5, math.nan, (math.inf, 2)], "b": "nan"}) == {"a": [1.5, None, [None, 2]], "b": "nan"}
