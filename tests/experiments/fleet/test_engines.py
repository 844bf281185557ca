"""An Apache Beam runner makes of a folder what the processes of this machine make of it, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsr.data_pipelines.codecs import make_codec
from dsr.experiments.fleet.encoding import encoded_folder
from dsr.experiments.fleet.pictures import Format
from dsr.experiments.fleet.rates import Fixed
from dsr.experiments.fleet.restoring import restored_folder
from dsr.experiments.graph.progress import Progress
from dsr.models.restorers.rdn_config import RdnConfig
from tests.experiments.fleet.conftest import contents

pytest.importorskip("apache_beam", reason="the engine beam needs Apache Beam: pip install 'dsr[beam]'")

from dsr.tfrecords.beam import BeamEngine

pytestmark = pytest.mark.tensorflow

TWO_PROCESSES = "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2"


def test_beam_restores_to_the_bytes_of_the_local_engine_and_names_what_is_bad(camera: Path, tmp_path: Path) -> None:
    from dsr.models.restorers.rdn import build_rdn
    from dsr.models.restorers.saved import save_network

    config = RdnConfig(blocks=1, layers=1, growth=2, features=4)
    (tmp_path / "restorer").mkdir()
    save_network(build_rdn(config), config, tmp_path / "restorer")
    encoded_folder(camera, Fixed(make_codec("jpeg", 30)), False).make(tmp_path / "fleet", 1, Progress())
    bad = next((tmp_path / "fleet").rglob("*.jpg"))
    bad.write_bytes(bad.read_bytes()[:50])
    made = restored_folder(tmp_path / "fleet", tmp_path / "restorer", None, Format())
    manifest = made.make(tmp_path / "beam", None, Progress(), BeamEngine(TWO_PROCESSES))
    assert (manifest.summary["files_made"], manifest.summary["errors"]) == (19, 1)
    made.make(tmp_path / "local", 1, Progress())
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
