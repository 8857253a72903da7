"""Experiments that were made beforehand, beside what attribution had predicted, in a real browser."""

import re
from pathlib import Path

import drawn_bundle
import drawn_parts
import numpy
import pytest
from drawn_bundle import CLASSES, make_bundle
from page_reading import read_canvas
from PIL import Image

from pellucid.app import export_html
from pellucid.bundle import EvidenceEntry, unpack_numbers

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def experiments(page):
    region = page.get_by_role("region", name="What if a part were changed?")
    region.wait_for()
    return region


def effects(unit: str, groups: int = 0, factor: float = 0.0, layer: str = "mixed4d"):
    """Measured and predicted changes of the logits, [units, classes], and the probabilities afterwards."""
    found = next(e for e in drawn_parts._effects(layer, factor) if e.unit == unit and e.groups == groups)
    return unpack_numbers(found.logits), unpack_numbers(found.predicted), unpack_numbers(found.probabilities)


def written(texts: list[str]) -> list[float]:
    return [float(text.replace("−", "-").strip("<% \u00a0")) for text in texts]


def told(region) -> tuple[list[float], list[float], list[float]]:
    """Measured, predicted and probability of each class, as the table says them."""
    numbers = region.locator("tbody .number:not(.soft)").all_inner_texts()
    predicted = region.locator("tbody .number.soft").all_inner_texts()
    return written(numbers), written(predicted), written(region.locator("tbody .percents b").all_inner_texts())


def agrees(region, expected: tuple[numpy.ndarray, ...], unit: int) -> None:
    measured, predicted, probabilities = told(region)
    assert numpy.allclose(measured, expected[0][unit], atol=0.06)
    assert numpy.allclose(predicted, expected[1][unit], atol=0.06)
    assert numpy.allclose(probabilities, 100 * expected[2][unit], atol=0.11)


def hash_becomes(page, hash_: str) -> None:
    page.wait_for_function("expected => location.hash === expected", arg=hash_)


def test_before_any_experiment_the_classes_stand_as_they_were(opened) -> None:
    region = experiments(opened("#layer=mixed4d&class=425"))
    region.get_by_text("Point at a part of mixed4d").wait_for()
    assert written(region.locator("tbody .percents b").all_inner_texts()) == [71.3, 11.8, 5.3, 3.2, 1.3]
    assert set(region.locator("tbody .number").all_inner_texts()) == {"–"}
    assert region.get_by_role("button", name="Save PNG").count() == 0


def test_a_click_removes_a_group_and_the_bars_move(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = experiments(page)
    before = region.locator(".after").first.bounding_box()["width"]
    region.get_by_role("button", name="Remove group 1").click()
    page.mouse.move(2, 2)
    hash_becomes(page, "#layer=mixed4d&class=425&trial=mixed4d:group:4:0:0")
    agrees(region, effects("group", 4), 0)
    page.wait_for_timeout(450)
    after = region.locator(".after").first.bounding_box()["width"]
    assert after / before == pytest.approx(effects("group", 4)[2][0, 0] / 0.713, abs=0.05)
    region.get_by_text("Without group 1, the answer becomes alp").wait_for()
    dark = read_canvas(region.locator(".photo canvas"))[..., 3]
    assert dark[5, 5] > 200  # the roof
    assert dark[2, 11] < 60
    region.get_by_role("button", name="Remove group 1").click()
    hash_becomes(page, "#layer=mixed4d&class=425")


def test_hover_tries_and_leaving_brings_back_what_was_kept(opened) -> None:
    page = opened("#layer=mixed4d&class=425&trial=mixed4d:group:4:0:0")
    region = experiments(page)
    region.get_by_role("button", name="Remove group 3").hover()
    agrees(region, effects("group", 4), 2)
    page.mouse.move(2, 2)
    region.get_by_text("Without group 1").wait_for()
    agrees(region, effects("group", 4), 0)


@pytest.mark.parametrize(("name", "factor"), [("Dampen × 0.5", 0.5), ("Amplify × 2", 2.0)])
def test_an_action_turns_the_same_part_up_or_down(opened, name: str, factor: float) -> None:
    page = opened("#layer=mixed4d&class=425&trial=mixed4d:group:4:3:0")
    region = experiments(page)
    region.get_by_label(name).check(force=True)
    agrees(region, effects("group", 4, factor), 3)
    hash_becomes(page, f"#layer=mixed4d&class=425&trial=mixed4d:group:4:3:{factor:g}")


def test_a_position_of_the_photo_by_pointer_and_by_keys(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = experiments(page)
    region.get_by_label("Position", exact=True).check(force=True)
    photo = region.locator(".photo")
    photo.scroll_into_view_if_needed()
    box = photo.bounding_box()
    page.mouse.click(box["x"] + (5 + 0.5) / 14 * box["width"], box["y"] + (6 + 0.5) / 14 * box["height"])
    hash_becomes(page, "#layer=mixed4d&class=425&trial=mixed4d:position:0:89:0")
    agrees(region, effects("position"), 6 * 14 + 5)
    photo.focus()
    page.mouse.move(2, 2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    hash_becomes(page, "#layer=mixed4d&class=425&trial=mixed4d:position:0:104:0")
    agrees(region, effects("position"), 7 * 14 + 6)
    region.get_by_text("Without row 7, column 6").wait_for()


def test_a_square_covers_nine_positions(opened) -> None:
    region = experiments(opened("#layer=mixed4d&class=425&trial=mixed4d:square:0:89:0"))
    agrees(region, effects("square"), 89)
    dark = read_canvas(region.locator(".photo canvas"))[..., 3] > 200
    assert dark.sum() == 9
    assert dark[5:8, 4:7].all()


def test_channels_stand_in_the_order_of_what_they_do(opened) -> None:
    page = opened("#layer=mixed4d&class=425&trial=mixed4d:channel:0:3:0")
    region = experiments(page)
    measured = effects("channel")[0][:, 0]
    channels = drawn_bundle.CHANNELS[drawn_parts.order()]
    expected = channels[numpy.argsort(-numpy.abs(measured), kind="stable")]
    labels = [button.get_attribute("aria-label") for button in region.locator(".icons button").all()]
    assert [int(label.split()[-1]) for label in labels][:5] == expected[:5].tolist()
    assert region.locator(".icons [aria-pressed=true]").get_attribute("aria-label").endswith(str(channels[3]))


@pytest.mark.parametrize("hash_", ["class=425", "class=425&versus=970"])
def test_the_correlation_is_that_of_the_dots(opened, hash_: str) -> None:
    region = experiments(opened(f"#layer=mixed4d&{hash_}&trial=mixed4d:position:0:0:0"))
    measured, predicted, _ = effects("position")
    if "versus" in hash_:
        measured, predicted = measured[:, 0] - measured[:, 2], predicted[:, 0] - predicted[:, 2]
    else:
        measured, predicted = measured[:, 0], predicted[:, 0]
    r = numpy.corrcoef(measured, predicted)[0, 1]
    assert float(region.locator(".r").inner_text().split()[-1]) == pytest.approx(r, abs=0.006)
    slope = (measured * predicted).sum() / (predicted**2).sum()
    said = re.search(r"came out as ([\d.]+)", region.locator(".fit").inner_text())
    assert said
    assert float(said[1]) == pytest.approx(slope, abs=0.006)
    assert region.locator("circle.dot").count() == 14 * 14 + 1


def test_pointing_at_a_dot_tries_its_part(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = experiments(page)
    region.locator("svg circle").first.scroll_into_view_if_needed()
    dot = region.locator("svg circle").nth(3).bounding_box()
    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    region.get_by_text("Without group 4").wait_for()
    agrees(region, effects("group", 4), 3)
    page.mouse.click(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    hash_becomes(page, "#layer=mixed4d&class=425&trial=mixed4d:group:4:3:0")


def test_other_layers_and_numbers_of_groups(opened) -> None:
    page = opened("#layer=mixed4d&class=425&trial=mixed4d:group:4:3:0")
    region = experiments(page)
    region.get_by_label("mixed5a").check(force=True)
    region.get_by_text("Point at a part of mixed5a").wait_for()
    assert region.locator(".icons button").count() == 3
    region.get_by_role("slider").press("End")
    assert region.locator(".icons button").count() == 6
    hash_becomes(page, "#layer=mixed5a&class=425&groups=mixed5a:6")
    region.get_by_role("button", name="Remove group 6").click()
    agrees(region, effects("group", 6, layer="mixed5a"), 5)


def test_actions_that_were_not_tried_are_not_offered(opened, tmp_path: Path) -> None:
    few = [entry for entry in drawn_parts._effects("mixed4d", 0.0) if entry.unit == "square"]
    page = opened("#class=425", path=export_html(make_bundle(effects=few), tmp_path / "page.html"))
    region = experiments(page)
    assert region.locator(".controls input").count() == 0
    assert region.locator(".controls").inner_text().split("\n") == ["3 × 3 square", "Remove"]


def test_it_fits_a_phone_and_answers_a_tap(opened) -> None:
    page = opened("#layer=mixed4d&class=425", **PHONE)
    region = experiments(page)
    region.scroll_into_view_if_needed()
    region.get_by_role("button", name="Remove group 2").tap()
    region.get_by_text("Without group 2").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    numbers = region.locator("tbody .number:not(.soft)").all()
    assert len(numbers) == len(CLASSES)
    assert all(number.bounding_box()["height"] < 26 for number in numbers)


def test_the_picture_is_saved(opened, tmp_path: Path) -> None:
    page = opened("#layer=mixed4d&class=425&trial=mixed4d:square:0:89:0")
    region = experiments(page)
    with page.expect_download() as download:
        region.get_by_role("button", name="Save PNG").click()
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as picture:
        saved = numpy.asarray(picture.convert("L"), dtype=float)
    # The covered square on the photo, which starts at 32, 90 and is 320 wide; the file has twice the pixels.
    center = saved[2 * 90 + int(640 * 6.5 / 14) - 20 :, 64 + int(640 * 5.5 / 14) - 20 :][:40, :40]
    assert center.mean() < 50
    assert saved[2 * 90 + 20 : 2 * 90 + 60, 64 + 20 : 64 + 60].mean() > 120


def measured(unit: str, about: str, sentence: str) -> EvidenceEntry:
    return EvidenceEntry(
        about=about, name=f"agreement with removal of {unit}s", value=0.8, control=0.1, sentence=sentence
    )


def test_evidence_follows_what_is_changed(opened, tmp_path: Path) -> None:
    panels = {"group": "groups", "channel": "channels", "position": "spatial", "square": "experiments"}
    entries = [
        measured(unit, f"{panel}:{layer}:{index}", f"{unit} {layer} {index}.")
        for unit, panel in panels.items()
        for layer in ("mixed4d", "mixed5a")
        for index in (425, 970)
        if (unit, layer) != ("channel", "mixed5a")
    ]
    path_ = EvidenceEntry(about="spatial:mixed4d:425", name="independence of the path", value=0.9, sentence="Path.")
    page = opened(
        "#layer=mixed4d&class=425", path=export_html(make_bundle(evidence=[*entries, path_]), tmp_path / "p.html")
    )
    region = experiments(page)

    def shown() -> list[str]:
        return [" ".join(text.split()) for text in region.locator(".measure p:first-child").all_inner_texts()]

    for unit, label in (
        ("channel", "Channel"),
        ("position", "Position"),
        ("square", "3 × 3 square"),
        ("group", "Group"),
    ):
        region.get_by_label(label, exact=True).check(force=True)
        assert shown() == [f"{unit} mixed4d 425."]
    region.get_by_role("slider").press("End")
    assert shown() == ["Measured for 4 groups group mixed4d 425."]
    region.get_by_label("Position", exact=True).check(force=True)
    page.get_by_role("button", name="Compare with alp").click()
    assert shown() == ["barn position mixed4d 425.", "alp position mixed4d 970."]
    region.get_by_label("mixed5a").check(force=True)
    assert shown() == ["barn position mixed5a 425.", "alp position mixed5a 970."]
    region.get_by_label("Channel", exact=True).check(force=True)
    assert shown() == []


def test_groups_stand_in_full_lines_with_their_numbers(opened) -> None:
    page = opened("#layer=mixed4d&class=425&groups=mixed4d:6", **PHONE)
    region = experiments(page)
    boxes = [button.bounding_box() for button in region.locator(".icons button").all()]
    assert len(boxes) == 6
    assert len({box["y"] for box in boxes}) == 1
    assert region.locator(".icons button").all_inner_texts() == ["1", "2", "3", "4", "5", "6"]


def test_numbers_of_the_table_have_the_same_decimals(opened) -> None:
    region = experiments(opened("#layer=mixed4d&class=425&trial=mixed4d:position:0:89:0"))
    texts = region.locator("tbody .number").all_inner_texts()
    assert len({len(text.partition(".")[2]) for text in texts}) == 1
