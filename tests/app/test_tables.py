"""The tables on standard output say what the results say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dsr.app.cli import cli
from dsr.app.tables import print_evaluations, print_results
from dsr.experiments.summaries import EvaluationSummary
from tests.experiments.analysis import example
from tests.experiments.planning.made_up import finish, measure, study

THREE = tuple(example.RESTORERS)


def printed(capsys: pytest.CaptureFixture[str], restorers: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
    """The words of each line of the results of a made-up study; a score and its spread are one word."""
    print_results(example.study(None, restorers, seeds))
    return [re.sub(" ± ", "±", line).split() for line in capsys.readouterr().out.splitlines()]


def test_one_restorer_and_one_seed_have_one_table_with_a_line_for_each_point(
    capsys: pytest.CaptureFixture[str],
) -> None:
    header, *lines = printed(capsys, ("gan",), (7,))
    assert header[2:] == ["bpp", "PSNR", "OO", "CO", "RO", "CC", "OC", "OR"]
    assert lines[0] == ["bpg-qp45", "0.057", "31.25", "63.17", "56.12", "60.04", "55.23", "44.11", "50.18"]
    assert [line[0] for line in lines] == list(example.POINTS)


def test_each_of_several_restorers_has_a_line_and_is_set_against_the_compressed_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, THREE, (7,))
    blank = lines.index([])
    assert [line[:2] for line in lines[1:blank]] == [[point, name] for point in example.POINTS for name in THREE]
    table = [line for line in lines[blank + 2 :] if line[0] in example.POINTS]
    assert [line[:2] for line in table] == [[p, name] for p in example.POINTS for name in ("compressed", *THREE)]
    assert table[0][2:] == ["56.12", "31.25", "13.12"]
    assert table[1][2:] == ["60.04*", "+3.9*", "30.50", "12.46"]
    assert table[2][2:] == ["57.94", "+1.8", "32.10*", "13.76"]


def test_several_seeds_are_printed_as_mean_and_deviation_with_paired_intervals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, THREE, (7, 8, 9))
    results = example.study(None, THREE, (7, 8, 9))
    scores = [
        100 * e.miou for e in results.evaluations if (e.configuration, e.point, e.restorer) == ("RO", "bpg-qp45", "gan")
    ]
    assert lines[1][6] == f"{np.mean(scores):.2f}±{np.std(scores, ddof=1):.2f}"
    (gan, *_) = [line for line in lines[lines.index([]) :] if line[:2] == ["bpg-qp45", "gan"]]
    assert gan[2:6] == [f"{lines[1][6]}*", "+4.6", "[+3.1,", "+6.1]*"]


def test_a_long_operating_point_keeps_its_columns_apart(capsys: pytest.CaptureFixture[str]) -> None:
    results = example.study(None, THREE, (7, 8))
    chain = "downsample2+bpg-qp28+chroma=4:4:4"
    for one in (*results.points, *results.evaluations):
        if one.point == "bpg-qp45":
            one.point = chain
    print_results(results)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(chain)]
    assert {line.split()[0] for line in lines} == {chain} and len(lines) == 7
    assert {line.split()[1] for line in lines} == {"compressed", *THREE}


def test_configurations_of_unequal_numbers_of_seeds_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    results = example.study(None, ("gan",), (7, 8, 9))
    results.evaluations = [e for e in results.evaluations if (e.configuration, e.seed) != ("RO", 9)]
    print_results(results)
    assert "deviation of 2 to 3 seeds" in capsys.readouterr().out


def test_a_configuration_of_several_seeds_has_means_over_them(capsys: pytest.CaptureFixture[str]) -> None:
    summaries = [
        EvaluationSummary(3, 0.5, 0.8, {"road": 0.9, "sky": None}, []),
        EvaluationSummary(3, 0.52, 0.8, {"road": 0.8, "sky": None}, []),
    ]
    print_evaluations("RO", summaries[:1])
    assert capsys.readouterr().out.splitlines() == [
        "road                   90.00",
        "sky                        -",
        "RO: mIoU 50.00 %, pixel accuracy 80.00 %",
    ]
    print_evaluations("RO", summaries)
    road, sky, total = capsys.readouterr().out.splitlines()
    assert road.split(maxsplit=1)[1] == "85.00 ± 7.07" and sky.split()[1] == "-"
    assert total == "RO: mIoU 51.00 ± 1.41 %, pixel accuracy 80.00 ± 0.00 % (2 seeds)"


@pytest.mark.usefixtures("small_preset")
def test_evaluating_prints_scores_and_makes_no_report(tmp_path: Path) -> None:
    measure(study(tmp_path, "points=bpg-qp36"), {("OO", None): 0.5, ("CO", 36): 0.4}, {36: 0.4})
    arguments = ["--config", "OO", "--config", "CO", "--codec", "bpg", "--qp", "36", "--work", str(tmp_path)]
    result = CliRunner().invoke(cli, ["evaluate", *arguments, "--quiet"])
    assert result.exit_code == 0, result.exception
    assert "50.00" in result.stdout and "40.00" in result.stdout
    assert not (tmp_path / "studies").exists()


@pytest.mark.usefixtures("small_preset")
@pytest.mark.parametrize(
    ("configuration", "option", "names"),
    [("RO", "--set=restorers=gan,rdn-psnr", ["RO gan", "RO rdn-psnr"]), ("CO", "", ["CO recalibrated", "CO mixed"])],
)
def test_what_was_restored_or_adapted_otherwise_is_no_other_seed(
    tmp_path: Path, configuration: str, option: str, names: list[str]
) -> None:
    ways = [option] if option else ["--adapt", "recalibrated", "--adapt", "mixed"]
    made = study(tmp_path, "points=bpg-qp36", option.removeprefix("--set=") or "adaptations=recalibrated,mixed")
    cases = made.cases(configuration) if option else made.rivals(configuration)
    for number, case in enumerate(cases):
        finish([made.evaluation(case), *made.rated([case])], 0.4 + 0.1 * number, dict.fromkeys(range(52), 0.4))
    arguments = ["--config", configuration, "--codec", "bpg", "--qp", "36", *ways, "--work", str(tmp_path), "--quiet"]
    said = CliRunner().invoke(cli, ["train", *arguments]).stdout
    assert [line.split(":")[0] for line in said.splitlines() if "mIoU" in line] == names
    assert "mIoU 40.00 %" in said and "mIoU 50.00 %" in said and "seeds" not in said
    told = json.loads(CliRunner().invoke(cli, ["train", *arguments, "--json"]).stdout)["evaluations"]
    assert [" ".join(filter(None, (configuration, one["restorer"], one["adaptation"]))) for one in told] == names
    assert [one["seed"] for one in told] == [0, 0]
