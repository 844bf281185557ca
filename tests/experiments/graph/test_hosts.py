"""What TF_CONFIG says of hosts: one however it is told, several workers, or a sentence on how to tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsr.experiments.graph import hosts
from dsr.experiments.graph.hosts import HostError
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from tests.experiments.graph.test_artefacts import Graph

ONE = [
    "",
    "  ",
    "{}",
    "null",
    "[]",
    '{"environment": "cloud"}',
    '{"cluster": {}}',
    '{"cluster": null, "task": null}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
    '{"cluster": {"chief": ["h:2222"]}, "task": {"type": "chief", "index": 0}, "environment": "cloud"}',
    '{"cluster": {"master": ["h:2222"], "worker": []}, "task": {"type": "master", "index": 0}}',
]
TWO = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
NONSENSE = [
    "nonsense",
    "3",
    '"text"',
    "[" * 10000,
    '{"cluster": ["a:1", "b:1"]}',
    '{"cluster": {"worker": 2}}',
    '{"cluster": {"worker": ["a:1", "b:1"]}}',
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "first"}}',
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator", "index": 0}}',
    '{"cluster": {"chief": ["a:2222"], "worker": ["b:2222"]}, "task": {"type": "chief", "index": 0}}',
    '{"cluster": {"ps": ["a:2222"], "worker": ["b:2222"]}, "task": {"type": "worker", "index": 0}}',
]


@pytest.mark.parametrize("text", ONE)
def test_one_host_is_one_host_however_it_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert hosts.place() == (0, 1)
    assert not hosts.is_multi_host() and hosts.is_chief() and not hosts.share(8)


def test_workers_know_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", TWO)
    assert hosts.place() == (1, 2) and hosts.is_multi_host() and not hosts.is_chief()


@pytest.mark.parametrize("text", NONSENSE)
def test_another_cluster_is_refused_with_the_way_to_tell_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(HostError, match=r'give all hosts the type worker.*"index": 0.*or unset it for one host'):
        hosts.place()


@pytest.mark.parametrize("text", [TWO, *NONSENSE[:2]])
def test_what_has_nothing_to_train_needs_no_cluster(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    graph = Graph(tmp_path)
    make([graph.c], Progress())
    assert graph.made == ["a", "b", "c"]
