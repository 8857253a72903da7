"""Back and forward go through what a reader decided, not through where the pointer was."""

import pytest

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
