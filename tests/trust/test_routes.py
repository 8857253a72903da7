"""Routes against networks where the contributions are known, and the layers that all of them pass."""

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import InputError
from pellucid.trust import Feature
from pellucid.trust._routes import layers_before, read_routes
from tests.networks import ResidualNet, plain_net, seeded


def without_bias(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
    return module


def test_routes_of_a_linear_unit_are_weights_times_activations():
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1))
    model = pellucid.wrap(seeded(lambda: module), size=8)
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    units = [Feature("2", number % 4) for number in range(5)]
    found = read_routes(model, images, units, ["1"])
    before = pellucid.record(model, images, "1")["1"].values
    weight = module[2].weight.detach().numpy()[:, :, 0, 0]
    for n, unit in enumerate(units):
        along = before[n] @ weight[unit.index]
        place = np.unravel_index(along.argmax(), along.shape)
        np.testing.assert_allclose(found.routes["1"][n], weight[unit.index] * before[n][place], atol=1e-5)
        # Only the place that the unit reads concerns it.
        np.testing.assert_allclose(found.states["1"][n], before[n][place], atol=1e-5)
        assert found.values[n] == pytest.approx(along.max() + module[2].bias[unit.index].item(), abs=1e-5)


def test_routes_add_up_to_the_unit_where_there_are_no_biases():
    model = pellucid.wrap(without_bias(seeded(plain_net)), size=32)
    images = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    units = [Feature("8", number % 10) for number in range(40)]
    found = read_routes(model, images, units, ["1", "4", "6"])
    assert found.values.max() > 0
    for layer in ("1", "4", "6"):
        np.testing.assert_allclose(found.routes[layer].sum(1), found.values, atol=1e-4)
    alone = read_routes(model, images[37:38], units[37:38], ["4"])
    np.testing.assert_allclose(alone.routes["4"][0], found.routes["4"][37], atol=1e-5)


def test_a_unit_that_is_off_has_no_route_and_a_state_all_the_same():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.ReLU())
    with torch.no_grad():
        module[2].bias.fill_(-100)
    model = pellucid.wrap(module, size=6)
    images = torch.rand(1, 3, 6, 6)
    found = read_routes(model, images, [Feature("3", 0)], ["1"])
    assert not found.routes["1"].any()
    mean = pellucid.record(model, images, "1")["1"].values.mean((1, 2))
    np.testing.assert_allclose(found.states["1"], mean, atol=1e-5)


def test_layers_before_cut_the_unit_off():
    model = pellucid.wrap(seeded(plain_net), size=32)
    assert layers_before(model, model.layer("8"), 3) == ["2", "5", "7"]
    assert layers_before(model, model.layer("2"), 3) == ["0", "1"]
    assert layers_before(model, model.layer("0")) == []
    residual = pellucid.wrap(seeded(ResidualNet), size=32)
    before = layers_before(residual, residual.layer("block2"), 9)
    assert before[-1] == "block1"
    # Beside each of these runs the other arm of a block.
    assert not {"block2.conv1", "block2.bn1", "block2.conv2"} & set(before)


def test_layers_before_pass_over_sibling_branches(embedded_model):
    before = layers_before(embedded_model, embedded_model.layer("mixed5a.3x3"), 50)
    assert before[-1] == "mixed5a.3x3_bottleneck"
    assert before[-3:-1] == ["mixed4d", "pool4"]
    assert not {"mixed5a.1x1", "mixed5a.5x5", "mixed5a.pool"} & set(before)


def test_a_layer_that_does_not_come_before_is_refused():
    model = pellucid.wrap(seeded(plain_net), size=32)
    with pytest.raises(InputError, match="earlier"):
        read_routes(model, torch.rand(1, 3, 32, 32), [Feature("2", 0)], ["6"])
