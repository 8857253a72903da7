"""Two maps of one layer, each with its score: the one that agrees with removals first, the classic one beside it."""

import re

import msgspec
import numpy
import pytest
from drawn_bundle import make_bundle

from pellucid.app import export_html
from pellucid.bundle import ClassMap, EvidenceEntry

pytestmark = pytest.mark.browser

JUDGE = "agreement with removal of random sets"


def judged(index: int, name: str, value: float) -> EvidenceEntry:
    return EvidenceEntry(
        about=f"spatial:mixed4d:{index}", name=name, value=value, control=0.11, sentence=f"{name}: {value} of {index}."
    )


@pytest.fixture(scope="module")
def two_maps(tmp_path_factory):
    """A page whose maps by removal are the classic ones times −3."""
    drawn = make_bundle().manifest.body
    spatial = [
        msgspec.structs.replace(
            panel,
            removal=[
                ClassMap(class_index=entry.class_index, values=(-3 * numpy.array(entry.values)).tolist())
                for entry in panel.maps
            ],
        )
        for panel in drawn.spatial
    ]
    evidence = [
        entry
        for index, ours, classic in ((425, 0.94, 0.52), (805, 0.83, 0.31))
        for entry in (
            judged(index, JUDGE, ours),
            judged(index, f"{JUDGE}, linear", classic),
            judged(index, "agreement with removal of positions", 0.4),
        )
    ]
    bundle = make_bundle(spatial=spatial, evidence=evidence)
    return export_html(bundle, tmp_path_factory.mktemp("page") / "maps.html")


def region_of(page):
    return page.get_by_role("region", name=re.compile("Which places speak for"))


def value(region) -> float:
    text = region.locator("li button[aria-pressed=true] .value").inner_text()
    return float(text.replace("−", "-"))


def test_each_map_has_its_values_its_score_and_its_evidence(opened, two_maps):
    page = opened("#layer=mixed4d&at=11,10&class=425", path=two_maps)
    region = region_of(page)
    assert region.get_by_role("radio", name="by removal, r = 0.94").is_checked()
    region.get_by_text("Mere strength of activation: 0.11.").wait_for()
    by_removal = value(region)
    assert region.get_by_text(f"{JUDGE}: 0.94 of 425.").is_visible()
    assert not region.get_by_text("removal of positions: 0.4").is_visible()
    region.get_by_role("radio", name="linear, r = 0.52").check(force=True)
    assert by_removal == pytest.approx(-3 * value(region), abs=0.06)
    assert abs(by_removal) > 0.1
    assert region.get_by_text(f"{JUDGE}, linear: 0.52 of 425.").is_visible()
    assert region.get_by_text("removal of positions: 0.4").is_visible()
    assert not region.get_by_text(f"{JUDGE}: 0.94 of 425.").is_visible()
    assert region.get_by_text("Computed by linear attribution").is_visible()
    # Another class has other scores, and the choice of a map stays.
    page.get_by_role("radio", name="soccer ball").check(force=True)
    assert region_of(page).get_by_role("radio", name="linear, r = 0.31").is_checked()


def test_a_difference_of_two_classes_is_one_of_the_chosen_map(opened, two_maps):
    page = opened("#layer=mixed4d&at=11,10&class=425&versus=805", path=two_maps)
    region = region_of(page)
    hint = region.get_by_role("application")
    values = []
    for name in ("by removal, r = 0.94", "linear, r = 0.52"):
        region.get_by_role("radio", name=name).check(force=True)
        box = hint.bounding_box()
        hint.hover(position={"x": 10.5 * box["width"] / 14, "y": 11.5 * box["height"] / 14})
        values.append(float(region.locator(".hint").inner_text().replace("−", "-")))
    assert values[0] == pytest.approx(-3 * values[1], abs=0.06)
    assert abs(values[0]) > 0.1


def test_the_formulas_are_those_of_the_map(opened, two_maps):
    page = opened("#layer=mixed4d&class=425", path=two_maps)
    region = region_of(page)
    region.get_by_text("How was this computed?").click()
    assert region.get_by_text("the w of least").is_visible()
    region.get_by_role("radio", name="linear, r = 0.52").check(force=True)
    assert not region.get_by_text("the w of least").is_visible()


def test_an_explanation_of_one_kind_of_map_has_nothing_to_choose(opened):
    region = region_of(opened("#layer=mixed4d&class=425"))
    region.get_by_text("Computed by linear attribution").wait_for()
    assert region.get_by_role("radio", name=re.compile("by removal")).count() == 0


def test_on_a_phone(opened, two_maps):
    page = opened("#layer=mixed4d&class=425", path=two_maps, viewport={"width": 390, "height": 800})
    choice = region_of(page).get_by_role("radio", name="by removal, r = 0.94").locator("xpath=ancestor::fieldset")
    box = choice.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
