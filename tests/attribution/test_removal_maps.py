"""Maps that agree with removals: least squares written out, networks where the truth is known, and held-out sets."""

import numpy as np
import pytest
import torch
from halved_network import IMAGE, halves, layer_of
from torch import nn

import pellucid
from pellucid import attribute, attribute_many, intervene_each
from pellucid.attribution import from_removals
from pellucid.attribution._methods import sampled_path
from pellucid.record import Tail
from pellucid.trust import correlation


def lost(model, layer, index, units):
    tail = Tail(model, IMAGE, layer=layer)
    before = float(tail.outputs["logits"].flatten()[index])
    after = intervene_each(model, IMAGE, layer=layer, units=units, tail=tail)[:, index]
    return (before - after.astype(float)).reshape(tail.grid.shape[2:])


def squares_of(map_):
    rows, columns = map_.shape
    sums = np.zeros(map_.shape)
    for row in range(rows):
        for column in range(columns):
            sums[row, column] = map_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].sum()
    return sums


def misfit(map_, alone, square, guess):
    """What `removal` says that it minimizes."""
    return (
        ((map_ - alone) ** 2).sum() + ((squares_of(map_) - square) ** 2).sum() / 25 + 0.3 * ((map_ - guess) ** 2).sum()
    )


def test_removal_fits_positions_and_squares_better_than_any_map_beside_it():
    model, _ = halves()
    found = attribute(model, IMAGE, layer="low", target=1, method="removal", steps=6).positions()
    guess = attribute(model, IMAGE, layer="low", target=1, method="sampled", steps=6).positions()
    alone, square = (lost(model, "low", 1, units) for units in ("positions", "squares"))
    least = misfit(found, alone, square, guess)
    generator = np.random.default_rng(0)
    for _ in range(200):
        step = generator.normal(size=found.shape) * np.abs(found).max() * 10 ** generator.uniform(-3, 0)
        assert misfit(found + step, alone, square, guess) > least
    for other in (alone, guess, 0 * guess):
        assert misfit(other, alone, square, guess) > least


def test_sampled_is_a_mean_over_layers_that_lack_positions():
    model, module = halves()
    found = attribute(model, IMAGE, layer="low", target=1, method="sampled", steps=9)
    grid = layer_of(model, module)
    kept = sampled_path(9, *grid.shape[2:]).kept
    assert kept is not None
    mean = torch.zeros_like(grid)
    for mask in kept:
        point = (grid * mask).requires_grad_()
        mean += torch.autograd.grad(module.head(point)[0, 1], point)[0] / 9
    expected = (mean * grid)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    # From nearly all of them down to about a half, the same at each call.
    first, again = sampled_path(40, 30, 30).kept, sampled_path(40, 30, 30).kept
    assert first is not None
    assert again is not None
    assert torch.equal(first, again)
    shares = first.float().mean((1, 2, 3)).numpy()
    np.testing.assert_allclose(shares, 0.5 + (np.arange(40) + 0.5) / 80, atol=0.06)


@pytest.mark.parametrize("method", ["sampled", "removal"])
def test_both_are_linear_attribution_where_the_rest_is_linear(method):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 4, 5, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.LazyLinear(3))
        module(torch.zeros(1, 3, 23, 19))
    model = pellucid.wrap(module, size=(23, 19))
    linear = attribute(model, IMAGE, layer="1", target=2)
    found = attribute(model, IMAGE, layer="1", target=2, method=method, steps=3)
    np.testing.assert_allclose(found.values, linear.values, atol=2e-5 * np.abs(linear.values).max())


class Largest(nn.Module):
    """Two equal places say the same; the largest counts."""

    def forward(self, x):
        return x.amax((2, 3))


def test_a_place_that_another_stands_in_for_adds_little():
    """Where two places hold the same maximum, neither is missed alone; together they are."""
    module = nn.Sequential(nn.Identity(), Largest())
    model = pellucid.wrap(module, size=8)
    image = torch.full((3, 8, 8), 0.1)
    image[:, 1, 1] = image[:, 6, 6] = 0.9
    linear = attribute(model, image, layer="0", target=0).positions()
    removal = attribute(model, image, layer="0", target=0, method="removal").positions()
    assert linear.sum() == pytest.approx(0.9, rel=1e-3)
    assert abs(removal.sum()) < 0.5 * linear.sum()
    alone = image.clone()
    alone[:, 6, 6] = 0.1
    single = attribute(model, alone, layer="0", target=0, method="removal").positions()
    assert single[1, 1] == pytest.approx(0.8, abs=0.1)


def test_where_the_layer_is_zero_nothing_is_added():
    module = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.LazyLinear(3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module(torch.zeros(1, 3, 8, 8))
    model = pellucid.wrap(module, size=8)
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(3))
    image[:, 2:4, :5] = 0
    found = attribute(model, image, layer="0", target=1, method="removal")
    assert not found.values[2:4, :5].any()
    assert found.values[5].any()


def test_held_out_sets_are_predicted_better_than_by_linear_attribution(embedded_model):
    model = embedded_model
    generator = np.random.default_rng(0)
    image = pellucid.load_image(next(iter(pellucid.example_photos().values())), size=model.size)
    tail = Tail(model, image, layer="mixed4d")
    logits = tail.outputs["logits"].flatten()
    top, count = int(logits.argmax()), tail.grid[0, 0].numel()
    removed = generator.random((60, count)) < 0.4
    kept = torch.from_numpy(~removed).view(60, 1, *tail.grid.shape[2:])
    with torch.no_grad():
        change = float(logits[top]) - tail(tail.grid * kept)["logits"].flatten(1)[:, top].numpy()
    scores = {}
    for method in ("linear", "sampled", "removal"):
        options = {"layer": "mixed4d", "target": top, "steps": 16, "tail": tail}
        map_ = attribute(model, image, method=method, **options).positions()
        scores[method] = correlation(removed @ map_.ravel(), change)
    assert min(scores["sampled"], scores["removal"]) > scores["linear"]
    assert scores["removal"] > 0.85


def test_measured_removals_can_be_handed_over():
    model, _ = halves()
    estimate = attribute(model, IMAGE, layer="low", target="lime", method="sampled", steps=6)
    found = from_removals(estimate, *(lost(model, "low", 1, units) for units in ("positions", "squares")))
    (again,) = attribute_many(model, IMAGE, layer="low", targets=["lime"], method="removal", steps=6)
    assert found.method == again.method == "removal"
    assert found.target == estimate.target
    np.testing.assert_allclose(found.positions(), again.positions(), atol=1e-4 * np.abs(found.positions()).max())
    # Nothing but a multiple of the activations is added to a position's gradient: no shorter step has its sum.
    step = found.gradient - estimate.gradient
    along = estimate.activations * (step * estimate.activations).sum(2, keepdims=True)
    length = np.maximum((estimate.activations**2).sum(2, keepdims=True), 1e-12)
    np.testing.assert_allclose(step, along / length, atol=1e-4 * np.abs(estimate.gradient).max())
    assert np.abs(step).max() > 1e-3 * np.abs(estimate.gradient).max()


def test_errors():
    model, _ = halves()
    estimate = attribute(model, IMAGE, layer="low", target=1)
    with pytest.raises(pellucid.InputError, match=r"\[8, 10\], expected finite numbers \[10, 8\]"):
        from_removals(estimate, np.zeros((8, 10)), np.zeros((10, 8)))
    with pytest.raises(pellucid.InputError, match="expected finite numbers"):
        from_removals(estimate, np.zeros((10, 8)), np.full((10, 8), np.nan))
    plain = attribute(model, IMAGE, layer="low", target=1, method="gradient")
    with pytest.raises(pellucid.InputError, match="plain gradient"):
        from_removals(plain, np.zeros((10, 8)), np.zeros((10, 8)))
