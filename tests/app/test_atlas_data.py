"""Atlases that are empty in places, damaged, hostile, large, or with their pictures beside the page."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy
import pytest
from drawn_atlas import LABELS, cell_map, cells, make_atlas, webp
from page_reading import read_canvas
from PIL import Image

from pellucid.app import export_html, export_site, page_html
from pellucid.bundle import AtlasLayer, Bundle, CellMap, Tiles, pack_numbers

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def atlas() -> Bundle:
    return make_atlas()


def bare() -> Bundle:
    """One layer with one grid, and nothing that an atlas may lack."""
    places, counts, attribution = cells(10, "mixed4d")
    found, files = cell_map(places, counts, attribution, 10, 10, "only")
    # Without a kept class or a known one, and without channels.
    nothing = pack_numbers(numpy.zeros((len(counts), 0)))
    found = msgspec.structs.replace(found, attribution=nothing, classes=[], top=[[] for _ in counts], channels=None)
    layer = AtlasLayer(name="layer4", rows=7, columns=7, channels=512, activations=int(counts.sum()), maps=[found])
    whole = make_atlas()
    body = msgspec.structs.replace(
        whole.manifest.body,
        layers=[layer],
        class_atlases=[],
        two_class_maps=[],
        trials=[],
        photos=[],
        evidence=[],
        seconds={},
    )
    return Bundle(msgspec.structs.replace(whole.manifest, body=body), files)


def test_what_an_atlas_lacks_leaves_no_hole(opened, tmp_path: Path) -> None:
    page = opened(path=export_html(bare(), tmp_path / "page.html"))
    page.get_by_role("heading", name="What layer4 has seen").wait_for()
    page.wait_for_function("() => document.querySelector('.figure canvas').width > 0")
    assert page.locator("main section").count() == 1
    assert page.get_by_role("button", name="Compare layers").count() == 0
    assert page.get_by_role("combobox").count() == 0
    assert page.locator(".labels span").count() == 0
    # The map takes the room that the side column would have had.
    figure, section = page.locator(".figure").bounding_box(), page.locator("main section").bounding_box()
    assert figure["width"] > section["width"] - 80
    figure = page.locator(".figure")
    box = figure.bounding_box()
    figure.click(position={"x": box["width"] / 2 + 20, "y": box["height"] / 2 + 20})
    told = page.locator(".card").inner_text()
    assert "activation" in told
    assert "speaks" not in told.lower()
    assert "pieces" not in told.lower()


def test_hostile_words_are_shown_as_words(opened, atlas: Bundle, tmp_path: Path) -> None:
    hostile = '</script><img src=x onerror="alert(1)"><b>bold</b>\u2028'
    labels = [hostile for _ in LABELS]
    body = msgspec.structs.replace(atlas.manifest.body, title=hostile, labels=labels)
    page = opened(
        "#class=0",
        path=export_html(Bundle(msgspec.structs.replace(atlas.manifest, body=body), atlas.files), tmp_path / "a.html"),
    )
    assert page.get_by_role("heading", level=1).inner_text().startswith("</script><img src=x")
    page.get_by_text("cells speak for").wait_for()
    assert page.locator("b:text-is('bold')").count() == 0
    assert page.locator("img[onerror]").count() == 0


def _with(change: Callable[[dict], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        data = json.loads(text)
        change(data)
        return json.dumps(data)

    return edit


def _body(change: Callable[[dict], object]) -> Callable[[str], str]:
    return _with(lambda data: change(data["manifest"]["body"]))


def _map(change: Callable[[dict], object]) -> Callable[[str], str]:
    return _body(lambda body: change(body["layers"][1]["maps"][1]))


TILE = "tiles/mixed4d-10/0-0.webp"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (_body(lambda body: body.pop("layers")), "a part of it is missing"),
        (_body(lambda body: body.update(layers=[])), "a part of it is missing"),
        (_body(lambda body: body.update(labels=[])), "a part of it is missing"),
        (_body(lambda body: body.pop("photos")), "a part of it is missing"),
        (_body(lambda body: body["trials"][0].pop("shares")), "a part of it is missing"),
        (_body(lambda body: body["trials"][0].update(layer="elsewhere")), "a part of it is missing"),
        (_body(lambda body: body["two_class_maps"][0].update(reach=0)), "a part of it is missing"),
        (_body(lambda body: body["photos"][0]["positions"].update(shape=[14, 14])), "a part of it is missing"),
        (_map(lambda cells: cells["counts"].pop()), "a part of it is missing"),
        (_map(lambda cells: cells["top"].pop()), "a part of it is missing"),
        (_map(lambda cells: cells["classes"].pop()), "a part of it is missing"),
        (_map(lambda cells: cells["tiles"]["files"].pop()), "a part of it is missing"),
        (_map(lambda cells: cells["patches"]["files"].pop()), "a part of it is missing"),
        (_map(lambda cells: cells["places"].update(data=cells["places"]["data"][:-4])), "a part of it is missing"),
        (_with(lambda data: data["images"].pop(TILE)), f"A picture is missing in this page ({TILE})"),
        (_with(lambda data: data["images"].update({TILE: "https://example.org/a.webp"})), "a part of it is missing"),
        (_with(lambda data: data["images"].update({TILE: "//example.org/a.webp"})), "a part of it is missing"),
        (_with(lambda data: data["images"].update({TILE: "/etc/passwd"})), "a part of it is missing"),
        (_with(lambda data: data["images"].update({TILE: "../a.webp"})), "a part of it is missing"),
        (_with(lambda data: data["images"].update({TILE: "data:image/svg+xml,<svg/>"})), "a part of it is missing"),
        (_with(lambda data: data["images"].update({TILE: "data:image/webp;base64,AAAA"})), "A picture of this page"),
    ],
)
def test_damaged_data_is_one_sentence(
    opened, atlas: Bundle, tmp_path: Path, edit: Callable[[str], str], says: str
) -> None:
    page = page_html(atlas).decode("utf-8")
    start = page.index('id="bundle">') + len('id="bundle">')
    end = page.index("</script>", start)
    path = tmp_path / "page.html"
    path.write_text(page[:start] + edit(page[start:end]) + page[end:], encoding="utf-8")
    alert = opened(path=path).get_by_role("alert")
    alert.wait_for()
    assert says in alert.inner_text()


def test_pictures_beside_the_page(browser, atlas: Bundle, tmp_path: Path) -> None:
    path = export_site(atlas, tmp_path / "site")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url.removeprefix(path.parent.as_uri() + "/")))
    page.goto(path.as_uri() + "#view=0.25,0.25,4")
    page.wait_for_function("() => document.querySelector('.figure canvas')?.dataset.grid === '40'")
    page.get_by_role("button", name="Zoom in").first.focus()
    assert complaints == []
    # Only the tiles that are seen were asked for, not all of the finest grid.
    fine = {name for name in asked if name.startswith("tiles/mixed4d-40/")}
    assert fine
    assert len(fine) < 0.5 * sum(name.startswith("tiles/mixed4d-40/") for name in atlas.files)
    # A tile that is not there is told of.
    (path.parent / "tiles" / "mixed4d-10" / "0-0.webp").unlink()
    page.reload()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "not beside it (tiles/mixed4d-10/0-0.webp)" in alert.inner_text()
    context.close()


def large() -> Bundle:
    """160 × 160 cells, each a shade of its own, below coarser grids; one class that half of them argue for."""
    whole = make_atlas()
    maps, files = [], {}
    side, tile = 32, 512
    for columns in (10, 20, 40, 80, 160):
        row, column = (axis.ravel() for axis in numpy.indices((columns, columns)))
        width = columns * side
        names = []
        for top in range(0, width, tile):
            for left in range(0, width, tile):
                wide, high = min(tile, width - left), min(tile, width - top)
                x = (left + numpy.arange(wide)) / width
                y = (top + numpy.arange(high)) / width
                shade = numpy.zeros((high, wide, 3), numpy.uint8)
                shade[..., 0], shade[..., 1], shade[..., 2] = 255 * x, 255 * y[:, None], columns
                names.append(f"large/{columns}/{top // tile}-{left // tile}.webp")
                files[names[-1]] = webp(Image.fromarray(shade))
        maps.append(
            CellMap(
                columns=columns,
                rows=columns,
                places=pack_numbers(numpy.stack([column, row], -1)),
                counts=(1 + (7 * column + 13 * row) % 50).tolist(),
                top=[[int(number)] for number in (column + row) % 12],
                attribution=pack_numbers(numpy.where(column % 2, 1.0, -1.0)[:, None]),
                classes=[0],
                tiles=Tiles(width=width, height=width, side=tile, files=names),
            )
        )
    layer = AtlasLayer(name="mixed4d", rows=14, columns=14, channels=528, activations=600_000, maps=maps)
    body = msgspec.structs.replace(
        whole.manifest.body, layers=[layer], class_atlases=[], two_class_maps=[], trials=[], photos=[], evidence=[]
    )
    return Bundle(msgspec.structs.replace(whole.manifest, body=body), files)


# Counts what is drawn in each frame while the map moves.
_WATCH = """async () => {
  const proto = CanvasRenderingContext2D.prototype;
  const draw = proto.drawImage;
  let calls = 0;
  proto.drawImage = function (...words) { calls++; return draw.apply(this, words); };
  const ask = window.requestAnimationFrame;
  const frames = [];
  window.requestAnimationFrame = step => ask(time => {
    const before = calls;
    step(time);
    frames.push(calls - before);
  });
  const figure = document.querySelector('.figure');
  figure.focus();
  const press = key => figure.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  for (const key of ['ArrowRight', 'ArrowDown', '-', 'ArrowLeft', '+', '+', 'ArrowUp', 'Home']) {
    press(key);
    await new Promise(done => setTimeout(done, 350));
  }
  return frames;
}"""


@pytest.mark.slow
def test_a_large_map_stays_quick(opened, tmp_path: Path) -> None:
    page = opened("#view=0.4,0.4,14&class=0", path=export_html(large(), tmp_path / "large.html"))
    page.wait_for_function("() => document.querySelector('.figure canvas')?.dataset.grid === '160'")
    page.get_by_text("12,800 of 25,600 cells speak for").wait_for()
    # Odd columns are seen, even ones covered: one pixel a cell, with sharp edges.
    page.wait_for_timeout(600)
    box = page.locator(".figure").bounding_box()
    pixels = read_canvas(page.locator(".figure canvas").first)
    scale = min(box["width"], box["height"]) * 0.94 * 14
    for column in range(62, 68):
        x = round(box["width"] / 2 + ((column + 0.5) / 160 - 0.4) * scale)
        red = 255 * (column + 0.5) / 160
        seen = abs(pixels[round(box["height"] / 2), x][0] - red) < 12
        assert seen == bool(column % 2)
    frames = page.evaluate(_WATCH)
    assert len(frames) > 20
    # Tiles that are seen of two grids, and an overlay for each: never a call for each cell.
    assert max(frames) < 80
