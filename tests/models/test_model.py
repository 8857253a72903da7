"""Layers, classes, settings and images of a wrapped module."""

import numpy as np
import pytest
import torch
from networks import AnsweringNet, ChannelsLastNet, ResidualNet, TokenNet, plain_net, seeded
from torch import nn

import pellucid
from pellucid.errors import InputError, ModelError, TargetError
from pellucid.models import Layer
from pellucid.targets import Channel, Direction, Logit, Neuron

LABELS = [
    "tench",
    "Goldfish",
    "great white shark",
    "tiger shark",
    "hammerhead",
    "hen",
    "cock",
    "ostrich",
    "jay",
    "crane",
]


@pytest.fixture(scope="module")
def model():
    return pellucid.wrap(seeded(plain_net), size=32, labels=LABELS, name="plain")


def shapes(model):
    return {name: (layer.kind, layer.rows, layer.columns, layer.channels) for name, layer in model.layers.items()}


def test_layers_of_a_plain_network(model):
    sides = [30, 30, 28, 28, 14, 12, 12, 10, 10]
    channels = [8] * 7 + [10, 10]
    expected = {str(i): ("grid", side, side, channels[i]) for i, side in enumerate(sides)}
    expected |= {"9": ("grid", 1, 1, 10), "10": ("vector", 1, 1, 10), "11": ("vector", 1, 1, 10)}
    expected["logits"] = ("vector", 1, 1, 10)
    assert shapes(model) == expected
    assert list(model.layers) == list(expected)
    assert repr(model) == "<Model plain: 13 layers, 32×32 px>"
    with pytest.raises(TypeError):
        model.layers["new"] = model.layers["0"]


def test_layers_come_in_the_order_in_which_they_end():
    model = pellucid.wrap(seeded(ResidualNet), size=(32, 48))
    names = list(model.layers)
    assert names[:4] == ["stem", "norm", "relu", "pool"]
    assert (
        names.index("block1.conv2") < names.index("block1.relu") < names.index("block1") < names.index("block2.conv1")
    )
    assert shapes(model)["block1"] == ("grid", 8, 12, 8)
    assert shapes(model)["block2"] == ("grid", 4, 6, 12)
    assert model.layers["block1.relu"].calls == 2
    assert model.layers["block1.conv1"].calls == 1
    assert names[-1] == "logits"
    assert model.layers["logits"].path == ""


@pytest.mark.parametrize("size", [(32, 32), (16, 40), (72, 24)])
@pytest.mark.parametrize("extra", [1, 2, 5])
def test_tokens_are_laid_out_as_the_picture(size, extra):
    model = pellucid.wrap(seeded(TokenNet, extra=extra), size=size)
    layer = model.layers["blocks.1"]
    assert (layer.kind, layer.rows, layer.columns) == ("tokens", size[0] // 8, size[1] // 8)
    assert layer.extra_tokens == extra
    assert layer.channels == 12
    assert model.layers["patches"].kind == "grid"
    # Row by row: the patches' own convolution is the oracle.
    images = torch.rand(2, 3, *size)
    grid = model.layers["patches"]
    with torch.no_grad():
        patches = model.module.patches(images)
        tokens = torch.cat([model.module.extra.expand(2, -1, -1), patches.flatten(2).transpose(1, 2)], 1)
    assert torch.equal(layer.to_grid(tokens, size), grid.to_grid(patches, size))
    assert torch.equal(layer.from_grid(layer.to_grid(tokens, size), tokens), tokens)


def test_tokens_of_no_grid_are_a_row():
    assert Layer("a", "tokens", 4).to_grid(torch.rand(2, 23, 4), (224, 230)).shape == (2, 4, 1, 23)


@pytest.mark.parametrize("size", [(32, 32), (24, 48)])
def test_channels_may_come_last(size):
    model = pellucid.wrap(seeded(ChannelsLastNet), size=size)
    for name, channels in (("turn", 20), ("norm", 20), ("mlp.0", 30), ("mlp", 30)):
        layer = model.layers[name]
        assert shapes(model)[name] == ("grid", size[0] // 4, size[1] // 4, channels), name
        assert layer.channels_last
    output = torch.rand(2, size[0] // 4, size[1] // 4, 30)
    grid = model.layers["mlp"].to_grid(output, size)
    assert grid[1, 7, 3, 2] == output[1, 3, 2, 7]
    assert torch.equal(model.layers["mlp"].from_grid(grid, output), output)
    assert not model.layers["patches"].channels_last


def test_modules_that_return_tuples_are_no_layers():
    model = pellucid.wrap(seeded(AnsweringNet, "features"), size=16)
    assert list(model.layers) == ["conv", "head"]
    with pytest.raises(ModelError, match=r"returns \[1, 4, 14, 14\], not logits of shape \[n, classes\].*output=0"):
        model.layer("logits")


@pytest.mark.parametrize(
    ("form", "output"),
    [
        ("tuple", 0),
        ("tuple", lambda output: output[0]),
        ("dict", "scores"),
        ("dataclass", None),
        ("dataclass", "logits"),
    ],
)
def test_logits_in_what_a_module_returns(form, output):
    model = pellucid.wrap(seeded(AnsweringNet, form), size=16, output=output)
    assert model.layers["logits"].channels == 5
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        expected = model.module.head(model.module.conv(images).relu().mean((2, 3)))
    assert np.allclose(pellucid.record(model, images, "logits")["logits"].values, expected, atol=1e-6)


@pytest.mark.parametrize(("form", "kind"), [("tuple", "tuple"), ("dict", "dict")])
def test_logits_not_found(form, kind):
    model = pellucid.wrap(seeded(AnsweringNet, form), size=16)
    assert "logits" not in model.layers
    with pytest.raises(ModelError, match=f"AnsweringNet returns {kind}, not logits"):
        model.layer("logits")
    with pytest.raises(ModelError, match="say which part"):
        model.check(Logit(0))


@pytest.mark.parametrize(("form", "output"), [("tuple", 7), ("tuple", "scores"), ("dict", "logits"), ("dict", 0)])
def test_output_that_is_not_there(form, output):
    model = pellucid.wrap(seeded(AnsweringNet, form), size=16, output=output)
    with pytest.raises(ModelError, match=r"does not give logits through output=.*pass wrap\(…, output=…\)"):
        _ = model.layers


@pytest.mark.parametrize("name", ["block1.conv1", "block1/conv1", "block1_conv1", "block1conv1"])
def test_other_writings_of_a_layer(name):
    assert pellucid.wrap(seeded(ResidualNet), size=32).layer(name).name == "block1.conv1"


def test_ambiguous_writing_is_refused():
    module = nn.Sequential()
    module.add_module("a_b", nn.Conv2d(3, 2, 1))
    module.add_module("ab", nn.Conv2d(2, 2, 1))
    model = pellucid.wrap(module, size=4)
    assert model.layer("ab").name == "ab"
    with pytest.raises(TargetError, match="did you mean"):
        model.layer("a.b")


def test_unknown_layers_get_the_nearest(model):
    residual = pellucid.wrap(seeded(ResidualNet), size=32, name="small")
    with pytest.raises(
        TargetError, match=r"no layer 'blok1\.conv' in small; did you mean 'block1\.conv2' or"
    ) as raised:
        residual.layer("blok1.conv")
    assert f"`pellucid layers --model small` lists all {len(residual.layers)}." in str(raised.value)
    with pytest.raises(TargetError, match=r"no layer 'zzz' in plain; `pellucid layers"):
        model.layer("zzz")


@pytest.mark.parametrize("label", [3, "3", " 3 ", "tiger shark", "Tiger Shark", " TIGER SHARK "])
def test_classes_by_number_label_and_case(model, label):
    assert model.class_index(label) == 3
    assert model.check(Logit(label)) == Logit(3)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (10, "no class 10 in plain: it has 10, numbered 0 to 9"),
        (-1, "no class -1"),
        ("10", "no class 10"),
        ("9" * 5000, "no class"),
        ("²", "no class '²' among the 10 labels of plain."),
        ("goldfihs", "did you mean 'Goldfish'"),
        ("shark", "'great white shark' or 'tiger shark'|'tiger shark' or 'great white shark'"),
        ("zzzzzz", "among the 10 labels of plain.$"),
    ],
)
def test_classes_that_are_not_there(model, label, message):
    with pytest.raises(TargetError, match=message):
        model.class_index(label)


def test_classes_without_labels():
    model = pellucid.wrap(seeded(plain_net), size=32)
    assert model.class_index("7") == 7
    assert model.label(7) == "class 7"
    with pytest.raises(TargetError, match="has no labels; name the class by its number, 0 to 9"):
        model.class_index("cat")


def test_labels_of_classes(model):
    assert model.label(1) == "Goldfish"
    short = pellucid.wrap(seeded(plain_net), size=32, labels=["a", ""])
    assert [short.label(index) for index in (0, 1, 2)] == ["a", "class 1", "class 2"]


def test_labels_beyond_the_outputs_name_no_class():
    model = pellucid.wrap(seeded(plain_net, classes=2), size=32, labels=["a", "b", "c"])
    with pytest.raises(TargetError, match="no class"):
        model.class_index("c")


def test_targets_get_their_layers_own_names():
    model = pellucid.wrap(seeded(ResidualNet), size=32)
    assert model.check(Channel("block1/conv1", 3)) == Channel("block1.conv1", 3)
    assert model.check(Neuron("block1_conv1", 3, 1, 2)) == Neuron("block1.conv1", 3, 1, 2)
    direction = Direction("block1_conv1", (1.0,) * 8, 0, 1, 2.0)
    assert model.check(direction) == Direction("block1.conv1", (1.0,) * 8, 0, 1, 2.0)
    assert model.check(Channel("logits", 6)) == Channel("logits", 6)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Channel("8", 10), "no channel 10 in 8 of plain: it has 10, numbered 0 to 9"),
        (Channel("8", -1), "no channel -1"),
        (Neuron("8", 99), "no channel 99"),
        (Channel("88", 0), "no layer '88'"),
        (Neuron("11", 0, 0, 0), "11 is a vector and has no positions; drop the part after '@' in 11:0@0,0"),
        (Neuron("logits", 0), "drop the part after '@' in logits:0@centre"),
        (Direction("logits", (0.0,) * 10, 0, 0), "is a vector"),
        (Direction("8", (0.0,) * 9), "a direction of 9 numbers does not fit 8, which has 10 channels"),
        (Direction("8", (0.0,) * 10, 1), "needs both a row and a column"),
        (Neuron("8", 0, 1), "needs both a row and a column"),
        (Neuron("8", 0, None, 1), "needs both a row and a column"),
        (Direction("8", (0.0,) * 10, None, 1), "needs both a row and a column"),
    ],
)
def test_targets_that_are_not_there(model, target, message):
    with pytest.raises(TargetError, match=message):
        model.check(target)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_number_of_input_channels(channels):
    model = pellucid.wrap(seeded(plain_net, channels=channels), size=32, mean=0.5, std=0.25)
    assert model.input_channels == channels
    assert model.mean == (0.5,) * channels
    images = torch.rand(2, channels, 32, 32)
    assert torch.allclose(model.preprocess(images), (images - 0.5) / 0.25)
    with torch.no_grad():
        expected = model.module((images - 0.5) / 0.25)
    assert np.allclose(pellucid.record(model, images, "logits")["logits"].values, expected, atol=1e-6)


def test_channels_of_a_module_without_convolutions():
    module = nn.Sequential(nn.Flatten(), nn.Linear(4 * 4 * 2, 3))
    assert pellucid.wrap(module, size=4, channels=2).layers["logits"].channels == 3
    with pytest.raises(
        ModelError, match=r"cannot run on an input of shape \[1, 3, 4, 4\].*wrap\(…, size=…, channels=…\)"
    ):
        _ = pellucid.wrap(module, size=4).layers


def test_preprocessing_of_each_channel():
    mean, std = [0.1, 0.2, 0.3], np.array([1.0, 2.0, 4.0])
    for given in (mean, tuple(mean), np.array(mean), torch.tensor(mean, dtype=torch.float64)):
        model = pellucid.wrap(nn.Conv2d(3, 1, 1).double(), size=4, mean=given, std=std)
        assert model.mean == (0.1, 0.2, 0.3)
        images = torch.rand(1, 3, 4, 4, dtype=torch.float64)
        assert model.dtype == torch.float64
        expected = (images.numpy() - np.array(mean)[:, None, None]) / std[:, None, None]
        assert np.allclose(model.preprocess(images).numpy(), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": [0.5, 0.5]}, "mean has 2 values for 3 input channels; give 1 or 3"),
        ({"std": [0.5] * 4}, "std has 4 values for 3 input channels"),
        ({"mean": []}, "mean has 0 values"),
        ({"mean": float("nan")}, "mean"),
        ({"std": 0}, "std"),
        ({"std": [1, 0, 1]}, "std"),
        ({"std": float("inf")}, "std"),
        ({"size": 0}, "size is 0; expected a positive number"),
        ({"size": (32, -1)}, "size is"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(InputError, match=message):
        pellucid.wrap(seeded(plain_net), **settings)


def test_only_modules_are_wrapped():
    with pytest.raises(InputError, match=r"wrap needs a torch\.nn\.Module, not function"):
        pellucid.wrap(lambda x: x)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value):
    module = seeded(ResidualNet)
    module.block1.bn1.running_mean[3] = value
    with pytest.raises(
        ModelError, match=r"block1\.bn1\.running_mean of ResidualNet contains values that are not finite"
    ):
        pellucid.wrap(module)
    module = seeded(plain_net)
    with torch.no_grad():
        module[2].weight[0, 0, 0, 0] = value
    with pytest.raises(ModelError, match=r"2\.weight of mine contains"):
        pellucid.wrap(module, name="mine")


def test_input_size_that_the_module_does_not_take():
    model = pellucid.wrap(seeded(plain_net), size=4)
    with pytest.raises(ModelError, match=r"cannot run on an input of shape \[1, 3, 4, 4\]"):
        _ = model.layers


class Demanding(nn.Module):
    """Asserts its input size, as vision transformers do."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        torch._assert(x.shape[2] == 24, "this network takes 24 px")
        return self.conv(x).mean((2, 3))


def test_modules_that_assert_their_input_size():
    with pytest.raises(ModelError, match=r"cannot run on an input.*takes 24 px"):
        _ = pellucid.wrap(Demanding(), size=32).layers
    model = pellucid.wrap(Demanding(), size=24)
    assert pellucid.record(model, torch.rand(1, 3, 24, 24), "conv")["conv"].values.shape == (1, 22, 22, 2)
    with pytest.raises(ModelError, match="Demanding cannot run on an input of 32×40 px: this network takes 24 px"):
        pellucid.record(model, torch.rand(1, 3, 32, 40), "conv")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(2, 32, 32, 3), r"images have shape \[2, 32, 32, 3\], expected.*permute\(0, 3, 1, 2\)"),
        (torch.rand(3, 32, 32), r"images\[None\] makes a batch of one"),
        (torch.rand(2, 4, 32, 32), r"expected float \[n, 3, height, width\] in \[0, 1\]\.$"),
        (torch.rand(0, 3, 32, 32), r"shape \[0, 3, 32, 32\]"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "have type torch.uint8.*divide bytes by 255"),
        (np.zeros((1, 3, 8, 8), np.int64), "divide bytes by 255"),
        (torch.full((1, 3, 8, 8), torch.nan), "not finite"),
        (torch.full((1, 3, 8, 8), torch.inf), "not finite"),
        (255 * torch.ones(1, 3, 8, 8), "range from 255 to 255"),
        (torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8), "range from -1 to 1"),
    ],
)
def test_images_that_do_not_fit(model, images, message):
    with pytest.raises(InputError, match=message):
        model.check_images(images)


def test_arrays_as_images(model):
    array = np.random.default_rng(0).random((2, 3, 8, 8))
    locked = array.copy()
    locked.flags.writeable = False
    reversed_ = np.ascontiguousarray(array[:, ::-1])[:, ::-1]
    for given in (array, locked, reversed_, array.astype(np.float32), array.tolist(), torch.from_numpy(array)):
        assert np.allclose(model.check_images(given).numpy(), array, atol=1e-6)


def test_digest_tells_weights_and_preprocessing_apart():
    def digest(seed=0, **options):
        return pellucid.wrap(seeded(plain_net, seed=seed), size=32, **options).digest

    assert digest() == digest()
    assert len({digest(), digest(1), digest(mean=0.5), digest(std=0.5), digest(name="x")}) == 5
    residual = seeded(ResidualNet)
    before = pellucid.wrap(residual, size=32).digest
    residual.norm.running_var[0] += 1
    assert pellucid.wrap(residual, size=32).digest != before
