"""Targets of later layers: their strength in numpy, their gradient by finite differences."""

import numpy as np
import pytest
import torch
from halved_network import IMAGE, halves, layer_of
from networks import ChannelsLastNet, ResidualNet, TokenNet, seeded
from torch import nn

import pellucid
from pellucid import Channel, Direction, Group, Neuron, Position, attribute, attribute_many
from pellucid.attribution import strength
from pellucid.errors import InputError, ModelError, TargetError
from pellucid.record import Tail

VECTOR = tuple(np.random.default_rng(0).normal(size=8))
MASK = np.random.default_rng(1).random((5, 4))
TARGETS = {
    "channel": (Channel("high", 3), lambda h: h[3].mean()),
    "neuron": (Neuron("high", 3, 1, 2), lambda h: h[3, 1, 2]),
    "neuron from the end": (Neuron("high", 3, -1, -2), lambda h: h[3, -1, -2]),
    "central neuron": (Neuron("high", 3), lambda h: h[3, 2, 2]),
    "position": (Position("high", 4, 0), lambda h: np.linalg.norm(h[:, 4, 0])),
    "direction": (Direction("high", VECTOR), lambda h: np.einsum("chw,c->hw", h, VECTOR).mean()),
    "direction at a place": (Direction("high", VECTOR, 2, 1), lambda h: h[:, 2, 1] @ np.array(VECTOR)),
    "weighted direction": (Direction("high", VECTOR, 2, 1, 2.0), lambda h: cosine_weighted(h[:, 2, 1], VECTOR, 2)),
    "group": (
        Group("high", VECTOR, tuple(map(tuple, MASK))),
        lambda h: np.einsum("chw,c,hw->", h, VECTOR, MASK) / np.linalg.norm(VECTOR) / np.linalg.norm(MASK),
    ),
    "group everywhere": (
        Group("high", VECTOR),
        lambda h: np.einsum("chw,c->", h, VECTOR) / np.linalg.norm(VECTOR) / np.sqrt(h[0].size),
    ),
    "class": (pellucid.Logit(2), None),
}


def cosine_weighted(vector, direction, power):
    dot = vector @ np.array(direction)
    cosine = dot / np.linalg.norm(vector) / np.linalg.norm(direction)
    return dot * max(0.1, cosine) ** power


def measure(module, name, grid):
    """What a target's strength is when `low` gives `grid` [6, 10, 8], without anything of Pellucid."""
    with torch.no_grad():
        given = torch.from_numpy(grid)[None]
        if name == "class":
            return float(module.head(given)[0, 2])
        return float(TARGETS[name][1](module.upper(given)[0].numpy()))


@pytest.mark.parametrize("name", TARGETS)
def test_gradients_are_finite_differences(name):
    model, module = halves(double=True)
    found = attribute(model, IMAGE, layer="low", target=TARGETS[name][0])
    grid = layer_of(model, module)[0].numpy()
    np.testing.assert_allclose(found.activations, np.moveaxis(grid, 0, 2), rtol=1e-5, atol=1e-7)
    random, slopes, step = np.random.default_rng(2), [], 1e-6
    places = [tuple(random.integers(0, size) for size in grid.shape) for _ in range(40)]
    near = {"neuron": (1, 2), "position": (4, 0), "neuron from the end": (4, 2)}.get(name, (2, 2))
    places += [(channel, 2 * near[0], 2 * near[1]) for channel in range(6)]
    for place in places:
        up, down = grid.copy(), grid.copy()
        up[place] += step
        down[place] -= step
        slopes.append((measure(module, name, up) - measure(module, name, down)) / (2 * step))
    gradient = [found.gradient[row, column, channel] for channel, row, column in places]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-6)
    assert np.abs(slopes).max() > 1e-3


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "class"])
def test_strengths(name):
    target, expected = TARGETS[name]
    grids = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = strength(target, {"high": grids})
    np.testing.assert_allclose(found, [expected(grid.numpy()) for grid in grids], rtol=1e-9)


def test_a_groups_strength_is_its_magnitude_where_it_is_alone():
    spatial, channels = np.random.default_rng(0).random((5, 4)), np.random.default_rng(1).random(8)
    groups = pellucid.factorize(spatial[:, :, None] * channels, 1)
    target = Group("high", tuple(channels), tuple(map(tuple, 7 * spatial)))
    grid = torch.from_numpy(np.moveaxis(spatial[:, :, None] * channels, 2, 0))[None]
    assert float(strength(target, {"high": grid})) == pytest.approx(float(groups.magnitudes()[0]), rel=1e-5)


def test_texts_and_labels():
    model, _ = halves()

    def total(target):
        return attribute(model, IMAGE, layer="low", target=target).total

    assert total("lime") == total("LIME") == total("logits:lime") == total(1) == total(pellucid.Logit("lime"))
    assert total("ratio 3:4") == total(3)
    assert total("a@b") == total("logits:a@b") == total(4)
    assert total("high:3@1,2") == total(Neuron("high", 3, 1, 2))
    assert total("high@-1,0") == total(Position("high", 4, 0))


def test_a_silent_position_has_no_gradient():
    """The norm of nothing has none; a path through it is no obstacle."""
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.constant_(module[1].bias, -100)
    model = pellucid.wrap(module, size=8)
    for method in ("linear", "integrated", "integrated_gradients"):
        found = attribute(model, torch.rand(3, 8, 8), layer="0", target="2@1,1", method=method, steps=4)
        assert np.array_equal(found.values, np.zeros((8, 8, 4)))
        assert found.total == 0


@pytest.mark.parametrize(
    ("net", "layer", "later"),
    [
        (ResidualNet, "block1.conv1", "block2.conv1"),
        (TokenNet, "blocks.0", "blocks.1"),
        (ChannelsLastNet, "patches", "mlp"),
    ],
)
def test_other_kinds_of_networks(net, layer, later):
    model = pellucid.wrap(seeded(net), size=32, mean=0.4, std=0.3)
    place, after = model.layer(layer), model.layer(later)
    targets = [f"{later}:1@0,1", f"{later}@1,1", 0]
    found = attribute_many(model, IMAGE[:, :16, :16].repeat(1, 2, 2), layer=layer, targets=targets)
    pixels = model.preprocess(IMAGE[None, :, :16, :16].repeat(1, 1, 2, 2))
    kept = {}

    def keep(name):
        def hook(_module, _inputs, output):
            kept[name] = output
            return output.clone()

        return hook

    module = model.module.eval()
    with (
        module.get_submodule(place.path).register_forward_hook(keep("layer")),
        module.get_submodule(after.path).register_forward_hook(keep("later")),
    ):
        logits = module(pixels)
    grid = after.to_grid(kept["later"], (32, 32))[0]
    for attribution, value in zip(found, (grid[1, 0, 1], grid[:, 1, 1].norm(), logits[0, 0]), strict=True):
        (gradient,) = torch.autograd.grad(value, kept["layer"], retain_graph=True)
        expected = place.to_grid(gradient * kept["layer"], (32, 32))[0].permute(1, 2, 0).detach().numpy()
        np.testing.assert_allclose(attribution.values, expected, rtol=1e-3, atol=1e-6)
        assert np.abs(expected).max() > 1e-5


def test_whether_anything_depends_on_position():
    model = pellucid.wrap(seeded(ResidualNet), size=32)
    image = torch.rand(3, 32, 32)
    assert attribute(model, image, layer="block1", target=0).depends_on_position
    assert not attribute(model, image, layer="block2", target=0).depends_on_position


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"target": "lemmon"}, TargetError, "no class 'lemmon' .* did you mean 'lemon'"),
        ({"target": "logits:lemmon"}, TargetError, "did you mean 'lemon'"),
        ({"target": 5}, TargetError, "no class 5"),
        ({"target": "lemon", "versus": "Lemon"}, TargetError, "lemon is compared with itself; give two different"),
        ({"target": 0, "versus": "logits:lemon"}, TargetError, "lemon is compared with itself"),
        ({"target": "high:1", "versus": "high:1"}, TargetError, "high:1 is compared with itself"),
        ({"target": "low:1"}, TargetError, "low:1 is in low itself; attribute it to a layer that comes before"),
        ({"target": "low:1", "layer": "high"}, TargetError, "low of halves does not depend on high; choose a layer"),
        ({"target": "high:8"}, TargetError, "no channel 8 in high"),
        ({"target": "high@5,0"}, TargetError, "high has no position 5,0 on this image: it is 5×4"),
        ({"target": "high:1@0,-5"}, TargetError, "high has no position 0,-5 on this image: it is 5×4"),
        ({"target": Direction("high", VECTOR, 7, 0)}, TargetError, "high has no position 7,0"),
        ({"target": Group("high", VECTOR, ((1.0, 1.0),))}, TargetError, "the mask of a group is 1×2, and high 5×4"),
        ({"target": Group("high", (1.0,))}, TargetError, "a group of 1 numbers does not fit high"),
        ({"target": "last@0,0"}, TargetError, "last is a vector and has no positions"),
        ({"target": "lemon", "layer": "lo"}, TargetError, "no layer 'lo' in halves; did you mean 'low'"),
        ({"target": "lemon", "method": "lime"}, InputError, "no method 'lime'; choose one of linear, integrated,"),
        ({"target": "lemon", "method": "integrated", "steps": 0}, InputError, "steps is 0; a path needs at least 1"),
    ],
)
def test_errors(options, error, words):
    model, _ = halves()
    with pytest.raises(error, match=words):
        attribute(model, IMAGE, **{"layer": "low", **options})


def test_errors_of_images_tails_and_models():
    model, _ = halves()
    with pytest.raises(InputError, match="images have shape"):
        attribute(model, IMAGE[:1], layer="low", target=0)
    with pytest.raises(InputError, match="absent"):
        attribute(model, "absent.png", layer="low", target=0)
    tail = Tail(model, IMAGE, layer="low", to=["high"])
    assert attribute(model, IMAGE, layer="low", target="high:1", tail=tail).total != 0
    with pytest.raises(InputError, match="does not lead from low to logits"):
        attribute(model, IMAGE, layer="low", target="lemon", tail=tail)
    with pytest.raises(InputError, match="does not lead from left to high"):
        attribute(model, IMAGE, layer="left", target="high:1", tail=tail)
    headless = pellucid.wrap(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)), size=16, name="headless")
    with pytest.raises(ModelError, match="headless"):
        attribute(headless, torch.rand(3, 16, 16), layer="0", target=0)
    assert attribute(headless, torch.rand(3, 16, 16), layer="0", target="2:1").values.shape == (14, 14, 4)
    vector = attribute(model, IMAGE, layer="last", target=0)
    with pytest.raises(TargetError, match=r"last is a vector and has no positions; by_channel\(\) sums its channels"):
        vector.positions()
    assert attribute_many(model, IMAGE, layer="low", targets=[]) == []
