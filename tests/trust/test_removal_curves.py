"""Deletion and insertion curves against sums, on a network whose logits are a sum over positions."""

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import InputError, TargetError
from pellucid.record import Tail
from pellucid.trust import intervene, removal_curves

ROWS, COLUMNS = 4, 5
IMAGE = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * ROWS * COLUMNS, 3))
    return pellucid.wrap(module, size=(4, 5), labels=["a", "b", "c"])


def contributions(model, index):
    """What each position adds to a logit: exact here, as the rest of the network is linear."""
    with torch.no_grad():
        grid = model.module[1](model.module[0](model.preprocess(IMAGE[None])))[0]
        weight = model.module[3].weight[index].view(6, ROWS, COLUMNS)
        return (grid * weight).sum(0).double().numpy(), float(model.module[3].bias[index])


def test_curves_are_sums_where_the_rest_is_linear(model):
    adds, bias = contributions(model, 1)
    curves = removal_curves(model, IMAGE, adds, layer="1", label="b", steps=100, orders=5)
    ranked = np.concatenate([[0], np.cumsum(np.sort(adds.ravel())[::-1])])
    assert curves.shares == pytest.approx(np.linspace(0, 1, 21))
    np.testing.assert_allclose(curves.insertion, bias + ranked, atol=1e-5)
    np.testing.assert_allclose(curves.deletion, bias + adds.sum() - ranked, atol=1e-5)
    expected = np.trapezoid(2 * ranked - adds.sum(), curves.shares) / abs(adds.sum())
    assert curves.gap == pytest.approx(expected, rel=1e-4)
    # What is taken out of one layer is what is put into the other, in any order.
    np.testing.assert_allclose(curves.random_deletion + curves.random_insertion, 2 * bias + adds.sum(), atol=1e-5)
    assert (curves.random_gaps < curves.gap).all()
    assert np.ptp(curves.random_gaps) > 0


def test_no_order_does_better_than_what_positions_really_add(model):
    adds, _ = contributions(model, 0)
    best = removal_curves(model, IMAGE, adds, layer="1", label=0).gap
    for seed in range(5):
        other = np.random.default_rng(seed).normal(size=adds.shape)
        assert removal_curves(model, IMAGE, other, layer="1", label=0, orders=1).gap < best
    assert removal_curves(model, IMAGE, -adds, layer="1", label=0, orders=1).gap == pytest.approx(-best, rel=1e-4)


def test_steps_take_the_highest_first_and_equal_ones_as_they_are_read(model):
    values = np.zeros((ROWS, COLUMNS))
    values[2, 3] = 1
    curves = removal_curves(model, IMAGE, values, layer="1", label=2, steps=20, orders=1)
    tail = Tail(model, IMAGE, layer="1")
    for count, places in ((1, [(2, 3)]), (3, [(2, 3), (0, 0), (0, 1)])):
        effect = intervene(model, IMAGE, layer="1", remove=places, tail=tail)
        assert curves.deletion[count] == pytest.approx(effect.logits_after[2], abs=1e-5)
    rest = [place for place in np.ndindex(ROWS, COLUMNS) if place != (2, 3)]
    effect = intervene(model, IMAGE, layer="1", remove=rest, tail=tail)
    assert curves.insertion[1] == pytest.approx(effect.logits_after[2], abs=1e-5)


def test_two_classes_and_the_mean(model):
    options = {"values": np.arange(20.0).reshape(ROWS, COLUMNS), "layer": "1", "steps": 4, "orders": 2}
    first, second = (removal_curves(model, IMAGE, label=label, fill="mean", **options) for label in ("a", "b"))
    between = removal_curves(model, IMAGE, label="a", versus="b", fill="mean", **options)
    np.testing.assert_allclose(between.deletion, first.deletion - second.deletion, atol=1e-6)
    tail = Tail(model, IMAGE, layer="1")
    flat = tail.grid.mean((2, 3), keepdim=True).expand_as(tail.grid)
    assert first.deletion[-1] == pytest.approx(float(tail(flat)["logits"][0, 0]), abs=1e-5)
    assert first.deletion[0] == pytest.approx(float(tail.outputs["logits"][0, 0]), abs=1e-5)


def test_the_same_seed_gives_the_same_and_another_gives_others(model):
    values = np.zeros((ROWS, COLUMNS))
    first, again, other = (
        removal_curves(model, IMAGE, values, layer="1", label=0, orders=2, seed=seed).random_deletion
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_evidence(model):
    adds, _ = contributions(model, 1)
    curves = removal_curves(model, IMAGE, adds, layer="1", label=1)
    entry = curves.evidence("spatial:1:1", "b")
    assert entry.value == pytest.approx(curves.gap, abs=1e-4)
    assert entry.control == pytest.approx(curves.random_gaps.max(), abs=1e-4)
    assert entry.control is not None
    assert entry.value > entry.control
    assert "of b " in entry.sentence


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"values": np.zeros((5, 4))}, InputError, "expected finite numbers"),
        ({"values": np.full((4, 5), np.nan)}, InputError, "not finite"),
        ({"steps": 0}, InputError, "steps is 0"),
        ({"orders": 0}, InputError, "orders 0"),
        ({"fill": "noise"}, InputError, "no fill 'noise'"),
        ({"label": "z"}, TargetError, "no class 'z'"),
        ({"layer": "9"}, TargetError, "no layer '9'"),
    ],
)
def test_errors(model, change, error, message):
    options = {"values": np.zeros((ROWS, COLUMNS)), "layer": "1", "label": 0, **change}
    with pytest.raises(error, match=message):
        removal_curves(model, IMAGE, **options)
