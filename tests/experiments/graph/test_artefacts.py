"""A graph of artefacts makes what is missing, once, inputs first, and nothing else."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from dsr.experiments.domain import Domain
from dsr.experiments.graph import hosts, together
from dsr.experiments.graph.artefacts import Artefact, closure, fingerprints, plan
from dsr.experiments.graph.making import make
from dsr.experiments.graph.progress import Progress
from dsr.tfrecords.building import building
from dsr.tfrecords.layout import REACHED, partial_of
from dsr.tfrecords.manifest import Identity


class Graph:
    """a -> b -> c and a -> d, each of which writes its name."""

    def __init__(self, root: Path, setting: int = 0) -> None:
        self.root, self.made = root, []
        self.a = self.artefact("a", {}, 0)
        self.b = self.artefact("b", {"a": self.a}, setting)
        self.c = self.artefact("c", {"b": self.b}, 0)
        self.d = self.artefact("d", {"a": self.a}, 0)

    def artefact(self, name: str, inputs: dict[str, Artefact], setting: int) -> Artefact:
        def build(artefact: Artefact, progress: Progress) -> None:
            assert all(other.exists for other in artefact.inputs.values())
            with building(artefact.folder, artefact.identity) as work:
                (work.path / "name").write_text(name)
            self.made.append(name)

        identity = Identity("thing", name, {"setting": setting}, fingerprints(inputs))
        return Artefact("things", self.root, identity, Domain("O"), inputs, build, units=10, seconds_per_unit=2.0)


def test_everything_is_made_once_and_inputs_first(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    make([graph.c, graph.d], Progress())
    assert graph.made == ["a", "b", "c", "d"]
    make([graph.c, graph.d], Progress())
    assert graph.made == ["a", "b", "c", "d"]


def test_a_changed_artefact_remakes_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    make([Graph(tmp_path).c, Graph(tmp_path).d], Progress())
    changed = Graph(tmp_path, setting=1)
    make([changed.c, changed.d], Progress())
    assert changed.made == ["b", "c"]


def test_what_only_served_to_make_something_that_exists_is_not_made_again(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    make([graph.c], Progress())
    for path in graph.b.folder.iterdir():
        path.unlink()
    graph.b.folder.rmdir()
    make([graph.c], Progress())
    assert graph.made == ["a", "b", "c"]


def test_what_another_process_makes_meanwhile_is_taken_as_it_is(tmp_path: Path) -> None:
    mine, theirs = Graph(tmp_path), Graph(tmp_path)
    own = mine.b.build

    def beside(artefact: Artefact, progress: Progress) -> None:
        own(artefact, progress)
        make([theirs.d], progress)

    object.__setattr__(mine.b, "build", beside)
    make([mine.c, mine.d], Progress())
    assert (mine.made, theirs.made) == (["a", "b", "c"], ["d"])


def test_what_hosts_lack_is_named_by_the_same_objects_as_all_that_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two studies of one command, as the trials of a measurement are, know the same folder by two objects."""
    first, second = Graph(tmp_path), Graph(tmp_path)
    make([first.c], Progress())
    for folder in (first.a.folder, first.b.folder):
        shutil.rmtree(folder)
    trained = dataclasses.replace(second.d, batch=2)
    asked: list[list[Artefact]] = []
    monkeypatch.setattr(hosts, "is_multi_host", lambda: True)
    monkeypatch.setattr(together, "make", lambda everything, missing, progress: asked.extend([everything, missing]))
    make([first.c, trained], Progress())
    everything, missing = asked
    assert [one.name for one in missing] == ["a", "d"] and set(missing) < set(everything)


def test_a_host_waits_until_it_sees_what_the_first_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may remember for a while that there was nothing."""
    artefact = dataclasses.replace(Graph(tmp_path).a, batch=2)
    begun = partial_of(artefact.folder)

    def appear(_: float) -> None:
        begun.mkdir(parents=True)
        (begun / "checkpoint").write_text("7")

    for name, answer in {"is_chief": False, "share": True, "barrier": None}.items():
        monkeypatch.setattr(together, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(together.time, "sleep", appear)
    with together.building(artefact) as build:
        assert build.path != begun and (build.path / "checkpoint").read_text() == "7"
    shutil.rmtree(begun)
    monkeypatch.setattr(together, "VISIBLE_WITHIN", -1.0)
    with pytest.raises(hosts.HostError, match="must share the work folder"), together.building(artefact):
        pass


def test_the_plan_says_what_exists_and_what_the_rest_costs(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    assert [(s.artefact.name, s.state, s.seconds) for s in plan([graph.c])] == [
        ("a", "to make", 20.0),
        ("b", "to make", 20.0),
        ("c", "to make", 20.0),
    ]
    make([graph.a], Progress())
    steps = plan([graph.b])
    assert [(s.artefact.name, s.state) for s in steps] == [("a", "exists"), ("b", "to make")]
    assert steps[0].seconds == 0
    assert steps[1].seconds == pytest.approx(graph.a.manifest.seconds), "a measured cost replaces the guess"


@pytest.mark.parametrize(
    "kept, left", [(b"4", 12.0), (b"10", 0.0), (b"4000", 0.0), (b"-4", 20.0), (b"", 20.0), (b"9" * 5000, 20.0)]
)
def test_what_was_begun_costs_what_is_left_of_it(kept: bytes, left: float, tmp_path: Path) -> None:
    """What a file says that is not as it was written is no reason to refuse a plan."""
    graph = Graph(tmp_path)
    with pytest.raises(KeyboardInterrupt), building(graph.a.folder, graph.a.identity) as work:
        work.keep_reached(4)
        (work.scratch / REACHED).write_bytes(kept)
        raise KeyboardInterrupt
    assert [(step.state, step.seconds) for step in plan([graph.a])] == [("goes on", pytest.approx(left))]


def test_what_exists_without_a_file_costs_nothing(tmp_path: Path) -> None:
    """An evaluation that keeps no sample image has no file but its manifest."""
    graph = Graph(tmp_path)
    with building(graph.a.folder, graph.a.identity):
        pass
    assert [(step.state, step.seconds) for step in plan([graph.a])] == [("exists", 0)]


def test_what_was_measured_on_the_way_to_what_exists_counts_and_one_slow_run_does_not(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    make([graph.c], Progress())
    for artefact, seconds in ((graph.a, 30.0), (graph.b, 40.0), (graph.c, 900.0)):
        dataclasses.replace(artefact.manifest, seconds=seconds).save(artefact.folder)
    again = Graph(tmp_path)
    steps = plan([again.c, again.d])
    assert [(step.artefact.name, step.seconds) for step in steps] == [("c", 0), ("a", 0), ("d", 40.0)]


def test_how_far_guesses_were_off_corrects_those_of_what_was_never_made(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    make([graph.a, graph.d], Progress())
    for artefact, seconds in ((graph.a, 10.0), (graph.d, 200.0)):  # guesses: 20 each
        dataclasses.replace(artefact.manifest, seconds=seconds).save(artefact.folder)
    new = dataclasses.replace(Graph(tmp_path).b, by="a way of its own", inputs={}, seconds_per_unit=6.0)
    slow = dataclasses.replace(Graph(tmp_path).d, by="a way of its own")
    assert [step.seconds for step in plan([new])] == [60.0], "nothing is known"
    assert [step.seconds for step in plan([new], [Graph(tmp_path).a])] == [30.0], "half the guess, as of its group"
    assert [step.seconds for step in plan([new], [Graph(tmp_path).a, slow])] == [600.0], "its own kind counts alone"


def test_the_closure_holds_each_artefact_once_after_its_inputs(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    assert [a.name for a in closure([graph.d, graph.c])] == ["a", "d", "b", "c"]
