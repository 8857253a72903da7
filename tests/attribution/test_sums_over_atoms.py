"""Sums over positions, channels and groups are one number, to the last bit; each is what it says it is."""

import numpy as np
import pytest
from halved_network import IMAGE, halves
from hypothesis import given, settings, strategies as st

import pellucid
from pellucid import Attribution, Layer, attribute, attribute_many
from pellucid.errors import InputError

METHODS = ("linear", "integrated", "relaxed", "integrated_gradients", "grad_cam")


def made_up(shape, *, seed=0, scale=1.0, spread=0.0):
    """An attribution of random numbers, whose sizes can differ by many powers of ten."""
    random = np.random.default_rng(seed)
    sizes = 10.0 ** (spread * random.normal(size=shape))
    gradient = (scale * sizes * random.normal(size=shape)).astype(np.float32)
    activations = np.maximum(random.normal(size=shape), 0).astype(np.float32)
    layer = Layer("made up", "grid", shape[2], shape[0], shape[1])
    return Attribution(layer, pellucid.Logit(0), None, "linear", gradient, activations)


def assert_sums_agree(found, groups=None):
    total = found.total
    assert found.values.sum(dtype=np.float64) == total
    assert found.positions().sum() == total
    assert found.by_channel().sum() == total
    assert found.by_channel()[::-1].cumsum()[-1] == total  # in any order
    if groups is not None:
        by_group = found.by_group(groups)
        assert by_group.sum() + found.remainder(groups) == total
        assert found.remainder(groups) + by_group[::-1].sum() == total


@given(
    shape=st.tuples(st.integers(1, 15), st.integers(1, 15), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-12, 1e-3, 1.0, 1e6]),
    spread=st.sampled_from([0.0, 1.0, 3.0]),
)
@settings(max_examples=60, deadline=None)
def test_sums_of_any_numbers(shape, seed, scale, spread):
    found = made_up(shape, seed=seed, scale=scale, spread=spread)
    assert_sums_agree(found)
    exact = found.gradient.astype(np.float64) * found.activations
    np.testing.assert_allclose(found.values, exact, rtol=1e-6, atol=1e-8 * np.abs(exact).max(initial=0))


def test_sums_of_a_large_layer():
    found = made_up((56, 56, 832), spread=1.0)
    assert_sums_agree(found)
    activations = found.activations[None]
    for method in ("nmf", "pca"):
        assert_sums_agree(found, pellucid.factorize(activations, 4, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_sums_of_every_method(method):
    model, _ = halves()
    recorded = pellucid.record(model, IMAGE[None], "low")["low"]
    factorized = [pellucid.factorize(recorded, 3), pellucid.factorize(recorded, 6, method="pca")]
    targets = ["lemon", ("lime", "orange"), "high@1,2", "high:3"]
    for found in attribute_many(model, IMAGE, layer="low", targets=targets, method=method, steps=5):
        assert found.values.dtype == np.float32
        assert found.values.shape == (10, 8, 6)
        for groups in factorized:
            assert_sums_agree(found, groups)


def test_each_atom_is_its_part_of_the_values():
    model, _ = halves()
    found = attribute(model, IMAGE, layer="low", target="lime")
    np.testing.assert_allclose(found.positions(), np.einsum("hwc->hw", found.values), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.by_channel(), np.einsum("hwc->c", found.values), rtol=1e-5, atol=1e-6)
    recorded = pellucid.record(model, IMAGE[None].repeat(2, 1, 1, 1), "low")["low"]
    groups = pellucid.factorize(recorded, 3)
    parts = [float((groups.part(number)[1] * found.gradient).sum()) for number in range(3)]
    np.testing.assert_allclose(found.by_group(groups, image=1), parts, rtol=1e-4, atol=1e-6)
    missed = ((recorded.values[1] - groups.reconstruct()[1]) * found.gradient).sum()
    assert found.remainder(groups, image=1) == pytest.approx(float(missed), rel=1e-3, abs=1e-5)
    assert np.abs(parts).max() > 1e-3


def test_nothing_adds_up_to_nothing():
    layer = Layer("silent", "grid", 3, 2, 2)
    nothing = np.zeros((2, 2, 3), np.float32)
    found = Attribution(layer, pellucid.Logit(0), None, "linear", nothing, nothing)
    assert found.total == 0
    assert found.positions().tolist() == [[0, 0], [0, 0]]
    assert not found.depends_on_position


def test_errors():
    model, _ = halves()
    groups = pellucid.factorize(pellucid.record(model, IMAGE[None], "low")["low"], 2)
    with pytest.raises(InputError, match="a plain gradient does not divide a target among groups"):
        attribute(model, IMAGE, layer="low", target=0, method="gradient").by_group(groups)
    with pytest.raises(InputError, match=r"spatial factors \[1, 10, 8, 2\] and channel factors \[2, 6\], expected \[n"):
        attribute(model, IMAGE, layer="left", target=0).by_group(groups)


def test_what_it_says_of_itself():
    model, _ = halves()
    found = attribute(model, IMAGE, layer="low", target="lime", versus="orange", method="relaxed")
    assert repr(found) == f"<Attribution of logits:1 − logits:2 to low, relaxed: {found.total:.4g}>"
    assert found.layer == model.layer("low")
    assert attribute(model, IMAGE, layer="low", target="high:1").class_index is None
