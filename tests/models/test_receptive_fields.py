"""Receptive fields against those that the layers' kernels and strides give."""

import pytest
import torch
from networks import TokenNet, plain_net, seeded
from torch import nn

import pellucid
from pellucid.models import InceptionV1, receptive_fields


def stack(*layers):
    """The field after each of (kernel, stride, dilation): it grows by the kernel's reach times the stride so far."""
    field, stride, fields = 1, 1, []
    for kernel, step, dilation in layers:
        field += (kernel - 1) * dilation * stride
        stride *= step
        fields.append(field)
    return fields


STACKS = [
    [(3, 1, 1), (3, 1, 1), (3, 1, 1)],
    [(5, 1, 1)],
    [(1, 1, 1), (7, 1, 1)],
    [(3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1)],
    [(7, 2, 1), (3, 2, 1), (1, 1, 1), (3, 1, 1)],
    [(3, 1, 2), (3, 1, 4)],
    [(2, 2, 1), (2, 2, 1), (3, 1, 1)],
    [(4, 4, 1), (3, 1, 1)],
    [(1, 2, 1), (3, 2, 1)],
    [(3, 3, 1), (3, 3, 1)],
]


@pytest.mark.parametrize("layers", STACKS)
@pytest.mark.parametrize("size", [72, 96])
def test_stacks_of_convolutions(layers, size):
    convs = [nn.Conv2d(2, 2, k, s, d * (k - 1) // 2, d) for k, s, d in layers]
    model = pellucid.wrap(nn.Sequential(*convs), size=size)
    assert list(receptive_fields(model).values()) == stack(*layers)


@pytest.mark.parametrize("layers", STACKS)
def test_stacks_without_padding(layers):
    model = pellucid.wrap(nn.Sequential(*(nn.Conv2d(2, 2, k, s, 0, d) for k, s, d in layers)), size=83)
    assert list(receptive_fields(model).values()) == stack(*layers)


def test_poolings_norms_and_activations():
    layers = [
        nn.Conv2d(3, 4, 3, 1, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, 1, 1),
    ]
    layers += [nn.GELU(), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(1)]
    fields = receptive_fields(pellucid.wrap(nn.Sequential(*layers), size=64))
    assert list(fields.values()) == [3, 3, 3, 4, 8, 8, 12, None]


def test_dead_weights_do_not_narrow_the_field():
    conv = nn.Conv2d(1, 1, 5, padding=2)
    nn.init.zeros_(conv.weight)
    assert receptive_fields(pellucid.wrap(nn.Sequential(conv, nn.ReLU()), size=32)) == {"0": 5, "1": 5}


class Reused(nn.Module):
    """One activation after each of three convolutions: the layer is its last output."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)])
        self.relu = nn.ReLU()

    def forward(self, x):
        for conv in self.convs:
            x = self.relu(conv(x))
        return x


def test_modules_that_are_called_several_times():
    fields = receptive_fields(pellucid.wrap(Reused(), size=64))
    assert fields == {"convs.0": 3, "convs.1": 5, "convs.2": 7, "relu": 7}


def test_what_sees_everything_has_no_width():
    fields = receptive_fields(pellucid.wrap(seeded(TokenNet), size=32))
    assert fields["patches"] == 8
    assert fields["blocks.0"] is None
    assert "head" not in fields


def test_pictures_that_are_not_square():
    model = pellucid.wrap(nn.Sequential(nn.Conv2d(3, 2, 3, 2, 1), nn.Conv2d(2, 2, 5, 1, 2)), size=(32, 80))
    assert receptive_fields(model) == {"0": 3, "1": 11}


def test_inception_v1():
    model = pellucid.wrap(seeded(InceptionV1, classes=8).eval(), size=224)
    fields = receptive_fields(model)
    steps = {"conv2d0": (7, 2), "maxpool0": (3, 2), "conv2d1": (1, 1), "conv2d2": (3, 1), "maxpool1": (3, 2)}
    # The widest branch of a block is its 5×5 one.
    steps |= {"mixed3a": (5, 1), "mixed3b": (5, 1), "maxpool4": (3, 2), "mixed4a": (5, 1), "mixed4b": (5, 1)}
    steps |= {"mixed4c": (5, 1)}
    expected = dict(zip(steps, stack(*((kernel, stride, 1) for kernel, stride in steps.values())), strict=True))
    known = {"conv2d0": 7, "maxpool0": 11, "conv2d2": 19, "maxpool1": 27, "mixed3a": 59}
    assert {name: expected[name] for name in known} == known
    # A field that reaches an edge from near the middle counts as the whole picture.
    for name, width in expected.items():
        assert fields[name] in ((width,) if width < 130 else (width, None)), name
    assert fields["mixed3a.1x1"] == 27
    assert fields["mixed3a.3x3"] == 43
    assert fields["localresponsenorm0"] == 11
    assert fields["mixed5b"] is None
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert not any(part._forward_hooks for part in model.module.modules())


def test_networks_without_places():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))
    assert receptive_fields(pellucid.wrap(module, size=16)) == {}
    fields = receptive_fields(pellucid.wrap(seeded(plain_net).double(), size=64))
    assert [fields[str(index)] for index in range(9)] == [3, 3, 5, 5, 6, 10, 10, 14, 14]


def test_an_exception_leaves_no_hooks():
    module = seeded(plain_net)
    model = pellucid.wrap(module, size=32)
    _ = model.layers
    module[4].forward = lambda x: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        receptive_fields(model)
    assert not any(part._forward_hooks for part in module.modules())
    assert torch.is_grad_enabled()
