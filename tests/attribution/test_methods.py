"""Each method against captum, and against formulas written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients, LayerGradCam, LayerGradientXActivation, LayerIntegratedGradients
from halved_network import IMAGE, halves, layer_of
from torch import nn

import pellucid
from pellucid import attribute, attribute_many
from pellucid.record import Tail

METHODS = ("linear", "integrated", "relaxed", "gradient", "integrated_gradients", "grad_cam", "sampled", "removal")


def to_numpy(grid):
    """[rows, columns, channels] of [1, channels, rows, columns]."""
    return grid.detach()[0].permute(1, 2, 0).numpy()


def assert_near(found, expected, rtol=1e-4):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected).max() > 1e-4


def test_linear():
    model, module = halves()
    found = attribute(model, IMAGE, layer="low", target="lime")
    expected = LayerGradientXActivation(module, module.low).attribute(model.preprocess(IMAGE[None]), target=1)
    assert_near(found.values, to_numpy(expected))


def test_gradient():
    model, module = halves()
    found = attribute(model, IMAGE, layer="low", target="lime", method="gradient")
    grid = layer_of(model, module).requires_grad_()
    (expected,) = torch.autograd.grad(module.head(grid)[0, 1], grid)
    assert_near(found.values, to_numpy(expected))
    np.testing.assert_array_equal(found.values, attribute(model, IMAGE, layer="low", target=1).gradient)


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_integrated_is_a_mean_over_a_path_in_the_layers_own_space(steps):
    model, module = halves()
    found = attribute(model, IMAGE, layer="low", target="lime", method="integrated", steps=steps)
    grid = layer_of(model, module)
    mean = torch.zeros_like(grid)
    for k in range(1, steps + 1):
        point = (grid * k / steps).requires_grad_()
        mean += torch.autograd.grad(module.head(point)[0, 1], point)[0] / steps
    assert_near(found.values, to_numpy(mean * grid))
    if steps == 50:
        # captum integrates the same path by another rule; both come near the integral.
        captum = IntegratedGradients(module.head).attribute(grid, target=1, n_steps=400, method="gausslegendre")
        assert np.corrcoef(found.values.ravel(), to_numpy(captum).ravel())[0, 1] > 0.999
        with torch.no_grad():
            change = module.head(grid)[0, 1] - module.head(torch.zeros_like(grid))[0, 1]
        assert found.total == pytest.approx(float(change), rel=0.05)


@pytest.mark.parametrize("steps", [5, 50])
def test_integrated_gradients_are_captums(steps):
    model, module = halves()
    found = attribute(model, IMAGE, layer="low", target="lime", method="integrated_gradients", steps=steps)
    captum = LayerIntegratedGradients(module, module.low)
    expected = captum.attribute(model.preprocess(IMAGE[None]), baselines=0, target=1, n_steps=steps)
    assert_near(found.values, to_numpy(expected))
    with torch.no_grad():
        pixels = model.preprocess(IMAGE[None])
        change = module(pixels)[0, 1] - module(torch.zeros_like(pixels))[0, 1]
    if steps == 50:  # the values add up to what there is to explain
        assert found.total == pytest.approx(float(change), rel=1e-2)


def test_grad_cam_is_captums():
    model, module = halves()
    found = attribute(model, IMAGE, layer="low", target="lime", method="grad_cam")
    expected = LayerGradCam(module, module.low).attribute(model.preprocess(IMAGE[None]), target=1)
    assert_near(found.positions(), to_numpy(expected)[:, :, 0])


class Pooled(nn.Module):
    """A layer, a pool, and a head that weights every place differently."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
        self.pool = pool
        self.head = nn.LazyLinear(3)

    def forward(self, x):
        return self.head(self.pool(self.layer(x)).flatten(1))


def pooled(pool):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Pooled(pool).eval()
        module(torch.zeros(1, 3, 23, 19))
    return pellucid.wrap(module, size=(23, 19), mean=0.4, std=0.3)


def relaxed_by_hand(grid, slopes, kernel, stride, padding):
    """∂ Σ slopes · (mean h² / (.01 + mean |h|)) / ∂h over windows, one after another, in numpy."""
    gradient = np.zeros_like(grid)
    channels, rows, columns = grid.shape
    for channel in range(channels):
        for row in range(slopes.shape[1]):
            for column in range(slopes.shape[2]):
                top, left = row * stride - padding, column * stride - padding
                where = (
                    channel,
                    slice(max(top, 0), min(top + kernel, rows)),
                    slice(max(left, 0), min(left + kernel, columns)),
                )
                window = grid[where]
                size = 0.01 + np.abs(window).mean()
                part = 2 * window / size - (window**2).mean() * np.sign(window) / size**2
                gradient[where] += slopes[channel, row, column] * part / window.size
    return gradient


def blurred_by_hand(grid):
    weights = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
    result = np.zeros_like(grid)
    _, rows, columns = grid.shape
    for row in range(rows):
        for column in range(columns):
            sums, total = 0, 0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if 0 <= row + down < rows and 0 <= column + right < columns:
                        sums = sums + weights[down + 1, right + 1] * grid[:, row + down, column + right]
                        total += weights[down + 1, right + 1]
            result[:, row, column] = sums / total
    return result


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (2, 2, 0), (3, 2, 1), (3, 3, 0)])
def test_relaxed_pools(kernel, stride, padding):
    model = pooled(nn.MaxPool2d(kernel, stride, padding))
    found = attribute(model, IMAGE, layer="layer", target=1, method="relaxed")
    grid = np.moveaxis(found.activations, 2, 0).astype(np.float64)
    weight = model.module.head.weight[1].detach().numpy()
    rows, columns = F.max_pool2d(torch.from_numpy(grid), kernel, stride, padding).shape[1:]
    expected = relaxed_by_hand(grid, weight.reshape(4, rows, columns), kernel, stride, padding)
    if stride > 1:
        expected = blurred_by_hand(expected)
    assert_near(found.gradient, np.moveaxis(expected, 0, 2), rtol=1e-3)
    recorded = pellucid.record(model, IMAGE[None], "layer")["layer"].values[0]
    np.testing.assert_allclose(found.activations, recorded, atol=1e-6)


def test_relaxed_has_no_checkerboard():
    """On a flat layer, of which a pool takes one of every four places, relaxed gradients are nearly flat."""
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    model = pellucid.wrap(module, size=16)
    flat = torch.full((3, 16, 16), 0.7)
    plain = attribute(model, flat, layer="0", target=0).positions()
    relaxed = attribute(model, flat, layer="0", target=0, method="relaxed").positions()
    assert plain.std() > 0.5 * np.abs(plain).mean()
    assert relaxed.std() < 0.01 * np.abs(relaxed).mean()


@pytest.mark.parametrize("pool", [nn.Tanh(), nn.MaxPool2d(2, 1, dilation=2), nn.AvgPool2d(2)])
def test_relaxed_is_linear_where_no_pool_can_be_relaxed(pool):
    model = pooled(pool)
    relaxed, linear = (attribute(model, IMAGE, layer="layer", target=1, method=each) for each in ("relaxed", "linear"))
    np.testing.assert_array_equal(relaxed.values, linear.values)
    dilated = pooled(nn.MaxPool2d(2, 1, dilation=2))
    relaxed, linear = (
        attribute(dilated, IMAGE, layer="layer", target=1, method=each) for each in ("relaxed", "linear")
    )
    np.testing.assert_array_equal(relaxed.values, linear.values)


@pytest.mark.parametrize("method", METHODS)
def test_differences_are_differences(method):
    model, _ = halves()
    options = {"layer": "low", "method": method, "steps": 6}
    first, second = (attribute(model, IMAGE, target=each, **options) for each in ("lemon", "orange"))
    between = attribute(model, IMAGE, target="lemon", versus="orange", **options)
    assert_near(between.values, first.values - second.values, rtol=1e-3)
    assert between.title == "logits:0 − logits:2"
    assert between.class_index == 0


@pytest.mark.parametrize("method", METHODS)
def test_many_are_as_each_alone(method):
    model, _ = halves()
    aims = [0, "lime", ("lime", "orange"), "high:3", "high:3@1,2", "high@4,0", pellucid.Position("high", 0, -1)]
    together = attribute_many(model, IMAGE, layer="low", targets=aims, method=method, steps=6, batch_size=3)
    tail = Tail(model, IMAGE, layer="low", to=["logits", "high"])
    again = attribute_many(model, IMAGE, layer="low", targets=aims, method=method, steps=6, tail=tail)
    for aim, found, other in zip(aims, together, again, strict=True):
        target, versus = aim if isinstance(aim, tuple) else (aim, None)
        alone = attribute(model, IMAGE, layer="low", target=target, versus=versus, method=method, steps=6)
        assert found.title == other.title == alone.title
        assert_near(found.values, alone.values, rtol=1e-3)
        assert_near(other.values, alone.values, rtol=1e-3)
