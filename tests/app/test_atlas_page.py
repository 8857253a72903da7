"""The page of an atlas in a real browser: moving, pointing, filtering, comparing, links and small screens."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from drawn_atlas import CLASSES, LABELS, cells, channel_means, make_atlas, photo_positions, share
from page_reading import read_canvas

from pellucid.app import export_html
from pellucid.bundle import Bundle

pytestmark = pytest.mark.browser

BARN, DAISY = LABELS.index("barn"), LABELS.index("daisy")


@pytest.fixture(scope="session")
def atlas() -> Bundle:
    return make_atlas()


@pytest.fixture(scope="session")
def atlas_path(atlas: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_html(atlas, tmp_path_factory.mktemp("atlas") / "atlas.html")


@pytest.fixture
def shown(opened, atlas_path: Path) -> Callable:
    """Opens the atlas at a hash and waits until its map is drawn; it moves without gliding, which takes time."""

    def shown(hash_: str = "", **options):
        page = opened(hash_, path=options.pop("path", atlas_path), **{"reduced_motion": "reduce", **options})
        drawn(page)
        figure(page).scroll_into_view_if_needed()
        return page

    return shown


def figure(page, number: int = 0):
    return page.get_by_role("application").and_(page.locator(".figure")).nth(number)


def card(page):
    return page.locator(".card").first


def drawn(page, number: int = 0) -> None:
    page.wait_for_function(
        """number => {
          const canvas = document.querySelectorAll('.figure canvas')[number];
          if (!canvas?.width) return false;
          const copy = new OffscreenCanvas(40, 40).getContext('2d');
          copy.drawImage(canvas, 0, 0, 40, 40);
          return copy.getImageData(0, 0, 40, 40).data.some(part => part > 0);
        }""",
        arg=number,
    )


def at_rest(page) -> None:
    """Waits until the address has not changed for a while: it is written when the view rests."""
    page.evaluate(
        """() => new Promise(done => {
          const patience = matchMedia('(prefers-reduced-motion: reduce)').matches ? 450 : 1100;
          let [last, since] = [location.hash, performance.now()];
          const look = () => {
            if (location.hash !== last) [last, since] = [location.hash, performance.now()];
            if (performance.now() - since > patience) done();
            else setTimeout(look, 50);
          };
          look();
        })"""
    )


def view(page) -> tuple[float, float, float]:
    """Centre and zoom as the address says them; the whole map where it says nothing."""
    at_rest(page)
    found = re.search(r"[#&]view=([\d.-]+),([\d.-]+),([\d.]+)", page.evaluate("location.hash"))
    return (float(found[1]), float(found[2]), float(found[3])) if found else (0.5, 0.5, 1.0)


def size(page, number: int = 0) -> tuple[float, float]:
    box = figure(page, number).bounding_box()
    return box["width"], box["height"]


def spot(page, x: float, y: float, look=(0.5, 0.5, 1.0), number: int = 0) -> dict[str, float]:
    """The point of the figure over a place of a square map, worked out apart from the page."""
    width, height = size(page, number)
    scale = min(width, height) * 0.94 * look[2]
    return {"x": width / 2 + (x - look[0]) * scale, "y": height / 2 + (y - look[1]) * scale}


def cell_spot(page, columns: int, column: int, row: int, look=(0.5, 0.5, 1.0)) -> dict[str, float]:
    return spot(page, (column + 0.5) / columns, (row + 0.5) / columns, look)


def grid(page, number: int = 0) -> int:
    return int(page.locator(".figure canvas").nth(number).get_attribute("data-grid"))


def known(columns: int, column: int, row: int, layer: str = "mixed4d") -> tuple[int, numpy.ndarray]:
    places, counts, attribution = cells(columns, layer)
    [found] = numpy.nonzero((places == [column, row]).all(-1))[0]
    return int(counts[found]), attribution[found]


@pytest.mark.slow
def test_first_view(shown) -> None:
    page = shown()
    assert page.title() == "An atlas of drawn things · Pellucid"
    assert "looked at 4,000 images" in page.locator("h1 + p").inner_text()
    page.get_by_role("heading", name="What mixed4d has seen").wait_for()
    assert grid(page) == 10
    # The middle of the cell of column 2 and row 1 is the door of a barn; a corner of the map is empty.
    pixels = read_canvas(page.locator(".figure canvas").first)
    at = cell_spot(page, 10, 2, 1)
    assert numpy.abs(pixels[round(at["y"]) + 8, round(at["x"])][:3] - CLASSES[BARN][2]).max() < 40
    assert pixels[5, 5][3] == 0
    assert page.get_by_text("Answers that are alike lie side by side").is_visible()
    assert not page.get_by_text("The earlier layer's map keeps").is_visible()


@pytest.mark.slow
def test_keys_zoom_and_the_grid_becomes_finer(shown) -> None:
    page = shown()
    figure(page).focus()
    seen = [grid(page)]
    for _ in range(6):
        page.keyboard.press("+")
        zoom = view(page)[2]
        seen.append(grid(page))
        width, height = size(page)
        cell = min(width, height) * 0.94 * zoom / seen[-1]
        # The best of the three grids is never farther than √2 from the best size, and a little inertia.
        assert seen[-1] == 40 or cell < 74 * math.sqrt(2) * 1.13
    assert seen == sorted(seen)
    assert set(seen) == {10, 20, 40}
    page.keyboard.press("Home")
    page.wait_for_function("() => !location.hash.includes('view=')")
    assert grid(page) == 10


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_wheel_zooms_about_the_pointer(shown, motion: str) -> None:
    page = shown(reduced_motion=motion)
    point = spot(page, 0.7, 0.3)
    figure(page).hover(position=point)
    for _ in range(3):
        page.mouse.wheel(0, -200)
    look = view(page)
    assert look[2] == pytest.approx(math.exp(600 / 320), rel=0.01)
    again = spot(page, 0.7, 0.3, look)
    assert (again["x"], again["y"]) == pytest.approx((point["x"], point["y"]), abs=2)
    # Far out, the wheel is the page's again.
    for _ in range(8):
        page.mouse.wheel(0, 200)
    assert view(page)[2] == 1
    assert page.evaluate("scrollY") > 0


def test_a_drag_moves_the_map_and_keeps_it_in_sight(shown) -> None:
    page = shown("#view=0.5,0.5,4")
    box = figure(page).bounding_box()
    x, y = box["x"] + 400, box["y"] + 300
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y - 30, steps=4)
    page.wait_for_timeout(120)
    page.mouse.up()
    scale = min(box["width"], box["height"]) * 0.94 * 4
    look = view(page)
    assert (look[0] - 0.5) * scale == pytest.approx(60, abs=3)
    assert (look[1] - 0.5) * scale == pytest.approx(30, abs=3)
    for _ in range(6):
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 380, y + 280, steps=3)
        page.mouse.up()
    look = view(page)
    # The upper left corner of the map is just within the figure.
    corner = spot(page, 0, 0, look)
    assert 0 <= corner["x"] < 0.1 * box["width"]
    assert 0 <= corner["y"] < 0.1 * box["height"]


def test_pointing_tells_of_a_cell(shown) -> None:
    page = shown("#view=0.3,0.3,2.4")
    look = view(page)
    assert grid(page) == 20
    figure(page).hover(position=cell_spot(page, 20, 5, 5, look))
    count, attribution = known(20, 5, 5)
    told = card(page).inner_text()
    assert re.search(rf"\b{count} activations", told)
    assert "column 5, row 5" in told
    best = [LABELS[index] for index in numpy.argsort(-attribution)[:3] if attribution[index] > 0]
    assert [row.inner_text() for row in card(page).locator("li button").all()] == best
    values = [float(row.inner_text()) for row in card(page).locator("li .value").all()]
    assert values == pytest.approx(numpy.sort(attribution)[::-1][: len(best)], abs=0.02)
    assert card(page).locator(".pieces span").count() == min(4, count)
    # Where there is no cell, nothing is told.
    page.mouse.move(3, 3)
    assert page.locator(".card").count() == 0


def test_a_click_pins_and_arrows_walk(shown) -> None:
    page = shown("#view=0.3,0.3,2.4")
    look = view(page)
    figure(page).click(position=cell_spot(page, 20, 5, 5, look))
    page.mouse.move(3, 3)
    assert "column 5, row 5" in card(page).inner_text()
    figure(page).press("ArrowRight")
    figure(page).press("ArrowDown")
    assert "column 6, row 6" in card(page).inner_text()
    page.wait_for_function("() => location.hash.includes('cell=20:6,6')")
    assert page.locator("[aria-live=polite]").first.inner_text().startswith("Column 6, row 6: speaks for ")
    for _ in range(16):
        figure(page).press("ArrowRight")
    # Walking takes the map along, and the card stays beside its cell.
    look = view(page)
    column = int(card(page).inner_text().partition("column ")[2].split(",")[0])
    assert column >= 17
    assert 0 < cell_spot(page, 20, column, 6, look)["x"] < size(page)[0]
    figure(page).press("Escape")
    assert page.locator(".card").count() == 0
    page.wait_for_function("() => !location.hash.includes('cell=')")


def test_a_link_brings_everything_back(shown) -> None:
    hash_ = (
        "#layer=mixed4a&view=0.4200,0.5600,3.50&cell=20:8,11&beside=mixed4d&beside-cell=20:9,11&class=10&sign=against"
        "&least=0.1&labels=off&photo=0&map=1&map-view=0.4000,0.2500,2.00&map-cell=16:5,3"
    )
    page = shown(hash_)
    at_rest(page)
    page.get_by_role("heading", name="What mixed4a and mixed4d have seen").wait_for()
    assert page.get_by_role("combobox").input_value() == "lakeside"
    assert page.get_by_role("radio", name="against it").is_checked()
    assert page.get_by_role("button", name="Labels").get_attribute("aria-pressed") == "false"
    page.get_by_role("heading", name="What speaks for soccer ball against croquet ball").wait_for()
    told = [text for text in page.locator(".card").all_inner_texts() if "column" in text]
    for place in ("column 8, row 11", "column 9, row 11", "column 5, row 3"):
        assert sum(place in text for text in told) == 1
    at_rest(page)
    assert page.evaluate("location.hash") == hash_


@pytest.mark.parametrize(
    "hash_",
    ["#layer=nothing&view=9,9,9&cell=20:99,99&class=400&photo=7&map=9", "#view=a,b,c&least=7&cell=1:2", "#class=-1"],
)
def test_a_foreign_link_does_no_harm(shown, hash_: str) -> None:
    page = shown(hash_)
    page.get_by_role("heading", name="What mixed4d has seen").wait_for()
    assert page.locator(".card").count() == 0
    assert page.get_by_role("combobox").input_value() == ""


@pytest.mark.slow
def test_the_filter_counts_and_fades(shown) -> None:
    page = shown()
    field = page.get_by_role("combobox")
    field.click()
    field.fill("dai")
    assert page.get_by_role("option").all_inner_texts() == ["daisy"]
    field.press("Enter")
    places, _, attribution = cells(10, "mixed4d")
    values = attribution[:, DAISY]
    arguing = int((values >= 0.3 * values.max()).sum())
    side = page.locator(".side")
    side.get_by_text(f"{arguing} of {len(values)} cells speak for daisy").wait_for()
    strongest = places[values.argmax()]
    first = side.locator("ol button").first
    assert first.get_attribute("aria-label").startswith(f"Fly to column {strongest[0]}, row {strongest[1]}: +")
    page.wait_for_timeout(300)

    # A cell that argues is as it was; one that does not is hardly more than the ground.
    pixels = read_canvas(page.locator(".figure canvas").first)
    kept, gone = cell_spot(page, 10, *strongest), cell_spot(page, 10, 2, 1)
    assert numpy.abs(pixels[round(kept["y"]), round(kept["x"])][:3] - [110, 70, 40]).max() < 40
    faded = pixels[round(gone["y"]) + 8, round(gone["x"])][:3]
    assert numpy.abs(faded - [243, 242, 238]).max() < 24
    best = attribution.argmax(1)[values >= 0.3 * values.max()]
    named = page.locator(".figure").first.locator(".labels span").all_inner_texts()
    assert "daisy" in named
    assert set(named) <= {LABELS[index] for index in best}

    side.get_by_role("slider").fill("0.9")
    strict = int((values >= 0.9 * values.max()).sum())
    assert strict < arguing
    side.get_by_text(f"{strict} of {len(values)} cells speak").wait_for()
    page.get_by_role("radio", name="against it").check(force=True)
    against = int((-values >= 0.9 * (-values).max()).sum())
    verb = "speaks" if against == 1 else "speak"
    side.get_by_text(f"{against} of {len(values)} cells {verb} against daisy").wait_for()
    assert side.locator("ol span").first.inner_text().startswith("−")

    first.click()
    page.wait_for_function("() => location.hash.includes('cell=10:')")
    assert view(page)[2] > 1
    page.get_by_role("button", name="Ask for no class").click()
    page.wait_for_function("() => !location.hash.includes('class=')")


def test_a_channel_leads_to_its_cells(shown) -> None:
    page = shown()
    field = page.get_by_label("Search for a channel of mixed4d, 0 to 527")
    field.fill("14")  # the second channel of class 2
    places, _, attribution = cells(10, "mixed4d")
    means = channel_means(attribution, 528)
    strongest = means[:, 14].argmax()
    found = page.get_by_role("button", name="Fly to column")
    column, row = places[strongest]
    assert found.first.get_attribute("aria-label") == f"Fly to column {column}, row {row}: {means[strongest, 14]:.2f}"
    assert found.count() == min(6, int((means[:, 14] > 0).sum()))
    page.wait_for_function("() => location.hash.includes('channel=14')")

    found.first.click()
    card = page.locator(".card").first
    card.get_by_text("Strongest channels").wait_for()
    listed = [button.inner_text() for button in card.get_by_role("button", name="Search for channel").all()]
    assert listed == [str(number) for number in numpy.argsort(-means[strongest], kind="stable")[:4]]
    card.get_by_role("button", name="Search for channel").nth(1).click()
    page.wait_for_function(f"() => location.hash.includes('channel={listed[1]}')")
    assert field.input_value() == listed[1]

    field.fill("528")
    page.get_by_text("mixed4d has channels 0 to 527.").wait_for()
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("500")  # silent
    page.get_by_text("No cell has channel 500.").wait_for()
    page.get_by_role("button", name="Ask for no channel").click()
    page.wait_for_function("() => !location.hash.includes('channel=')")
    page.goto(page.url.split("#")[0] + "#layer=mixed4a&channel=3")
    page.get_by_text("Channel 3 is strongest in these cells:").wait_for()


def test_the_search_works_by_keys(shown) -> None:
    page = shown()
    field = page.get_by_role("combobox")
    field.focus()
    field.press("ArrowDown")
    assert page.get_by_role("option").all_inner_texts() == sorted(LABELS, key=str.lower)[:8]
    field.fill("ball")
    field.press("ArrowDown")
    assert page.locator("[role=option][aria-selected=true]").inner_text() == "soccer ball"
    field.press("Enter")
    assert field.input_value() == "soccer ball"
    field.fill("nothing such")
    assert page.get_by_text("no class of that name").is_visible()
    field.press("Escape")
    field.press("Tab")
    assert field.input_value() == "soccer ball"


def labels(page) -> list[tuple[str, dict]]:
    at_rest(page)
    page.wait_for_timeout(250)
    return [(span.inner_text(), span.bounding_box()) for span in page.locator(".figure").first.locator("span").all()]


@pytest.mark.parametrize("hash_", ["", "#view=0.4,0.6,2.2", "#view=0.6,0.4,5"])
def test_labels_name_cells_and_never_overlap(shown, hash_: str) -> None:
    page = shown(hash_)
    found = labels(page)
    look = view(page)
    columns = grid(page)
    box = figure(page).bounding_box()
    scale = min(box["width"], box["height"]) * 0.94 * look[2]
    assert 3 <= len(found) <= 20
    for number, (text, one) in enumerate(found):
        for _, other in found[number + 1 :]:
            apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            assert apart or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
        x = (one["x"] + one["width"] / 2 - box["x"] - box["width"] / 2) / scale + look[0]
        y = (one["y"] + one["height"] / 2 - box["y"] - box["height"] / 2) / scale + look[1]
        _, attribution = known(columns, math.floor(x * columns), math.floor(y * columns))
        assert text == LABELS[int(attribution.argmax())]
    page.get_by_role("button", name="Labels").click()
    page.wait_for_function("() => !document.querySelector('.figure .labels span')")


@pytest.mark.slow
def test_coming_closer_names_more(shown) -> None:
    page = shown()
    whole = len(labels(page))
    quarters = 0
    for x in (0.25, 0.75):
        for y in (0.25, 0.75):
            page.evaluate(f"location.hash = '#view={x},{y},2'")
            quarters += len(labels(page))
    assert quarters > 1.5 * whole


@pytest.mark.slow
def test_layers_keep_the_view(shown) -> None:
    page = shown("#view=0.4,0.6,3")
    look = view(page)
    before = read_canvas(page.locator(".figure canvas").first)
    page.get_by_role("radio", name="mixed4a").check(force=True)
    page.get_by_role("heading", name="What mixed4a has seen").wait_for()
    assert view(page) == look
    assert page.evaluate("location.hash").startswith("#layer=mixed4a&view=0.4000,0.6000,3.00")
    assert numpy.abs(before - read_canvas(page.locator(".figure canvas").first)).max() > 60
    # Thumbnails are drawn: they differ, and neither is empty.
    one, two = (read_canvas(canvas) for canvas in page.locator("label canvas").all())
    assert one[..., 3].max() == two[..., 3].max() == 255
    assert (one != two).any()


def test_two_layers_side_by_side_move_together(shown) -> None:
    page = shown("#layer=mixed4d")
    page.get_by_role("button", name="Compare layers").click()
    drawn(page, 1)
    page.get_by_role("heading", name="What mixed4d and mixed4a have seen").wait_for()
    one, two = figure(page, 0).bounding_box(), figure(page, 1).bounding_box()
    assert two["x"] > one["x"] + one["width"]
    assert two["y"] == one["y"]
    assert two["width"] == pytest.approx(one["width"], abs=1)
    figure(page, 1).focus()
    for _ in range(3):
        page.keyboard.press("+")
    look = view(page)
    assert look[2] == pytest.approx(1.5**3, rel=0.01)
    page.wait_for_timeout(300)
    assert grid(page, 0) == grid(page, 1) == 20
    assert page.get_by_text("The earlier layer's map keeps").is_visible()
    # The same point tells of each layer's own cell.
    for number, layer in enumerate(("mixed4d", "mixed4a")):
        figure(page, number).hover(position=spot(page, 0.525, 0.525, look, number))
        count, _ = known(20, 10, 10, layer)
        assert re.search(rf"\b{count} activations", page.locator(".card").inner_text())


def test_the_minimap_is_dragged(shown) -> None:
    page = shown("#view=0.3,0.3,3")
    mini = page.locator(".minimap").first.bounding_box()
    page.mouse.move(mini["x"] + 0.75 * mini["width"], mini["y"] + 0.7 * mini["height"])
    page.mouse.down()
    page.mouse.up()
    assert view(page)[:2] == pytest.approx((0.75, 0.7), abs=0.03)
    page.mouse.move(mini["x"] + 0.75 * mini["width"], mini["y"] + 0.7 * mini["height"])
    page.mouse.down()
    page.mouse.move(mini["x"] + 0.55 * mini["width"], mini["y"] + 0.5 * mini["height"], steps=3)
    page.mouse.up()
    look = view(page)
    assert look[:2] == pytest.approx((0.55, 0.5), abs=0.03)
    assert look[2] == 3
    page.get_by_role("button", name="Show the whole map").first.click()
    page.wait_for_function("() => !location.hash.includes('view=')")
    assert page.locator(".minimap").count() == 0


def test_maps_of_classes(shown) -> None:
    page = shown()
    region = page.locator("section[aria-labelledby=further-title]")
    region.scroll_into_view_if_needed()
    region.get_by_role("heading", name="Only what speaks for barn").wait_for()
    drawn(page, 1)
    page.wait_for_timeout(300)
    # That everything speaks for barn goes without saying: other classes are named.
    assert "barn" not in region.locator(".labels span").all_inner_texts()
    region.get_by_text("soccer ball against croquet ball").click()
    region.get_by_text("← speaks for soccer ball").wait_for()
    page.wait_for_timeout(400)
    ticks = {
        text.inner_text(): text.bounding_box()["x"] + text.bounding_box()["width"] / 2
        for text in region.locator(".scale span").all()
    }
    box = figure(page, 1).bounding_box()
    assert ticks["0"] == pytest.approx(box["x"] + box["width"] / 2, abs=2)
    assert set(ticks) == {"3.20", "1.60", "0"}
    # 16 columns: pointing right of the middle tells of a cell that speaks for the second.
    middle = box["width"] / 2
    for step, name in ((-0.2, "soccer ball"), (0.2, "croquet ball")):
        figure(page, 1).hover(position={"x": middle + step * box["width"], "y": box["height"] / 2})
        assert region.locator(".card li button").first.inner_text() == name
    figure(page, 1).focus()
    page.keyboard.press("+")
    page.wait_for_function("() => location.hash.includes('map-view=0.5000,0.2500,1.50')")
    page.wait_for_timeout(500)
    assert {text.inner_text() for text in region.locator(".scale span").all()} == {"1.60", "0"}


def test_the_laboratory(shown) -> None:
    page = shown("#layer=mixed4a")
    region = page.locator("section[aria-labelledby=laboratory-title]")
    page.get_by_text("Patch laboratory").scroll_into_view_if_needed()
    assert "beats every control" in region.inner_text()
    rows = region.locator("table").first.locator("tbody tr:not(.axis)").all()
    expected = [share(*row) for row in (("patch", "any", 41), ("noise", "any", 2), ("random cells", "any", 5))]
    for row, told in zip(rows, expected, strict=False):
        assert row.locator("th").inner_text().strip() == told.name
        plot, whisker = row.locator(".plot").bounding_box(), row.locator(".whisker").bounding_box()
        assert whisker["x"] - plot["x"] == pytest.approx(told.low * plot["width"], abs=2)
        assert whisker["width"] == pytest.approx((told.high - told.low) * plot["width"], abs=2)
        dot = row.locator(".dot").bounding_box()
        assert dot["x"] + 5 - plot["x"] == pytest.approx(told.flipped / told.total * plot["width"], abs=2)
        assert f"{told.flipped} of 60" in row.inner_text()
    assert len(rows) == 5
    assert "68 % (56–79)" in rows[0].inner_text()
    assert not region.get_by_text("40 %, lower left").first.is_visible()
    region.get_by_text("Each size and corner", exact=True).click()
    assert region.get_by_text("40 %, lower left").first.is_visible()
    region.get_by_role("button", name="Show its cell").click()
    page.wait_for_function("() => /layer=mixed4d.*cell=20:6,17/.test(location.hash)")
    look = view(page)
    assert look[2] > 1
    assert "column 6, row 17" in card(page).inner_text()
    at = cell_spot(page, 20, 6, 17, look)
    assert 0 < at["x"] < size(page)[0]
    assert 0 < at["y"] < size(page)[1]


@pytest.mark.slow
def test_a_photo_on_the_map(shown) -> None:
    page = shown("#photo=0")
    positions = photo_positions()
    picker = page.get_by_role("application", name=re.compile("a barn on a hill"))
    box = picker.bounding_box()
    picker.hover(position={"x": (7 + 0.5) / 14 * box["width"], "y": (1 + 0.5) / 14 * box["height"]})
    column, row = (math.floor(value * 10) for value in positions[1, 7])
    assert f"column {column}, row {row}" in card(page).inner_text()
    page.wait_for_timeout(100)
    pixels = read_canvas(page.locator(".figure canvas").first)
    dot = spot(page, *positions[1, 7])
    assert numpy.abs(pixels[round(dot["y"]), round(dot["x"])][:3] - [17, 18, 20]).max() < 12
    # The other way round: a lonely dot on the map marks its position on the photo.
    flat = positions.reshape(-1, 2)
    apart = numpy.linalg.norm(flat[:, None] - flat[None], axis=-1) + 9 * numpy.eye(len(flat))
    lonely = int(apart.min(1).argmax())
    figure(page).hover(position=spot(page, *flat[lonely]))
    here = picker.locator(".here").bounding_box()
    at = picker.bounding_box()
    assert (here["x"] - at["x"]) / at["width"] * 14 == pytest.approx(lonely % 14, abs=0.1)
    assert (here["y"] - at["y"]) / at["height"] * 14 == pytest.approx(lonely // 14, abs=0.1)
    page.get_by_role("radio", name="mixed4a").check(force=True)
    page.get_by_text("Where a barn on a hill lies in mixed4a was not computed.").wait_for()


def test_the_lasso(shown) -> None:
    page = shown()
    page.evaluate("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }")
    page.get_by_role("button", name="Lasso").click()
    box = figure(page).bounding_box()
    corners = [(0.12, 0.12), (0.42, 0.12), (0.42, 0.38), (0.12, 0.38)]
    for number, (x, y) in enumerate([*corners, (0.12, 0.2)]):
        at = spot(page, x, y)
        page.mouse.move(box["x"] + at["x"], box["y"] + at["y"], steps=3)
        if not number:
            page.mouse.down()
    page.mouse.up()
    places, counts, attribution = cells(10, "mixed4d")
    centres = (places + 0.5) / 10
    # The rectangle of the corners, whose last side leans a little and cuts no centre off.
    inside = ((centres > [0.12, 0.12]) & (centres < [0.42, 0.38])).all(-1)
    told = page.locator(".loop")
    told.get_by_text(f"{inside.sum()} cells in the loop on mixed4d, {counts[inside].sum():,} activations").wait_for()
    means = (counts[inside, None] * attribution[inside]).sum(0) / counts[inside].sum()
    best = [LABELS[index] for index in numpy.argsort(-means)[:5] if means[index] > 0]
    assert told.locator("button.link").all_inner_texts() == best
    told.get_by_role("button", name="Copy for Python").click()
    told.get_by_text("Copied").wait_for()
    chosen = ", ".join(f"({column}, {row})" for column, row in places[inside])
    assert page.evaluate("copied") == f'atlas.select("mixed4d", grid=10, cells=[{chosen}])'
    # While the lasso is out, a drag does not move the map.
    assert view(page) == (0.5, 0.5, 1.0)
    told.get_by_role("button", name="Clear").click()
    assert page.locator(".loop").count() == 0


def test_a_picture_can_be_saved(shown) -> None:
    page = shown("#layer=mixed4d&beside=mixed4a")
    drawn(page, 1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save PNG of What mixed4d and mixed4a").click()
    assert saved.value.suggested_filename == "An_atlas_of_drawn_things-mixed4d-mixed4a.png"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hash_", ["#class=0&cell=10:3,3&photo=0&map=1", "#beside=mixed4a"])
def test_a_phone(shown, hash_: str, scheme: str) -> None:
    page = shown(hash_, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme=scheme)
    page.get_by_text("Patch laboratory").scroll_into_view_if_needed()
    page.get_by_text("Where these numbers come from").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ground = page.locator(".figure").first.evaluate("element => getComputedStyle(element).backgroundColor")
    if "beside" in hash_:
        one, two = figure(page, 0).bounding_box(), figure(page, 1).bounding_box()
        assert two["y"] > one["y"] + one["height"]
        assert two["width"] == one["width"]
    assert ground == ("rgb(243, 242, 238)" if scheme == "light" else "rgb(35, 37, 41)")


def test_a_tap_tells_of_a_cell(shown) -> None:
    page = shown(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    figure(page).scroll_into_view_if_needed()
    figure(page).tap(position=cell_spot(page, 10, 2, 2))
    assert "column 2, row 2" in card(page).inner_text()
    # It stands below the map and hides nothing of it.
    below = figure(page).bounding_box()
    assert card(page).bounding_box()["y"] >= below["y"] + below["height"]


def test_two_fingers_zoom(shown) -> None:
    page = shown(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    box = figure(page).bounding_box()
    session = page.context.new_cdp_session(page)
    middle = {"x": box["x"] + 0.6 * box["width"], "y": box["y"] + 0.4 * box["height"]}

    def touch(kind: str, apart: float | None) -> None:
        points = [] if apart is None else [{**middle, "x": middle["x"] + way * apart, "id": way} for way in (-1, 1)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 30)
    for apart in range(36, 91, 6):
        touch("touchMove", apart)
    touch("touchEnd", None)
    look = view(page)
    # Three times as far apart, three times as large; the place between the fingers stays there, but for the first
    # steps, in which the whole map is still kept in the middle.
    assert look[2] == pytest.approx(3, rel=0.08)
    home = min(box["width"], box["height"]) * 0.94
    place = 0.5 + 0.1 * box["width"] / home, 0.5 - 0.1 * box["height"] / home
    again = spot(page, *place, look)
    assert again["x"] == pytest.approx(0.6 * box["width"], abs=14)
    assert again["y"] == pytest.approx(0.4 * box["height"], abs=14)


def test_who_wants_no_motion_gets_none(shown) -> None:
    page = shown(reduced_motion="reduce")
    figure(page).focus()
    steps = page.evaluate(
        """async () => {
          const figure = document.querySelector('.figure');
          const label = () => document.querySelector('.minimap span')?.style.cssText;
          figure.dispatchEvent(new KeyboardEvent('keydown', { key: '+', bubbles: true }));
          await new Promise(done => setTimeout(done, 0));
          const first = label();
          await new Promise(done => setTimeout(done, 500));
          return [first, label()];
        }"""
    )
    assert steps[0]
    assert steps[0] == steps[1]


def test_everything_can_be_reached_by_tab(shown) -> None:
    page = shown("#class=0&photo=0")
    page.get_by_text("Patch laboratory").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 0)")
    reached = set()
    for _ in range(70):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(({ ariaLabel, innerText, name }) => ariaLabel || innerText || name)(document.activeElement)"
            )
        )
    told = " | ".join(reached)
    for name in (
        *("Copy link", "Save PNG of What", "layer", "Labels", "Lasso", "Compare layers", "Map of mixed4d", "Zoom in"),
        *("Show the whole map", "Search for a class", "influence", "Least strength", "Fly to column", "its positions"),
        *("further", "Show its cell on the map", "Each size and corner", "Where these numbers come from"),
    ):
        assert name in told
