"""Sliced networks against the networks themselves."""

import copy
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings, strategies as st
from networks import (
    AnsweringNet,
    BranchedNet,
    ChannelsLastNet,
    Preparing,
    ResidualNet,
    TokenNet,
    plain_net,
    seeded,
)
from torch import nn

import pellucid
from pellucid.models import InceptionV1, borrowed
from pellucid.models._same import SameConv2d
from pellucid.record import Untraceable, run, slice_network
from pellucid.record._slice import SpaceToDepthConv2d, _Tracer

NETS = {
    "plain": (plain_net, ["0", "3", "8", "logits"]),
    "residual": (ResidualNet, ["stem", "norm", "pool", "block1.relu", "block2.bn1", "block2", "logits"]),
    "branched": (BranchedNet, ["stem", "one.1", "join", "two.2", "last", "logits"]),
    "tokens": (TokenNet, ["patches", "blocks.0", "blocks.1", "logits"]),
    "channels last": (ChannelsLastNet, ["patches", "norm", "mlp.0", "mlp", "logits"]),
    "dataclass": (lambda: AnsweringNet("dataclass"), ["conv"]),
    "in place": (Preparing, ["conv"]),
}


def wrapped(net, **options):
    return pellucid.wrap(seeded(NETS[net][0]), size=32, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4], **options)


def plainly(model, images, layers):
    """Grids and the gradient to the images of a random weighting of them, by the module itself."""
    images = images.clone().requires_grad_()
    with borrowed(model.module):
        grids = run(model, images, layers)
    return grids, gradient(grids, images)


def gradient(grids, images, kept=None):
    total = torch.zeros(())
    for name, grid in grids.items():
        weights = torch.randn(grid.shape, generator=torch.Generator().manual_seed(len(name)))
        total = total + (grid * weights).sum()
    return torch.autograd.grad(total, images)[0]


def close(mine, expected, tolerance=2e-5):
    return mine.shape == expected.shape and (mine - expected).abs().max() <= tolerance * (1e-3 + expected.abs().max())


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_slices_equal_runs_with_their_gradients(net, size):
    model = wrapped(net)
    images = torch.rand(2, 3, *size)
    for layers in [[name] for name in NETS[net][1]] + [NETS[net][1]]:
        expected, expected_gradient = plainly(model, images, layers)
        part = slice_network(model, layers, size=size)
        inputs = images.clone().requires_grad_()
        grids = part(inputs)
        assert list(grids) == layers
        assert not any(parameter.requires_grad for parameter in part.graph.parameters())
        for name in layers:
            assert close(grids[name], expected[name]), (layers, name)
        assert close(gradient(grids, inputs), expected_gradient), layers
        with torch.no_grad():
            assert close(part(images)[layers[0]], expected[layers[0]])


def test_batch_norms_are_folded_and_later_parts_dropped():
    model = wrapped("residual")
    part = slice_network(model, ["block1"], size=(32, 32))
    kinds = [type(module) for module in part.graph.modules()]
    assert nn.BatchNorm2d not in kinds
    assert SpaceToDepthConv2d in kinds
    assert "block2" not in dict(part.graph.named_children())
    # A norm whose input is read as well stays.
    both = slice_network(model, ["block1.conv1", "block1.bn1"], size=(32, 32))
    assert sum(isinstance(module, nn.BatchNorm2d) for module in both.graph.modules()) == 1


@pytest.mark.parametrize("net", NETS)
def test_module_is_left_alone(net):
    model = wrapped(net)
    model.module.train()
    before = copy.deepcopy(model.module.state_dict())
    strides = {name: p.stride() for name, p in model.module.named_parameters()}
    part = slice_network(model, NETS[net][1], size=(32, 32), dtype=torch.float64)
    with torch.no_grad():
        for parameter in part.graph.parameters():
            parameter.mul_(7)
    after = model.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) and after[key].dtype == before[key].dtype for key in before)
    assert {name: p.stride() for name, p in model.module.named_parameters()} == strides
    assert all(part.training for part in model.module.modules())
    assert all(parameter.requires_grad for parameter in model.module.parameters())


@pytest.mark.parametrize(
    ("net", "layer", "needs"),
    [
        ("plain", "8", [3]),
        ("plain", "8", [9, 0, 3, 3]),
        ("plain", "7", [1, 2]),
        ("plain", "logits", [4]),
        ("plain", "4", [2]),
        ("residual", "block1.bn1", [2]),
        ("residual", "block2", [5]),
        ("branched", "last", [0]),
        ("branched", "last", [3, 4]),
        ("branched", "last", [14]),
        ("branched", "last", [1, 6, 13]),
        ("branched", "last", list(range(15))),
        ("branched", "join", [7]),
        ("branched", "two.2", [1]),
        ("tokens", "blocks.1", [3]),
        ("tokens", "logits", [3]),
        ("channels last", "mlp.0", [3]),
        ("channels last", "logits", [1, 5]),
    ],
)
def test_narrowed_slices_keep_the_channels_that_are_read(net, layer, needs):
    model = wrapped(net)
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    whole = slice_network(model, [layer], size=(32, 32))
    narrow = whole.narrowed({layer: needs})
    expected, grid = whole(images)[layer], narrow(images)[layer]
    order = narrow.kept.get(layer, tuple(range(model.layer(layer).channels)))
    assert grid.shape[1] == len(order)
    assert set(needs) <= set(order)
    assert close(grid, expected[:, list(order)])
    picked = [order.index(channel) for channel in needs]
    (mine,) = torch.autograd.grad(grid[:, picked].square().sum(), images)
    (theirs,) = torch.autograd.grad(expected[:, needs].square().sum(), images)
    assert close(mine, theirs)
    assert close(whole(images)[layer], expected, 0)  # the wide one is as before


def test_narrowing_drops_filters_and_branches():
    def weights(part):
        return sum(p.numel() for p in part.graph.parameters())

    whole = slice_network(wrapped("branched"), ["last"], size=(32, 32))
    one = whole.narrowed({"last": [0]})  # of the first branch: 1×1, 15 inputs
    assert one.kept == {"last": (0,)}
    others = sum(p.numel() for i in (1, 2) for p in whole.model.module.two[i].parameters()) + 3 * 16
    assert weights(whole) - weights(one) == others
    plain = slice_network(wrapped("plain"), ["8"], size=(32, 32))
    assert weights(plain) - weights(plain.narrowed({"8": [1, 2]})) == 8 * (8 * 9 + 1)
    assert weights(plain.narrowed({})) == weights(plain)
    assert weights(plain.narrowed({"8": None})) == weights(plain)


def test_narrowing_one_of_several_layers():
    model = wrapped("branched")
    images = torch.rand(1, 3, 32, 32)
    whole = slice_network(model, ["join", "last", "two.0"], size=(32, 32))
    expected = whole(images)
    narrow = whole.narrowed({"last": [0, 14], "join": None, "two.0": [1]})
    grids = narrow(images)
    for name, order in {"join": range(15), "last": range(15), "two.0": range(4)}.items():
        kept = list(narrow.kept.get(name, order))
        assert close(grids[name], expected[name][:, kept]), name
    assert narrow.kept["last"] == (0, 14)


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    padding=st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    inputs=st.integers(1, 4),
    bias=st.booleans(),
)
def test_space_to_depth_equals_the_convolution(kernel, padding, size, inputs, bias):
    for axis in (0, 1):
        assume(padding is None or size[axis] + 2 * padding[axis] >= kernel[axis])
    if padding is None:
        conv = SameConv2d(inputs, 3, kernel, 2, bias=bias).double()
    else:
        conv = nn.Conv2d(inputs, 3, kernel, 2, padding, bias=bias).double()
    images = torch.randn(2, inputs, *size, dtype=torch.float64, requires_grad=True)
    expected, output = conv(images), SpaceToDepthConv2d(conv)(images)
    assert output.shape == expected.shape
    assert torch.allclose(output, expected, atol=1e-10)
    weights = torch.randn_like(expected)
    (mine,) = torch.autograd.grad((output * weights).sum(), images)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), images)
    assert torch.allclose(mine, theirs, atol=1e-10)


@pytest.mark.parametrize(
    "first",
    [
        nn.Conv2d(3, 4, 3, 2, 1, dilation=2),
        nn.Conv2d(3, 6, 3, 2, groups=3),
        nn.Conv2d(3, 4, 3, (2, 1)),
        nn.Conv2d(3, 4, 3, 2, 1, padding_mode="reflect"),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Conv2d(3, 4, 5, 2, (2, 1)),
        SameConv2d(3, 4, 7, 2),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3, 2)),
    ],
)
@pytest.mark.parametrize("size", [(21, 24), (24, 21)])
def test_first_convolutions_of_many_kinds(first, size):
    norm = seeded(nn.BatchNorm2d, first.out_channels)
    nn.init.normal_(norm.running_mean)
    model = pellucid.wrap(nn.Sequential(first, norm, nn.ReLU()), size=size)
    images = torch.rand(2, 3, *size)
    for layer in ("0", "1", "2"):
        expected, expected_gradient = plainly(model, images, [layer])
        if hasattr(first, "parametrizations"):
            with pytest.raises(Untraceable):
                slice_network(model, [layer], size=size)
            continue
        inputs = images.clone().requires_grad_()
        grids = slice_network(model, [layer], size=size)(inputs)
        assert close(grids[layer], expected[layer])
        assert close(gradient(grids, inputs), expected_gradient)


def test_inception_v1_and_its_branches():
    module = seeded(InceptionV1, classes=20).eval().double()
    model = pellucid.wrap(module, size=64, mean=117 / 255, std=1 / 255)
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    expected, expected_gradient = plainly(model, images, ["mixed4a"])
    part = slice_network(model, ["mixed4a"], size=(64, 64), dtype=torch.float64)
    inputs = images.clone().requires_grad_()
    grids = part(inputs)
    assert close(grids["mixed4a"], expected["mixed4a"], 1e-10)
    assert close(gradient(grids, inputs), expected_gradient, 1e-10)
    bounds = np.cumsum([0, 192, 204, 48, 64])
    for channels in ([5], [bounds[1]], [bounds[3] + 3], [191, 192, 507], [200, 400]):
        narrow = part.narrowed({"mixed4a": channels})
        assert narrow.kept["mixed4a"] == tuple(channels)
        assert close(narrow(images)["mixed4a"], expected["mixed4a"][:, channels], 1e-10)
    one = part.narrowed({"mixed4a": [0]})
    assert {name for name, _ in one.graph.named_modules() if name.startswith("mixed4a")} == set()


class Branching(nn.Module):
    """Control flow that depends on the data."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x)
        return (x if x.mean() > 0 else -x).mean((2, 3))


class Counting(nn.Module):
    """Two computations in turn: tracing sees only one of them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.conv(x * self.calls).mean((2, 3))


class Failing(nn.Module):
    """A module that tracing and copying cannot cope with."""

    def __init__(self, how):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2)
        self.norm = nn.BatchNorm2d(4)
        self.how = how
        if how == "hook that cannot be copied":
            self.conv.register_forward_hook(Uncopyable().hook)
        if how == "hook":
            self.conv.register_forward_hook(lambda _module, _inputs, output: output * 2)
        if how == "old weight norm":
            nn.utils.spectral_norm(self.conv)

    def forward(self, x):
        if self.how == "size":
            return self.conv(x)[:, :, : int(x.shape[2]) // 4].mean((2, 3))
        if self.how == "keywords":
            return F.relu(input=self.norm(input=self.conv(input=x))).mean((2, 3))
        if self.how == "in place after":
            x = self.conv(x)
            y = x.view(x.shape[0], 4, -1)
            y.add_(1)
            return x.mean((2, 3))
        return self.norm(self.conv(x)).mean((2, 3))


class Uncopyable:
    def hook(self, *_):
        return None

    def __deepcopy__(self, memo):
        raise TypeError("not to be copied")


@pytest.mark.parametrize(
    "how", ["size", "keywords", "in place after", "hook", "hook that cannot be copied", "old weight norm", "none"]
)
def test_what_is_traced_is_right_or_refused(how):
    model = pellucid.wrap(seeded(Failing, how), size=16)
    images = torch.rand(2, 3, 16, 16)
    expected, _ = plainly(model, images, ["logits"])
    try:
        part = slice_network(model, ["logits"], size=(16, 16))
    except Untraceable:
        assert how != "none"
        return
    assert close(part(images)["logits"], expected["logits"])


@pytest.mark.parametrize("module", [Branching, Counting])
def test_what_depends_on_the_data_is_refused(module):
    model = pellucid.wrap(seeded(module), size=16)
    with pytest.raises(Untraceable, match=module.__name__):
        slice_network(model, ["logits"], size=(16, 16))
    assert not model.module.conv._forward_hooks
    assert model.module.conv.weight.requires_grad


def test_other_precisions():
    model = wrapped("residual")
    images = torch.rand(2, 3, 32, 32)
    expected, _ = plainly(model, images, ["block2"])
    double = slice_network(model, ["block2"], size=(32, 32), dtype=torch.float64)(images)["block2"]
    assert double.dtype == torch.float64
    assert close(double.float(), expected["block2"])
    half = slice_network(model, ["block2"], size=(32, 32), dtype=torch.bfloat16)(images)["block2"]
    assert half.dtype == torch.bfloat16
    assert close(half.float(), expected["block2"], 0.1)


def test_other_threads_run_modules_while_a_network_is_traced(monkeypatch):
    traced, other = wrapped("plain"), wrapped("branched")
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    wanted = run(other, image, ["join"])["join"]
    errors: list[Exception] = []
    grids: list[torch.Tensor] = []

    def elsewhere() -> None:
        try:
            grids.append(run(other, image, ["join"])["join"])
        except Exception as error:
            errors.append(error)

    whole = _Tracer.call_module

    def call_module(self, m, forward, args, kwargs):
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
        return whole(self, m, forward, args, kwargs)

    monkeypatch.setattr(_Tracer, "call_module", call_module)
    sliced = slice_network(traced, ["3"], size=(32, 32))
    assert not errors
    assert len(grids) > 1
    assert all(torch.equal(grid, wanted) for grid in grids)
    with borrowed(traced.module):
        torch.testing.assert_close(sliced(image)["3"], run(traced, image, ["3"])["3"], rtol=1e-4, atol=1e-4)
