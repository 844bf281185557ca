"""Networks in files get what they were made for, and what they give is understood or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets.labels import IGNORE, Label, LabelTable
from dsr.experiments.scoring.errors import ScoreError
from dsr.experiments.scoring.labelling import Labeller, Mapping
from dsr.experiments.scoring.networks import Layout, Preprocessing, open_network

TABLE = LabelTable(tuple(Label(n, n, name, (n, n, n)) for n, name in enumerate(("road", "car", "sky"))))
SAME = Mapping.same(TABLE)
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def function(tmp_path: Path, body: str, layout: Layout = "nchw", mapping: Mapping = SAME) -> Labeller:
    """A labeller by a function of this body."""
    path = tmp_path / "mine.py"
    path.write_text(f"import numpy as np\n\n\ndef label(pixels):\n    {body}\n")
    return Labeller(open_network(f"{path}:label", Preprocessing(layout=layout)), layout, mapping)


def test_a_functions_label_map_is_taken_as_it_is(tmp_path: Path) -> None:
    assert np.array_equal(function(tmp_path, "return pixels.argmax(2)")(PIXELS), PIXELS.argmax(2))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_the_highest_score_is_the_class(tmp_path: Path, layout: Layout) -> None:
    order = ".transpose(2, 0, 1)" if layout == "nchw" else ""
    labeller = function(tmp_path, f"return pixels{order} / 255", layout)
    assert np.array_equal(labeller(PIXELS), PIXELS.argmax(2))


def test_smaller_scores_are_interpolated_as_areas(tmp_path: Path) -> None:
    """Against the formula: sample positions (i + 0.5) / factor - 0.5, clamped."""
    small = np.random.default_rng(1).random((3, 3, 4)).astype(np.float32)
    np.save(tmp_path / "small.npy", small)
    found = function(tmp_path, f"return np.load({str(tmp_path / 'small.npy')!r})")(PIXELS)

    def weights(large: int, little: int) -> np.ndarray:
        matrix = np.zeros((large, little))
        for i in range(large):
            at = np.clip((i + 0.5) * little / large - 0.5, 0, little - 1)
            low = min(int(at), little - 2)
            matrix[i, low : low + 2] = 1 - (at - low), at - low
        return matrix

    large = np.einsum("yh,chw,xw->cyx", weights(12, 3), small, weights(16, 4))
    sure = np.sort(large, 0)
    sure = sure[-1] - sure[-2] > 1e-5
    assert sure.mean() > 0.95
    assert np.array_equal(found[sure], large.argmax(0)[sure])


def averages(new: int, old: int) -> np.ndarray:
    """The matrix (new, old) of a filter: a triangle as wide as two samples of the coarser of both grids, by areas."""
    places = (np.arange(new) + 0.5)[:, None] * old / new - (np.arange(old) + 0.5)
    weights = np.maximum(1 - np.abs(places) / max(old / new, 1), 0)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(24, 40), (36, 17), (5, 7), (30, 6)])
def test_images_are_resized_as_areas_and_averaged_where_they_shrink(size: tuple[int, int]) -> None:
    expected = np.einsum("yh,hwc,xw->yxc", averages(size[0], 12), PIXELS.astype(float), averages(size[1], 16))
    found = Preprocessing(size=size, layout="nhwc")(PIXELS, raw=True)[0]
    assert np.abs(found - expected).max() <= 1  # rounded for each side
    assert np.abs(found - expected).mean() < 0.5


def test_larger_scores_are_averaged(tmp_path: Path) -> None:
    large = np.random.default_rng(1).random((3, 31, 40)).astype(np.float32)
    np.save(tmp_path / "large.npy", large)
    found = function(tmp_path, f"return np.load({str(tmp_path / 'large.npy')!r})")(PIXELS)
    small = np.einsum("yh,chw,xw->cyx", averages(12, 31), large, averages(16, 40))
    sure = np.diff(np.sort(small, 0)[-2:], axis=0)[0] > 1e-5
    assert sure.mean() > 0.95
    assert np.array_equal(found[sure], small.argmax(0)[sure])


def test_labels_of_another_size_are_those_of_the_nearest_pixel_centre(tmp_path: Path) -> None:
    for height, width in ((5, 9), (30, 21)):
        body = f"return np.arange({height} * {width}).reshape({height}, {width}) % 3"
        rows, columns = (np.arange(12) + 0.5) * height // 12, (np.arange(16) + 0.5) * width // 16
        expected = (rows[:, None] * width + columns) % 3
        assert np.array_equal(function(tmp_path, body)(PIXELS), expected)


def test_a_functions_file_is_run_as_a_program_is(tmp_path: Path) -> None:
    """It imports what lies beside it, and may hold dataclasses, which look for their module."""
    (tmp_path / "beside_mine.py").write_text("THRESHOLD = 90\n")
    path = tmp_path / "my net.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from beside_mine import THRESHOLD\n\n\n"
        "@dataclass\nclass Settings:\n    threshold: int = THRESHOLD\n\n\n"
        "def label(pixels):\n    return (pixels[..., 0] > Settings().threshold).astype('uint8')\n"
    )
    labeller = Labeller(open_network(f"{path}:label", Preprocessing()), "nchw", SAME)
    assert np.array_equal(labeller(PIXELS), PIXELS[..., 0] > 90)


@pytest.mark.parametrize("kind", ["object", "complex", "str"])
def test_scores_of_a_type_that_has_no_order_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="give a label map, integers"):
        function(tmp_path, f"return np.zeros((3, 12, 16), {kind})")(PIXELS)


def test_a_function_that_ends_the_program_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="fails .SystemExit: 3"):
        function(tmp_path, "raise SystemExit(3)")(PIXELS)


def test_what_a_function_prints_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    function(tmp_path, "print('loaded'); return pixels.argmax(2)")(PIXELS)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "loaded\n")


def test_a_smaller_label_map_is_enlarged_without_new_classes(tmp_path: Path) -> None:
    found = function(tmp_path, "return pixels[::2, ::2].argmax(2)")(PIXELS)
    assert np.array_equal(found, PIXELS[::2, ::2].argmax(2).repeat(2, 0).repeat(2, 1))


def test_outputs_are_mapped_to_the_datasets_classes(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("output,class\n0,sky\n1,\n2,road\n3,sky\n")
    mapping = Mapping.read(path, TABLE)
    assert mapping.train_ids == (2, IGNORE, 0, 2)
    found = function(tmp_path, "return pixels[..., 0] % 4", mapping=mapping)(PIXELS)
    assert np.array_equal(found, np.array([2, IGNORE, 0, 2])[PIXELS[..., 0] % 4])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n0,road\n", "first line must be output,class"),
        ("output,class\n0,lorry\n", "line 2: 'lorry' is no class"),
        ("output,class\n0,road\n0,car\n", "line 3: output 0 is there twice"),
        ("output,class\nzero,road\n", "line 2: output 'zero' is no whole number"),
        ("output,class,class\n0,road,road\n", "first line must be output,class"),
        ("output,class\n0,road,car\n", "line 2: has more or fewer cells"),
        ("output,class\n0\n", "line 2: has more or fewer cells"),
        ('output,class\n0,"road\n1,car\n2,sky\n', "a quote may not be closed"),
        ('output,class\n0,"' + "1,car\n" * 30_000, "line .*: field larger than field limit"),
        ("output,class\n0," + "x" * 200_000, "line .*: field larger than field limit"),
        ("output,class\n0," + "x" * 100_000, "line 2: 'xxx.{1,100} is no class"),
        ("x" * 200_000 + ",class\n0,road\n", "line .*: field larger than field limit"),
        ("output,class\n1,road\n", "without a hole"),
        ("output,class\n", "without a hole"),
        ("output,class\n-1,road\n", "line 2"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(ScoreError, match=said):
        Mapping.read(path, TABLE)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return np.zeros((21, 12, 16))", "21 scores a pixel"),
        ("return pixels / 255", "12 scores a pixel"),
        ("return pixels[..., 0] * 0 + 9", "the class 9, and there are 3"),
        ("return pixels[..., 0].astype(int) - 300", "the class -"),
        ("return np.zeros((12, 16))", "float64"),
        ("return np.zeros((2, 3, 4, 5))", "float64"),
        ("return {}", "fails|object"),
        ("return np.full((3, 12, 16), np.nan)", "no numbers"),
        ("return np.full((3, 6, 8), np.nan)", "no numbers"),
        ("return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_is_no_label_map_is_refused(body: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=said):
        function(tmp_path, body)(PIXELS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.onnx", "no network that can be scored"),
        ("nowhere.py:label", "no such file"),
        ("{here}/mine.py", "no network that can be scored"),
        ("{here}", "no network that can be scored"),
    ],
)
def test_what_is_no_network_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(ScoreError, match=said):
        open_network(text.format(here=tmp_path), Preprocessing())


def test_a_file_that_fails_or_lacks_the_function_is_explained(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(ScoreError, match="nothing_of_that_name"):
        open_network(f"{tmp_path / 'mine.py'}:label", Preprocessing())(PIXELS)
    (tmp_path / "mine.py").write_text("label = 3\n")
    with pytest.raises(ScoreError, match="has no function label"):
        open_network(f"{tmp_path / 'mine.py'}:label", Preprocessing())(PIXELS)
    with pytest.raises(ScoreError, match="leave --mean"):
        open_network(f"{tmp_path / 'mine.py'}:label", Preprocessing(size=(4, 4)))


def onnx_network(path: Path, height: Any, width: Any, kind: str = "float", outputs: int = 1) -> np.ndarray:
    """A convolution over 2x2 pixels with stride 2 and three outputs; returns its weights (3, 3, 2, 2)."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'dsr[onnx]'")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'dsr[onnx]'")
    helper, types = onnx.helper, onnx.TensorProto
    weights = np.random.default_rng(2).normal(size=(3, 3, 2, 2)).astype(np.float32)
    taken = types.UINT8 if kind == "uint8" else types.FLOAT
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=types.FLOAT),
        *(
            helper.make_node("Conv", ["values", "weights"], [f"scores{n}"], strides=[2, 2], kernel_shape=[2, 2])
            for n in range(outputs)
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", taken, [1, 3, height, width])],
        [helper.make_tensor_value_info(f"scores{n}", types.FLOAT, [1, 3, None, None]) for n in range(outputs)],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return weights


def expected(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What that network gives for values (H, W, 3): scores (3, H / 2, W / 2)."""
    blocks = values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2, 3)
    return np.einsum("yixjc,kcij->kyx", blocks, weights)


@pytest.mark.parametrize("kind", ["float", "uint8"])
def test_an_onnx_network_gets_normalised_values_or_the_pixels(kind: str, tmp_path: Path) -> None:
    weights = onnx_network(tmp_path / "net.onnx", "height", "width", kind)
    how = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    given = open_network(str(tmp_path / "net.onnx"), how)(PIXELS)
    values = PIXELS.astype(np.float64)
    if kind == "float":
        values = (values / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    assert given == pytest.approx(expected(values, weights), rel=1e-4, abs=1e-4)


def test_images_are_resized_for_a_network_of_one_size(tmp_path: Path) -> None:
    weights = onnx_network(tmp_path / "net.onnx", 6, 8)
    with pytest.raises(ScoreError, match="--size HxW"):
        open_network(str(tmp_path / "net.onnx"), Preprocessing())(PIXELS)
    given = open_network(str(tmp_path / "net.onnx"), Preprocessing(size=(6, 8)))(PIXELS)
    resized = np.asarray(Image.fromarray(PIXELS).resize((8, 6), Image.Resampling.BILINEAR))
    assert given == pytest.approx(expected(resized / 255, weights), rel=1e-4, abs=1e-4)


def test_one_of_several_outputs_must_be_named(tmp_path: Path) -> None:
    onnx_network(tmp_path / "net.onnx", "h", "w", outputs=2)
    with pytest.raises(ScoreError, match="scores0, scores1; name one with --output"):
        open_network(str(tmp_path / "net.onnx"), Preprocessing())(PIXELS)
    assert open_network(str(tmp_path / "net.onnx"), Preprocessing(), "scores1")(PIXELS).shape == (3, 6, 8)


def test_a_damaged_onnx_file_is_explained(tmp_path: Path) -> None:
    onnx_network(tmp_path / "net.onnx", "h", "w")
    (tmp_path / "net.onnx").write_bytes((tmp_path / "net.onnx").read_bytes()[:60])
    with pytest.raises(ScoreError, match="ONNX Runtime cannot read it"):
        open_network(str(tmp_path / "net.onnx"), Preprocessing())(PIXELS)
