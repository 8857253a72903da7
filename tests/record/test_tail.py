"""Tails against the networks themselves, with the layer replaced by a plain hook."""

import pytest
import torch
from networks import BranchedNet, ChannelsLastNet, Preparing, ResidualNet, TokenNet, plain_net, seeded
from torch import nn

import pellucid
from pellucid.errors import InputError, TargetError
from pellucid.models import InceptionV1
from pellucid.record import Tail


class Counting(nn.Module):
    """The number of images is taken from before the layer: a traced tail would know only one."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.layer = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        count = x.shape[0]
        return self.head(torch.tanh(self.layer(x)).reshape(count, 6, -1).amax(2))


class Branching(Counting):
    """Control flow that tracing cannot follow, and a join that does not broadcast."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        y = self.layer(x)
        return self.head(torch.tanh(torch.cat([x, y if x.mean() > -1 else -y], 1)).mean((2, 3)))


class Overwriting(Counting):
    """What lies beside the layer is overwritten by what follows it."""

    def forward(self, x):
        x = self.stem(x)
        y = self.layer(x)
        x += y
        x.mul_(2)
        return self.head(x.amax((2, 3)))


NETS = {
    "plain": (plain_net, ["1", "4", "8"], ["6", "8", "logits"], True),
    "residual": (
        ResidualNet,
        ["stem", "pool", "block1.conv1", "block1.conv2", "block2.shortcut", "block2.bn1"],
        ["block2", "logits"],
        True,
    ),
    "branched": (BranchedNet, ["stem", "one.0", "one.2", "join", "two.1"], ["last", "logits"], True),
    "tokens": (TokenNet, ["patches", "blocks.0"], ["blocks.1", "logits"], True),
    "channels last": (ChannelsLastNet, ["patches", "norm", "mlp.0"], ["mlp", "logits"], True),
    "in place": (Preparing, ["conv"], ["last", "logits"], False),
    "counting": (Counting, ["layer", "stem"], ["logits"], None),
    "branching": (Branching, ["layer", "stem"], ["logits"], False),
    "overwriting": (Overwriting, ["layer", "stem"], ["logits"], None),
}


def wrapped(net):
    return pellucid.wrap(seeded(NETS[net][0]), size=32, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4])


def by_hand(model, image, layer, grid, name):
    """One grid put in place of the layer's output, whatever the module then does."""
    place, found = model.layer(layer), {}
    pixels = model.preprocess(image[None])
    module = model.module.eval()

    def replace(_module, _inputs, output):
        return place.from_grid(grid.clone(), output)

    def keep(_module, _inputs, output):
        found[name] = model.layer(name).to_grid(output.clone(), image.shape[1:])

    with module.get_submodule(place.path).register_forward_hook(replace):
        if name != "logits":
            with module.get_submodule(name).register_forward_hook(keep):
                module(pixels)
        else:
            found[name] = module(pixels)[:, :, None, None]
    return found[name]


def cases():
    return [(net, layer, to) for net, (_, layers, tos, _) in NETS.items() for layer in layers for to in tos]


@pytest.mark.parametrize(("net", "layer", "to"), [case for case in cases() if case[1] != case[2]])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_tails_equal_the_network(net, layer, to, size):
    model = wrapped(net)
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    try:
        tail = Tail(model, image, layer=layer, to=[to])
    except TargetError:  # it comes before
        assert (layer, to) == ("8", "6")
        return
    if NETS[net][3] is not None:
        assert (tail.remark is None) == NETS[net][3], tail.remark
    random = torch.Generator().manual_seed(2)
    factors = torch.rand(5, *tail.grid.shape[1:], generator=random) * 2
    # Code that overwrites what its own gradient needs has none to compare.
    smooth = net not in ("in place", "overwriting")
    grids = (tail.grid * factors).detach().requires_grad_(smooth)
    for _ in range(2):  # nothing is worn out by use
        found = tail(grids)[to]
        weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(3))
        if smooth:
            (gradient,) = torch.autograd.grad((found * weights).sum(), grids)
    assert len(found) == 5
    for n in range(5):
        grid = grids[n : n + 1].detach().requires_grad_(smooth)
        expected = by_hand(model, image, layer, grid, to)
        torch.testing.assert_close(found[n : n + 1], expected, rtol=1e-4, atol=1e-5)
        if smooth:
            (slope,) = torch.autograd.grad((expected * weights[n]).sum(), grid)
            torch.testing.assert_close(gradient[n : n + 1], slope, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tail(tail.grid)[to], tail.outputs[to], rtol=1e-4, atol=1e-5)
    assert (found[0] - tail.outputs[to]).abs().max() > 1e-5


@pytest.mark.parametrize(
    ("net", "layer"), [(net, layer) for net, (_, layers, _, _) in NETS.items() for layer in layers]
)
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_the_tail_on_another_image_is_that_of_the_other_image(net, layer, size):
    model = wrapped(net)
    first, second = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    if size != (32, 32):
        second = torch.rand(3, *size, generator=torch.Generator().manual_seed(2))
    tail = Tail(model, first, layer=layer)
    before, answers = tail.grid.clone(), tail(tail.grid / 2)["logits"]
    other = tail.on(second)
    wanted = Tail(model, second, layer=layer)
    torch.testing.assert_close(other.grid, wanted.grid)
    torch.testing.assert_close(other.outputs, wanted.outputs)
    grid = other.grid / 2
    torch.testing.assert_close(
        other(grid)["logits"], by_hand(model, second, layer, grid, "logits"), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(tail.grid, before)
    torch.testing.assert_close(tail(before / 2)["logits"], answers)


def test_inception_v1_is_traced():
    model = pellucid.wrap(seeded(InceptionV1, classes=20).eval(), size=64, mean=117 / 255, std=1 / 255)
    image = torch.rand(3, 64, 64)
    tail = Tail(model, image, layer="mixed4a", to=["mixed4d", "logits"])
    assert tail.remark is None
    for to in ("mixed4d", "logits"):
        expected = by_hand(model, image, "mixed4a", tail.grid / 3, to)
        torch.testing.assert_close(tail(tail.grid / 3)[to], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_timm(name):
    timm = pytest.importorskip("timm")
    module = seeded(timm.create_model, name, pretrained=False, num_classes=7).eval()
    size = 224 if "224" in name else 64
    model = pellucid.wrap(module, size=size, mean=0.45, std=0.22)
    layers = {"resnet18": "layer3.0.conv1", "vit_tiny_patch16_224": "blocks.5", "convnext_atto": "stages.2.blocks.1"}
    image = torch.rand(3, size, size, generator=torch.Generator().manual_seed(0))
    tail = Tail(model, image, layer=layers[name])
    grids = tail.grid * torch.tensor([0.5, 2.0])[:, None, None, None]
    found = tail(grids)["logits"]
    for n in range(2):
        expected = by_hand(model, image, layers[name], grids[n : n + 1], "logits")
        torch.testing.assert_close(found[n : n + 1], expected, rtol=1e-3, atol=1e-4)


def test_the_model_comes_back_as_it_was():
    for net in ("residual", "branching"):
        model = wrapped(net)
        model.module.train()
        before = {key: value.clone() for key, value in model.module.state_dict().items()}
        layer = NETS[net][1][0]
        tail = Tail(model, torch.rand(3, 32, 32), layer=layer)
        tail(tail.grid.repeat(3, 1, 1, 1))
        assert model.module.training
        assert all(parameter.requires_grad for parameter in model.module.parameters())
        assert not any(part._forward_hooks for part in model.module.modules())
        assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())


def test_precision_and_gradient_mode():
    model = pellucid.wrap(seeded(plain_net).double(), size=32)
    tail = Tail(model, torch.rand(3, 32, 32), layer="3")
    assert tail(torch.zeros(2, 8, 28, 28))["logits"].dtype == torch.float64
    with torch.no_grad():
        assert not tail(tail.grid.clone().requires_grad_())["logits"].requires_grad


def test_errors():
    model = wrapped("branched")
    image = torch.rand(3, 32, 32)
    with pytest.raises(TargetError, match=r"join of BranchedNet does not depend on last; choose a layer"):
        Tail(model, image, layer="last", to=["join"])
    with pytest.raises(TargetError, match=r"two\.0 of BranchedNet does not depend on two\.1"):
        Tail(model, image, layer="two.1", to=["two.0"])
    with pytest.raises(TargetError, match="did you mean 'join'"):
        Tail(model, image, layer="joyn")
    with pytest.raises(InputError, match="images have shape"):
        Tail(model, image[:1], layer="join")
    tail = Tail(model, image, layer="join")
    with pytest.raises(InputError, match=r"grids have shape \[1, 15, 3, 3\], expected \[n, 15, 15, 15\]"):
        tail(torch.rand(1, 15, 3, 3))
    assert repr(tail) == "<Tail of BranchedNet from join to logits, traced>"
    backwards = wrapped("branching")
    with pytest.raises(TargetError, match="stem of Branching does not depend on layer"):
        Tail(backwards, image, layer="layer", to=["stem"])
