"""The explanation page in a real browser: pointing, tapping, keys, links, themes and small screens."""

import re
from pathlib import Path

import msgspec
import pytest
from drawn_bundle import make_bundle

from pellucid.app import export_html
from pellucid.bundle import Bundle, EvidenceEntry, ExplanationBody

pytestmark = pytest.mark.browser


def dictionary(page):
    return page.get_by_role("region", name="What the network sees at a position")


def spatial(page):
    return page.get_by_role("region", name=re.compile("Which places speak for"))


def photo(region):
    return region.get_by_role("application")


def spot(region, row: int, column: int, size: int = 14) -> dict[str, float]:
    box = photo(region).bounding_box()
    return {"x": (column + 0.5) * box["width"] / size, "y": (row + 0.5) * box["height"] / size}


def icons(page) -> list[str]:
    return [
        button.get_attribute("aria-label")
        for button in dictionary(page).get_by_role("listitem").get_by_role("button").all()
    ]


def hash_becomes(page, hash_: str) -> None:
    page.wait_for_function("expected => location.hash === expected", arg=hash_)


def heading(page, text: str) -> None:
    dictionary(page).get_by_role("heading", name=re.compile(text)).wait_for()


def test_first_view(opened) -> None:
    page = opened()
    assert page.title() == "A barn, a tree and a ball · Pellucid"
    page.get_by_text("inception_v1 answers barn, with a probability of 71.3 %.").wait_for()
    assert page.get_by_role("radio", name="barn").is_checked()
    # The strongest position of the last layer: the red roof.
    heading(page, "Row 2, column 2")
    assert icons(page)[0].startswith("Channel 208")
    assert page.locator(".picker .selected").count() == 2


def test_hover_selects_and_a_click_pins(opened) -> None:
    page = opened("#layer=mixed4d")
    region = dictionary(page)
    photo(region).hover(position=spot(region, 11, 10))
    heading(page, "Row 11, column 10")
    assert icons(page)[0] == "Channel 300 striped ball, activation 762"
    hash_becomes(page, "#layer=mixed4d&at=11,10&class=425")
    # The selection stays when the pointer leaves, so that the icons can be looked at.
    page.mouse.move(5, 5)
    heading(page, "Row 11, column 10")

    photo(region).click(position=spot(region, 2, 11))
    photo(region).hover(position=spot(region, 8, 8))
    heading(page, "Row 2, column 11")
    assert region.locator(".hovered").count() == 1
    photo(region).click(position=spot(region, 2, 11))
    photo(region).hover(position=spot(region, 8, 8))
    heading(page, "Row 8, column 8")


def test_keys(opened) -> None:
    page = opened("#layer=mixed4d&at=4,1&class=425")
    picker = photo(dictionary(page))
    picker.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp", "ArrowLeft"):
        picker.press(key)
    hash_becomes(page, "#layer=mixed4d&at=3,2&class=425")
    for key in ("Home", "PageUp", "ArrowUp", "ArrowLeft"):
        picker.press(key)
    hash_becomes(page, "#layer=mixed4d&at=0,0&class=425")
    picker.press("End")
    picker.press("PageDown")
    hash_becomes(page, "#layer=mixed4d&at=13,13&class=425")
    spoken = dictionary(page).locator("[aria-live=polite]").text_content()
    assert spoken.startswith("Row 13, column 13: channel ")
    style = picker.evaluate("element => getComputedStyle(element).outlineStyle")
    assert style == "solid"


def test_everything_can_be_reached_by_tab(opened) -> None:
    page = opened("#layer=mixed4d")
    reached = set()
    page.get_by_text("Channel attribution").wait_for()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(({ ariaLabel, innerText, name }) => ariaLabel || innerText || name)(document.activeElement)"
            )
        )
    told = " | ".join(reached)
    for name in (
        "Copy link",
        "Use the dark page",
        "class",
        "dictionary-layer",
        "spatial-layer",
        "Save PNG of What",
        "channels-layer",
        "Zoom in",
    ):
        assert name in told
    assert "Where these numbers come from" in told


def test_tap(opened) -> None:
    page = opened("#layer=mixed4d", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    region = dictionary(page)
    photo(region).scroll_into_view_if_needed()
    photo(region).tap(position=spot(region, 2, 11))
    heading(page, "Row 2, column 11")
    assert icons(page)[0].startswith("Channel 11 sun")
    hash_becomes(page, "#layer=mixed4d&at=2,11&class=425")


def test_class_choice_drives_the_map(opened) -> None:
    page = opened("#layer=mixed4d&at=11,10&class=425")
    region = spatial(page)
    chosen = region.locator("li button[aria-pressed=true]")
    assert chosen.inner_text().split("\n")[0] == "barn"
    assert region.get_by_text("deletion agreement").is_visible()
    page.get_by_role("radio", name="soccer ball").check(force=True)
    page.get_by_role("region", name="Which places speak for soccer ball").wait_for()
    assert chosen.inner_text().split("\n")[0] == "soccer ball"
    assert chosen.locator(".value").inner_text().startswith("+")
    assert not region.get_by_text("deletion agreement").is_visible()
    hash_becomes(page, "#layer=mixed4d&at=11,10&class=805")
    page.get_by_role("radio", name="croquet ball").check(force=True)
    page.get_by_text("No map of mixed4d was computed for croquet ball; choose another class.").wait_for()


def test_the_panels_point_at_the_same_place(opened) -> None:
    page = opened("#layer=mixed4d")
    region = spatial(page)
    photo(region).hover(position=spot(region, 11, 10))
    hint = region.locator(".hint").inner_text()
    assert hint == region.locator("li button[aria-pressed=true] .value").inner_text()
    assert hint.startswith("−")
    heading(page, "Row 11, column 10")
    here, there = (
        page.locator(".picker .selected").nth(place).evaluate("cell => cell.style.cssText") for place in (0, 1)
    )
    assert here == there


def test_layers(opened) -> None:
    page = opened("#layer=mixed4d&at=11,10&class=425")
    # The same place of the photo in a grid half as fine.
    dictionary(page).get_by_role("radio", name="mixed5a").check(force=True)
    hash_becomes(page, "#layer=mixed5a&at=5,5&class=425")
    # mixed3b has a map and no dictionary: the dictionary keeps to its last layer and the same place of the photo.
    spatial(page).get_by_role("button", name="mixed3b").click()
    hash_becomes(page, "#layer=mixed3b&at=23,21&class=425")
    heading(page, "Row 5, column 5")


def test_hash_is_restored_and_stable(opened) -> None:
    page = opened("#layer=mixed4d&at=11,10&class=805")
    heading(page, "Row 11, column 10")
    assert page.get_by_role("radio", name="soccer ball").is_checked()
    page.wait_for_timeout(300)
    assert page.url.endswith("#layer=mixed4d&at=11,10&class=805")
    # Pinned: a pointer that crosses the photo does not lose what the link pointed at.
    photo(dictionary(page)).hover(position=spot(dictionary(page), 1, 1))
    heading(page, "Row 11, column 10")
    page.evaluate("location.hash = '#layer=mixed5a&at=0,6&class=970'")
    heading(page, "Row 0, column 6")
    assert page.get_by_role("radio", name="alp").is_checked()


@pytest.mark.parametrize(
    "hash_",
    ["#", "#layer=nothing&at=1,1&class=1", "#layer=mixed4d&at=14,0", "#at=-1,x", "#%%%&class=<b>", "#layer=__proto__"],
)
def test_a_hash_that_says_nothing_is_harmless(opened, hash_: str) -> None:
    page = opened(hash_)
    dictionary(page).get_by_role("heading", name=re.compile("Row")).wait_for()
    assert page.get_by_role("radio", name="barn").is_checked()


def test_an_icon_shows_where_its_channel_fires(opened) -> None:
    page = opened("#layer=mixed4d&at=11,10&class=425")
    dictionary(page).get_by_role("listitem").first.get_by_role("button").hover()
    dictionary(page).get_by_text("where channel 300 is among the strongest").wait_for()
    shades = page.locator("canvas").first.evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, 14, 14).data].filter((_, place) => place % 4 === 3)"
    )
    assert len(shades) == 14 * 14
    assert shades[11 * 14 + 10] < 10
    assert shades[0] > 190


def test_a_tapped_icon_is_held(opened) -> None:
    page = opened("#layer=mixed4d&at=11,10&class=425", viewport={"width": 390, "height": 844}, has_touch=True)
    icon = dictionary(page).get_by_role("listitem").first.get_by_role("button")
    words = dictionary(page).get_by_text("where channel 300 is among the strongest")
    icon.tap()
    words.wait_for()
    icon.tap()
    words.wait_for(state="detached")


def test_theme(opened) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = opened(color_scheme="dark")
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Use the light page").click()
    light = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == light
    assert opened(color_scheme="light").evaluate(ground) == light


def test_a_number_keeps_its_percent_sign(opened) -> None:
    page = opened("#class=425")
    page.get_by_role("region", name="How far all of this can be trusted").wait_for()
    written = page.locator("main").inner_text()
    assert len(re.findall(r"\d\u00a0%", written)) > 10
    assert re.findall(r"\d[ \n]%", written) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chosen_segment_is_lighter_than_its_track(opened, scheme: str) -> None:
    page = opened("#layer=mixed4d", color_scheme=scheme)
    shade = "node => { const [r, g, b] = getComputedStyle(node).backgroundColor.match(/\\d+/g); return +r + +g + +b; }"
    chosen = dictionary(page).locator("label.chosen")
    assert chosen.evaluate(shade) > chosen.locator("xpath=..").evaluate(shade)


def test_a_channel_without_a_name_is_read_out_plainly(opened) -> None:
    page = opened("#layer=mixed5a")
    said = [name for name in icons(page) if name]
    assert said
    assert all(re.fullmatch(r"Channel \d+, activation \d+(\.\d+)?", name) for name in said)


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_sticks_out(opened, width: int) -> None:
    page = opened(viewport={"width": width, "height": 844})
    page.get_by_text("Where these numbers come from").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width >= 1280:
        assert all(
            box["width"] >= 96
            for box in (icon.bounding_box() for icon in page.locator("section:has(#dictionary-title) .icon").all())
        )


def test_copy_link(opened) -> None:
    page = opened("#layer=mixed4d&at=4,1&class=425", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Link copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").endswith("#layer=mixed4d&at=4,1&class=425")


@pytest.mark.parametrize("name", ["What the network sees at a position", "Which places speak for barn"])
def test_save_png(opened, tmp_path: Path, name: str) -> None:
    from PIL import Image

    page = opened("#layer=mixed4d&at=5,4&class=425")
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save PNG of {name}").click()
    assert download.value.suggested_filename.startswith("A_barn_a_tree_and_a_ball-mixed4d")
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as picture:
        assert picture.size[0] > 1000
        colors = picture.convert("RGB").getcolors(2**24)
        assert colors
        assert len(colors) > 1000


def test_evidence_that_no_panel_claims_is_still_shown(opened, tmp_path: Path) -> None:
    entry = EvidenceEntry(about="elsewhere:mixed4d", name="agreement", value=0.4, sentence="Of another panel.")
    page = opened(path=export_html(make_bundle(evidence=[entry]), tmp_path / "page.html"))
    page.get_by_role("region", name="How far all of this can be trusted").get_by_text("Of another panel.").wait_for()


def test_provenance(opened) -> None:
    page = opened()
    page.get_by_text("Where these numbers come from").click()
    for words in ("sha256:5c1f0a7e8d2b", "gradient × activation", "2026-01-15T12:30:00Z", '["jitter","scale"]'):
        assert page.get_by_text(words).is_visible()


def test_panels_that_were_not_computed(opened, tmp_path: Path) -> None:
    whole = make_bundle()
    assert isinstance(whole.manifest.body, ExplanationBody)
    lists = {name: [] for name, value in msgspec.structs.asdict(whole.manifest.body).items() if isinstance(value, list)}
    body = msgspec.structs.replace(whole.manifest.body, **{**lists, "classes": whole.manifest.body.classes})
    files = {"photo.webp": whole.files["photo.webp"]}
    bare = Bundle(msgspec.structs.replace(whole.manifest, body=body), files)
    page = opened(path=export_html(bare, tmp_path / "page.html"))
    assert page.get_by_role("region").count() == 1
