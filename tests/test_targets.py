"""Targets and their text and JSON forms."""

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st
from networks import plain_net, seeded

import pellucid
from pellucid.errors import TargetError
from pellucid.features.objectives import as_objective
from pellucid.targets import (
    Channel,
    Direction,
    Group,
    Logit,
    Neuron,
    Position,
    parse_target,
    target_from_json,
    target_to_json,
)

LAYERS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,12}", fullmatch=True).filter(lambda name: name != "logits")
INDICES = st.integers(0, 10**6)
PLACES = st.integers(-99, 99)
# What a label may not be to survive as text: a number, a neuron's form, or padded with blanks.
LABELS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(
    lambda label: label == label.strip() and label and not label.isdecimal() and "@" not in label
)
WITH_TEXT = st.one_of(
    st.builds(Channel, LAYERS, INDICES),
    st.builds(Neuron, LAYERS, INDICES),
    st.builds(Neuron, LAYERS, INDICES, PLACES, PLACES),
    st.builds(Position, LAYERS, PLACES, PLACES),
    st.builds(Logit, INDICES),
    st.builds(Logit, LABELS),
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DIRECTIONS = st.builds(
    Direction, LAYERS, st.lists(FLOATS, min_size=1, max_size=5).map(tuple), PLACES, PLACES, st.floats(0, 8)
)
MASKS = st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda size: st.tuples(*[st.tuples(*[FLOATS] * size[1])] * size[0])
)
GROUPS = st.builds(Group, LAYERS, st.lists(FLOATS, min_size=1, max_size=5).map(tuple), st.none() | MASKS)


@given(WITH_TEXT)
def test_text_form_names_the_same_target(target):
    assert parse_target(str(target)) == target
    assert parse_target(f"  {target} ") == target


@given(st.one_of(WITH_TEXT, DIRECTIONS, GROUPS))
def test_json_form_makes_the_same_target(target):
    again = target_from_json(json.loads(json.dumps(target_to_json(target))))
    assert again == target
    assert type(again) is type(target)
    assert hash(again) == hash(target)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("mixed4d:426", Channel("mixed4d", 426)),
        (" mixed4d : 426 ", Channel("mixed4d", 426)),
        ("features.3.conv:0", Channel("features.3.conv", 0)),
        ("mixed4d:426@4,1", Neuron("mixed4d", 426, 4, 1)),
        ("mixed4d:426@-1,-2", Neuron("mixed4d", 426, -1, -2)),
        ("mixed4d:426@centre", Neuron("mixed4d", 426)),
        ("mixed4d:426@center", Neuron("mixed4d", 426)),
        ("mixed4d@4,1", Position("mixed4d", 4, 1)),
        (" mixed4d @-1,0 ", Position("mixed4d", -1, 0)),
        ("blocks.3@0,2", Position("blocks.3", 0, 2)),
        ("logits:208", Logit(208)),
        ("logits:Labrador retriever", Logit("Labrador retriever")),
        ("logits:ratio 3:4", Logit("ratio 3:4")),
        ("logits:user@example", Logit("user@example")),
        ("logits:²", Logit("²")),
        ("logits:208@3,4", Neuron("logits", 208, 3, 4)),
    ],
)
def test_forms(text, target):
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ":", "mixed4d", "mixed4d:", ":4", "logits:", "mixed4d:dog", "mixed4d:4@", "mixed4d:4@1"),
        *("mixed4d:4@1,", "mixed4d:-1", "mixed4d:1.5", "mixed4d:²", "mixed4d:4@x,y", "mixed4d:4@1,2,3"),
        *("mixed4d@", "mixed4d@4", "mixed4d@4,", "mixed4d@x,y", "mixed4d@4,1,2", "mixed4d@centre", "@4,1", "@"),
        "a:" + "9" * 5000,
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(TargetError, match="cannot read") as raised:
        parse_target(text)
    assert "write" in str(raised.value)


@given(st.text())
def test_any_text_is_a_target_or_refused(text):
    try:
        target = parse_target(text)
    except TargetError:
        return
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"target": "unit", "layer": "a", "index": 1},
        {"target": "channel"},
        {"target": "channel", "layer": "a"},
        {"target": "channel", "layer": "a", "index": "x"},
        {"target": "channel", "layer": 3, "index": 1},
        {"target": "channel", "layer": "a", "index": 1, "colour": 2},
        {"target": "neuron", "layer": "a", "index": 1, "row": "top"},
        {"target": "direction", "layer": "a", "vector": ["x"]},
        {"target": "direction", "layer": "a", "vector": [1, 2], "cosine_power": "much"},
        {"target": "position", "layer": "a", "row": 1},
        {"target": "position", "layer": "a", "row": 1, "column": "x"},
        {"target": "group", "layer": "a"},
        {"target": "group", "layer": "a", "vector": ["x"]},
        {"target": "group", "layer": "a", "vector": [1], "mask": 3},
        {"target": "group", "layer": "a", "vector": [1], "mask": [1, 2]},
        {"target": "group", "layer": "a", "vector": [1], "mask": [[1, 2], [3]]},
        {"target": "logit", "label": None},
        {"target": ["channel"], "layer": "a", "index": 1},
        "mixed4d:426",
        None,
    ],
)
def test_other_json_is_refused(value):
    with pytest.raises(TargetError, match="as a target"):
        target_from_json(value)


def test_direction_holds_plain_numbers():
    direction = Direction("a", np.array([[1, 2.5]], dtype=np.float32))
    assert direction.vector == (1.0, 2.5)
    assert direction == Direction("a", [1, 2.5])
    assert str(direction) == "a:direction of 2"
    assert str(Direction("a", [1.0], 2, 3)) == "a:direction of 1@2,3"
    assert Logit("x").layer == "logits"


def test_group_holds_plain_numbers():
    group = Group("a", np.array([[1, 2.5]], np.float32), np.array([[0, 1, 2], [3, 4, 5.5]], np.float32))
    assert group.vector == (1.0, 2.5)
    assert group.mask == ((0.0, 1.0, 2.0), (3.0, 4.0, 5.5))
    assert group == Group("a", [1, 2.5], [[0, 1, 2], [3, 4, 5.5]])
    assert group != Group("a", [1, 2.5])
    assert group.direction == Direction("a", [1, 2.5])
    assert str(group) == "a:group of 2 on 2×3"
    assert str(Group("a", [1.0])) == "a:group of 1"
    with pytest.raises(ValueError, match=r"mask has shape \[2\], expected \[rows, columns\]"):
        Group("a", [1], [1, 2])


def test_a_group_is_rendered_as_its_direction_and_a_position_not_at_all():
    assert as_objective(Group("a", [1, 2.5], [[1, 2]])) == as_objective(Direction("a", [1, 2.5]))
    with pytest.raises(TargetError, match=r"a@4,1 cannot be rendered.*direction\('a', vector\)"):
        as_objective("a@4,1")
    with pytest.raises(TargetError, match="cannot be rendered"):
        as_objective(Position("a", 4, 1))


def test_positions_and_groups_are_checked_against_a_model():
    model = pellucid.wrap(seeded(plain_net), size=32, name="small")
    assert model.check(Position("8", -1, 0)) == Position("8", -1, 0)
    assert model.check(Group("8", range(10), [[1]])) == Group("8", range(10), [[1]])
    with pytest.raises(TargetError, match="a group of 2 numbers does not fit 8, which has 10 channels"):
        model.check(Group("8", [1, 2]))
    with pytest.raises(TargetError, match="logits is a vector and has no positions"):
        model.check(Position("logits", 0, 0))
    with pytest.raises(TargetError, match="no layer '88'"):
        model.check(Position("88", 0, 0))
