"""The page of a report in a real browser: its verdict, its layers, its pictures, links and small screens."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from drawn_report import ICON, LAYERS, MEASURES, METHODS, PIECE, make_report
from PIL import Image

from pellucid.app import export_html, frame_html, page_html
from pellucid.bundle import Bundle

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SAID = {"for": "shows what fires it", "against": "misleads", "nothing": "cannot be judged"}


@pytest.fixture(scope="module")
def report() -> Bundle:
    return make_report()


@pytest.fixture(scope="module")
def report_path(report: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_html(report, tmp_path_factory.mktemp("report") / "trust.html")


@pytest.fixture
def shown(opened: Callable, report_path: Path) -> Callable:
    """Opens the report at a hash."""

    def shown(hash_: str = "", **options):
        page = opened(hash_, path=options.pop("path", report_path), **options)
        overview(page).wait_for()
        return page

    return shown


def overview(page):
    return page.get_by_role("region", name="What can be believed")


def pictures(page):
    region = page.get_by_role("region", name=re.compile("^Do pictures of"))
    region.wait_for()
    return region


def methods(page):
    region = page.get_by_role("region", name=re.compile("^Which methods foretell"))
    region.wait_for()
    return region


def text(locator) -> str:
    return " ".join(locator.inner_text().split())


def channels(page) -> list[int]:
    """The channels whose cards are shown, in their order."""
    headings = pictures(page).locator("article h3").all_inner_texts()
    return [int(re.match(r"Channel (\d+)", heading)[1]) for heading in headings]  # type: ignore[index]


def test_the_verdict_is_what_the_numbers_say(shown: Callable) -> None:
    units = [unit for _, of_layer in LAYERS.values() for unit in of_layer]
    count = {says: sum(unit[1] == says for unit in units) for says in SAID}
    said = overview(shown()).locator(".findings dd")
    assert text(said.first) == (
        f"{count['for']} of {len(units)} channels’ pictures show what fires the channel on photos; "
        f"{count['against']} mislead, and of {count['nothing']} it cannot be said."
    )
    # Medians over the two layers in which methods were tried.
    assert text(said.nth(1)).startswith("Believe removal: what it foretells correlates by 0.95")
    assert text(said.nth(2)).startswith("Believe linear: what it foretells correlates by 0.97")
    assert "mere strength of activation by 0.36." in text(said.nth(2))
    assert text(said.nth(3)) == "No method foretells better than mere strength what removing groups does."
    assert text(said.nth(4)) == (
        "Pictures mislead most often in mixed3b (2 of 4). Least can be said of mixed3b (1 of 4)."
    )


def test_every_layer_has_a_row_with_counts_and_best_methods(shown: Callable) -> None:
    rows = overview(shown()).locator("tbody tr")
    told = [text(row) for row in rows.all()]
    assert told[0] == (
        "mixed3b 28 × 28, 480 channels ● 1 show it ○ 1 cannot be judged ✕ 2 mislead "
        "not measured not measured not measured"
    )
    assert told[1].endswith(
        "● 3 show it ○ 1 cannot be judged ✕ 1 mislead removal 0.91 0.26 strength linear 0.98 0.31 strength "
        "○ nothing beats mere strength"
    )
    assert "removal 0.99 0.79 strength linear 0.96 0.41 strength not measured" in told[2]


def test_bars_are_as_long_as_their_numbers(shown: Callable) -> None:
    rows = overview(shown()).locator("tbody tr")
    parts = [part.bounding_box()["width"] for part in rows.nth(1).locator(".standing .bar span").all()]
    gaps = 4
    assert parts == pytest.approx([(sum(parts) + gaps) * share - gaps / 3 for share in (0.6, 0.2, 0.2)], abs=2)
    value, control = (bar.bounding_box()["width"] for bar in rows.nth(1).locator(".beside .bar").all()[:2])
    assert value / control == pytest.approx(0.91 / 0.26, rel=0.05)


def test_a_row_leads_to_its_layer(shown: Callable) -> None:
    page = shown()
    page.wait_for_url("**layer=mixed5a")
    overview(page).get_by_role("button", name="mixed3b").click()
    page.wait_for_url("**layer=mixed3b")
    assert "mixed3b" in text(pictures(page).get_by_role("heading", level=2))
    assert pictures(page).get_by_role("heading", level=2).bounding_box()["y"] < 300
    assert overview(page).locator("[aria-current=true]").inner_text() == "mixed3b"
    page.go_back()
    page.wait_for_url("**layer=mixed5a")
    assert "mixed5a" in text(pictures(page).get_by_role("heading", level=2))


def test_misleading_pictures_come_first_and_cards_say_what_was_found(shown: Callable) -> None:
    page = shown("#layer=mixed4d")
    assert channels(page) == [350, 77, 5, 300, 426]
    says = {unit[0]: unit[1] for unit in LAYERS["mixed4d"][1]}
    for card, channel in zip(pictures(page).locator("article").all(), channels(page), strict=True):
        assert SAID[says[channel]] in text(card.locator("h3"))
    first = pictures(page).locator("article").first
    assert "through other channels than photos do" in text(first)
    assert text(first.locator(".numbers")) == "same cause as on photos −0.10 0.40 control"
    assert text(pictures(page).locator("article").nth(2).locator("h3")).startswith("Channel 5, sky")


def test_a_picture_stands_beside_the_pieces_that_fire_its_channel(
    shown: Callable, report: Bundle, tmp_path: Path
) -> None:
    """The second sheet of pieces, too: channel 350 is the fourth of its layer, and three fit in a sheet."""
    page = shown("#layer=mixed4d")
    card = pictures(page).locator("article").first
    tree = _average(_piece(report, "pieces/mixed4d-1.webp", 2, 0))
    assert _seen(page, card.locator(".pieces span").nth(2), tmp_path) == pytest.approx(tree, abs=6)
    hill = _icon(report, "icons/mixed4d.webp", 3)
    assert _seen(page, card.get_by_role("img", name="Picture of channel 350"), tmp_path) == pytest.approx(hill, abs=6)
    assert card.get_by_role("img", name="6 pieces of photos that fire channel 350 most").locator("span").count() == 6


def _piece(report: Bundle, file: str, column: int, row: int) -> Image.Image:
    sheet = Image.open(io.BytesIO(report.files[file])).convert("RGB")
    return sheet.crop((column * PIECE, row * PIECE, (column + 1) * PIECE, (row + 1) * PIECE))


def _icon(report: Bundle, file: str, place: int) -> list[float]:
    """Mean colour of an icon on the page's ground for icons."""
    sheet = Image.open(io.BytesIO(report.files[file])).convert("RGBA")
    ground = Image.new("RGBA", sheet.size, (238, 237, 233))
    ground.alpha_composite(sheet)
    left, top = place % 2 * ICON, place // 2 * ICON
    return _average(ground.convert("RGB").crop((left, top, left + ICON, top + ICON)))


def _average(picture: Image.Image) -> list[float]:
    return list(picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))  # pyright: ignore[reportArgumentType]


def _seen(page, locator, tmp_path: Path) -> list[float]:
    path = tmp_path / "seen.png"
    locator.screenshot(path=path)
    with Image.open(path) as picture:
        return _average(picture.convert("RGB"))


def test_pictures_are_filtered(shown: Callable) -> None:
    page = shown("#layer=mixed4d")
    choice = pictures(page).get_by_role("group", name="Which pictures")
    assert [text(label) for label in choice.locator("label").all()] == [
        "All 5",
        "✕ Mislead 1",
        "○ Cannot be judged 1",
        "● Show it 3",
    ]
    choice.get_by_text("Show it").click()
    page.wait_for_url("**show=holds")
    assert channels(page) == [5, 300, 426]
    choice.get_by_text("Mislead").click()
    page.wait_for_url("**show=misleads")
    assert channels(page) == [350]
    page.go_back()
    page.wait_for_url("**show=holds")
    assert channels(page) == [5, 300, 426]
    pictures(page).get_by_role("group", name="Layer").get_by_text("mixed5a").click()
    page.wait_for_url("**layer=mixed5a&show=holds")
    choice.get_by_text("Mislead").click()
    pictures(page).get_by_text("No picture misleads in mixed5a.").wait_for()


def test_all_measures_of_a_picture(shown: Callable) -> None:
    page = shown("#layer=mixed4d")
    card = pictures(page).locator("article").nth(1)
    assert card.locator(".measure").count() == 0
    card.get_by_role("button", name="2 more measures").click()
    page.wait_for_url("**unit=77")
    assert [text(measure.locator("dt").first) for measure in card.locator(".measure").all()] == [
        "activation beside photos",
        "self-identification",
    ]
    # One card is open at a time; a filter that hides it closes it.
    pictures(page).locator("article").first.get_by_role("button").click()
    page.wait_for_url("**unit=350")
    assert card.locator(".measure").count() == 0
    pictures(page).get_by_text("Show it").click()
    page.wait_for_url("**layer=mixed4d&show=holds")


def test_a_link_opens_the_same_view(shown: Callable) -> None:
    page = shown("#layer=mixed3b&show=unsaid&unit=139")
    assert channels(page) == [139]
    assert pictures(page).locator(".measure").count() == 3  # two of the card, one of the layer
    page.wait_for_timeout(400)
    assert page.url.endswith("#layer=mixed3b&show=unsaid&unit=139")
    # What there is not is as in a fresh page.
    page = shown("#layer=mixed9&show=some&unit=99999")
    page.wait_for_url("**#layer=mixed5a")


def test_methods_stand_in_order_and_where_their_numbers_are(shown: Callable) -> None:
    page = shown("#layer=mixed4d")
    tables = methods(page).locator("table")
    assert tables.locator("caption").all_inner_texts() == ["Maps over positions", "Channels", "Groups"]
    scores = METHODS["mixed4d", "set"]
    rows = tables.first.locator("tbody tr")
    for row, (method, value, low, high, control, _) in zip(rows.all(), scores, strict=True):
        assert text(row).startswith(method.replace("_", " "))
        numbers = [float(cell.replace("−", "-")) for cell in row.locator("td:nth-child(3)").all_inner_texts()]
        assert numbers == [value]
        plot = row.locator(".plot").bounding_box()

        def at(share: float, plot: dict = plot) -> float:
            return plot["x"] + plot["width"] * (share + 0.25) / 1.25

        dot, ring = (row.locator(mark).bounding_box() for mark in (".dot", ".ring"))
        assert dot["x"] + dot["width"] / 2 == pytest.approx(at(value), abs=1)
        assert ring["x"] + ring["width"] / 2 == pytest.approx(at(control), abs=1)
        whisker = row.locator(".whisker").bounding_box()
        assert whisker["x"] == pytest.approx(at(low), abs=1)
        assert whisker["x"] + whisker["width"] == pytest.approx(at(high), abs=1)
    assert "says nothing here" in text(rows.nth(3))
    assert tables.nth(2).locator(".verdict").count() == 2
    assert "2.6\u00a0s" in rows.first.inner_text()


def test_measures_of_a_layer_stand_below_what_they_are_about(shown: Callable) -> None:
    page = shown("#layer=mixed4d")
    below = methods(page).locator(".evidence .measure")
    assert [text(measure.locator("dt").first) for measure in below.all()] == [entry.name for entry in MEASURES]
    assert "says nothing here" in text(below.nth(1))
    assert text(pictures(page).locator(".evidence dt").first) == "pictures that hold"


def test_a_layer_on_which_no_method_was_tried_says_so(shown: Callable) -> None:
    page = shown("#layer=mixed3b")
    methods(page).get_by_text("No method was tried on mixed3b.").wait_for()


def test_without_methods_and_remarks_there_is_no_hole(shown: Callable, report: Bundle, tmp_path: Path) -> None:
    layers = [msgspec.structs.replace(layer, methods=[], evidence=[]) for layer in report.manifest.body.layers[2:]]
    bare = make_report(layers=layers, photos=0, remarks=[], seconds={})
    page = shown(path=export_html(bare, tmp_path / "bare.html"))
    assert channels(page) == [501]
    assert page.locator("main section").count() == 2
    assert overview(page).get_by_role("columnheader").all_inner_texts() == ["Layer", "Pictures"]
    assert overview(page).locator(".findings dd").count() == 1
    assert "method" not in text(overview(page).locator("caption")) + text(overview(page).locator(".caption"))
    assert pictures(page).get_by_role("group", name="Layer").count() == 0
    assert pictures(page).get_by_text("mixed5a", exact=True).count() == 0
    assert "removed" not in text(page.locator("main > p"))


def test_what_was_left_out_is_told(shown: Callable, tmp_path: Path) -> None:
    remarks = ["removal was not tried in mixed3b.", "3 of the 480 channels of mixed3b never change."]
    page = shown(path=export_html(make_report(remarks=remarks), tmp_path / "page.html"))
    assert page.get_by_role("region", name="What was left out").locator("li").all_inner_texts() == remarks


def test_how_it_was_computed(shown: Callable) -> None:
    page = shown("#layer=mixed4d")
    for region, words in (
        (overview(page), "photos looked at: 1,000"),
        (pictures(page), "channels: 5 of 528"),
        (methods(page), "groups: 6"),
    ):
        fold = region.locator("details")
        fold.locator("summary").click()
        assert words.replace(": ", "\n") in fold.inner_text()
    assert "took\n21\u00a0s" in pictures(page).locator("details").inner_text()
    told = methods(page).locator("details").inner_text()
    assert "grad cam: h" in told
    # Of the measures of the layer, those that there are.
    assert "carried = 1 −" in told
    assert "sensitivity = 1 −" in told
    assert "reconstruction" not in told
    page.get_by_text("Where these numbers come from").click()
    assert "sha256:5c1f0a7e8d2b" in page.locator("footer").inner_text()


def test_it_fits_a_phone(shown: Callable) -> None:
    page = shown("#layer=mixed4d&unit=350", **PHONE)
    methods(page).scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    card = pictures(page).locator("article").first
    icon, pieces, heading = (card.locator(part).bounding_box() for part in (".look > .icon", ".pieces", "h3"))
    # The picture beside its pieces, below the name.
    assert heading["y"] < icon["y"]
    assert icon["y"] == pytest.approx(pieces["y"], abs=2)
    assert icon["x"] + icon["width"] < pieces["x"]
    for row in overview(page).locator("tbody tr").all():
        box = row.bounding_box()
        assert box["x"] + box["width"] <= 390


def test_hostile_words_are_shown_as_words(shown: Callable, tmp_path: Path) -> None:
    hostile = '</script><img src=x onerror="alert(1)"><b>bold</b>\u2028'
    page = shown(path=export_html(make_report(title=hostile, remarks=[hostile]), tmp_path / "page.html"))
    assert page.get_by_role("heading", level=1).inner_text().startswith("</script><img src=x")
    assert page.locator("b:text-is('bold')").count() == 0
    assert page.locator("img[onerror]").count() == 0


def _with(change: Callable[[dict], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        data = json.loads(text)
        change(data)
        return json.dumps(data)

    return edit


def _layer(change: Callable[[dict], object]) -> Callable[[str], str]:
    return _with(lambda data: change(data["manifest"]["body"]["layers"][1]))


ICONS = "icons/mixed4d.webp"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (_with(lambda data: data["manifest"]["body"].pop("layers")), "a part of it is missing"),
        (_with(lambda data: data["manifest"]["body"].update(layers=[])), "a part of it is missing"),
        (_with(lambda data: data["manifest"]["body"].pop("remarks")), "a part of it is missing"),
        (_with(lambda data: data["manifest"]["body"].update(remarks=[3])), "a part of it is missing"),
        (_with(lambda data: data["manifest"]["body"].pop("images")), "a part of it is missing"),
        (_layer(lambda layer: layer.update(units=[])), "a part of it is missing"),
        (_layer(lambda layer: layer["units"].pop()), "a part of it is missing"),
        (_layer(lambda layer: layer["units"][0].update(says="maybe")), "a part of it is missing"),
        (_layer(lambda layer: layer["units"][0].pop("evidence")), "a part of it is missing"),
        (_layer(lambda layer: layer["units"][0]["evidence"][0].pop("value")), "a part of it is missing"),
        (_layer(lambda layer: layer["icons"]["channels"].reverse()), "a part of it is missing"),
        (_layer(lambda layer: layer["exemplars"]["counts"].pop()), "a part of it is missing"),
        (_layer(lambda layer: layer["exemplars"]["files"].pop()), "a part of it is missing"),
        (_layer(lambda layer: layer["exemplars"].update(cells=0)), "a part of it is missing"),
        (_layer(lambda layer: layer["methods"][0].pop("low")), "a part of it is missing"),
        (_layer(lambda layer: layer.pop("evidence")), "a part of it is missing"),
        (_with(lambda data: data["images"].pop(ICONS)), f"A picture is missing in this page ({ICONS})"),
        (
            _with(lambda data: data["images"].update({ICONS: "data:image/webp;base64,AAAA"})),
            f"A picture in this page is damaged ({ICONS})",
        ),
        (_with(lambda data: data["images"].update({ICONS: "https://example.org/a"})), "damaged"),
    ],
)
def test_damaged_data_is_one_sentence(
    opened: Callable, report: Bundle, tmp_path: Path, edit: Callable[[str], str], says: str
) -> None:
    page = page_html(report).decode("utf-8")
    start = page.index('id="bundle">') + len('id="bundle">')
    end = page.index("</script>", start)
    path = tmp_path / "page.html"
    path.write_text(page[:start] + edit(page[start:end]) + page[end:], encoding="utf-8")
    alert = opened(path=path).get_by_role("alert")
    alert.first.wait_for()
    assert says in alert.first.inner_text()


def test_in_a_notebook_the_page_tells_what_is_chosen_and_follows(browser, report: Bundle, tmp_path: Path) -> None:
    frame = frame_html(page_html(report, framed=True), "trust")
    around = tmp_path / "notebook.html"
    listen = "<script>window.told = []; onmessage = ({ data }) => told.push(data);</script>"
    around.write_text(f"<!doctype html><title>notebook</title>{listen}{frame}", encoding="utf-8")
    context = browser.new_context(viewport={"width": 1000, "height": 1000})
    page = context.new_page()
    page.goto(around.as_uri())
    inside = page.frame_locator("iframe")
    inside.get_by_role("button", name="mixed3b").click()
    page.wait_for_function("() => told.at(-1)?.state?.hash === '#layer=mixed3b'")
    assert page.evaluate("() => told.at(-1).state.layer") == "mixed3b"
    page.evaluate(
        "() => document.querySelector('iframe').contentWindow.postMessage("
        "{ pellucid: 1, hash: '#layer=mixed4d&show=misleads' }, '*')"
    )
    inside.get_by_role("heading", name="Do pictures of mixed4d show").wait_for()
    assert inside.locator("article").count() == 1
    context.close()
