"""Activation grids side by side, their zoom and magnifier, and influence between layers: in a real browser."""

import re
from pathlib import Path

import pytest
from drawn_bundle import make_bundle, strengths
from page_reading import read_canvas

from pellucid.app import export_html
from pellucid.bundle import ExplanationBody

pytestmark = pytest.mark.browser


def grids(page):
    region = page.get_by_role("region", name="The photo as each layer sees it")
    region.wait_for()
    page.wait_for_timeout(400)
    return region


def hash_becomes(page, hash_: str) -> None:
    page.wait_for_function("expected => location.hash === expected", arg=hash_)


def figure(region, name: str):
    return region.get_by_role("application", name=re.compile(name))


def color(figure, y: float, x: float) -> list[int]:
    found = read_canvas(figure.locator("canvas"))
    return found[int(y * found.shape[0]), int(x * found.shape[1]), :3].tolist()


def picture(figure) -> str:
    return figure.locator("canvas").evaluate("canvas => canvas.toDataURL()")


def middle(figure, y: float, x: float) -> dict[str, float]:
    box = figure.bounding_box()
    return {"x": x * box["width"], "y": y * box["height"]}


def near(one: list[int], other: list[int], apart: int = 40) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < apart


def test_a_weak_cell_is_smaller(opened) -> None:
    region = grids(opened("#layer=mixed4d&class=425"))
    late = figure(region, "grid of mixed4d")
    # Just inside the corner of a cell: bare where the cell is small, its picture where cells are full.
    weak = (13 / 14 + 0.004, 0.004)
    assert near(color(late, *weak), [255, 255, 255], 10)
    region.get_by_label("Size by strength").uncheck()
    region.page.wait_for_timeout(200)
    assert not near(color(late, *weak), [255, 255, 255], 60)


def test_the_zoom_is_linked(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = grids(page)
    region.get_by_label("Size by strength").uncheck()
    names = ["The photo", "grid of mixed3b", "grid of mixed4d", "grid of mixed5a"]
    before = [picture(figure(region, name)) for name in names]
    for _ in range(3):
        region.get_by_role("button", name="Zoom in").click()
    region.get_by_text("410 %").wait_for()
    after = [picture(figure(region, name)) for name in names]
    assert all(one != other for one, other in zip(before, after, strict=True))
    # The middle of the photo stays in the middle, and the roof now reaches the left edge.
    assert near(color(figure(region, "The photo"), 0.5, 0.02), [186, 52, 44])
    region.get_by_role("button", name="Show all").click()
    region.get_by_text("100 %").wait_for()
    page.wait_for_timeout(100)
    assert [picture(figure(region, name)) for name in names] == before


def test_zoomed_pictures_are_dragged_together(opened) -> None:
    page = opened("#layer=mixed4d&at=4,1&class=425")
    region = grids(page)
    photo = figure(region, "The photo")
    for _ in range(3):
        region.get_by_role("button", name="Zoom in").click()
    late = figure(region, "grid of mixed5a")
    before = picture(late)
    photo.scroll_into_view_if_needed()
    box = photo.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 2000, box["y"] + 2000, steps=4)
    page.mouse.up()
    page.mouse.move(5, 5)
    assert picture(late) != before
    # The top left corner of the photo is sky.
    assert near(color(photo, 0.01, 0.01), [120, 180, 238])
    # A drag is no choice of a position.
    page.wait_for_timeout(300)
    assert page.url.endswith("#layer=mixed4d&at=4,1&class=425")


def test_the_wheel_zooms_only_with_ctrl(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = grids(page)
    photo = figure(region, "The photo")
    photo.scroll_into_view_if_needed()
    photo.hover()
    page.mouse.wheel(0, -10)
    assert region.get_by_text("100 %").is_visible()
    page.keyboard.down("Control")
    photo.hover()
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    region.get_by_text("529 %").wait_for()


def test_the_magnifier_is_in_every_picture(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = grids(page)
    photo, late = figure(region, "The photo"), figure(region, "grid of mixed4d")
    # Below the lens the ball's surroundings are farther out: the ring of the lens is white at a fifth of the width.
    photo.hover(position=middle(photo, 0.5, 0.5))
    page.wait_for_timeout(100)
    for one in (photo, late):
        assert near(color(one, 0.5, 0.7), [255, 255, 255], 30)
    page.mouse.move(5, 5)
    page.wait_for_timeout(100)
    assert not near(color(photo, 0.5, 0.7), [255, 255, 255], 30)


def test_a_cell_is_told_of_and_chosen(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = grids(page)
    late = figure(region, "grid of mixed5a")
    late.click(position=middle(late, 5.5 / 7, 5.5 / 7))
    hash_becomes(page, "#layer=mixed5a&at=5,5&class=425")
    region.get_by_text("row 11, column 11: strength").wait_for()
    strong = region.get_by_text("row 5, column 5: strength")
    found = (strengths("mixed5a") ** 2).sum(-1) ** 0.25
    assert float(strong.inner_text().split()[-1]) == pytest.approx(found[5, 5] / found.max(), abs=0.01)
    page.get_by_role("region", name="What the network sees").get_by_role("heading", name="Row 5, column 5").wait_for()


def test_keys(opened) -> None:
    page = opened("#layer=mixed4d&at=4,1&class=425")
    region = grids(page)
    late = figure(region, "grid of mixed4d")
    late.focus()
    late.press("ArrowDown")
    late.press("ArrowRight")
    hash_becomes(page, "#layer=mixed4d&at=5,2&class=425")
    late.press("+")
    region.get_by_text("150 %").wait_for()
    late.press("-")
    region.get_by_text("100 %").wait_for()


def test_colour_of_attribution(opened) -> None:
    page = opened("#layer=mixed4d&class=805")
    region = grids(page)
    late = figure(region, "grid of mixed5a")
    corner = (5 / 7 + 0.006, 5 / 7 + 0.006)
    region.get_by_label("Colour by what speaks for soccer ball").check()
    page.wait_for_timeout(200)
    red, green, _ = color(late, *corner)
    assert green > red + 20  # the ball speaks for the ball
    page.get_by_role("radio", name="barn").check(force=True)
    page.wait_for_timeout(200)
    red, green, _ = color(late, *corner)
    assert red > green + 20


def test_dark(opened) -> None:
    page = opened("#layer=mixed4d&class=425", color_scheme="dark")
    late = figure(grids(page), "grid of mixed4d")
    weak = (13 / 14 + 0.004, 0.004)
    assert max(color(late, *weak)) < 60
    page.get_by_role("button", name="Use the light page").click()
    page.wait_for_timeout(200)
    assert min(color(late, *weak)) > 240


def test_phone(opened) -> None:
    page = opened("#layer=mixed4d&class=425", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    region = grids(page)
    late = figure(region, "grid of mixed5a")
    late.scroll_into_view_if_needed()
    late.tap(position=middle(late, 5.5 / 7, 5.5 / 7))
    hash_becomes(page, "#layer=mixed5a&at=5,5&class=425")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_save_png(opened, tmp_path: Path) -> None:
    from PIL import Image

    page = opened("#layer=mixed4d&class=425")
    grids(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG of The photo").click()
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as saved:
        assert saved.size[0] > 3000
        colors = saved.convert("RGB").getcolors(2**24)
        assert colors
        assert len(colors) > 1000


def spatial(page):
    region = page.get_by_role("region", name=re.compile("Which places speak for"))
    region.wait_for()
    return region


def alpha(one):
    """[rows, columns]: how strongly a small map is coloured at each position, 0–255."""
    return read_canvas(one.locator("canvas"))[..., 3]


def strongest(found) -> tuple[int, int]:
    return divmod(int(found.argmax()), found.shape[1])


def test_a_position_shows_what_made_it_and_what_it_feeds(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = spatial(page)
    region.get_by_text("The same in each layer").wait_for()
    maps = region.locator(".layers .layer")
    before = [alpha(one) for one in maps.all()]
    picker = region.get_by_role("application")
    picker.hover(position=middle(picker, 11.5 / 14, 10.5 / 14))
    region.get_by_text("What row 11, column 10 of mixed4d is made of, and what it feeds").wait_for()
    assert [one.locator(".said").inner_text() for one in maps.all()] == [
        "it is made of these",
        "barn",
        "it feeds these",
    ]
    earlier, same, later = (alpha(one) for one in maps.all())
    assert (same == before[1]).all()
    assert (earlier != before[0]).any()
    # The strongest influence lies below the position, of the same part of the photo.
    row, column = strongest(earlier)
    assert (row // 2, column // 2) == (11, 10)
    assert strongest(later) == (5, 5)
    page.mouse.move(5, 5)
    region.get_by_text("The same in each layer").wait_for()


def test_a_small_map_can_be_pointed_at(opened) -> None:
    page = opened("#layer=mixed4d&class=425")
    region = spatial(page)
    early = region.locator(".layers .layer").first.locator(".thumbnail")
    early.hover(position=middle(early, 23.5 / 28, 20.5 / 28))
    region.get_by_text("What row 23, column 20 of mixed3b is made of, and what it feeds").wait_for()
    words = [one.inner_text() for one in region.locator(".layers .said").all()]
    assert words == ["barn", "it feeds these", "no neighbour of mixed3b"]


def test_panels_far_below_wait(opened) -> None:
    page = opened("#layer=mixed4d&class=425", viewport={"width": 390, "height": 500})
    # Sooner or later everything is there, without scrolling.
    page.get_by_role("region", name=re.compile("Which channels")).wait_for(state="attached")


def test_without_influences(opened, tmp_path: Path) -> None:
    path = export_html(make_bundle(influences=[], channel_links=[]), tmp_path / "page.html")
    page = opened("#layer=mixed4d&at=11,10&class=425&channel=mixed4d:208", path=path)
    spatial(page).get_by_text("The same in each layer").wait_for()
    region = page.get_by_role("region", name=re.compile("Which channels"))
    region.get_by_text("No earlier layer was looked at.").wait_for()
    region.get_by_text("No later layer was looked at").wait_for()


def test_an_odd_number_of_pictures_fills_a_phone(opened, tmp_path: Path) -> None:
    whole = make_bundle().manifest.body
    assert isinstance(whole, ExplanationBody)
    for grids in (whole.grids, whole.grids[1:]):
        path = export_html(make_bundle(grids=grids), tmp_path / f"{len(grids)}.html")
        page = opened(path=path, viewport={"width": 390, "height": 844})
        region = page.get_by_role("region", name="The photo as each layer sees it")
        region.locator("figure").nth(len(grids)).wait_for()
        # All at once: the page above still grows.
        edges = "figures => figures.map(figure => [figure.offsetTop, figure.offsetLeft + figure.offsetWidth])"
        lines: dict[int, int] = {}
        for top, right in region.locator("figure").evaluate_all(edges):
            lines[top] = max(lines.get(top, 0), right)
        assert len(lines) == (len(grids) + 2) // 2
        assert max(lines.values()) - min(lines.values()) <= 1  # every line reaches the right edge
