"""Runs that end early, read layers and replace them; and the module afterwards."""

import copy

import numpy as np
import pytest
import torch
from networks import AnsweringNet, BranchedNet, ChannelsLastNet, Preparing, ResidualNet, TokenNet, plain_net, seeded
from torch import nn

import pellucid
from pellucid.errors import InputError, ModelError, TargetError
from pellucid.models import borrowed, receptive_fields
from pellucid.record import run, slice_network

NETS = {"plain": plain_net, "residual": ResidualNet, "branched": BranchedNet, "tokens": TokenNet}
NETS["channels last"] = ChannelsLastNet


def state(module):
    """Everything about a module that a guest could have moved."""
    parts = list(module.named_modules())
    return {
        "training": [(name, part.training) for name, part in parts],
        "hooks": [
            (name, [dict(value) for key, value in sorted(vars(part).items()) if key.endswith("_hooks")])
            for name, part in parts
        ],
        "parameters": [
            (name, id(p), p.requires_grad, p.grad is None, p.dtype, p.stride(), p.data_ptr(), p._version)
            for name, p in module.named_parameters()
        ],
        "buffers": [(name, id(b), b.dtype, b.stride(), b._version) for name, b in module.named_buffers()],
        "values": [(key, value.numpy().tobytes()) for key, value in module.state_dict().items()],
        "attributes": [(name, sorted(vars(part))) for name, part in parts],
        "children": [(name, type(part), id(part)) for name, part in parts],
    }


@pytest.fixture
def unusual():
    """A network in a state that is neither all training nor all evaluation, with a hook of its owner's."""
    module = seeded(ResidualNet)
    module.train()
    module.block1.eval()
    module.block2.bn1.eval()
    module.head.weight.requires_grad_(False)
    module.block1.conv1.weight.requires_grad_(False)
    module.block2.to(memory_format=torch.channels_last)
    module.block1.register_forward_hook(lambda *_: None)
    module.block1.conv1.register_forward_pre_hook(lambda *_: None)
    return module


def whole_use(model, images):
    _ = model.layers
    _ = model.digest
    pellucid.record(model, images, ["block1.relu", "logits"])
    with borrowed(model.module):
        run(model, images, ["block2"], edits={"block1": lambda grid: grid * 0})
    slice_network(model, ["block2.conv1"], size=(32, 32)).narrowed({"block2.conv1": [1]})
    receptive_fields(model)


def test_module_comes_back_exactly(unusual):
    before = state(unusual)
    whole_use(pellucid.wrap(unusual, size=32), torch.rand(3, 3, 32, 32))
    assert state(unusual) == before


def test_the_state_notices_what_moves(unusual):
    before = state(unusual)
    for move in (
        lambda m: m.block1.train(),
        lambda m: m.head.weight.requires_grad_(True),
        lambda m: m.norm.register_forward_hook(lambda *_: None),
        lambda m: m.norm.running_mean.add_(1),
        lambda m: m.stem.to(memory_format=torch.channels_last),
        lambda m: setattr(m.norm, "note", 1),
    ):
        moved = copy.deepcopy(unusual)
        unmoved = state(moved)
        move(moved)
        assert state(moved) != unmoved
    assert state(unusual) == before


class OwnersError(Exception):
    pass


@pytest.mark.parametrize("error", [OwnersError, KeyboardInterrupt, RuntimeError, StopIteration])
@pytest.mark.parametrize("where", ["module", "hook", "edit"])
def test_module_comes_back_after_an_exception(unusual, error, where):
    model = pellucid.wrap(unusual, size=32)
    _ = model.layers
    fail = []

    def hook(*_):
        if fail:
            raise error("on purpose")

    handle = unusual.block2.bn1.register_forward_hook(hook) if where == "hook" else None
    if where == "module":
        original = unusual.block2.bn1.forward
        unusual.block2.bn1.forward = lambda x: (hook(), original(x))[1]

    def edit(grid):
        if where == "edit":
            hook()
        return grid

    before = state(unusual)
    fail.append(True)
    images = torch.rand(2, 3, 32, 32)
    with pytest.raises(error, match="on purpose"), borrowed(unusual):
        run(model, images, ["logits"], edits={"block1": edit})
    assert state(unusual) == before
    if where != "edit":
        with pytest.raises(error, match="on purpose"):
            pellucid.record(model, images, ["block1", "logits"])
        assert state(unusual) == before
        fresh = pellucid.wrap(unusual, size=32)
        with pytest.raises(ModelError if error is RuntimeError else error, match="on purpose"):
            _ = fresh.layers
        assert state(unusual) == before
    fail.clear()
    assert pellucid.record(model, images, "logits")["logits"].values.shape == (2, 7)
    if handle is not None:
        handle.remove()


def test_borrowed_freezes_and_evaluates_within(unusual):
    with borrowed(unusual) as same:
        assert same is unusual
        assert not any(part.training for part in unusual.modules())
        assert not any(parameter.requires_grad for parameter in unusual.parameters())
        with borrowed(unusual):
            pass
        assert not any(part.training for part in unusual.modules())
    assert unusual.stem.weight.requires_grad
    assert not unusual.head.weight.requires_grad


def test_own_gradients_survive(unusual):
    unusual(torch.rand(2, 3, 32, 32)).sum().backward()
    grads = {name: p.grad.clone() for name, p in unusual.named_parameters() if p.grad is not None}
    assert len(grads) > 5
    model = pellucid.wrap(unusual, size=32)
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    with borrowed(unusual):
        run(model, images, ["logits"])["logits"].sum().backward()
    assert images.grad is not None
    assert all(torch.equal(grad, dict(unusual.named_parameters())[name].grad) for name, grad in grads.items())
    assert sum(p.grad is not None for p in unusual.parameters()) == len(grads)


def test_hooks_of_the_owner_still_run_and_still_change():
    module = seeded(plain_net)
    calls = []
    module[0].register_forward_hook(lambda _module, _inputs, output: calls.append(1) or output * 2)
    model = pellucid.wrap(module, size=32)
    images = torch.rand(1, 3, 32, 32)
    _ = model.layers
    calls.clear()
    values = pellucid.record(model, images, ["0", "1"])
    assert calls == [1]
    with torch.no_grad():
        expected = 2 * torch.conv2d(images, module[0].weight, module[0].bias)
    assert np.allclose(values["0"].values, expected.permute(0, 2, 3, 1), atol=1e-6)
    assert np.allclose(values["1"].values, expected.relu().permute(0, 2, 3, 1), atol=1e-6)


def reference(module, images, paths):
    """Outputs of modules as they are, through hooks of the test's own, on a copy in eval mode."""
    module = copy.deepcopy(module).eval()
    found = {}

    def hook_for(path):
        return lambda _module, _inputs, output: found.__setitem__(path, output.clone())

    for path in paths:
        module.get_submodule(path).register_forward_hook(hook_for(path))
    with torch.no_grad():
        found["logits"] = module(images)
    return found


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_every_layer_equals_the_modules_own_output(net, size):
    module = seeded(NETS[net])
    model = pellucid.wrap(module, size=32)
    images = torch.rand(3, 3, *size)
    expected = reference(module, images, [layer.path for layer in model.layers.values() if layer.path])
    values = pellucid.record(model, images, list(model.layers), batch_size=2)
    assert list(values) == list(model.layers)
    for name, layer in model.layers.items():
        output = expected[name]
        got = values[name].values
        assert got.dtype == np.float32
        assert values[name].layer == layer
        if layer.kind == "grid" and not layer.channels_last:
            output = output.permute(0, 2, 3, 1)
        elif layer.kind == "tokens":
            output = output[:, layer.extra_tokens :].unflatten(1, (size[0] // 8, size[1] // 8))
        assert got.shape == output.shape, name
        assert np.abs(got - output.numpy()).max() <= 1e-5 * (1 + output.abs().max()), name


@pytest.mark.parametrize("net", NETS)
def test_batches_equal_single_images(net):
    model = pellucid.wrap(seeded(NETS[net]), size=32)
    images = torch.rand(5, 3, 32, 32)
    together = pellucid.record(model, images, "logits")["logits"].values
    assert together.shape == (5, model.layers["logits"].channels)
    for size in (1, 2):
        assert np.allclose(
            pellucid.record(model, images, "logits", batch_size=size)["logits"].values, together, atol=1e-5
        )
    alone = [pellucid.record(model, images[i : i + 1], "logits")["logits"].values[0] for i in range(5)]
    assert np.allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("deepest", ["relu", "last", "logits"])
def test_code_that_works_in_place_changes_no_record(deepest):
    module = seeded(Preparing)
    model = pellucid.wrap(module, size=16)
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        conv = torch.conv2d(images, module.conv.weight, module.conv.bias)
        last = torch.conv2d(3 * conv.relu(), module.last.weight, module.last.bias)
    expected = {"conv": conv, "relu": conv.relu(), "last": last, "logits": (last + 1).mean((2, 3))[:, :, None, None]}
    with borrowed(module), torch.no_grad():
        grids = run(model, images, ["conv", "relu", deepest])
    for name, grid in grids.items():
        assert torch.allclose(grid, expected[name], atol=1e-6), name


def counted(module):
    calls = {}
    for name, part in module.named_modules():
        part.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls.get(name, 0) + 1))
    return calls


def test_a_run_ends_at_the_deepest_layer():
    module = seeded(ResidualNet)
    model = pellucid.wrap(module, size=32)
    _ = model.layers
    calls = counted(module)
    pellucid.record(model, torch.rand(1, 3, 32, 32), ["block1.conv1", "norm"])
    assert calls == dict.fromkeys(["stem", "norm", "relu", "pool", "block1.conv1"], 1)
    calls.clear()
    pellucid.record(model, torch.rand(1, 3, 32, 32), "block1.relu")  # the second of its two calls
    assert calls["block1.relu"] == 2
    assert "block1" not in calls
    calls.clear()
    pellucid.record(model, torch.rand(4, 3, 32, 32), ["logits", "stem"], batch_size=2)
    assert calls["head"] == calls[""] == 2


def test_a_module_that_catches_everything_cannot_hold_a_run_up():
    class Catching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)
            self.late = nn.Conv2d(2, 2, 1)

        def forward(self, x):
            try:
                x = self.conv(x)
            except Exception:
                x = x[:, :2]
            return self.late(x).mean((2, 3))

    module = Catching()
    model = pellucid.wrap(module, size=8)
    _ = model.layers
    calls = counted(module)
    pellucid.record(model, torch.rand(1, 3, 8, 8), "conv")
    assert "late" not in calls


@pytest.mark.parametrize("net", ["plain", "residual", "tokens", "channels last"])
def test_edits_change_what_follows(net):
    layer = {"plain": "6", "residual": "block1", "tokens": "blocks.0", "channels last": "norm"}[net]
    module = seeded(NETS[net])
    model = pellucid.wrap(module, size=32)
    images = torch.rand(2, 3, 32, 32)

    def edit(grid):
        assert grid.shape[1:] == (model.layer(layer).channels, model.layer(layer).rows, model.layer(layer).columns)
        return grid.flip(2) * torch.arange(grid.shape[1])[:, None, None]

    def hook(_module, _inputs, output):
        place = model.layer(layer)
        if place.kind == "tokens":
            patches = output[:, 1:].unflatten(1, (4, 4)).flip(1).flatten(1, 2) * torch.arange(output.shape[2])
            return torch.cat([output[:, :1], patches], 1)
        if place.channels_last:
            return output.flip(1) * torch.arange(output.shape[3])
        return output.flip(2) * torch.arange(output.shape[1])[:, None, None]

    with borrowed(module), torch.no_grad():
        plain = run(model, images, [layer, "logits"])
        edited = run(model, images, [layer, "logits"], edits={layer: edit})
        same = run(model, images, ["logits"], edits={layer: lambda grid: grid})
    other = copy.deepcopy(module).eval()
    other.get_submodule(layer).register_forward_hook(hook)
    with torch.no_grad():
        expected = other(images)
    assert torch.allclose(edited["logits"][:, :, 0, 0], expected, atol=1e-5)
    assert not torch.allclose(edited["logits"], plain["logits"], atol=1e-3)
    assert torch.equal(same["logits"], plain["logits"])
    assert torch.allclose(edited[layer], edit(plain[layer]), atol=1e-6)


def test_edits_of_the_logits_and_of_vectors():
    model = pellucid.wrap(seeded(plain_net), size=32)
    with borrowed(model.module), torch.no_grad():
        images = torch.rand(2, 3, 32, 32)
        plain = run(model, images, ["10", "logits"])
        edited = run(model, images, ["logits"], edits={"logits": lambda grid: grid + 1})
        zeroed = run(model, images, ["logits"], edits={"10": torch.zeros_like})
    assert torch.allclose(edited["logits"], plain["logits"] + 1)
    assert torch.allclose(zeroed["logits"][:, :, 0, 0], model.module[11].bias.detach().expand(2, -1))


def test_a_shared_layer_is_edited_at_its_last_call_only():
    module = seeded(ResidualNet)
    model = pellucid.wrap(module, size=32)
    images = torch.rand(1, 3, 32, 32)
    with borrowed(module), torch.no_grad():
        by_relu = run(model, images, ["block2.bn2", "logits"], edits={"block1.relu": lambda grid: grid * 0.5})
        by_block = run(model, images, ["block2.bn2", "logits"], edits={"block1": lambda grid: grid * 0.5})
    assert torch.equal(by_relu["logits"], by_block["logits"])
    assert torch.equal(by_relu["block2.bn2"], by_block["block2.bn2"])


def test_gradients_reach_the_image():
    module = seeded(ResidualNet).eval()
    model = pellucid.wrap(module, size=32, mean=0.4, std=0.3)
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    (mine,) = torch.autograd.grad(run(model, images, ["block1"])["block1"].square().sum(), images)
    kept = []
    module.block1.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    module((images - 0.4) / 0.3)
    (expected,) = torch.autograd.grad(kept[0].square().sum(), images)
    assert torch.allclose(mine, expected, rtol=1e-4, atol=1e-4 * expected.abs().max())


def test_unknown_layers_and_images_that_do_not_fit():
    model = pellucid.wrap(seeded(plain_net), size=32)
    with pytest.raises(TargetError, match="no layer 'x'"):
        pellucid.record(model, torch.rand(1, 3, 32, 32), ["8", "x"])
    with pytest.raises(InputError, match="expected float"):
        pellucid.record(model, torch.rand(1, 1, 32, 32), "8")
    with pytest.raises(ModelError, match="plain cannot run on an input of 6×6 px: "):
        pellucid.record(pellucid.wrap(seeded(plain_net), size=32, name="plain"), torch.rand(1, 3, 6, 6), "8")
    answering = pellucid.wrap(seeded(AnsweringNet, "tuple"), size=16)
    with pytest.raises(ModelError, match="returns tuple"):
        pellucid.record(answering, torch.rand(1, 3, 16, 16), "logits")


class Sometimes(nn.Module):
    """Leaves one layer out on small pictures, and gives a tuple from another."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 1)
        self.second = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        small = x.shape[2] < 16
        x = self.first(x)
        return (x if small else self.second(x)).mean((2, 3))


def test_a_layer_that_is_not_always_computed():
    model = pellucid.wrap(Sometimes(), size=16, name="moody")
    with pytest.raises(ModelError, match="moody does not compute second on an input of 8×8 px"):
        pellucid.record(model, torch.rand(1, 3, 8, 8), ["first", "second"])
    assert "first" in pellucid.record(model, torch.rand(1, 3, 8, 8), "first")


def test_other_names_of_a_layer_are_keys_too():
    model = pellucid.wrap(seeded(ResidualNet), size=32)
    values = pellucid.record(model, torch.rand(1, 3, 32, 32), ["block1/conv1"])
    assert values["block1/conv1"].layer.name == "block1.conv1"
    assert repr(values["block1/conv1"]) == "<Activations block1.conv1 [1, 8, 8, 8]>"


def test_progress_counts_images():
    model = pellucid.wrap(seeded(plain_net), size=32, name="plain")
    events = []
    pellucid.record(model, torch.rand(5, 3, 32, 32), "0", batch_size=2, progress=events.append)
    assert [(event.done, event.total, event.unit) for event in events] == [(n, 5, "image") for n in (2, 4, 5)]


def test_half_precision_modules_give_float32():
    model = pellucid.wrap(seeded(plain_net).to(torch.bfloat16), size=32)
    values = pellucid.record(model, torch.rand(2, 3, 32, 32), ["8", "logits"])
    assert values["8"].values.dtype == values["logits"].values.dtype == np.float32
