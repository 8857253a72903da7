"""What was measured about the page, beside its controls, in a real browser."""

from pathlib import Path

import pytest
from drawn_bundle import EVIDENCE, make_bundle
from msgspec.structs import replace

from pellucid.app import export_html
from pellucid.bundle import EvidenceEntry, RemovalCurves

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def trust(page):
    region = page.get_by_role("region", name="How far all of this can be trusted")
    region.wait_for()
    return region


def entry(about: str, value: float, control: float | None, sentence: str = "A sentence.") -> EvidenceEntry:
    return EvidenceEntry(about=about, name="agreement", value=value, control=control, sentence=sentence)


@pytest.fixture
def told(opened, tmp_path: Path):
    """Opens a page with other evidence, and gives the page and its trust panel."""

    def told(entries: list[EvidenceEntry], hash_: str = "#class=425"):
        page = opened(hash_, path=export_html(make_bundle(evidence=entries), tmp_path / "page.html"))
        return page, trust(page)

    return told


def test_every_measure_stands_below_its_panel(opened) -> None:
    region = trust(opened("#class=425"))
    headings = ["The explanation as a whole", "Semantic dictionary", "Spatial attribution", "Channel attribution"]
    headings += ["Neuron groups", "Experiments"]
    assert [text.text_content() for text in region.locator("h3").all()] == headings
    for evidence in EVIDENCE:
        measure = region.locator(".measure").filter(has_text=evidence.sentence)
        numbers = measure.locator("dd").all_inner_texts()
        expected = [evidence.value] if evidence.control is None else [evidence.value, evidence.control]
        assert [float(text.replace("−", "-")) for text in numbers] == pytest.approx(expected, abs=0.005)
    tally = " ".join(region.locator(".tally").inner_text().split())
    assert tally == "● 6 beat their control – 1 has no control for barn"


@pytest.mark.parametrize(
    ("value", "control", "verdict"),
    [
        (0.4, 0.4, "says nothing here"),
        (0.74, 0.96, "says nothing here"),
        (-0.2, -0.1, "says nothing here"),
        (0.84, 0.8, "hardly better than its control"),
        (0.9, None, "has no control"),
        (0.9, 0.2, ""),
        (0.1, -0.3, ""),
    ],
)
def test_a_measure_is_worth_what_it_has_over_its_control(told, value: float, control: float, verdict: str) -> None:
    page, region = told([entry("groups:mixed4d", value, control)], "#layer=mixed4d&class=425")
    groups = page.get_by_role("region", name="What fires together")
    groups.wait_for()
    for place in (region, groups):
        said = place.locator(".measure .verdict").all_inner_texts()
        assert [text.split(maxsplit=1)[1] for text in said] == ([verdict] if verdict else [])


def test_what_a_measure_says_itself_decides(told) -> None:
    said = {"for": 0.1, "against": 0.9, "nothing": 0.9}
    entries = [replace(entry("groups:mixed4d", value, 0.5, word), says=word) for word, value in said.items()]
    page, region = told(entries, "#layer=mixed4d&class=425")
    tally = " ".join(region.locator(".tally").inner_text().split())
    assert tally == "● 1 beats its control ○ 1 says nothing here ✕ 1 speaks against the picture"
    groups = page.get_by_role("region", name="What fires together")
    for place in (region, groups):
        for word, verdict in {"for": [], "against": ["✕ speaks against the picture"]}.items():
            measure = place.locator(".measure").filter(has_text=word)
            assert measure.locator(".verdict").all_inner_texts() == verdict


def test_an_interval_is_drawn_and_said(told) -> None:
    entries = [replace(entry("groups:mixed4d", 0.6, 0.2), low=0.4, high=0.8)]
    entries += [replace(entry("groups:mixed4d", 0.6, 0.5), low=0.4, high=0.8), entry("groups:mixed4d", 0.6, 0.2)]
    _, region = told(entries)
    first, second, third = region.locator(".measure").all()
    whisker, track = first.locator(".whisker").bounding_box(), first.locator(".track").first.bounding_box()
    assert whisker["x"] - track["x"] == pytest.approx(0.4 * track["width"], abs=0.5)
    assert whisker["width"] == pytest.approx(0.4 * track["width"], abs=0.5)
    text = " ".join(first.locator("dd").first.text_content().split())
    assert text == "0.60 in an interval of 95 %: 0.40 to 0.80"
    assert first.locator(".verdict").count() == 0
    assert "hardly better than its control" in second.locator(".verdict").inner_text()
    assert third.locator(".whisker").count() == 0


def test_bars_are_as_long_as_the_numbers_and_none_below_zero(told) -> None:
    _, region = told([entry("groups:mixed4d", 0.8, 0.2), entry("experiments:mixed4d", 0.6, -0.5)])
    bars = [bar.bounding_box() for bar in region.locator(".measure .bar").all()]
    assert bars[0]["width"] / bars[1]["width"] == pytest.approx(4, rel=0.02)
    assert bars[0]["width"] / bars[2]["width"] == pytest.approx(4 / 3, rel=0.02)
    assert bars[3]["width"] == 0


def test_measures_of_other_classes_wait_behind_a_click(told) -> None:
    entries = [
        entry("spatial:mixed4d:425", 0.9, 0.1, "About the barn."),
        entry("spatial:mixed4d:970", 0.3, 0.5, "About the alp."),
        entry("spatial:mixed4d", 0.8, 0.2, "About all."),
    ]
    page, region = told(entries)
    assert region.locator(".measure").count() == 2
    assert region.get_by_text("About the barn.").count() == 1
    region.get_by_text("For the other classes").click()
    row = region.locator("tbody tr")
    assert row.locator("td").all_inner_texts() == ["mixed4d", "agreement", "0.30", "0.50", "says nothing here"]
    row.get_by_role("button", name="alp").click()
    page.wait_for_function("() => location.hash.includes('class=970')")
    region.get_by_text("About the alp.").wait_for()
    assert region.get_by_text("About the barn.").count() == 0
    tally = " ".join(region.locator(".tally").inner_text().split())
    assert tally == "● 1 beats its control ○ 1 says nothing here for alp"


def test_measures_of_other_layers_wait_behind_a_click(told) -> None:
    entries = [
        entry("groups:mixed4d", 0.9, 0.1, "About the upper one."),
        entry("groups:mixed3b:425", 0.2, 0.4, "About the lower one."),
        entry("explanation", 0.8, 0.2, "About all."),
    ]
    page, region = told(entries, "#layer=mixed4d&class=425")
    assert region.locator(".measure").count() == 2
    assert " ".join(region.locator(".tally").inner_text().split()) == "● 2 beat their control"
    region.get_by_text("For other layers").click()
    row = region.locator("tbody tr")
    assert row.locator("td").all_inner_texts() == ["mixed3b", "agreement", "0.20", "0.40", "says nothing here"]
    row.get_by_role("button", name="barn").click()
    page.wait_for_function("() => location.hash.includes('layer=mixed3b')")
    region.get_by_text("About the lower one.").wait_for()
    tally = " ".join(region.locator(".tally").inner_text().split())
    assert tally == "● 1 beats its control ○ 1 says nothing here for barn in mixed3b"
    assert region.locator("tbody button").all_inner_texts() == ["all classes"]
    region.get_by_role("radio", name="mixed4d").check(force=True)
    region.get_by_text("About the upper one.").wait_for()


def curves(layer: str, index: int, height: float) -> RemovalCurves:
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    falling, rising = [height, 2.0, 1.0, 0.5, 0.0], [0.0, height, height, height, height]
    between = [share * height for share in shares]
    return RemovalCurves(
        layer=layer,
        class_index=index,
        shares=shares,
        deletion=falling,
        insertion=rising,
        random_deletion=[between[::-1]] * 3,
        random_insertion=[between] * 3,
    )


def test_curves_of_the_asked_class_are_drawn_and_told(opened, tmp_path: Path) -> None:
    entries = [entry("spatial:mixed4d:425", 0.9, 0.1), entry("spatial:mixed4d:970", 0.9, 0.1)]
    drawn = [curves("mixed4d", 425, 8.0), curves("mixed4d", 970, 4.0), curves("mixed5a", 425, 6.0)]
    bundle = make_bundle(evidence=entries, curves=drawn, seconds={"spatial:mixed4d": 2.0, "trust:mixed4d": 3.0})
    page = opened("#layer=mixed4d&class=425", path=export_html(bundle, tmp_path / "page.html"))
    region = trust(page)
    charts = region.locator("figure")
    assert charts.locator("figcaption").all_inner_texts() == ["mixed4d", "mixed5a"]
    first = charts.first.get_by_role("img", name="The logit of barn while places of mixed4d are taken out or put in")
    told = "Without the first quarter of them it is 2.00, with that quarter alone 8.00; in random order 6.00 and 2.00."
    assert told in first.locator("desc").text_content()
    assert first.locator(".random").count() == 6
    assert [len(line.get_attribute("points").split()) for line in first.locator(".own").all()] == [5, 5]
    box = first.locator(".own").first.bounding_box()
    frame = first.bounding_box()
    assert frame["x"] <= box["x"]
    assert box["x"] + box["width"] <= frame["x"] + frame["width"]
    assert "thin lines are 3 random orders each" in " ".join(region.inner_text().split())
    assert "Measuring this took 3.0 s, all the rest of the page 2.0 s." in " ".join(region.inner_text().split())
    page.evaluate("location.hash = 'layer=mixed4d&class=970'")
    page.wait_for_function("document.querySelectorAll('#trust-title').length")
    region.get_by_role("img", name="The logit of alp").wait_for()
    assert charts.count() == 1
    page.evaluate("location.hash = 'layer=mixed4d&class=805'")
    charts.first.wait_for(state="detached")


def test_a_class_without_measures_says_so(told) -> None:
    _, region = told([entry("spatial:mixed4d:425", 0.9, 0.1)], "#class=805")
    region.get_by_text("Nothing was measured for soccer ball.").wait_for()


def test_it_fits_a_phone(opened) -> None:
    page = opened("#class=425", **PHONE)
    region = trust(page)
    region.scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert all(box.bounding_box()["width"] <= 330 for box in region.locator(".measure").all())


def test_other_classes_fit_a_phone(opened, tmp_path: Path) -> None:
    long = "agreement with removal of positions"
    entries = [EvidenceEntry(about="spatial:mixed4d:970", name=long, value=0.3, control=0.29, sentence="One.")]
    page = opened("#class=425", path=export_html(make_bundle(evidence=entries), tmp_path / "page.html"), **PHONE)
    region = trust(page)
    region.get_by_text("For other classes").tap()
    room = region.bounding_box()
    for cell in region.locator("tbody th, tbody td").all():
        box = cell.bounding_box()
        assert box["x"] >= room["x"]
        assert box["x"] + box["width"] <= room["x"] + room["width"]
    row = " ".join(region.locator("tbody tr").inner_text().split())
    assert row == f"alp mixed4d {long} 0.30 0.29 hardly better than its control"


def test_two_compared_classes_are_both_told_of_and_named(told) -> None:
    entries = [
        entry("spatial:mixed4d:425", 0.9, 0.1, "About the first."),
        entry("spatial:mixed4d:970", 0.3, 0.5, "About the second."),
        entry("spatial:mixed4d:805", 0.7, 0.2, "About another."),
        entry("spatial:mixed4d", 0.8, 0.2, "About all."),
    ]
    page, region = told(entries, "#layer=mixed4d&class=970&versus=425")
    tally = " ".join(region.locator(".tally").inner_text().split())
    assert tally == "● 2 beat their control ○ 1 says nothing here for alp and barn"
    spatial = page.get_by_role("region", name="Which places speak for alp against barn")
    shown = [text.inner_text() for text in spatial.locator(".measure p:first-child").all()]
    assert [" ".join(text.split()) for text in shown] == [
        "About all.",
        "alp About the second.",
        "barn About the first.",
    ]
    assert "barn About the first." in " ".join(region.inner_text().split())
    region.get_by_text("For the other classes").click()
    assert region.locator("tbody button").all_inner_texts() == ["soccer ball"]


def test_numbers_of_a_table_have_the_same_decimals(told) -> None:
    values = [(0.9, 0.041), (0.1, -0.0071), (0.57, 0.0)]
    entries = [entry(f"spatial:mixed4d:{index}", *pair) for index, pair in zip((970, 805, 522), values, strict=True)]
    _, region = told(entries)
    region.get_by_text("For other classes").click()
    assert region.locator("tbody .number").all_inner_texts() == ["0.90", "0.04", "0.10", "−0.01", "0.57", "0.00"]


def test_the_name_of_a_class_stands_in_line_with_its_row(told) -> None:
    _, region = told([entry("spatial:mixed4d:970", 0.3, 0.5)])
    region.get_by_text("For other classes").click()
    top = "node => { const range = document.createRange(); range.selectNodeContents(node); "
    top += "return range.getBoundingClientRect().bottom; }"
    row = region.locator("tbody tr")
    assert row.locator("button").evaluate(top) == pytest.approx(row.locator("td").first.evaluate(top), abs=0.6)
