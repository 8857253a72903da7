"""Widgets without a notebook: what is sent, what a page's words do to traits, what its questions are answered."""

import base64
import json
import sys
from io import BytesIO

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed: pip install 'pellucid[notebook]'")

import comm
from drawn_widget import make_atlas, make_explanation
from PIL import Image
from traitlets import TraitError

import pellucid
from pellucid.app import _notebook
from pellucid.bundle import ExplanationManifest, decode_manifest
from pellucid.errors import InputError, MissingExtraError, TargetError
from pellucid.widget import AtlasWidget, ExplanationWidget

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = {
    "hash": "#layer=3&at=2,5&class=4",
    "layer": "3",
    "position": {"layer": "3", "row": 2, "column": 5},
    "channel": None,
    "group": {"layer": "3", "groups": 3, "group": 1},
    "class_index": 4,
    "versus": None,
}


@pytest.fixture(scope="module")
def explanation(tmp_path_factory) -> pellucid.Explanation:
    return make_explanation(tmp_path_factory.mktemp("explained"))


@pytest.fixture(scope="module")
def atlas(tmp_path_factory) -> pellucid.Atlas:
    return make_atlas(tmp_path_factory.mktemp("mapped"))


@pytest.fixture
def sent(monkeypatch) -> list:
    """What goes to the front end: kind, data and binary parts of every message."""
    messages = []

    def publish(_, kind, data=None, metadata=None, buffers=None, **words):
        messages.append((kind, data, [bytes(buffer) for buffer in buffers or []]))

    monkeypatch.setattr(comm.DummyComm, "publish_msg", publish)
    return messages


@pytest.fixture
def widget(explanation, sent):
    made = explanation.widget()
    yield made
    made.close()


def hear(widget, data: dict) -> None:
    """As if the front end had said it."""
    widget._handle_msg({"content": {"data": {"buffer_paths": [], **data}}, "buffers": []})


def ask(widget, sent: list, method: str, body: object) -> dict:
    before = len(sent)
    hear(widget, {"method": "custom", "content": {"ask": "view:1", "method": method, "body": body}})
    answers = [data["content"] for _, data, _ in sent[before:] if data["method"] == "custom"]
    assert len(answers) == 1
    assert answers[0].pop("reply") == "view:1"
    json.dumps(answers[0])
    return answers[0]


def opened(sent: list) -> tuple[int, dict, str]:
    """Which message opened the widget, its data and the page that came with it."""
    ((place, data, buffers),) = [
        (place, data, buffers)
        for place, (kind, data, buffers) in enumerate(sent)
        if kind == "comm_open" and "_esm" in data["state"]
    ]
    (page,) = buffers
    return place, data, page.decode()


def data_in(page: str) -> dict:
    text = page.split('<script type="application/json" id="bundle">', 1)[1].split("</script>", 1)[0]
    return json.loads(text)


def test_the_page_is_sent_once(explanation, widget, sent) -> None:
    opening, data, page = opened(sent)
    found = data_in(page)
    assert found["frame"] is True
    manifest = decode_manifest(json.dumps(found["manifest"]).encode())
    assert isinstance(manifest, ExplanationManifest)
    assert manifest.body.title == explanation.title
    assert len(json.dumps(data)) < 20_000
    hear(widget, {"method": "update", "state": STATE})
    widget.hash = "#layer=6"
    widget.height = 600
    ask(widget, sent, "experiment", {"layer": "3", "changes": [{"unit": "channel", "channel": 1, "factor": 0}]})
    later = sent[opening + 1 :]
    assert len(later) > 3
    assert all(kind == "comm_msg" and not buffers for kind, _, buffers in later)
    assert max(len(json.dumps(data)) for _, data, _ in later) < 5000


def test_before_the_page_has_said_anything(widget, atlas) -> None:
    names = ("position", "channel", "group", "class_index", "versus", "layer", "hash")
    assert [getattr(widget, name) for name in names] == [None] * 5 + ["", ""]
    map_widget = AtlasWidget(atlas)
    assert (map_widget.cells, map_widget.grid) == (None, 0)
    map_widget.close()


def test_what_the_page_says_can_be_observed(widget) -> None:
    seen = []
    widget.observe(lambda change: seen.append((change.new, widget.layer, widget.class_index)), "position")
    hear(widget, {"method": "update", "state": STATE})
    assert seen == [(STATE["position"], "3", 4)]
    assert {name: getattr(widget, name) for name in STATE} == STATE
    hear(widget, {"method": "update", "state": {"position": None, "class_index": 2}})
    assert (widget.position, widget.class_index, widget.layer) == (None, 2, "3")


@pytest.mark.parametrize("name", ["layer", "position", "channel", "group", "class_index", "versus"])
def test_what_the_page_says_is_not_for_python_to_set(widget, name) -> None:
    with pytest.raises(TraitError, match="read-only"):
        setattr(widget, name, STATE[name])


def test_an_experiment_is_what_intervene_says(explanation, widget, sent) -> None:
    changes = [
        {"unit": "channel", "channel": 3, "factor": 0},
        {"unit": "region", "rows": [0, 2], "columns": [1, 4], "factor": 8},
    ]
    answer = ask(widget, sent, "experiment", {"layer": "6", "changes": changes})["answer"]
    units = [(3, 0.0), (pellucid.Region(0, 1, 3, 4), 8.0)]
    effect = pellucid.intervene(explanation.model, explanation.image, layer="6", scale=units)
    for score, told in zip(explanation.classes, answer["classes"], strict=True):
        assert told["index"] == score.index
        assert told["logit_before"] == pytest.approx(score.logit, abs=1e-4)
        assert told["logit_after"] == pytest.approx(float(effect.logits_after[score.index]), abs=2e-5)
        assert told["probability_after"] == pytest.approx(float(effect.probabilities_after[score.index]), abs=1e-5)
    assert max(abs(told["logit_after"] - told["logit_before"]) for told in answer["classes"]) > 1e-3


def test_a_region_comes_with_the_icons_that_there_are(explanation, widget, sent) -> None:
    body = {"top": 0.0, "left": 0.0, "bottom": 0.5, "right": 0.5}
    layers = {entry["layer"]: entry for entry in ask(widget, sent, "region", body)["answer"]["layers"]}
    assert {"3", "6"} <= set(layers)
    drawn = 0
    for name, entry in layers.items():
        values = pellucid.record(explanation.model, explanation.image[None], name)[name].values[0]
        (top, bottom), (left, right) = entry["rows"], entry["columns"]
        inside = values[top : bottom + 1, left : right + 1].mean((0, 1))
        for channel in entry["channels"]:
            assert channel["inside"] == pytest.approx(float(inside[channel["channel"]]), abs=1e-4)
            icons = explanation.icons.get(name)
            if icons is None or channel["channel"] not in icons.keys:
                assert channel["icon"] == ""
                continue
            head, _, data = channel["icon"].partition(",")
            assert head == "data:image/webp;base64"
            icon = icons[channel["channel"]]
            wanted = icon[..., :3] * icon[..., 3:] + 0.95 * (1 - icon[..., 3:])
            shown = np.asarray(Image.open(BytesIO(base64.b64decode(data))), float) / 255
            assert np.abs(shown - wanted).mean() < 0.06
            drawn += 1
    assert drawn


@pytest.mark.parametrize(
    ("method", "body", "words"),
    [
        ("region", {"top": 0.5, "left": 0, "bottom": 0.1, "right": 1}, "the region is empty"),
        ("region", {"top": 0.5, "left": 0, "bottom": 9, "right": 1}, "does not have the form"),
        ("experiment", {"layer": "6", "changes": []}, "does not have the form"),
        ("experiment", {"layer": "eight", "changes": [{"unit": "channel", "channel": 0, "factor": 0}]}, "no layer"),
        ("experiment", {"layer": "6", "changes": [{"unit": "channel", "channel": 99, "factor": 0}]}, "99"),
        ("experiment", None, "does not have the form"),
        ("_page", {}, "cannot ask for '_page'"),
    ],
)
def test_a_question_without_an_answer_gets_a_sentence(widget, sent, method, body, words) -> None:
    answer = ask(widget, sent, method, body)
    assert list(answer) == ["problem"]
    assert words in answer["problem"]
    assert answer["problem"].endswith(".")


def test_a_failure_is_told_to_the_page_and_to_the_kernel(explanation, widget, sent, monkeypatch) -> None:
    def broken(request):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(widget._live, "experiment", broken)
    body = {"layer": "6", "changes": [{"unit": "channel", "channel": 0, "factor": 0}]}
    with pytest.raises(ZeroDivisionError):
        widget._reply(widget, {"ask": "view:1", "method": "experiment", "body": body}, [])
    assert "ZeroDivisionError: by zero" in sent[-1][1]["content"]["problem"]


@pytest.mark.parametrize("content", [None, [], "ask", {"method": "experiment"}])
def test_messages_of_others_are_left_alone(widget, sent, content) -> None:
    before = len(sent)
    widget._handle_custom_msg(content, [])
    assert len(sent) == before


def test_select(explanation, widget, sent) -> None:
    number = explanation.classes[1]
    widget.select("3", position=(2, np.int64(5)), label=number.label)
    assert widget.hash == f"#layer=3&at=2,5&class={number.index}"
    assert sent[-1][1]["state"] == {"hash": widget.hash}
    hear(widget, {"method": "update", "state": {"layer": "3", "hash": widget.hash}})
    widget.select(channel=explanation.told["3"][0], group=(3, 2), versus=explanation.classes[0].index)
    words = dict(word.split("=") for word in widget.hash[1:].split("&"))
    assert words == {
        "layer": "3",
        "at": "2,5",
        "class": str(number.index),
        "versus": str(explanation.classes[0].index),
        "channel": f"3:{explanation.told['3'][0]}",
        "group": "3:3:2",
    }
    # Another layer has other positions.
    widget.select("6")
    assert "at=" not in widget.hash


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"layer": "0"}, TargetError),
        ({"label": "no such class"}, TargetError),
        ({"position": (0, 999)}, InputError),
        ({"position": (-1, 0)}, InputError),
        ({"position": ("a", 0)}, InputError),
        ({"channel": 999}, TargetError),
        ({"group": (99, 0)}, TargetError),
        ({"group": (3, 3)}, InputError),
    ],
)
def test_select_of_nothing(widget, words, error) -> None:
    with pytest.raises(error):
        widget.select(**words)
    assert widget.hash == ""


def test_an_explanation_has_one_widget_until_it_is_closed(explanation) -> None:
    first = explanation.widget()
    assert isinstance(first, ExplanationWidget)
    assert explanation.widget() is first
    first.close()
    second = explanation.widget()
    assert second is not first
    assert not second.closed
    second.close()


class Shell:
    """What `get_ipython()` gives in a kernel."""

    kernel = object()

    def __init__(self, **names) -> None:
        self.user_ns = names


def output_of(thing, monkeypatch, shell: Shell | None, session: str = "") -> dict:
    monkeypatch.setattr(_notebook, "_shell", lambda: shell)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if session:
        monkeypatch.setenv("JPY_SESSION_NAME", session)
    made = thing._repr_mimebundle_(include=None, exclude=None)
    thing.widget().close()
    return {} if made is None else made[0]


def test_a_terminal_is_shown_words(explanation, monkeypatch) -> None:
    assert output_of(explanation, monkeypatch, None) == {}


@pytest.mark.parametrize("session", ["", "a.ipynb"])
def test_vs_code_and_colab_are_shown_the_widget_and_keep_a_still_page(explanation, monkeypatch, session) -> None:
    code = output_of(explanation, monkeypatch, Shell(__vsc_ipynb_file__="a.ipynb"), session)
    monkeypatch.setitem(sys.modules, "google.colab", object())
    for shown in (code, output_of(explanation, monkeypatch, Shell(), session)):
        assert set(shown) == {VIEW, "text/html", "text/plain"}
        assert shown["text/plain"] == repr(explanation)
        assert "data-pellucid" not in shown["text/html"]
        assert "&quot;frame&quot;:true" not in shown["text/html"]


def test_a_notebook_that_a_program_runs_keeps_a_still_page_and_no_widget(explanation, sent, monkeypatch) -> None:
    monkeypatch.setattr(_notebook, "_shell", Shell)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert explanation._repr_mimebundle_() is None
    assert sent == []
    widget = explanation.widget()
    assert set(widget._repr_mimebundle_()[0]) == {VIEW, "text/html", "text/plain"}
    widget.close()


def test_jupyterlab_keeps_nothing_that_needs_a_kernel(explanation, monkeypatch) -> None:
    shown = output_of(explanation, monkeypatch, Shell(), session="a.ipynb")
    assert set(shown) == {"text/html", "text/plain"}
    assert shown["text/html"].count("data-pellucid=") == 1


def test_without_anywidget_the_page_is_still(explanation, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("pellucid.widget")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.setattr(_notebook, "_shell", lambda: Shell())
    with pytest.raises(MissingExtraError, match=r"pellucid\[notebook\]"):
        explanation.widget()
    assert explanation._repr_mimebundle_() is None
    html = explanation._repr_html_()
    assert html.startswith("<iframe")
    assert explanation._display_()._repr_html_().startswith("<iframe")


def test_cells_of_an_atlas(atlas, sent) -> None:
    widget = atlas.widget()
    assert isinstance(widget, AtlasWidget)
    assert data_in(opened(sent)[2])["manifest"]["kind"] == "atlas"
    assert widget.selected().tolist() == []
    cells = atlas.cells("6", 4).places[:2].tolist()
    seen = []
    widget.observe(lambda change: seen.append(len(widget.selected())), "cells")
    hear(widget, {"method": "update", "state": {"hash": "#layer=6", "layer": "6", "grid": 4, "cells": cells}})
    numbers = widget.selected()
    assert seen == [len(numbers)]
    assert len(numbers) == atlas.cells("6", 4).counts[:2].sum()
    column, row = (np.floor(atlas.positions("6")[numbers] * 4).astype(int)).T
    assert {(c, r) for c, r in zip(column.tolist(), row.tolist(), strict=True)} == {tuple(cell) for cell in cells}
    assert len(atlas.origins("6", numbers)) == len(numbers)
    assert "problem" in ask(widget, sent, "experiment", {"layer": "6", "changes": []})
    widget.close()


def test_select_on_an_atlas(atlas) -> None:
    widget = atlas.widget()
    column, row = atlas.cells("6", 4).places[0].tolist()
    widget.select("6", cell=(4, column, row), label="lemon")
    words = dict(word.split("=") for word in widget.hash[1:].split("&"))
    assert words["cell"] == f"4:{column},{row}"
    assert words["class"] == "1"
    x, y, zoom = map(float, words["view"].split(","))
    assert (x, y, zoom) == pytest.approx(((column + 0.5) / 4, (row + 0.5) / 4, 2), abs=1e-3)
    empty = next((place for place in np.ndindex(4, 4) if not (atlas.cells("6", 4).places == place).all(1).any()), None)
    if empty is not None:
        with pytest.raises(InputError, match="empty"):
            widget.select(cell=(4, *empty))
    for words, error in (
        ({"cell": (3, 0, 0)}, InputError),
        ({"layer": "1"}, TargetError),
        ({"label": "q"}, TargetError),
    ):
        with pytest.raises(error):
            widget.select(**words)
    widget.close()


def test_an_atlas_that_was_opened_finds_its_network_or_is_told_it(atlas, embedded_model) -> None:
    opened = pellucid.open_atlas(atlas.folder.path)
    with pytest.raises(TargetError):
        opened.widget()
    assert opened._repr_html_() is None
    assert "Atlas" in opened._display_()._repr_html_()
    with pytest.raises(InputError, match="other weights"):
        opened.widget(embedded_model)
    widget = opened.widget(atlas.model)
    assert opened.widget() is widget
    assert opened._repr_html_().startswith("<iframe")
    widget.close()
