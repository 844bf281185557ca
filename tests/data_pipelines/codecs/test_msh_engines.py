"""Bitstreams and pixels of the learned codec are the same whatever converts, photographs at the highest quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dsr.data_pipelines.codecs import make_codec
from dsr.data_pipelines.datasets import open_source
from dsr.tfrecords.engine import How
from dsr.tfrecords.manifest import Manifest
from dsr.tfrecords.schema import read_shard
from tests.tfrecords.writing import write_compressed, write_originals

IN_PROCESS = "--runner=DirectRunner --direct_running_mode=in_memory"
TWO_PROCESSES = "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2"


@pytest.fixture(scope="module")
def originals(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "originals"
    write_originals(
        open_source("camvid", str(shared / "camvid")), "test", folder, limit=3, images_per_shard=1, workers=1
    )
    return folder


@pytest.fixture(scope="module")
def by_one_worker(originals: Path) -> Path:
    folder = originals.with_name("compressed")
    write_compressed(originals, make_codec("msh", 6), folder, workers=1)
    return folder


def files_of(folder: Path) -> dict[str, dict[str, object]]:
    return {name: entry for name, entry in Manifest.load(folder).files.items() if name.endswith(".tfrecord")}


def how(name: str) -> How:
    if name.isdigit():
        return How(workers=int(name))
    pytest.importorskip("apache_beam", reason="the engine beam needs Apache Beam: pip install 'dsr[beam]'")
    from dsr.tfrecords.beam import BeamEngine

    return How(engine=BeamEngine({"beam in memory": IN_PROCESS, "beam": TWO_PROCESSES}[name]))


@pytest.mark.parametrize("name", ["2", "beam in memory", "beam"])
def test_shards_are_those_of_one_worker(originals: Path, by_one_worker: Path, tmp_path: Path, name: str) -> None:
    made = how(name)
    write_compressed(originals, make_codec("msh", 6), tmp_path / "made", workers=made.workers, engine=made.engine)
    assert len(files_of(by_one_worker)) == 3
    assert files_of(tmp_path / "made") == files_of(by_one_worker)


def test_a_process_that_uses_tensorflow_with_all_its_threads_gives_them_too(
    originals: Path, by_one_worker: Path
) -> None:
    tf.matmul(tf.ones((64, 64)), tf.ones((64, 64))).numpy()
    assert tf.config.threading.get_intra_op_parallelism_threads() != 1
    codec = make_codec("msh", 6)
    for name in files_of(by_one_worker):
        (original,), (compressed,) = (list(read_shard(folder / name, 1)) for folder in (originals, by_one_worker))
        assert codec.encode(original.pixels()) == compressed.bitstream
        assert np.array_equal(codec.decode(compressed.bitstream), compressed.pixels())
