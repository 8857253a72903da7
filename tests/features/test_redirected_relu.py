"""ReLUs that let gradients through where none would come: the rule itself, and a start that is dead."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pellucid
from pellucid.features import objectives, transforms
from pellucid.features._redirect import RedirectedReLUs
from pellucid.features.images import Pixel


def backward(x: torch.Tensor, gradient: torch.Tensor, relu=F.relu) -> torch.Tensor:
    leaf = x.clone().requires_grad_()
    with RedirectedReLUs():
        output = relu(leaf)
    (found,) = torch.autograd.grad(output, leaf, gradient)
    return found


@pytest.mark.parametrize(
    ("x", "gradient", "expected"),
    [
        # Something passes: the plain rule.
        ([[1.0, -1.0]], [[0.5, -0.7]], [[0.5, 0.0]]),
        # Nothing passes: only what asks for more input (a negative gradient of the loss).
        ([[-2.0, -1.0]], [[0.5, -0.7]], [[0.0, -0.7]]),
        ([[-2.0, 0.0]], [[-0.5, -0.7]], [[-0.5, -0.7]]),
        # Alive, but its gradient happens to be zero: the rest of it is dead too.
        ([[3.0, -1.0]], [[0.0, -0.7]], [[0.0, -0.7]]),
        # Each image by itself.
        ([[1.0, -1.0], [-1.0, -1.0]], [[-0.3, -0.7], [-0.3, 0.7]], [[-0.3, 0.0], [-0.3, 0.0]]),
        ([[-1.0, -1.0]], [[0.4, 0.7]], [[0.0, 0.0]]),
    ],
)
def test_the_rule(x, gradient, expected):
    torch.testing.assert_close(backward(torch.tensor(x), torch.tensor(gradient)), torch.tensor(expected))


@pytest.mark.parametrize("relu", [F.relu, torch.relu, torch.relu_, nn.ReLU(), nn.ReLU(inplace=True), torch.Tensor.relu])
def test_whoever_calls_it(relu):
    x, gradient = -torch.ones(2, 3, 4, 4), -torch.ones(2, 3, 4, 4)
    leaf = x.clone().requires_grad_()
    with RedirectedReLUs():
        output = relu(leaf * 1)
    torch.testing.assert_close(output, torch.zeros_like(x))
    torch.testing.assert_close(torch.autograd.grad(output, leaf, gradient)[0], gradient)
    plain = leaf * 1
    assert not torch.autograd.grad(F.relu(plain), leaf, gradient)[0].any()  # the mode is left again


def test_any_number_of_axes():
    for shape in ((3,), (3, 2), (3, 2, 4, 4)):
        x = -torch.ones(shape)
        torch.testing.assert_close(backward(x, -torch.ones(shape)), -torch.ones(shape))


def test_values_are_those_of_a_relu_and_constants_are_left_alone():
    x = torch.randn(2, 3, 4)
    with RedirectedReLUs():
        torch.testing.assert_close(F.relu(x), x.clamp(min=0))
        assert not F.relu(x).requires_grad


def dead_model() -> pellucid.Model:
    """A ReLU that is dead on grey; channel 0 looks for bright pictures, channel 1 is always on."""
    module = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU())
    with torch.no_grad():
        module[0].weight[:] = 0.1
        module[0].bias[:] = torch.tensor([-2.0, 0.5])
    return pellucid.wrap(module, size=12)


SETTINGS = {"steps": 12, "size": 12, "transforms": (), "precision": "float32", "parametrization": Pixel()}


def test_a_dead_start_comes_to_life():
    rendering = pellucid.render(dead_model(), "1:0", learning_rate=0.5, **{**SETTINGS, "steps": 40})
    assert rendering.objective[0, 0] == 0
    assert rendering.objective[0, -1] > 0
    assert rendering.images.mean() > 0.6


@pytest.mark.parametrize("moved", [(), (transforms.Jitter(2),)], ids=["as it is", "moved"])
def test_a_penalty_of_the_picture_does_not_pass_for_life(moved):
    """A total variation has a gradient of its own, which says nothing of the unit."""
    goal = objectives.as_objective("1:0") - 0.01 * objectives.TotalVariation()
    settings = {**SETTINGS, "steps": 40, "transforms": moved, "learning_rate": 0.5}
    rendering = pellucid.render(dead_model(), goal, **settings)
    assert rendering.objective[0, 0] <= 0
    assert rendering.objective[0, -1] > 0
    assert rendering.images.mean() > 0.6


def test_the_dead_do_not_disturb_the_living():
    alone = pellucid.render(dead_model(), "1:1", **SETTINGS)
    beside = pellucid.render(dead_model(), ["1:0", "1:1", "1:0"], **SETTINGS)
    torch.testing.assert_close(torch.from_numpy(beside.images[1]), torch.from_numpy(alone.images[0]), atol=1e-6, rtol=0)
    assert (beside.images[0] > 0.52).mean() > 0.9  # and were themselves helped


def test_after_sixteen_steps_the_dead_stay_dead():
    # A brightness that 16 small steps cannot reach: the picture moves, and then it stops.
    settings = {**SETTINGS, "steps": 160, "learning_rate": 1e-3, "schedule": "constant"}
    at = pellucid.render(dead_model(), "1:0", snapshots=(15, 16, 150, 160), **settings).snapshots
    assert abs(at[16] - at[15]).max() > 1e-5
    assert abs(at[160] - at[150]).max() < 1e-7
