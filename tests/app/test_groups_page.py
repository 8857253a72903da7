"""Neuron groups: their places, icons and effects, in a real browser."""

import re
from pathlib import Path

import drawn_bundle
import drawn_parts
import msgspec
import numpy
import pytest
from drawn_bundle import CLASSES, THINGS, make_bundle
from page_reading import read_canvas
from PIL import Image

from pellucid.app import export_html
from pellucid.bundle import ClassScore

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def groups(page):
    region = page.get_by_role("region", name=re.compile("What fires together"))
    region.wait_for()
    return region


def attribution(layer: str, count: int) -> numpy.ndarray:
    """[classes, groups]: what a group of the drawn bundle adds to each class."""
    return drawn_parts.channel_attribution(layer) @ drawn_parts._members(count).T


def table(region) -> list[list[float]]:
    """[lines][groups]: the numbers below the icons."""
    cards = [card.locator(".effect .value").all_inner_texts() for card in region.locator(".card").all()]
    return [[float(text.replace("−", "-")) for text in line] for line in zip(*cards, strict=True)]


def hash_becomes(page, hash_: str) -> None:
    page.wait_for_function("expected => location.hash === expected", arg=hash_)


def hash_holds(page, part: str) -> None:
    page.wait_for_function("part => location.hash.includes(part)", arg=part)


def test_every_group_and_what_it_adds_to_each_class(opened) -> None:
    region = groups(opened("#layer=mixed4d&class=425"))
    assert region.locator(".card").count() == 4
    assert numpy.allclose(table(region), attribution("mixed4d", 4), atol=0.06)
    widths = [bar.bounding_box()["width"] for bar in region.locator(".card").nth(0).locator(".bar").all()]
    sizes = numpy.abs(attribution("mixed4d", 4)[:, 0])
    assert widths[0] / widths[2] == pytest.approx(sizes[0] / sizes[2], rel=0.05)
    center = region.locator(".card").first.locator(".track").first.bounding_box()
    bar = region.locator(".card").first.locator(".bar").first.bounding_box()
    assert bar["x"] == pytest.approx(center["x"] + center["width"] / 2, abs=1)


def test_the_slider_divides_anew_and_colours_hold_still(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = groups(page)
    before = [key.get_attribute("style") for key in region.locator(".card > button").all()]
    slider = region.get_by_role("slider", name="Number of groups of mixed4d")
    slider.press("ArrowRight")
    region.get_by_text("Here are 6 groups").wait_for()
    assert region.locator(".card").count() == 6
    assert numpy.allclose(table(region), attribution("mixed4d", 6), atol=0.06)
    after = [key.get_attribute("style") for key in region.locator(".card > button").all()]
    # The tree leaves the third group and the door the first; most of each place keeps its colour.
    assert [after[place] for place in (0, 1, 5, 3)] == before
    assert len(set(after)) == 6
    hash_becomes(page, "#layer=mixed4d&class=425&groups=mixed4d:6")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    region.get_by_text("Here are 2 groups").wait_for()
    assert region.locator(".card").count() == 2


def test_each_place_has_the_colour_of_its_group(opened) -> None:
    region = groups(opened("#layer=mixed4d&class=425"))
    seen = read_canvas(region.locator(".map canvas"))
    assert seen.shape[:2] == (14, 14)
    colors = [
        [int(number) for number in re.findall(r"\d+", card.get_attribute("style"))[:3]]
        for card in region.locator(".card > button").all()
    ]
    for group, place in [(0, (5, 5)), (1, (2, 11)), (3, (11, 10))]:
        distance = numpy.abs(numpy.array(colors) - seen[place][:3]).sum(-1)
        assert distance.argmin() == group


def test_hover_shows_a_group_alone_and_a_click_keeps_it(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = groups(page)
    assert region.locator(".photo canvas").count() == 0
    ball = region.get_by_role("button", name="Group 4")
    ball.hover()
    region.locator(".photo canvas").wait_for()
    dark = read_canvas(region.locator(".photo canvas"))[..., 3]
    assert dark[11, 10] < 10  # the ball
    assert dark[0, 0] > 190
    assert region.locator(".card.faint").count() == 3
    page.mouse.move(2, 2)
    region.locator(".photo canvas").wait_for(state="detached")
    ball.click()
    page.mouse.move(2, 2)
    hash_becomes(page, "#layer=mixed4d&class=425&group=mixed4d:4:3")
    assert ball.get_attribute("aria-pressed") == "true"
    assert region.locator(".photo canvas").count() == 1
    ball.press("Enter")
    hash_becomes(page, "#layer=mixed4d&class=425")


def test_a_place_on_the_map_names_its_group(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = groups(page)
    place = region.locator(".map")
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    spot = (box["x"] + 0.72 * box["width"], box["y"] + 0.84 * box["height"])
    page.mouse.move(*spot)
    region.locator(".reading").get_by_text("Group 4").wait_for()
    page.mouse.click(*spot)
    hash_becomes(page, "#layer=mixed4d&class=425&group=mixed4d:4:3")


def test_two_classes_are_set_against_each_other(opened) -> None:
    region = groups(opened("#layer=mixed4d&class=425&versus=970"))
    expected = attribution("mixed4d", 4)
    found = table(region)
    assert numpy.allclose(found[0], expected[0] - expected[2], atol=0.06)
    assert region.locator(".heads .line").first.inner_text() == "barn against alp"
    assert len(found) == len(CLASSES) + 1


def test_a_channel_leads_to_its_roots_and_a_name_chooses_its_class(opened) -> None:
    page = opened("#layer=mixed4d&class=425&group=mixed4d:6:3")
    region = groups(page)
    page.mouse.move(2, 2)
    assert region.locator(".card").count() == 4  # the address divides nothing by itself
    region.get_by_role("slider").press("ArrowRight")
    region.get_by_role("button", name="striped ball", exact=True).click()
    hash_holds(page, "channel=mixed4d:300")
    assert THINGS[3][1] == 300
    region.get_by_role("button", name="alp", exact=True).click()
    hash_holds(page, "class=970")


def test_it_fits_a_phone(opened) -> None:
    page = opened("#layer=mixed4d&class=425", **PHONE)
    region = groups(page)
    region.scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    region.get_by_role("button", name="Group 2").tap()
    region.locator(".reading").get_by_text("Group 2").wait_for()
    assert region.locator(".card").first.locator(".name").all_inner_texts() == [entry[1] for entry in CLASSES]


def test_the_picture_is_saved(opened, tmp_path: Path) -> None:
    page = opened("#layer=mixed4d&class=425&groups=mixed4d:6")
    region = groups(page)
    with page.expect_download() as download:
        region.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "A_barn_a_tree_and_a_ball-mixed4d-6-groups.png"
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as picture:
        photo = numpy.asarray(drawn_bundle.draw_photo().resize((640, 640)), dtype=float)
        saved = numpy.asarray(picture.convert("RGB"), dtype=float)[132 : 132 + 640, 64 : 64 + 640]
        assert numpy.abs(photo - saved).mean() < 6


def test_numbers_have_the_same_decimals(opened) -> None:
    region = groups(opened("#layer=mixed4d&class=425"))
    assert {len(text.partition(".")[2]) for text in region.locator(".effect .value").all_inner_texts()} == {2}


def test_another_number_of_groups_says_what_was_measured(opened) -> None:
    region = groups(opened("#layer=mixed4d&class=425"))
    said = region.locator(".measure p").first
    assert said.inner_text().strip() == "Other starting numbers lead to the same groups."
    region.get_by_role("slider").press("End")
    assert " ".join(said.inner_text().split()).startswith("Measured for 4 groups Other starting numbers")


def test_cards_are_numbered_as_texts_number_them(opened) -> None:
    region = groups(opened("#layer=mixed4d&class=425"))
    for card in region.locator(".card > button").all():
        assert f"Group {card.inner_text().strip()}," in card.get_attribute("aria-label")


@pytest.mark.parametrize("width", [390, 760, 900, 1000, 1100, 1280])
@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_the_heaviest_channels_stand_in_fours_or_in_twos(opened, width: int, count: int) -> None:
    page = opened(f"#layer=mixed4d&class=425&groups=mixed4d:{count}", viewport={"width": width, "height": 844})
    tracks = (
        groups(page).locator(".card .channels").first.evaluate("node => getComputedStyle(node).gridTemplateColumns")
    )
    sizes = tracks.split()
    assert len(sizes) in (2, 4) or width <= 720


def test_long_names_are_not_cut_on_a_phone(opened, tmp_path: Path) -> None:
    name = "West Highland white terrier"
    scores = [ClassScore(index=i, label=label, logit=logit, probability=p) for i, label, logit, p in CLASSES]
    classes = [msgspec.structs.replace(scores[0], label=name), *scores[1:]]
    page = opened("#layer=mixed4d", path=export_html(make_bundle(classes=classes), tmp_path / "page.html"), **PHONE)
    label = groups(page).locator(".card .name").first
    assert label.inner_text() == name
    assert label.evaluate("node => node.scrollWidth <= node.clientWidth && node.scrollHeight <= node.clientHeight + 1")
