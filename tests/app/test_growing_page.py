"""Pages of a server while an explanation is made: what is kept, what is said, what is asked."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from drawn_bundle import CLASSES, make_bundle
from fake_server import FakeServer, make_result

from pellucid.bundle import Bundle, ExperimentAnswer, Outcome, RegionAnswer, RegionChannel, RegionLayer

pytestmark = pytest.mark.browser

LATER = ["grids", "spatial", "influences", "channels", "channel_links", "groups", "flows", "effects", "evidence"]
WORK = {"task": "drawing mixed4d", "done": 30, "total": 120, "unit": "step"}


@pytest.fixture(scope="module")
def first() -> Bundle:
    """The photo and the probabilities."""
    return make_bundle(layers=[], dictionaries=[], **{field: [] for field in LATER})


@pytest.fixture(scope="module")
def second() -> Bundle:
    """With a panel more."""
    return make_bundle(**{field: [] for field in LATER})


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def visit(browser, server: FakeServer) -> Iterator[Callable]:
    """Opens a path; fails afterwards when the page complained or asked another host."""
    complaints: list[str] = []
    contexts = []

    def visit(path: str = "/r/a1", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # A browser notes by itself what a server refused; that is tested by what the page says of it.
        page.on(
            "console",
            lambda line: (
                complaints.append(line.text) if line.type == "error" and "Failed to load" not in line.text else None
            ),
        )
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((server.address, "data:", "blob:")) else complaints.append(asked.url)
            ),
        )
        page.goto(server.address + path)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def until(done: Callable[[], bool]) -> None:
    """Waits for what happens soon; the page's own policy forbids to wait by a script in it."""
    ends = time.monotonic() + 10
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.05)


def answer(asked: dict, barn: float = 0.5) -> ExperimentAnswer:
    outcomes = [
        Outcome(
            index=index,
            label=label,
            logit_before=logit,
            logit_after=logit - 1.5,
            probability_before=probability,
            probability_after=barn if label == "barn" else probability,
        )
        for index, label, logit, probability in CLASSES
    ]
    return ExperimentAnswer(layer=asked["layer"], classes=outcomes, top=outcomes[:1], seconds=0.02)


def live_panel(page):
    panel = page.get_by_role("region", name="Change several things at once")
    panel.scroll_into_view_if_needed()
    panel.get_by_role("table").wait_for()
    return panel


def test_choices_and_the_place_on_the_page_stay_while_panels_come(visit, server, first, second) -> None:
    server.tell(make_result(), first, WORK)
    page = visit()
    page.get_by_text("inception_v1 answers barn").wait_for()
    page.get_by_role("status").get_by_text("Drawing mixed4d").wait_for()
    assert page.get_by_role("progressbar").evaluate("bar => bar.value") == 0.25
    page.get_by_text("boathouse", exact=True).click()
    page.wait_for_url("**class=449")
    server.tell(make_result(), second)
    position = page.get_by_role("region", name="What the network sees at a position")
    position.wait_for()
    assert page.locator("input[name=class]:checked").get_attribute("value") == "449"
    # Without a choice of the reader's it is the position whose strongest channel is the strongest of all.
    position.get_by_role("heading", name="Row 2, column 2").wait_for()
    position.get_by_text("mixed4d", exact=True).click()
    page.wait_for_url("**#layer=mixed4d&class=449")
    position.evaluate("panel => window.scrollTo(0, window.scrollY + panel.getBoundingClientRect().top + 100)")
    page.wait_for_timeout(300)
    before = position.bounding_box()["y"]
    server.tell(make_result(state="done"), make_bundle())
    page.get_by_role("heading", name="How far all of this can be trusted").wait_for()
    page.wait_for_timeout(300)
    assert abs(position.bounding_box()["y"] - before) < 2
    assert position.locator("input:checked").get_attribute("value") == "mixed4d"
    assert page.locator("input[name=class]:checked").get_attribute("value") == "449"
    page.get_by_role("link", name="Save page").wait_for()
    assert page.get_by_role("status").get_by_text("Drawing").count() == 0


def test_an_address_is_taken_up_when_what_it_names_is_there(visit, server, first) -> None:
    server.answers["experiment"] = answer
    server.tell(make_result(), first, WORK)
    hash_ = "#layer=mixed4d&at=3,9&class=970&channel=mixed4d:139&live=mixed4d&change=group:4:1:0.5&change=channel:11:0"
    page = visit("/r/a1" + hash_)
    page.get_by_text("inception_v1 answers barn").wait_for()
    server.tell(make_result(state="done"), make_bundle())
    panel = live_panel(page)
    panel.get_by_text("answered in 20 ms").wait_for()
    assert page.url.endswith(hash_)
    assert panel.get_by_role("listitem").count() == 2
    asked = server.asked[-1][1]
    assert asked == {
        "layer": "mixed4d",
        "changes": [
            {"unit": "group", "groups": 4, "group": 1, "factor": 0.5},
            {"unit": "channel", "channel": 11, "factor": 0},
        ],
    }


def test_a_place_in_the_queue_and_cancelling(visit, server, first) -> None:
    server.tell(make_result(state="waiting", ahead=2))
    page = visit()
    page.get_by_role("status").get_by_text("Waits for 2 others").wait_for()
    page.get_by_role("heading", name="A barn").wait_for()
    assert page.get_by_role("progressbar").count() == 0
    server.tell(make_result(), first, WORK)
    page.get_by_text("inception_v1 answers barn").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("alert").get_by_text("This was cancelled before it was finished.").wait_for()
    assert server.asked == [("/api/results/a1/cancel", b"")]
    # What was there is still shown, and there is a way back.
    assert page.get_by_text("inception_v1 answers barn").is_visible()
    page.get_by_role("link", name="Explain another photo").click()
    page.get_by_role("button", name="Choose a photo").wait_for()


def test_why_it_failed(visit, server) -> None:
    server.tell(make_result(state="failed", problem="the disk is full: make room."))
    page = visit()
    page.get_by_role("alert").get_by_text("This could not be explained: the disk is full: make room.").wait_for()
    assert page.get_by_role("link", name="Explain another photo").is_visible()


def test_a_lost_server_is_told_of_and_found_again(visit, server, first, second) -> None:
    server.tell(make_result(), first, WORK)
    page = visit()
    page.get_by_text("inception_v1 answers barn").wait_for()
    server.interrupt(True)
    page.get_by_role("status").get_by_text("The server does not answer; trying again").wait_for()
    server.tell(make_result(), second)
    server.interrupt(False)
    page.get_by_role("heading", name="What the network sees at a position").wait_for()
    page.get_by_role("status").get_by_text("Drawing mixed4d").wait_for()
    assert server.streams >= 2


def test_a_result_that_was_removed_meanwhile(visit, server, first) -> None:
    server.tell(make_result(), first, WORK)
    page = visit()
    page.get_by_text("inception_v1 answers barn").wait_for()
    with server.news:
        del server.results["a1"]
        server.news.notify_all()
    page.get_by_role("alert").get_by_text("There is no result of that name, or no longer.").wait_for()


@pytest.mark.parametrize("address", ["https://example.org/x.webp", "/r/a1", "/api/results/a1/files/../cancel"])
def test_pictures_of_elsewhere_are_not_shown(visit, server, first, address: str) -> None:
    server.addresses = lambda name, file: address
    server.tell(make_result(), first, WORK)
    page = visit()
    page.get_by_role("alert").get_by_text("damaged").wait_for()
    assert page.locator("img").count() == 0


def test_the_latest_question_wins(visit, server, bundle) -> None:
    slow = threading.Event()

    def experiment(asked: dict) -> ExperimentAnswer:
        if len(asked["changes"]) == 1:
            slow.wait(10)
            return answer(asked, 0.111)
        return answer(asked, 0.222)

    server.answers["experiment"] = experiment
    server.tell(make_result(state="done"), bundle)
    page = visit("/r/a1#layer=mixed4d")
    panel = live_panel(page)
    panel.get_by_role("button", name="group 1", exact=True).click()
    until(lambda: len(server.asked) == 1)
    panel.get_by_role("button", name="group 3", exact=True).click()
    panel.locator(".lead").get_by_text("22.2 %").wait_for()
    slow.set()
    page.wait_for_timeout(400)
    assert "22.2" in panel.locator(".lead").inner_text()
    assert "11.1" not in panel.inner_text()


def test_parts_are_collected_dampened_and_left_again(visit, server, bundle) -> None:
    server.answers["experiment"] = answer
    server.tell(make_result(state="done"), bundle)
    page = visit("/r/a1#layer=mixed4d")
    panel = live_panel(page)
    panel.get_by_role("button", name="group 2", exact=True).click()
    panel.get_by_text("Channels", exact=True).click()
    panel.get_by_role("button", name="channel 208", exact=True).click()
    photo = panel.get_by_role("application")
    photo.focus()
    # Keys: a rectangle of the middle, moved, made larger, and taken.
    for key in ("ArrowUp", "Shift+ArrowRight", "Enter"):
        photo.press(key)
    items = panel.get_by_role("listitem")
    assert [text.split("\n")[0] for text in items.all_inner_texts()] == [
        "group 2 of 4",
        "red roof, channel 208",
        "rows 3–8, columns 4–10",
    ]
    slider = panel.get_by_role("slider", name="What is left of channel 208")
    for _ in range(6):
        slider.press("ArrowRight")
    page.wait_for_url("**change=channel:208:1.5&change=region:3-8:4-10:0")
    until(lambda: len(server.asked) > 0 and server.asked[-1][1]["changes"][1:2] == [{**RED, "factor": 1.5}])
    # The prediction is attribution's sum of the parts, or a dash where attribution says nothing of one.
    cells = panel.get_by_role("table").locator("td.number.soft").all_inner_texts()
    assert [cell == "–" for cell in cells] == [False, False, False, False, True]
    panel.get_by_role("button", name="Leave everything as it is").click()
    assert items.count() == 0
    panel.get_by_role("button", name="Undo").click()
    assert items.count() == 3
    # The way of a slider is one step.
    panel.get_by_role("button", name="Undo").click()
    page.wait_for_url("**change=channel:208:0&change=region:3-8:4-10:0")
    panel.get_by_role("button", name="Leave group 2 of 4 as it is").click()
    assert items.count() == 2


RED = {"unit": "channel", "channel": 208}


def test_a_part_is_taken_away_where_it_is_looked_at(visit, server, bundle) -> None:
    server.answers["experiment"] = answer
    server.tell(make_result(state="done"), bundle)
    page = visit("/r/a1#layer=mixed4d&group=mixed4d:4:1&channel=mixed4d:208")
    groups = page.get_by_role("region", name="What fires together")
    groups.scroll_into_view_if_needed()
    groups.get_by_role("button", name="Take it away").click()
    panel = live_panel(page)
    until(lambda: panel.get_by_role("listitem").count() == 1)
    channels = page.get_by_role("region", name="Which channels speak for")
    channels.scroll_into_view_if_needed()
    channels.get_by_role("button", name="Take it away").click()
    until(lambda: panel.get_by_role("listitem").count() == 2)
    channels.scroll_into_view_if_needed()
    channels.get_by_role("button", name="leave it in again").click()
    until(lambda: panel.get_by_role("listitem").count() == 1)
    assert server.asked


def test_a_result_that_answers_nothing_is_not_asked(visit, server, bundle) -> None:
    server.tell(make_result(state="done", live=False), bundle)
    page = visit("/r/a1#layer=mixed4d&group=mixed4d:4:1&live=mixed4d&change=channel:208:0&region=0,0,1,1")
    page.get_by_role("heading", name="How far all of this can be trusted").wait_for()
    assert page.get_by_role("region", name="Change several things at once").count() == 0
    assert page.get_by_role("region", name="What does the network see here?").count() == 0
    assert page.get_by_role("button", name="Take it away").count() == 0
    assert server.asked == []


def test_a_refusal_is_said(visit, server, bundle) -> None:
    server.answers["experiment"] = lambda asked: "mixed4d has 528 channels and none is 600."
    server.tell(make_result(state="done"), bundle)
    page = visit("/r/a1#layer=mixed4d&live=mixed4d&change=channel:600:0")
    panel = live_panel(page)
    panel.get_by_text("Mixed4d has 528 channels and none is 600.").wait_for()


def test_a_layer_without_groups_can_be_changed(visit, server) -> None:
    server.answers["experiment"] = answer
    server.tell(make_result(state="done"), make_bundle(groups=[], flows=[], effects=[], evidence=[]))
    page = visit("/r/a1#layer=mixed3b&live=mixed3b&change=region:0-3:0-3:2")
    panel = live_panel(page)
    panel.get_by_text("answered in").wait_for()
    assert server.asked[-1][1]["layer"] == "mixed3b"
    panel.get_by_text("mixed4d", exact=True).click()
    panel.get_by_role("button", name="channel 11", exact=True).click()
    until(lambda: server.asked[-1][1] == {"layer": "mixed4d", "changes": [{**RED, "channel": 11, "factor": 0}]})


def test_a_part_of_the_photo_is_asked_about_by_keys(visit, server, bundle) -> None:
    def region(asked: dict) -> RegionAnswer:
        channels = [RegionChannel(channel=208, label="red roof", inside=31.25, outside=1.5, icon="")]
        told = RegionLayer(layer="mixed4d", rows=(4, 9), columns=(4, 9), covers=36 / 196, channels=channels)
        empty = RegionLayer(layer="mixed3b", rows=(9, 18), columns=(9, 18), covers=100 / 784, channels=[])
        return RegionAnswer(layers=[empty, told], seconds=0.01)

    server.answers["region"] = region
    server.tell(make_result(state="done"), bundle)
    page = visit()
    panel = page.get_by_role("region", name="What does the network see here?")
    panel.scroll_into_view_if_needed()
    photo = panel.get_by_role("application")
    photo.focus()
    for key in ("ArrowLeft", "Shift+ArrowDown", "Enter"):
        photo.press(key)
    panel.get_by_text("31.3 here").wait_for()
    path, asked = server.asked[-1]
    assert path == "/api/results/a1/region"
    shares = {"top": 9 / 28, "left": 8 / 28, "bottom": 20 / 28, "right": 18 / 28}
    assert asked == pytest.approx(shares, abs=0.001)
    assert panel.get_by_text("36 positions, 18.4 % of its grid").is_visible()
    assert panel.get_by_text("Nothing stands out here.").is_visible()
    # The deepest layer stands first; a channel that the page tells of leads there.
    assert panel.get_by_role("heading", level=3).all_inner_texts() == ["mixed4d", "mixed3b"]
    page.wait_for_url("**region=0.321,0.286,0.714,0.643")
    panel.get_by_role("button", name="red roof").click()
    page.wait_for_url("**channel=mixed4d:208**")
    page.go_back()
    page.go_back()
    page.wait_for_url(lambda url: "region" not in url)
    panel.get_by_text("Draw a rectangle on the photo").wait_for()


def test_home_sends_the_photo_as_it_was_chosen(visit, server, first) -> None:
    def upload(content: bytes) -> object:
        server.tell(make_result(state="waiting"))
        return server.results["a1"]

    server.answers["upload"] = upload
    page = visit("/")
    page.get_by_text("tiny", exact=True).click()
    assert page.get_by_role("checkbox", checked=True).count() == 2
    page.get_by_text("three", exact=True).click()
    page.get_by_text("one", exact=True).click()
    page.get_by_text("A quick look").click()
    photo = {"name": "my barn.png", "mimeType": "image/png", "buffer": b"the bytes"}
    page.set_input_files("input[type=file]", files=[photo])
    page.wait_for_url("**/r/a1")
    (path, content), *_ = server.asked
    assert content == b"the bytes"
    assert path == "/api/results?title=my+barn.png&model=tiny&quick=1&layers=two%2Cthree"


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_home_takes_what_is_dropped_and_pasted(visit, server, way: str) -> None:
    server.answers["upload"] = lambda content: f"these {len(content)} bytes are no picture."
    page = visit("/")
    page.get_by_role("button", name="Choose a photo").wait_for()
    page.evaluate(
        """way => {
          const data = new DataTransfer();
          data.items.add(new File(["12345"], "a.png", { type: "image/png" }));
          const names = { drop: "dataTransfer", paste: "clipboardData" };
          const Kind = { drop: DragEvent, paste: ClipboardEvent }[way];
          window.dispatchEvent(new Kind(way, { [names[way]]: data, cancelable: true }));
        }""",
        way,
    )
    page.get_by_role("alert").get_by_text("These 5 bytes are no picture.").wait_for()
    assert page.get_by_role("button", name="Choose a photo").is_enabled()


def test_home_shows_what_others_explain(visit, server, first) -> None:
    page = visit("/")
    page.get_by_text("Nothing yet.").wait_for()
    server.tell(make_result(id="b1", title="A lake", state="waiting", ahead=1))
    server.tell(make_result(id="b2", title="A hill", state="failed", problem="the disk is full."))
    server.tell(make_result(id="b3", title="A map", kind="atlas", state="done", expires=None))
    page.get_by_text("waits for 1 other").wait_for()
    assert page.get_by_text("The disk is full.").is_visible()
    assert page.get_by_role("button", name="Remove A map").count() == 0
    page.get_by_role("button", name="Remove A hill").click()
    until(lambda: page.get_by_text("A hill").count() == 0)
    assert server.asked[-1] == ("/api/results/b2", b"")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, server, first, bundle, scheme: str) -> None:
    pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    from test_axe import RUN, scripted

    channels = [RegionChannel(channel=208, label="red roof", inside=31.25, outside=1.5, icon="")]
    told = RegionLayer(layer="mixed4d", rows=(4, 9), columns=(4, 9), covers=36 / 196, channels=channels)
    server.answers = {"experiment": answer, "region": lambda _: RegionAnswer(layers=[told], seconds=0.01)}
    server.tell(make_result(), first, WORK)
    server.tell(make_result(id="b1", title="A lake", state="waiting", ahead=1))
    server.tell(make_result(id="b2", title="A hill", state="failed", problem="the disk is full."))
    home = visit("/", color_scheme=scheme)
    home.get_by_text("waits for 1 other").wait_for()
    assert scripted(home).evaluate(RUN) == []
    page = visit(color_scheme=scheme)
    page.get_by_text("inception_v1 answers barn").wait_for()
    assert scripted(page).evaluate(RUN) == []
    server.tell(make_result(state="done"), bundle)
    hash_ = "#layer=mixed4d&live=mixed4d&change=group:4:1:0&change=channel:208:2&change=region:3-6:4-8:0"
    page = visit(f"/r/a1{hash_}&region=0.25,0.25,0.5,0.5", color_scheme=scheme)
    live_panel(page).get_by_text("answered in").wait_for()
    page.get_by_role("region", name="What does the network see here?").scroll_into_view_if_needed()
    page.get_by_text("31.3 here").wait_for()
    assert scripted(page).evaluate(RUN) == []


def test_no_more_layers_can_be_chosen_than_the_server_takes(visit) -> None:
    page = visit("/")
    page.get_by_text("tiny", exact=True).click()
    # Two of four are chosen by themselves; this server takes three.
    assert page.get_by_role("checkbox", name="four").is_enabled()
    page.get_by_text("three", exact=True).click()
    assert page.get_by_role("checkbox", name="four").is_disabled()
    page.get_by_text("two", exact=True).click()
    assert page.get_by_role("checkbox", name="four").is_enabled()
