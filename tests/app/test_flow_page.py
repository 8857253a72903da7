"""Groups of two layers and the classes, joined by ribbons, in a real browser."""

import itertools
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
COUNTS = list(drawn_parts.DIVISIONS)
RIBBON = re.compile(r"(.+) → (.+): (.+)")


def flow(page):
    region = page.get_by_role("region", name="How groups make groups")
    region.wait_for()
    return region


def links(upper: int, lower: int) -> numpy.ndarray:
    """[groups of mixed5a, groups of mixed4d] of the drawn bundle."""
    return unpack_numbers(drawn_parts._flow().links[COUNTS.index(upper)][COUNTS.index(lower)])


def attribution(count: int) -> numpy.ndarray:
    """[classes, groups of mixed5a]"""
    return drawn_parts.channel_attribution("mixed5a") @ drawn_parts._members(count).T


def ends_of(path) -> tuple[str, str, str]:
    """The two ends of a ribbon and its value, as its hover text says them."""
    words = RIBBON.match(" ".join(path.text_content().split()))
    assert words
    return words[1], words[2], words[3]


def ribbons(region) -> dict[tuple[str, str], tuple[float, float, str, float]]:
    """Value, width, side and opacity of each ribbon by its two ends."""
    found = {}
    for path in region.locator(".chart path").all():
        start, end, value = ends_of(path)
        width = float(path.get_attribute("stroke-width"))
        side = "inhibit" if "inhibit" in path.get_attribute("class") else "support"
        found[start, end] = (float(value.replace("−", "-")), width, side, float(path.get_attribute("opacity")))
    return found


def order(region, layer: str) -> list[int]:
    """The groups of a layer from top to bottom."""
    nodes = region.get_by_role("button", name=re.compile(f"group . of {layer}")).all()
    nodes.sort(key=lambda node: node.bounding_box()["y"])
    return [int(node.get_attribute("aria-label").split()[1]) - 1 for node in nodes]


def crossing(upper: list[int], lower: list[int], values: numpy.ndarray) -> float:
    """The sum over all pairs of ribbons that cross of the product of their sizes."""
    sizes = numpy.abs(values)[numpy.ix_(upper, lower)]
    ends = [(row, column, sizes[row, column]) for row, column in itertools.product(*map(range, sizes.shape))]
    return sum(a[2] * b[2] for a, b in itertools.combinations(ends, 2) if (a[0] - b[0]) * (a[1] - b[1]) < 0)


def hash_becomes(page, hash_: str) -> None:
    page.wait_for_function("expected => location.hash === expected", arg=hash_)


def test_ribbons_are_as_wide_as_what_they_carry(opened) -> None:
    region = flow(opened("#class=425"))
    found = ribbons(region)
    values = links(3, 4)
    shown = {ends: ribbon for ends, ribbon in found.items() if ends[1].startswith("group")}
    for (start, end), (value, width, side, _) in shown.items():
        expected = values[int(end.split()[1]) - 1, int(start.split()[1]) - 1]
        assert value == pytest.approx(expected, rel=0.02)
        assert side == ("inhibit" if expected < 0 else "support")
        widest = max(shown.values(), key=lambda ribbon: ribbon[1])
        assert width / widest[1] == pytest.approx(abs(expected) / numpy.abs(values).max(), rel=0.02)
    hidden = set(itertools.product(range(3), range(4)))
    hidden -= {(int(end.split()[1]) - 1, int(start.split()[1]) - 1) for start, end in shown}
    assert all(abs(values[place]) < 0.01 * numpy.abs(values).max() for place in hidden)
    for group, expected in enumerate(attribution(3)[0]):
        assert found[f"group {group + 1} of mixed5a", "barn"][0] == pytest.approx(expected, rel=0.02)
    assert {end for _, end in found if not end.startswith("group")} == {"barn"}


def test_ribbons_end_at_their_nodes(opened) -> None:
    region = flow(opened("#class=425"))
    svg = region.locator(".chart svg").bounding_box()
    for path in region.locator(".chart path").all():
        start, end, _ = ends_of(path)
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.get_attribute("d"))]
        half = float(path.get_attribute("stroke-width")) / 2
        ends = [(start, numbers[:2], "width"), (end, numbers[-2:], "")]
        for name, (x, y), side in ends:
            box = region.get_by_role("button", name=name, exact=True).bounding_box()
            edge = box["x"] + (box["width"] if side else 0) - svg["x"]
            assert x == pytest.approx(edge, abs=1)
            assert box["y"] - svg["y"] - 0.6 <= y - half
            assert y + half <= box["y"] - svg["y"] + box["height"] + 0.6


@pytest.mark.parametrize(("upper", "lower"), [(3, 4), (4, 4), (4, 3), (2, 6)])
def test_ribbons_cross_no_more_than_they_must(opened, upper: int, lower: int) -> None:
    region = flow(opened(f"#class=425&groups=mixed4d:{lower}&groups=mixed5a:{upper}"))
    values = links(upper, lower)
    drawn = crossing(order(region, "mixed5a"), order(region, "mixed4d"), values)
    best = min(
        crossing(list(above), list(below), values)
        for above in itertools.permutations(range(upper))
        for below in itertools.permutations(range(lower))
    )
    assert drawn <= best * 1.001 + 1e-6


def test_hover_shows_a_path_and_the_place_on_the_photo(opened) -> None:
    page = opened("#class=425")
    region = flow(page)
    assert region.locator(".photo canvas").count() == 0
    node = region.get_by_role("button", name="group 3 of mixed4d")
    node.hover()
    region.locator(".reading").get_by_text("Group 3", exact=True).wait_for()
    dark = read_canvas(region.locator(".photo canvas"))[..., 3]
    assert dark[7, 10] < 60  # the tree
    assert dark[2, 2] > 120
    found = ribbons(region)
    own = [ribbon[3] for ends, ribbon in found.items() if ends[0] == "group 3 of mixed4d"]
    others = [ribbon[3] for ends, ribbon in found.items() if ends[0] == "group 1 of mixed4d"]
    assert min(own) > 0.7
    assert max(others) < 0.1
    page.mouse.move(2, 2)
    region.locator(".photo canvas").wait_for(state="detached")
    assert {ribbon[3] for ribbon in ribbons(region).values()} == {0.55}


def test_a_click_keeps_the_path_in_every_panel(opened) -> None:
    page = opened("#layer=mixed5a&class=425")
    region = flow(page)
    node = region.get_by_role("button", name="group 1 of mixed5a")
    node.click()
    page.mouse.move(2, 2)
    hash_becomes(page, "#layer=mixed5a&class=425&group=mixed5a:3:0")
    assert node.get_attribute("aria-pressed") == "true"
    told = re.search(r"\+([\d.]+)\s+to the logit of barn", region.locator(".reading").inner_text())
    assert told
    assert float(told[1]) == pytest.approx(attribution(3)[0, 0], abs=0.006)
    first = region.locator(".reading li b").first.inner_text()
    assert float(first) == pytest.approx(links(3, 4)[0].max(), rel=0.02)
    groups = page.get_by_role("region", name="What fires together")
    assert groups.get_by_role("button", name="Group 1").get_attribute("aria-pressed") == "true"
    node.press("Enter")
    hash_becomes(page, "#layer=mixed5a&class=425")


def test_a_class_draws_its_own_ribbons(opened) -> None:
    page = opened("#layer=mixed5a&class=425")
    region = flow(page)
    region.get_by_role("button", name="soccer ball").click()
    hash_becomes(page, "#layer=mixed5a&class=805")
    found = ribbons(region)
    assert {end for _, end in found if not end.startswith("group")} == {"soccer ball"}
    assert found["group 3 of mixed5a", "soccer ball"][0] == pytest.approx(attribution(3)[3, 2], rel=0.02)


def test_two_classes_draw_both(opened) -> None:
    found = ribbons(flow(opened("#class=425&versus=970")))
    assert {end for _, end in found if not end.startswith("group")} == {"barn", "alp"}


def test_sliders_of_each_layer(opened) -> None:
    page = opened("#layer=mixed5a&class=425")
    region = flow(page)
    slider = region.get_by_role("slider", name="Number of groups of mixed4d in the flow")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    hash_becomes(page, "#layer=mixed5a&class=425&groups=mixed4d:6")
    assert sorted(order(region, "mixed4d")) == list(range(6))
    assert sorted(order(region, "mixed5a")) == list(range(3))
    for (start, end), (value, *_) in ribbons(region).items():
        if end.startswith("group"):
            assert value == pytest.approx(links(3, 6)[int(end.split()[1]) - 1, int(start.split()[1]) - 1], rel=0.02)


def test_aligned_groups_stand_one_for_one(opened) -> None:
    page = opened("#layer=mixed5a&class=425")
    region = flow(page)
    region.get_by_label("Align layer factors").check()
    region.get_by_text("were made to match those of mixed5a").wait_for()
    assert order(region, "mixed4d") == order(region, "mixed5a") == [0, 1, 2]
    values = unpack_numbers(drawn_parts._flow().aligned_links[COUNTS.index(3)])
    for (start, end), (value, *_) in ribbons(region).items():
        if end.startswith("group"):
            assert value == pytest.approx(values[int(end.split()[1]) - 1, int(start.split()[1]) - 1], rel=0.02)
    assert region.get_by_role("slider", name="Number of groups of mixed4d in the flow").is_disabled()
    region.get_by_role("slider", name="Number of groups of mixed5a in the flow").press("End")
    assert order(region, "mixed4d") == list(range(6))
    node = region.get_by_role("button", name="group 4 of mixed4d")
    node.click()
    page.mouse.move(2, 2)
    assert node.get_attribute("aria-pressed") == "true"
    dark = read_canvas(region.locator(".photo canvas"))[..., 3]
    assert dark[11, 10] < 10  # the ball


def test_evidence_about_a_flow_stands_in_its_card(opened, tmp_path: Path) -> None:
    entry = EvidenceEntry(about="flow:mixed4d", name="agreement", value=0.4, sentence="Of the flow.")
    region = flow(opened(path=export_html(make_bundle(evidence=[entry]), tmp_path / "page.html")))
    region.get_by_text("Of the flow.").wait_for()


def test_it_fits_a_phone(opened) -> None:
    page = opened("#layer=mixed5a&class=425", **PHONE)
    region = flow(page)
    region.scroll_into_view_if_needed()
    region.get_by_role("button", name="group 2 of mixed5a").tap()
    region.locator(".reading").get_by_text("Group 2", exact=True).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for name in [entry[1] for entry in CLASSES]:
        box = region.get_by_role("button", name=name, exact=True).bounding_box()
        assert box["x"] + box["width"] <= 390


def test_the_picture_is_saved(opened, tmp_path: Path) -> None:
    page = opened("#class=425")
    region = flow(page)
    with page.expect_download() as download:
        region.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "A_barn_a_tree_and_a_ball-mixed4d-mixed5a-flow.png"
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as picture:
        saved = numpy.asarray(picture.convert("RGB"), dtype=float)
    photo = numpy.asarray(drawn_bundle.draw_photo().resize((480, 480)), dtype=float)
    assert numpy.abs(saved[144 : 144 + 480, 64 : 64 + 480] - photo).mean() < 6
    teal = numpy.abs(saved[:, 700:] - (numpy.array([13, 158, 148]) * 0.55 + 255 * 0.45)).sum(-1) < 12
    assert teal.mean() > 0.02


def test_colours_join_only_groups_that_belong_together(opened) -> None:
    region = flow(opened("#class=425"))
    region.get_by_role("button", name="group 1 of mixed4d").hover()
    assert region.locator(".key:not(p)").count() == region.locator(".dot").count() == 0
    region.get_by_label("Align layer factors").check()

    def color(layer: str, group: int) -> str:
        key = region.get_by_role("button", name=f"group {group} of {layer}").locator(".key")
        return key.evaluate("node => getComputedStyle(node).backgroundColor")

    lower = [color("mixed4d", group) for group in (1, 2, 3)]
    assert lower == [color("mixed5a", group) for group in (1, 2, 3)]
    assert len(set(lower)) == 3


def test_icons_are_numbered_as_texts_number_them(opened) -> None:
    region = flow(opened("#class=425"))
    nodes = region.get_by_role("button", name=re.compile("group . of")).all()
    assert len(nodes) == 7
    assert all(node.inner_text() == node.get_attribute("aria-label").split()[1] for node in nodes)
