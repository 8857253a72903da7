"""Back and forward go through what a reader decided, not through where the pointer was."""

from pathlib import Path

import pytest
from drawn_atlas import make_atlas

from pellucid.app import export_html

pytestmark = pytest.mark.browser


def settle(page, part: str) -> None:
    page.wait_for_url(lambda url: part in url)


def test_a_class_that_was_chosen_can_be_gone_back_from(opened) -> None:
    page = opened("#class=425")
    settle(page, "class=425")
    others = page.locator("input[name=class]:not(:checked)")
    second = others.first.get_attribute("value")
    others.first.locator("xpath=..").click()
    settle(page, f"class={second}")
    page.go_back()
    settle(page, "class=425")
    page.wait_for_timeout(300)
    assert page.locator("input[name=class]:checked").get_attribute("value") == "425"
    page.go_forward()
    settle(page, f"class={second}")
    page.wait_for_timeout(300)
    assert page.locator("input[name=class]:checked").get_attribute("value") == second


def test_pointing_makes_no_history_and_a_pin_does(opened) -> None:
    page = opened()
    page.wait_for_url(lambda url: "#layer" in url)
    before = page.evaluate("history.length")
    photo = page.get_by_role("region", name="What the network sees at a position").get_by_role("application")
    box = photo.bounding_box()
    for share in (0.2, 0.4, 0.6, 0.8):
        photo.hover(position={"x": share * box["width"], "y": 0.5 * box["height"]})
        page.wait_for_timeout(220)
    settle(page, "at=")
    assert page.evaluate("history.length") == before
    photo.click(position={"x": 0.5 * box["width"], "y": 0.5 * box["height"]})
    page.wait_for_timeout(300)
    assert page.evaluate("history.length") == before + 1


def test_every_kind_of_decision_is_a_step(opened) -> None:
    """Layer, position, group, number of groups, channel and experiment, one after the other, and all the way back."""
    page = opened("#layer=mixed5a&class=425")
    settle(page, "#layer=mixed5a&class=425")
    steps = [page.url]

    def step(part: str) -> None:
        settle(page, part)
        page.wait_for_timeout(200)
        steps.append(page.url)

    position = page.get_by_role("region", name="What the network sees at a position")
    position.get_by_text("mixed4d", exact=True).click()
    step("layer=mixed4d")
    position.get_by_role("application").press("ArrowLeft")
    step("at=")
    groups = page.get_by_role("region", name="What fires together")
    groups.scroll_into_view_if_needed()
    groups.get_by_role("button", name="Group 2,").click()
    step("group=mixed4d:4:1")
    groups.get_by_role("slider").press("ArrowRight")
    step("groups=mixed4d:6")
    channels = page.get_by_role("region", name="Which channels speak for")
    channels.scroll_into_view_if_needed()
    channels.get_by_role("button", name="red roof").first.click()
    step("channel=mixed4d:208")
    trials = page.get_by_role("region", name="What if a part were changed?")
    trials.scroll_into_view_if_needed()
    trials.locator(".icons button").first.click()
    step("trial=mixed4d:")
    assert len(set(steps)) == 7
    for address in reversed(steps[:-1]):
        page.go_back()
        page.wait_for_url(address)
    for address in steps[1:]:
        page.go_forward()
        page.wait_for_url(address)
    # What is shown is what the address says.
    assert position.locator("input[name$=layer]:checked").get_attribute("value") == "mixed4d"
    assert "6 groups" in groups.get_by_role("heading", level=2).inner_text()
    assert channels.get_by_role("button", name="All channels for").is_visible()


def test_a_link_opens_the_same_view(opened) -> None:
    hash_ = "#layer=mixed4d&at=6,5&class=449&versus=425&groups=mixed4d:6&group=mixed4d:6:2&channel=mixed4d:139"
    hash_ += "&trial=mixed4d:channel:0:3:0.5"
    page = opened(hash_)
    page.wait_for_timeout(500)
    assert page.url.endswith(hash_)
    photo = page.get_by_role("region", name="What the network sees at a position")
    photo.get_by_role("heading", name="Row 6, column 5").wait_for()


def test_the_map_of_an_atlas_goes_back_from_a_cell_and_not_from_a_look(opened, tmp_path: Path) -> None:
    page = opened(path=export_html(make_atlas(), tmp_path / "atlas.html"))
    figure = page.get_by_role("application").and_(page.locator(".figure")).first
    page.wait_for_url("**layer=**")
    page.wait_for_timeout(400)
    before = page.evaluate("history.length")
    figure.focus()
    for _ in range(2):
        page.keyboard.press("+")
        page.wait_for_timeout(400)
    settle(page, "view=")
    assert page.evaluate("history.length") == before
    page.wait_for_timeout(800)
    looked = page.url
    page.keyboard.press("Enter")
    settle(page, "cell=")
    page.wait_for_timeout(400)
    assert page.evaluate("history.length") == before + 1
    page.go_back()
    page.wait_for_url(looked)
