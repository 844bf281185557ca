"""The report page as a reader has it: in a real Chromium, on a desk and on a phone, light and dark."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsr.experiments.analysis.pictures import GAIN, LOSS, information_levels
from dsr.experiments.analysis.report import write_report
from dsr.experiments.analysis.samples import image_ious
from dsr.experiments.results import GalleryImage, Results
from tests.experiments.analysis import example, measured
from tests.experiments.analysis.page import Page

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the extra dev installs")

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        own = started.chromium.executable_path
        found = next(filter(None, map(shutil.which, NAMES)), own if os.path.exists(own) else None)
        if found is None:
            pytest.skip(f"needs a Chromium: none of {', '.join(NAMES)} is on this machine (Debian: chromium)")
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two samples, of which the predictions of the second are its labels; and a gallery of three."""
    folder, other = tmp_path_factory.mktemp("images"), tmp_path_factory.mktemp("other")
    results = measured.measure(example.study(folder, ("gan", "rdn-psnr"), (7, 8, 9)))
    perfect = example.study(other, ("gan", "rdn-psnr")).samples
    for sample in perfect:
        for role in ("OO", "CO", "CC", "OC"):
            labels = np.asarray(Image.open(sample.images["label"]))
            Image.fromarray(np.where(labels == 255, 0, labels).astype(np.uint8)).save(sample.images[role])
    results.samples += [dataclasses.replace(sample, key="test/b", psnr=20.0) for sample in perfect]
    picture = results.samples[0].images["original"]
    levels = {"x": (21.0, 33.0, 25.0), "y": (22.0, 31.0, 26.0), "z": (23.0, 32.0, 24.0)}
    results.gallery = [GalleryImage(key, picture, dict(zip(example.POINTS, psnr))) for key, psnr in levels.items()]
    return results


@pytest.fixture(scope="module")
def path(study: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(study, tmp_path_factory.mktemp("report"), example.study(seeds=(7, 8)))


@pytest.fixture(scope="module")
def informed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study that also measured what compression takes of each pixel."""
    folder = tmp_path_factory.mktemp("informed")
    results = measured.lose(example.study(folder, seeds=(7, 8)), pictures={"test/00": str(folder / "map.png")})
    Image.fromarray(information_levels(np.linspace(-6, 6, 24 * 32).reshape(24, 32))).save(folder / "map.png")
    for sample in results.samples:
        sample.information = str(folder / "map.png")
    results.gallery = [GalleryImage("x", str(folder / "map.png"), {"bpg-qp45": 21.0})]
    return write_report(results, folder / "page")


@pytest.fixture
def visit(chromium, path):
    """Opens the page, and looks at the end that nothing went wrong and nothing was asked for."""
    contexts = []

    def opened(viewport=DESK, scheme="light", at=path, **options):
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, **options)
        page = context.new_page()
        troubles, requests = [], []
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(at.as_uri())
        contexts.append((context, at, troubles, requests))
        return page

    yield opened
    for context, at, troubles, requests in contexts:
        context.close()
        assert troubles == []
        assert [url for url in requests if not url.startswith("data:")] == [at.as_uri()]


def order(page, items: str, key: str) -> list[str]:
    return page.eval_on_selector_all(items, f"items => items.map(item => {key})")


def samples(page) -> list[str]:
    return order(page, ".sample", "item.dataset.key")


def tiles(page) -> list[str]:
    return order(page, ".gallery li", "item.querySelector('span').textContent")


def split(page, name: str) -> float:
    return float(page.eval_on_selector(".stage", f"stage => stage.style.getPropertyValue('--{name}')").rstrip("%"))


def choose(page, name: str, label: str) -> None:
    page.locator(f"[data-choose={name}]").select_option(label=label)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_fits_its_screen_and_has_no_barriers(visit, path, informed, viewport, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe, which the extra dev installs")
    for at in (path, informed):
        page = visit(viewport, scheme, at)
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        page.eval_on_selector_all("details", "all => all.forEach(details => details.open = true)")
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]] == []


def test_a_dark_screen_gets_a_dark_page(visit):
    light, dark = (
        [
            [
                int(part)
                for part in page.eval_on_selector("body", f"body => getComputedStyle(body).{name}")[4:-1].split(",")
            ]
            for name in ("backgroundColor", "color")
        ]
        for page in (visit(scheme="light"), visit(scheme="dark"))
    )
    assert sum(light[0]) > 600 > sum(light[1]) and sum(dark[0]) < 150 < sum(dark[1])


def test_the_first_screen_has_sentence_chart_and_strip_at_one_to_one(visit, study):
    page = visit()
    for selector in ("h1", ".key-chart svg", ".key-strip img >> nth=2"):
        box = page.locator(selector).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= DESK["height"]
    shown = page.eval_on_selector_all(
        ".key-strip img", "all => all.map(i => [i.clientWidth, i.clientHeight, i.naturalWidth, i.naturalHeight])"
    )
    assert shown == [[study.dataset.width, study.dataset.height] * 2] * 3


def test_the_viewer_opens_on_compressed_beside_restored(visit):
    page = visit()
    tags = page.eval_on_selector_all(".tag", "tags => tags.map(tag => tag.hidden ? null : tag.textContent)")
    assert tags == ["compressed, bpg-qp45", "restored gan, bpg-qp45", None]
    assert page.locator(".sample button[aria-pressed=true]").count() == 2
    assert split(page, "first") == 50 and split(page, "second") == 100


def test_the_divider_follows_pointer_and_keys(visit):
    page = visit()
    page.locator(".viewer").scroll_into_view_if_needed()
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60)
    page.mouse.up()
    assert split(page, "first") == pytest.approx(25, abs=0.6)
    page.keyboard.press("ArrowRight")
    assert split(page, "first") == pytest.approx(25.5, abs=0.6)


def test_three_pictures_are_wiped_by_two_dividers_that_never_cross(visit):
    page = visit()
    choose(page, "third", "CO, bpg-qp45")
    assert split(page, "first") == 50 and split(page, "second") == 75
    first, second = (page.locator(f"input[data-divider={name}]") for name in ("first", "second"))
    first.fill("90")
    assert (split(page, "first"), split(page, "second")) == (90, 90)
    second.fill("30")
    assert (split(page, "first"), split(page, "second")) == (30, 30)
    choose(page, "third", "nothing")
    assert split(page, "second") == 100 and not second.is_visible()


def test_what_compression_takes_of_each_pixel_is_wiped_beside_the_pictures(visit, informed):
    page = visit(at=informed)
    choose(page, "third", "information lost, bpg-qp45")
    assert page.locator(".tag[data-pane=third]").text_content() == "information lost, bpg-qp45"
    page.get_by_role("button", name="8×").click()
    page.locator("input[data-divider=first]").fill("0")
    page.locator("input[data-divider=second]").fill("0")
    page.add_style_tag(content=".tag, .divider { visibility: hidden }")
    shown = np.asarray(Image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB"))
    assert (*shown[4, 12],) == GAIN and (*shown[-4, -4],) == LOSS
    assert page.locator("#images .gallery").count() == 0  # the images that lose most stand in their own section


def test_a_picture_that_is_clicked_stands_beside_the_left_and_another_image_shows_the_same_kinds(visit):
    page = visit()
    page.locator("[data-key='test/a'] .strip:nth-of-type(2) button[data-show$='-CC']").click()
    assert page.locator("[data-choose=right] option:checked").text_content() == "CC, bpg-qp45"
    choose(page, "sample", "test/b")
    tags = page.eval_on_selector_all(".tag:not([hidden])", "tags => tags.map(tag => tag.textContent)")
    assert tags == ["compressed, bpg-qp45", "CC, bpg-qp45"]
    assert all("test/b" in alt for alt in order(page, ".stage img:not([hidden])", "item.alt"))


def test_enlarged_pixels_are_squares_of_their_colour(visit, study):
    page = visit()
    page.get_by_role("button", name="1:1").click()
    assert page.eval_on_selector(".stage", "stage => stage.clientWidth") == study.dataset.width
    page.get_by_role("button", name="8×").click()
    assert page.eval_on_selector(".stage", "stage => stage.clientWidth") == 8 * study.dataset.width
    assert page.eval_on_selector(".stage img", "image => getComputedStyle(image).imageRendering") == "pixelated"
    page.locator("input[data-divider=first]").fill("50")
    page.add_style_tag(content=".tag, .divider { visibility: hidden }")
    shown = np.asarray(Image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB"))
    sample = study.samples[0]
    left = np.asarray(Image.open(sample.images["compressed"]))[:, :15]
    right = np.asarray(Image.open(sample.restored["gan"]["restored"]))[:, 17:]
    for pixels, offset in ((left, 0), (right, 17)):
        height, width = pixels.shape[:2]
        for corner in (1, 6):
            found = shown[corner::8, corner + 8 * offset :: 8][:height, :width]
            np.testing.assert_array_equal(found, pixels)


def test_a_double_click_enlarges_where_it_was_and_the_next_goes_back(visit):
    page = visit()
    stage = page.locator(".stage")
    width = stage.bounding_box()["width"]
    stage.dblclick(position={"x": width / 4, "y": 30})
    assert page.locator("[data-zoom='4']").get_attribute("aria-pressed") == "true"
    stage.dblclick(position={"x": 20, "y": 20})
    assert page.locator("[data-zoom='0']").get_attribute("aria-pressed") == "true"


def test_images_stand_in_the_order_of_a_score_with_its_value(visit, study):
    page = visit()
    assert samples(page) == ["test/a", "test/b"] and tiles(page) == ["x", "y", "z"]
    page.locator("[data-order=measure]").select_option(label="PSNR")
    assert samples(page) == ["test/b", "test/a"]
    page.locator("[data-order=measure]").select_option(label="CO")
    assert samples(page) == ["test/a", "test/b"]
    label, predicted = (np.asarray(Image.open(study.samples[0].images[role])) for role in ("label", "CO"))
    expected = image_ious(predicted, label, study.dataset.classes)[""]
    assert page.locator("[data-key='test/a'] h3 .score").text_content() == f"{100 * expected:.1f} %"
    assert page.locator("[data-key='test/b'] h3 .score").text_content() == "100.0 %"
    page.locator("[data-order=measure]").select_option(value="")
    assert tiles(page) == ["x", "y", "z"] and page.locator("h3 .score").first.text_content() == ""


def test_a_click_on_a_class_or_a_point_orders_the_images(visit, study):
    page = visit()
    page.locator(".scores").get_by_role("button", name="bpg-qp37").click()
    assert tiles(page) == ["y", "z", "x"] and samples(page) == ["test/b", "test/a"]
    page.locator(".classes").get_by_role("button", name="person").click()
    assert samples(page) == ["test/a", "test/b"]
    at = [sample for sample in study.samples if (sample.key, sample.point) == ("test/a", "bpg-qp37")]
    label, predicted = (np.asarray(Image.open(at[0].images[role])) for role in ("label", "CO"))
    expected = image_ious(predicted, label, study.dataset.classes)["person"]
    assert page.locator("[data-key='test/a'] h3 .score").text_content() == f"{100 * expected:.1f} %"


def test_a_click_on_a_dot_of_a_chart_orders_the_images_by_what_it_shows(visit):
    page = visit()
    page.locator(".key-chart .marker[data-sort-measure='CO'][data-sort-point='bpg-qp37']").click()
    assert samples(page) == ["test/a", "test/b"]
    chosen = [page.locator(f"[data-order={name}]").input_value() for name in ("measure", "class", "point")]
    assert chosen == ["CO", "", "bpg-qp37"]
    assert page.locator("[data-key='test/b'] h3 .score").text_content() == "100.0 %"


def test_tables_are_copied_as_csv_and_as_latex(visit, path):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    tables = Page(path.read_text(encoding="utf-8"))
    page.get_by_role("button", name="copy IoU by class as CSV").click()
    copied = page.get_by_role("button", name="copied")
    copied.wait_for()
    rows = list(csv.reader(io.StringIO(page.evaluate("navigator.clipboard.readText()"))))
    shown = tables.table("big objects")
    assert len({len(row) for row in rows}) == 1
    assert [[cell for cell in row if cell] for row in rows[2:]] == [
        [c.replace(" ,", ",") for c in row] for row in shown[2:]
    ]
    copied.wait_for(state="detached")
    page.get_by_role("button", name="copy mIoU by operating point as LaTeX").click()
    copied.wait_for()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    body = [line for line in lines if line.endswith("\\\\")]
    width = len(tables.table("OC")[0])
    assert lines[0] == "\\begin{tabular}{l" + "r" * (width - 1) + "}" and lines[-1] == "\\end{tabular}"
    assert len(body) == 1 + len(example.POINTS) and all(line.count(" & ") == width - 1 for line in body)
    assert [number for number, line in enumerate(lines) if "hline" in line] == [1, 3, len(lines) - 2]
    assert "$\\pm$" in body[1] and "±" not in body[1]


def test_a_table_that_goes_on_shows_it_and_keeps_its_first_column(visit):
    page = visit(PHONE)
    scroll = page.get_by_role("region", name="IoU by class")
    first = scroll.locator("tbody th").first
    assert "more" in scroll.get_attribute("class") and "moved" not in scroll.get_attribute("class")
    assert scroll.evaluate("box => getComputedStyle(box).maskImage") != "none"
    before = first.bounding_box()["x"]
    scroll.evaluate("box => box.scrollLeft = box.scrollWidth")
    page.locator(".scroll.moved:has(.classes .groups)").wait_for()
    assert "more" not in scroll.get_attribute("class")
    assert first.bounding_box()["x"] == pytest.approx(before, abs=1)


def test_a_phone_shows_little_of_what_few_want(visit):
    page = visit(PHONE)
    assert page.locator("#training details[open]").count() == 0
    assert page.locator("#provenance details[open]").count() == 0
    strip = page.locator(".key-strip .crops").bounding_box()
    assert strip["width"] <= PHONE["width"] and page.locator(".crops img").first.bounding_box()["width"] > 0


def test_a_link_to_something_folded_opens_it(visit):
    page = visit()
    page.locator("#provenance details").first.evaluate("details => details.open = true")
    page.locator("#provenance a[href^='#artefact']").first.click()
    page.locator("#provenance details").first.evaluate("details => details.open = false")
    page.evaluate("location.hash = ''")
    page.evaluate("location.hash = 'artefact-0'")
    page.locator("#artefact-0").wait_for(state="visible")


def test_text_tables_and_pictures_need_no_script(visit, path):
    page = visit(java_script_enabled=False)
    assert not page.locator(".compare").is_visible() and not page.locator(".order").is_visible()
    assert not any(one.is_visible() for one in page.locator(".scripted").all())
    for table in page.locator("section > .scroll table, .beside .scroll table").all():
        assert table.is_visible()
    assert page.locator(".key-strip img").first.is_visible() and page.locator(".sample img").first.is_visible()


def test_on_paper_everything_is_unfolded_and_what_only_a_screen_has_is_gone(visit):
    page = visit()
    folded = page.locator("details:not([open])").count()
    page.evaluate(
        "addEventListener('beforeprint', () => window.left = document.querySelectorAll('details:not([open])').length)"
    )
    assert page.pdf()[:5] == b"%PDF-"
    assert folded > 3 and page.evaluate("window.left") == 0
    assert page.locator("details:not([open])").count() == folded
    page.emulate_media(media="print")
    for selector in ("nav", ".compare", ".order", ".tools >> nth=0"):
        assert not page.locator(selector).is_visible()
    assert page.locator(".sample img").first.is_visible()
