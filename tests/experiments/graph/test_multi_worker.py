"""Two hosts, as two processes, train what one trains; only the first writes; a lost host costs the steps since a
checkpoint."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dsr.experiments.graph.artefacts import CURVES, Artefact
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from tests.experiments.graph.one_host import tiny_study
from tests.experiments.training.tiny import weights

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[3]
# Two halves of a batch are averaged in another order than the whole; float32 has 6e-8, and six steps add to it.
TOLERANCE = 1e-4


@dataclass
class Host:
    returncode: int
    pid: int
    output: str


def run_hosts(work: Path, gan_batch: int, killed_at: tuple[int, int], *restorers: str) -> list[Host]:
    """Run the same training on two hosts that share `work`; the second number of `killed_at` is the step at which the
    second dies."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    processes = []
    for index, step in enumerate(killed_at):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        command = [
            sys.executable,
            "-m",
            "tests.experiments.graph.one_host",
            str(work),
            str(gan_batch),
            str(step),
            *restorers,
        ]
        environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
        processes.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    outputs = [process.communicate()[0] for process in processes]
    return [Host(process.returncode, process.pid, output) for process, output in zip(processes, outputs)]


def curves(artefact: Artefact) -> dict[str, np.ndarray]:
    found = json.loads((artefact.folder / CURVES).read_text())
    return {name: np.array(curve) for name, curve in found.items() if name != "steps_per_second"}


def assert_equal_trainings(ours: Artefact, theirs: Artefact) -> None:
    assert ours.fingerprint == theirs.fingerprint
    assert list(curves(ours)) == list(curves(theirs))
    for name, curve in curves(ours).items():
        np.testing.assert_allclose(curve, curves(theirs)[name], rtol=TOLERANCE, err_msg=name)
    for mine, other in zip(weights(ours), weights(theirs)):
        np.testing.assert_allclose(mine, other, atol=TOLERANCE)


def test_two_hosts_train_the_adversarial_restorer_like_one_and_only_the_first_writes(tmp_path: Path) -> None:
    alone = tiny_study(tmp_path / "alone", gan_batch=2)
    reference = alone.restorer(alone.degradations[0], "gan")
    make([reference], Progress())
    first, second = run_hosts(tmp_path / "shared", 2, (-1, -1), "gan")
    assert (first.returncode, second.returncode) == (0, 0), first.output + second.output
    shared = tiny_study(tmp_path / "shared", gan_batch=2)
    restorer = shared.restorer(shared.degradations[0], "gan")
    assert_equal_trainings(restorer, reference)
    assert "writes" in first.output and "writes" not in second.output
    assert "begins shards" in first.output and "begins shards" not in second.output
    (events,) = (restorer.folder / "tensorboard").iterdir()
    assert f".{first.pid}." in events.name
    assert not list(tmp_path.glob("**/*.partial"))


def test_after_a_host_is_lost_all_stop_and_a_restart_ends_like_one_host(tmp_path: Path) -> None:
    """And a training whose batch of one cannot be shared is the first host's alone."""
    alone = tiny_study(tmp_path / "alone", gan_batch=1)
    references = [alone.restorer(alone.degradations[0], name) for name in ("rdn-psnr", "gan")]
    make(references, Progress())
    first, second = run_hosts(tmp_path / "shared", 1, (-1, 5), "rdn-psnr", "gan")
    assert first.returncode == 1 and "error: another host was lost" in first.output, first.output
    assert second.returncode == -9
    first, second = run_hosts(tmp_path / "shared", 1, (-1, -1), "rdn-psnr", "gan")
    assert (first.returncode, second.returncode) == (0, 0), first.output + second.output
    for host in (first, second):
        assert "goes on at step 4 of 6" in host.output
    assert "begins restorer streets/gan" in first.output and "begins restorer streets/gan" not in second.output
    shared = tiny_study(tmp_path / "shared", gan_batch=1)
    for reference, name in zip(references, ("rdn-psnr", "gan")):
        assert_equal_trainings(shared.restorer(shared.degradations[0], name), reference)
