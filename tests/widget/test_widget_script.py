"""The widget's script between a model that is played here and a page that says what it is told to."""

from importlib.resources import files

import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed: pip install 'pellucid[notebook]'")

pytestmark = pytest.mark.browser

SCRIPT = files("pellucid.widget").joinpath("widget.js").read_text(encoding="utf-8")
# It reports what it hears, and says what a test lets it say.
PAGE = """<!doctype html><title>page</title><script>
  window.heard = [];
  addEventListener("message", ({ data }) => heard.push(data));
  window.say = (words) => parent.postMessage({ pellucid: 1, ...words }, "*");
  say({ ready: true });
</script>"""
# As anywidget hands it out: listeners are called at once, changes go to the kernel when they are saved.
MODEL = """class Model {
  constructor(state) { Object.assign(this, { state, calls: new Map(), sent: [], saved: [], changed: {} }); }
  get(name) { return this.state[name]; }
  set(name, value) {
    this.state[name] = this.changed[name] = value;
    this.call(`change:${name}`);
  }
  save_changes() { this.saved.push(this.changed); this.changed = {}; }
  send(content) { this.sent.push(content); }
  on(name, callback) { this.calls.set(name, [...(this.calls.get(name) ?? []), callback]); }
  off(name, callback) { this.calls.set(name, this.calls.get(name).filter((other) => other !== callback)); }
  call(name, ...words) { for (const callback of this.calls.get(name) ?? []) callback(...words); }
  get listeners() { return [...this.calls.values()].flat().length; }
}"""
STATE = {"_title": "a photo", "_mark": "m1", "hash": "", "height": 500, "layer": "", "position": None, "cells": None}


@pytest.fixture
def host(browser):
    """A document with the script's hooks and a model."""
    context = browser.new_context(viewport={"width": 900, "height": 700})
    context.set_default_timeout(8000)
    page = context.new_page()
    page.clock.install()
    page.route("http://notebook.test/", lambda route: route.fulfill(body="<main></main>", content_type="text/html"))
    page.goto("http://notebook.test/")
    page.evaluate(
        f"""async ([source, state, page]) => {{
          {MODEL}
          const address = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
          window.hooks = (await import(address)).default;
          window.model = new Model({{ ...state, _page: new DataView(new TextEncoder().encode(page).buffer) }});
          window.main = document.querySelector("main");
        }}""",
        [SCRIPT, STATE, PAGE],
    )
    yield page
    context.close()


def show(host):
    """The frame of a view; its page has said that it is ready."""
    before = len(host.frames)
    host.evaluate(
        "() => { const el = main.appendChild(document.createElement('div')); "
        "(window.closes ??= []).push(hooks.render({ model, el })); }"
    )
    while len(host.frames) == before:
        host.wait_for_timeout(20)
    frame = host.frames[-1]
    frame.wait_for_function("() => window.say")
    return frame


def heard(frame, count: int) -> list[dict]:
    frame.wait_for_function("count => heard.length >= count", arg=count)
    return frame.evaluate("() => heard")


def said(host, frame, words: dict) -> None:
    """Let the page say something, and wait until the document has heard it."""
    host.evaluate("() => { window.last = null; addEventListener('message', ({ data }) => { last = data; }); }")
    frame.evaluate("words => say(words)", words)
    host.wait_for_function("() => last")


def test_the_frame_may_run_scripts_and_save_files_and_nothing_else(host) -> None:
    frame = show(host)
    element = host.locator("iframe")
    assert element.get_attribute("sandbox") == "allow-scripts allow-downloads"
    assert element.get_attribute("title") == "a photo"
    assert element.bounding_box()["height"] == 500
    assert frame.evaluate("() => origin") == "null"
    host.evaluate("() => model.set('height', 300)")
    assert element.bounding_box()["height"] == 300


def test_what_the_page_says_is_saved_once(host) -> None:
    frame = show(host)
    state = {"hash": "#layer=3", "layer": "3", "position": {"layer": "3", "row": 1, "column": 2}, "unknown": 1}
    said(host, frame, {"state": state})
    said(host, frame, {"state": state})
    del state["unknown"]
    assert host.evaluate("() => model.saved") == [state]
    said(host, frame, {"state": {**state, "lasso": [[1, 2], [3, 4]]}})
    assert host.evaluate("() => model.saved.slice(1)") == [{"cells": [[1, 2], [3, 4]]}]
    # It is not told what it has just said.
    assert frame.evaluate("() => heard") == []


def test_a_view_that_python_asks_for_is_shown(host) -> None:
    frame = show(host)
    host.evaluate("() => model.set('hash', '#layer=3')")
    assert heard(frame, 1) == [{"pellucid": 1, "hash": "#layer=3"}]
    host.evaluate("() => model.set('hash', '')")
    assert heard(frame, 2)[1] == {"pellucid": 1, "hash": "#"}


def test_a_page_that_loads_again_comes_back_to_its_view(host) -> None:
    frame = show(host)
    said(host, frame, {"state": {"hash": "#layer=6"}})
    said(host, frame, {"ready": True})
    assert heard(frame, 1) == [{"pellucid": 1, "hash": "#layer=6"}]


def test_two_views_of_one_widget_go_together(host) -> None:
    first, second = show(host), show(host)
    said(host, first, {"state": {"hash": "#layer=3"}})
    assert heard(second, 1) == [{"pellucid": 1, "hash": "#layer=3"}]
    assert first.evaluate("() => heard") == []
    for frame in (first, second):
        said(host, frame, {"call": 1, "method": "region", "body": {}})
    keys = host.evaluate("() => model.sent.map(({ ask }) => ask)")
    assert len(set(keys)) == 2
    host.evaluate("key => model.call('msg:custom', { reply: key, answer: 5 })", keys[1])
    assert heard(second, 2)[1] == {"pellucid": 1, "reply": 1, "answer": 5}
    assert first.evaluate("() => heard") == []


def test_a_question_goes_to_the_kernel_and_its_answer_to_the_page(host) -> None:
    frame = show(host)
    for call in (7, 8):
        said(host, frame, {"call": call, "method": "experiment", "body": {"layer": str(call)}})
    sent = host.evaluate("() => model.sent")
    assert [(entry["method"], entry["body"]) for entry in sent] == [
        ("experiment", {"layer": "7"}),
        ("experiment", {"layer": "8"}),
    ]
    host.evaluate("key => model.call('msg:custom', { reply: key, problem: 'No.' })", sent[1]["ask"])
    host.evaluate("key => model.call('msg:custom', { reply: key, answer: [1] })", sent[0]["ask"])
    assert heard(frame, 2) == [
        {"pellucid": 1, "reply": 8, "problem": "No."},
        {"pellucid": 1, "reply": 7, "answer": [1]},
    ]


def test_a_kernel_that_is_gone_is_said_to_be(host) -> None:
    frame = show(host)
    said(host, frame, {"call": 3, "method": "experiment", "body": {}})
    host.clock.run_for(59_000)
    assert frame.evaluate("() => heard") == []
    host.clock.run_for(2_000)
    (told,) = heard(frame, 1)
    assert told["reply"] == 3
    assert "gone" in told["problem"]
    # An answer that comes too late is not a second one.
    host.evaluate("() => model.call('msg:custom', { reply: model.sent[0].ask, answer: 1 })")
    host.wait_for_timeout(50)
    assert len(frame.evaluate("() => heard")) == 1


def test_a_kernel_that_cannot_be_reached_is_said_to_be_at_once(host) -> None:
    frame = show(host)
    host.evaluate("() => { model.send = () => { throw new Error('closed'); }; }")
    said(host, frame, {"call": 3, "method": "experiment", "body": {}})
    (told,) = heard(frame, 1)
    assert told["reply"] == 3
    assert "gone" in told["problem"]


def test_only_its_own_page_is_heard(host) -> None:
    show(host)
    host.evaluate(
        """() => new Promise((done) => {
          const other = main.appendChild(document.createElement("iframe"));
          other.srcdoc = `<script>parent.postMessage({ pellucid: 1, state: { hash: "#evil" } }, "*");
            parent.postMessage({ pellucid: 1, call: 1, method: "experiment", body: {} }, "*");
            parent.postMessage("done", "*");<\\/script>`;
          addEventListener("message", ({ data }) => { if (data === "done") done(); });
          postMessage({ pellucid: 1, state: { hash: "#evil" } }, "*");
        })"""
    )
    assert host.evaluate("() => [model.get('hash'), model.saved, model.sent]") == ["", [], []]


def test_nothing_is_left_of_a_closed_view(host) -> None:
    frame = show(host)
    said(host, frame, {"call": 1, "method": "region", "body": {}})
    host.evaluate("() => closes[0]()")
    assert host.evaluate("() => model.listeners") == 0
    said(host, frame, {"state": {"hash": "#layer=3"}})
    assert host.evaluate("() => model.get('hash')") == ""


STILL = "<iframe data-pellucid='{}' srcdoc='<p>still'></iframe>"


def marks(host) -> list:
    return host.evaluate("() => [...document.querySelectorAll('iframe')].map((frame) => frame.dataset.pellucid)")


def test_still_pages_of_the_widget_come_to_life_and_are_still_again(host) -> None:
    host.evaluate("html => { main.innerHTML = html; }", STILL.format("m1") + STILL.format("m2"))
    host.evaluate("() => { window.end = hooks.initialize({ model }); }")
    assert marks(host) == [None, "m2"]
    host.evaluate("html => main.insertAdjacentHTML('beforeend', `<section>${html}</section>`)", STILL.format("m1"))
    host.wait_for_function("() => document.querySelectorAll('iframe[data-pellucid=m1]').length === 0")
    frame = next(frame for frame in host.frames if frame.title() == "page")
    frame.wait_for_function("() => window.say")
    said(host, frame, {"state": {"hash": "#layer=3"}})
    assert host.evaluate("() => model.get('hash')") == "#layer=3"
    host.evaluate("() => end()")
    assert marks(host) == ["m1", "m2", "m1"]
    assert host.evaluate("() => model.listeners") == 0
    host.evaluate("html => main.insertAdjacentHTML('beforeend', html)", STILL.format("m1"))
    host.wait_for_timeout(50)
    assert marks(host) == ["m1", "m2", "m1", "m1"]


def test_the_script_asks_for_nothing_from_elsewhere() -> None:
    assert "import " not in SCRIPT
    assert "fetch(" not in SCRIPT
    assert "http" not in SCRIPT
