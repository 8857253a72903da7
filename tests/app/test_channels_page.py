"""Channels that speak for a class, or for one against another, and what made them: in a real browser."""

import re
from pathlib import Path

import drawn_parts
import pytest
from drawn_bundle import CLASSES, THINGS
from page_reading import read_canvas

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
NAMES = [thing[0] for thing in THINGS]
FOR = {entry[1]: drawn_parts.channel_attribution("mixed4d")[place] for place, entry in enumerate(CLASSES)}


def channels(page):
    region = page.get_by_role("region", name=re.compile("Which channels"))
    region.wait_for()
    return region


def told(region, side: str) -> list[str]:
    """The names below the icons of a side, in the order of the page."""
    return region.locator(f".side.{side} .icons .name").all_inner_texts()


def strongest(values, count: int = 4) -> list[str]:
    return [NAMES[place] for place in sorted(range(len(NAMES)), key=lambda place: -values[place])[:count]]


def hash_becomes(page, hash_: str) -> None:
    page.wait_for_function("expected => location.hash === expected", arg=hash_)


def shades(region):
    """[rows, columns]: how dark the photo is at each position, 0–255."""
    return read_canvas(region.locator(".photo canvas"))[..., 3]


@pytest.mark.parametrize("name", ["barn", "alp", "soccer ball"])
def test_the_strongest_of_each_side(opened, name: str) -> None:
    index = next(entry[0] for entry in CLASSES if entry[1] == name)
    region = channels(opened(f"#layer=mixed4d&class={index}"))
    supports = [word for word in strongest(FOR[name]) if FOR[name][NAMES.index(word)] > 0]
    inhibits = [word for word in strongest(-FOR[name]) if FOR[name][NAMES.index(word)] < 0]
    assert told(region, "support") == supports
    assert told(region, "inhibit") == inhibits
    values = region.locator(".side.support .value").all_inner_texts()
    assert float(values[0]) == pytest.approx(FOR[name].max(), abs=0.05)


def test_bars_share_one_scale_and_both_sides_start_with_the_strongest(opened) -> None:
    region = channels(opened("#layer=mixed4d&class=425"))
    widths = {
        button.get_attribute("aria-label").split(",")[0]: button.locator(".bar").bounding_box()["width"]
        for button in region.locator(".icons button").all()
    }
    ratio = widths["Channel 208 red roof"] / widths["Channel 300 striped ball"]
    assert ratio == pytest.approx(FOR["barn"][0] / -FOR["barn"][3], rel=0.05)
    for side in ("support", "inhibit"):
        cards = [card.bounding_box() for card in region.locator(f".side.{side} .icons button").all()]
        assert [card["x"] for card in cards] == sorted(card["x"] for card in cards)
        bars = [bar.bounding_box() for bar in region.locator(f".side.{side} .bar").all()]
        assert [bar["x"] for bar in bars] == pytest.approx([card["x"] for card in cards], abs=1)


def test_show_all(opened) -> None:
    region = channels(opened("#layer=mixed4d&class=970"))
    button = region.get_by_role("button", name="Show all")
    assert button.inner_text() == "Show all 10 channels"
    button.click()
    assert len(told(region, "support")) == (FOR["alp"] > 0).sum() > 4
    region.get_by_role("button", name="Show the strongest only").click()
    assert len(told(region, "support")) == 4


def test_hover_shows_where_it_fired_and_what_else_it_speaks_for(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = channels(page)
    assert region.locator(".photo canvas").count() == 0
    region.get_by_role("button", name="Channel 300").hover()
    region.get_by_text("channel 300 of mixed4d; bright where it fired").wait_for()
    found = shades(region)
    assert found.shape == (14, 14)
    assert found[11, 10] < 10  # the ball
    assert found[0, 0] > 190
    claims = region.locator(".reading li button")
    assert [claim.locator(".name").inner_text() for claim in claims.all()] == [entry[1] for entry in CLASSES]
    assert claims.nth(3).locator(".value").inner_text() == "+5.64"
    page.mouse.move(5, 5)
    region.locator(".photo canvas").wait_for(state="detached")


def test_keys_reach_a_channel_and_follow_it(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = channels(page)
    region.locator(".side.support .icons button").first.focus()
    page.keyboard.press("Tab")
    second = next(place for place, name in enumerate(NAMES) if name == strongest(FOR["barn"])[1])
    region.get_by_text(f"channel {THINGS[second][1]} of mixed4d; bright").wait_for()
    page.keyboard.press("Enter")
    region.get_by_text("Feeds mixed5a").wait_for()


def test_a_click_goes_to_the_roots_and_on(opened) -> None:
    page = opened("#layer=mixed5a&class=425")
    region = channels(page)
    region.get_by_role("button", name="Channel 208").click()
    hash_becomes(page, "#layer=mixed5a&class=425&channel=mixed5a:208")
    region.get_by_text("Made by mixed4d").wait_for()
    region.get_by_text("No later layer was looked at").wait_for()
    links = drawn_parts._links()[list(drawn_parts.order()).index(0)]
    expected = sorted((value for value in links if value), key=lambda value: -abs(value))
    words = [label.split(", ")[1] for label in labels(region.locator(".side ul button"))]
    assert [float(word.replace("−", "-")) for word in words] == pytest.approx(expected, rel=0.02)
    assert region.locator(".ribbons path.support").count() == sum(value > 0 for value in expected)
    assert region.locator(".ribbons path.inhibit").count() == sum(value < 0 for value in expected)

    region.get_by_role("button", name="Channel 208 of mixed4d").click()
    hash_becomes(page, "#layer=mixed5a&class=425&channel=mixed4d:208")
    region.get_by_text("Feeds mixed5a").wait_for()
    assert shades(region).shape == (14, 14)
    region.get_by_role("button", name="All channels for barn").click()
    hash_becomes(page, "#layer=mixed5a&class=425")
    assert told(region, "support")[0] == "channel 208"


def labels(buttons) -> list[str]:
    return [button.get_attribute("aria-label") for button in buttons.all()]


def test_a_ribbon_is_as_wide_as_its_share(opened) -> None:
    region = channels(opened("#layer=mixed5a&class=425&channel=mixed5a:208"))
    region.get_by_text("Made by mixed4d").wait_for()
    widths = [float(path.get_attribute("stroke-width")) for path in region.locator(".ribbons path").all()]
    values = [label.split(", ")[1].replace("−", "-") for label in labels(region.locator(".side ul button"))]
    assert widths[0] == 16
    region.locator(".side ul button").first.hover()
    assert "faint" not in region.locator(".ribbons path").first.get_attribute("class")
    assert region.locator(".ribbons path.faint").count() == len(widths) - 1
    assert widths[1] / widths[0] == pytest.approx(abs(float(values[1]) / float(values[0])), rel=0.05)


def test_another_layer_ends_the_tree(opened) -> None:
    page = opened("#layer=mixed4d&class=425&channel=mixed4d:208")
    channels(page).get_by_role("radio", name="mixed5a").check(force=True)
    hash_becomes(page, "#layer=mixed5a&class=425")


def test_two_classes_against_each_other(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    page.get_by_role("button", name="Compare with soccer ball").click()
    hash_becomes(page, "#layer=mixed4d&class=425&versus=805")
    region = page.get_by_role("region", name="Which channels speak for barn against soccer ball")
    net = FOR["barn"] - FOR["soccer ball"]
    assert told(region, "support") == strongest(net)
    assert told(region, "inhibit") == strongest(-net)
    cells = region.locator(".side.inhibit .icons button").first.locator(".cell").all_inner_texts()
    expected = [-net.min(), FOR["barn"][3], FOR["soccer ball"][3]]
    assert [float(cell.replace("−", "-")) for cell in cells] == pytest.approx(expected, abs=0.05)
    # The photo says where: teal on the barn, orange on the ball.
    colors = read_canvas(region.locator(".photo canvas"))
    assert colors[4, 5, 1] > colors[4, 5, 0]
    assert colors[11, 10, 0] > colors[11, 10, 1]
    page.get_by_role("region", name="Which places speak for barn against soccer ball").wait_for()

    page.get_by_role("button", name="Swap").click()
    hash_becomes(page, "#layer=mixed4d&class=805&versus=425")
    page.get_by_role("button", name="Look at soccer ball alone").click()
    hash_becomes(page, "#layer=mixed4d&class=805")
    page.get_by_role("button", name="Compare with barn").click()
    page.get_by_role("button", name="Compare with barn").click()
    hash_becomes(page, "#layer=mixed4d&class=805")


def test_colours_say_which_class_a_number_speaks_for(opened) -> None:
    region = channels(opened("#layer=mixed4d&class=425&versus=805"))
    cell = "style => [...getComputedStyle(style).backgroundColor.matchAll(/[\\d.]+/g)].map(Number)"
    roof = [one.evaluate(cell) for one in region.get_by_role("button", name="Channel 208").locator(".cell").all()]
    ball = [one.evaluate(cell) for one in region.get_by_role("button", name="Channel 300").locator(".cell").all()]
    assert all(green > red for red, green, *_ in roof)
    assert all(red > green for red, green, *_ in ball)


def test_the_first_comparison_of_a_page(opened, tmp_path: Path) -> None:
    from drawn_bundle import make_bundle

    from pellucid.app import export_html

    path = export_html(make_bundle(versus=(970, 425)), tmp_path / "page.html")
    page = opened(path=path)
    page.get_by_role("region", name="Which channels speak for alp against barn").wait_for()
    page.get_by_role("button", name="Look at alp alone").click()
    hash_becomes(page, "#layer=mixed5a&class=970&versus=none")
    page.reload()
    page.get_by_role("region", name="Which channels speak for alp").wait_for()


@pytest.mark.parametrize(
    "rest", ["channel=mixed4d:1", "channel=nowhere:208", "channel=mixed4d", "versus=1", "versus=425", "versus=x"]
)
def test_an_address_that_names_nothing(opened, rest: str) -> None:
    page = opened(f"#layer=mixed4d&class=425&{rest}")
    page.get_by_role("region", name="Which channels speak for barn").wait_for()
    hash_becomes(page, "#layer=mixed4d&class=425")


def test_tap(opened) -> None:
    page = opened("#layer=mixed4d&class=425&versus=805", **PHONE)
    region = channels(page)
    region.get_by_role("button", name="Channel 300").tap()
    region.get_by_text("channel 300 of mixed4d; bright where it fired").wait_for()
    region.get_by_text("Feeds mixed5a").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("rest", ["", "&versus=805", "&channel=mixed5a:208"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out(opened, width: int, rest: str) -> None:
    page = opened(f"#layer=mixed5a&class=425{rest}", viewport={"width": width, "height": 844})
    channels(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_save_png(opened, tmp_path: Path) -> None:
    from PIL import Image

    page = opened("#layer=mixed4d&class=425&versus=805")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG of Which channels").click()
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as picture:
        assert picture.size[0] > 1000
        colors = picture.convert("RGB").getcolors(2**24)
        assert colors
        found = {color for _, color in colors}
    assert {(13, 158, 148), (238, 121, 22)} <= found


def test_a_channel_without_a_name_is_said_once(opened) -> None:
    region = channels(opened("#layer=mixed5a&class=425&channel=mixed5a:208"))
    region.get_by_text("Made by mixed4d").wait_for()
    assert region.locator(".reading .name p").inner_text().split("\n")[0] == "channel 208"
    assert region.locator(".reading .name p").inner_text().count("208") == 1
    assert " ".join(region.locator(".root").inner_text().split()) == "channel 208 of mixed5a"
    assert region.get_by_text("Made by mixed4d").evaluate("node => getComputedStyle(node).textTransform") == "none"


@pytest.mark.parametrize(("width", "drawn"), [(390, False), (1280, True)])
def test_the_caption_of_the_tree_tells_of_ribbons_where_there_are_any(opened, width: int, drawn: bool) -> None:
    page = opened("#layer=mixed5a&class=425&channel=mixed5a:208", viewport={"width": width, "height": 844})
    region = channels(page)
    assert region.locator(".ribbons path").first.is_visible() == drawn
    assert ("ibbon" in region.locator(".caption").inner_text()) == drawn
    assert "Choose a picture to follow it." in region.locator(".caption").inner_text()


def test_the_photo_fills_a_phone(opened) -> None:
    region = channels(opened("#layer=mixed4d&class=425", **PHONE))
    photo, column = region.locator(".photo").bounding_box(), region.locator(".above").bounding_box()
    assert photo["width"] == pytest.approx(column["width"], abs=1)


@pytest.mark.parametrize("width", [390, 1280])
def test_words_for_the_numbers_of_two_classes_stand_beside_them(opened, tmp_path: Path, width: int) -> None:
    """Long names of classes take as many lines as they need."""
    import msgspec
    from drawn_bundle import make_bundle

    from pellucid.app import export_html
    from pellucid.bundle import ClassScore

    scores = [ClassScore(index=i, label=label, logit=logit, probability=p) for i, label, logit, p in CLASSES]
    classes = [msgspec.structs.replace(scores[0], label="West Highland white terrier"), *scores[1:]]
    path = export_html(make_bundle(classes=classes), tmp_path / "page.html")
    page = opened("#layer=mixed4d&class=425&versus=970", path=path, viewport={"width": width, "height": 844})
    region = channels(page)
    region.get_by_role("button", name="Show all").click()
    for line in region.locator(".side .icons").all():
        words = line.locator(".rows span").all()
        assert [word.inner_text() for word in words] == ["net evidence", "for West Highland white terrier", "for alp"]
        for card in line.get_by_role("button").all():
            for word, cell in zip(words, card.locator(".cell").all(), strict=True):
                (beside, box) = word.bounding_box(), cell.bounding_box()
                assert box["y"] - 1 <= beside["y"]
                assert beside["y"] + beside["height"] <= box["y"] + box["height"] + 1
