"""The pages of a running server in a real browser: a photo goes in, an explanation grows, questions are answered."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.serve import _desk
from pellucid.trust import intervene
from tests.browsers import chromium
from tests.serve.conftest import Running, until
from tests.small_report import make_small_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def address(running: Running) -> str:
    return running.address


@pytest.fixture
def opened(address: str) -> Iterator[Callable]:
    """Opens a path; fails afterwards when a page complained or asked another host."""
    complaints: list[str] = []
    with chromium() as browser:

        def opened(path: str = "/", **options):
            page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}).new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
            page.on(
                "request",
                lambda asked: (
                    None if asked.url.startswith((address, "data:", "blob:")) else complaints.append(asked.url)
                ),
            )
            page.goto(address + path)
            return page

        opened.complaints = complaints  # type: ignore[attr-defined]
        yield opened
    assert complaints == []


def explain(page, picture: Path) -> None:
    page.get_by_role("button", name="Choose a photo").wait_for()
    page.set_input_files("input[type=file]", picture)
    page.wait_for_url("**/r/*")


def finished(page) -> None:
    page.get_by_role("link", name="Save page").wait_for(timeout=60_000)


def test_a_photo_becomes_an_explanation(opened, picture: Path, network: pellucid.Model) -> None:
    page = opened()
    page.get_by_text("Nothing yet.").wait_for()
    explain(page, picture)
    finished(page)
    logits = pellucid.record(network, pellucid.load_image(picture, size=24)[None], "logits")["logits"].values[0]
    best = network.label(int(logits.argmax()))
    page.get_by_text(f"drawn answers {best}").wait_for()
    assert page.title() == "lemon · Pellucid"
    for heading in ("What the network sees at a position", "Change several things at once"):
        page.get_by_role("heading", name=heading).scroll_into_view_if_needed()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save page").click()
    assert download.value.suggested_filename == "lemon.html"
    # The gallery leads back to it.
    page.get_by_role("link", name="Pellucid").click()
    page.get_by_role("link", name="lemon").click()
    page.get_by_text(f"drawn answers {best}").wait_for()


def test_several_changes_are_answered_by_the_network(opened, picture: Path, network: pellucid.Model) -> None:
    page = opened()
    explain(page, picture)
    finished(page)
    live = page.get_by_role("region", name="Change several things at once")
    live.scroll_into_view_if_needed()
    live.get_by_text("Channels", exact=True).click()
    for channel in (0, 2):
        live.get_by_role("button", name=f"channel {channel}", exact=True).click()
        page.wait_for_url(f"**change=channel:{channel}:0")
    live.get_by_text("answered in").wait_for()
    image = pellucid.load_image(picture, size=48)
    seen = Image.fromarray((image.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8))
    effect = intervene(network, seen, layer="3", remove=[0, 2])
    now = effect.top(1)[0]
    table = live.get_by_role("table")
    shown = table.get_by_role("row", name=effect.model.label(int(effect.logits_before.argmax())))
    index = int(effect.logits_before.argmax())
    change = effect.logits_after[index] - effect.logits_before[index]
    assert abs(float(shown.locator("td.number").first.inner_text().replace("−", "-")) - change) < 0.02
    assert now.label in live.locator(".lead").inner_text()
    # The view can be linked, and gone back from.
    address = page.url
    assert "live=3&change=channel:0:0&change=channel:2:0" in address
    page.go_back()
    page.wait_for_url(lambda url: "change=channel:2" not in url)
    assert live.get_by_role("listitem").count() == 1
    page.go_forward()
    page.wait_for_url(address)
    live.get_by_text("channel 2").first.wait_for()


def test_a_part_of_the_photo(opened, picture: Path, network: pellucid.Model) -> None:
    page = opened()
    explain(page, picture)
    finished(page)
    region = page.get_by_role("region", name="What does the network see here?")
    region.scroll_into_view_if_needed()
    box = region.get_by_role("application").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.26, box["y"] + box["height"] * 0.26)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.49, box["y"] + box["height"] * 0.49, steps=4)
    page.mouse.up()
    region.get_by_role("heading", name="3").wait_for()
    page.wait_for_url("**region=0.25,0.25,0.5,0.5")
    photo = pellucid.load_image(picture, size=48)
    seen = Image.fromarray((photo.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)).resize((24, 24), 1)
    values = pellucid.record(network, np.asarray(seen).transpose(2, 0, 1)[None] / np.float32(255), "3")["3"].values[0]
    inside = np.zeros((12, 12), bool)
    inside[3:6, 3:6] = True
    lead = values[inside].mean(0) - values[~inside].mean(0)
    told = region.locator(".layer").filter(has=page.get_by_role("heading", name="3", exact=True))
    names = told.locator(".name").all_inner_texts()
    assert names == [str(channel) for channel in np.argsort(-lead)[:4] if lead[channel] > 0]
    icon = told.locator("img[alt^='What excites']").first
    icon.scroll_into_view_if_needed()
    # The page's own policy forbids to wait by a script in it.
    until(lambda: icon.evaluate("image => image.naturalWidth") >= 64)
    page.reload()
    region.scroll_into_view_if_needed()
    region.get_by_role("heading", name="3").wait_for()


def test_what_cannot_be_read_is_said_at_once(opened, tmp_path: Path) -> None:
    page = opened()
    page.get_by_role("button", name="Choose a photo").wait_for()
    (tmp_path / "notes.txt").write_text("no picture")
    page.set_input_files("input[type=file]", tmp_path / "notes.txt")
    page.get_by_role("alert").get_by_text("“notes.txt” is not a picture that can be read here").wait_for()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and then nothing")
    page.set_input_files("input[type=file]", tmp_path / "broken.png")
    page.get_by_role("alert").get_by_text("damaged").or_(
        page.get_by_role("alert").get_by_text("not a picture")
    ).wait_for()
    # The browser itself notes that the server refused.
    assert all("400" in complaint for complaint in opened.complaints)
    opened.complaints.clear()


def test_a_photo_that_is_chosen_before_the_page_is_ready_is_not_lost(opened, picture: Path, address: str) -> None:
    page = opened("/r/000000000000000000")  # no page of photos yet, so that its first request can be held back
    held: list = []
    page.route("**/api/status", lambda route: held.append(route))
    page.goto(address)
    page.get_by_role("button", name="Choose a photo").wait_for()
    page.set_input_files("input[type=file]", picture)
    page.wait_for_timeout(200)
    assert held
    held[0].continue_()
    page.wait_for_url("**/r/*")
    opened.complaints.clear()  # the browser notes the 404


def test_work_is_cancelled(opened, picture: Path, monkeypatch) -> None:
    def endless(model, image, *, partial, progress, **settings):
        pellucid.explain(model, image, layers=["3"], icon_size=16, icon_steps=1, grid_seconds=0, partial=partial)
        while True:
            threading.Event().wait(0.02)
            progress(pellucid.Event("counting sheep", 3, 10))

    monkeypatch.setattr(_desk, "explain", endless)
    page = opened()
    explain(page, picture)
    page.get_by_text("Counting sheep").wait_for()
    page.get_by_text("drawn answers").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("This was cancelled before it was finished.").wait_for()
    page.get_by_role("link", name="Explain another photo").click()
    page.get_by_text("Cancelled").wait_for()
    page.get_by_role("button", name="Remove lemon").click()
    page.get_by_text("Nothing yet.").wait_for()


def test_a_report_is_shown_and_listed(opened, running: Running) -> None:
    name = running.desk.show(make_small_report()).id
    page = opened(f"/r/{name}#layer=conv")
    page.get_by_role("region", name="What can be believed").wait_for()
    page.get_by_role("heading", name="Do pictures of conv show").wait_for()
    # The pictures come from the server, by their own addresses.
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.icon .icon')).backgroundImage.includes('/api/')"
    )
    finished(page)
    page.get_by_title("All explanations").click()
    card = page.get_by_role("listitem").filter(has_text="What to believe of tiny")
    card.get_by_text("A report on tiny").wait_for()
    card.get_by_text("Report", exact=True).wait_for()


def test_a_result_that_is_not_there(opened) -> None:
    page = opened("/r/000000000000000000")
    page.get_by_role("heading", name="Not here").wait_for()
    opened.complaints.clear()  # the browser notes the 404
