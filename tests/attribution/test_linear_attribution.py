"""Linear attribution against captum, and against moving the layer's numbers one by one."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradientXActivation
from torch import nn

import pellucid
from pellucid.attribution import attribute_many
from pellucid.errors import TargetError


class Network(nn.Module):
    """A branch beside the layer, a join, ReLUs in place: what a layer may meet on its way to the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.relu = nn.ReLU(inplace=True)
        self.left = nn.Conv2d(6, 4, 3, padding=1)
        self.right = nn.Conv2d(6, 5, 1)
        self.mix = nn.Conv2d(9, 7, 3, padding=1)
        self.aside = nn.Linear(3, 3)
        self.head = nn.Linear(7, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.stem(x))
        self.aside(x.mean((2, 3))[:, :3].detach())
        x = torch.cat([self.left(x), self.right(x)], 1)
        x = torch.tanh(self.mix(x))
        return self.head(x.flatten(2).max(2).values)


@pytest.fixture
def model() -> pellucid.Model:
    torch.manual_seed(0)
    return pellucid.wrap(Network(), size=15, mean=0.4, std=0.3, labels=list("abcde"), name="network")


IMAGE = torch.rand(3, 15, 15, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", ["stem", "relu", "left", "right", "mix"])
def test_it_is_captums_activation_times_gradient(model, layer):
    found = attribute_many(model, IMAGE, layer=layer, targets=[0, 3])
    # captum reads a layer after later code has worked in place on it, so it gets a network that does not.
    module = model.module
    module.relu = nn.ReLU()
    captum = LayerGradientXActivation(module, getattr(module, layer))
    for attribution, index in zip(found, [0, 3], strict=True):
        expected = captum.attribute(model.preprocess(IMAGE[None]), target=index)[0].permute(1, 2, 0)
        assert attribution.class_index == index
        assert attribution.layer.name == layer
        assert attribution.values.dtype == np.float32
        np.testing.assert_allclose(attribution.values, expected.detach().numpy(), rtol=1e-4, atol=1e-7)


def test_the_gradient_is_that_of_finite_differences(model):
    module = model.module.double()
    twice = pellucid.wrap(module, size=15, mean=0.4, std=0.3, name="network")
    (attribution,) = attribute_many(twice, IMAGE, layer="left", targets=[2])
    moves: list[torch.Tensor] = []

    def logit(place: tuple[int, int, int], step: float) -> float:
        def move(_module, _inputs, output):
            moves.append(output.detach())
            moved = output.clone()
            moved[(0, *place)] += step
            return moved

        with torch.no_grad(), module.left.register_forward_hook(move):
            return float(module(twice.preprocess(IMAGE[None]))[0, 2])

    checked = 0
    for channel in range(4):
        for row, column in ((0, 0), (3, 4), (6, 6), (2, 5)):
            place = (channel, row, column)
            slope = (logit(place, 1e-5) - logit(place, -1e-5)) / 2e-5
            expected = slope * float(moves[-1][(0, *place)])
            assert attribution.values[row, column, channel] == pytest.approx(expected, rel=1e-4, abs=1e-9)
            checked += abs(expected) > 1e-6
    assert checked > 4


def test_it_is_exact_where_the_rest_is_linear():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False), nn.Flatten(), nn.Linear(484, 3, bias=False)
    )
    model = pellucid.wrap(module, size=15)
    (attribution,) = attribute_many(model, IMAGE, layer="1", targets=[1])
    logits = pellucid.record(model, IMAGE[None], "logits")["logits"].values
    assert attribution.values.sum() == pytest.approx(logits[0, 1], rel=1e-4)


def test_one_class_at_a_time_is_the_same(model):
    together = attribute_many(model, IMAGE, layer="mix", targets=[0, 1, 2])
    for index, attribution in enumerate(together):
        (alone,) = attribute_many(model, IMAGE, layer="mix", targets=[index])
        np.testing.assert_array_equal(alone.values, attribution.values)


def test_vectors_have_one_position(model):
    (attribution,) = attribute_many(model, IMAGE, layer="head", targets=[2])
    assert attribution.values.shape == (1, 1, 5)
    logits = pellucid.record(model, IMAGE[None], "logits")["logits"].values[0]
    np.testing.assert_allclose(attribution.values[0, 0], logits * np.eye(5)[2], rtol=1e-5)


def test_the_model_and_gradient_mode_come_back(model):
    model.module.train()
    model.module.left.weight.requires_grad_(False)
    with torch.no_grad():
        attribute_many(model, IMAGE, layer="mix", targets=[0])
        assert not torch.is_grad_enabled()
    assert model.module.training
    assert not model.module.left.weight.requires_grad
    assert model.module.right.weight.requires_grad
    assert all(parameter.grad is None for parameter in model.module.parameters())
    assert not any(part._forward_hooks for part in model.module.modules())


def test_errors(model):
    with pytest.raises(TargetError, match="did you mean 'stem'"):
        attribute_many(model, IMAGE, layer="sten", targets=[0])
    with pytest.raises(TargetError, match="no class 5"):
        attribute_many(model, IMAGE, layer="stem", targets=[0, 5])
    with pytest.raises(TargetError, match="no class 'zebra'"):
        attribute_many(model, IMAGE, layer="stem", targets=["zebra"])
    with pytest.raises(TargetError, match="does not depend on aside"):
        attribute_many(model, IMAGE, layer="aside", targets=[0])
    with pytest.raises(pellucid.InputError, match="images have shape"):
        attribute_many(model, IMAGE[:1], layer="stem", targets=[0])
