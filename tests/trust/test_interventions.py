"""Interventions against the network itself, with a plain hook that makes each change by hand."""

import numpy as np
import pytest
import torch
from networks import BranchedNet, ResidualNet, TokenNet, plain_net, seeded
from PIL import Image
from torch import nn

import pellucid
from pellucid import Channel, Group, Neuron, Position, Region, intervene, intervene_each
from pellucid.attribution import attribute
from pellucid.errors import InputError, ModelError, TargetError
from pellucid.record import Tail


class Added(nn.Module):
    """Something is added beside the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.layer = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.tanh(x + self.layer(x))
        return self.head(x.amax((2, 3)))


class Joined(Added):
    """Something is joined beside the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.head(torch.tanh(torch.cat([x, self.layer(x)], 1)).amax((2, 3)))


class Counting(Added):
    """The number of images is taken from before the layer."""

    def forward(self, x):
        count = len(x)
        x = torch.relu(self.stem(x))
        return self.head(torch.tanh(self.layer(x)).reshape(count, 6, -1).amax(2))


class Overwriting(Added):
    """What follows the layer works in place on it."""

    def forward(self, x):
        return self.head(torch.relu_(self.layer(torch.relu(self.stem(x)))).mean((2, 3)))


NETS = {
    "plain": (plain_net, "3"),
    "residual": (ResidualNet, "block1.conv1"),
    "branched": (BranchedNet, "join"),
    "tokens": (TokenNet, "blocks.0"),
    "added": (Added, "layer"),
    "joined": (Joined, "layer"),
    "counting": (Counting, "layer"),
    "overwriting": (Overwriting, "layer"),
}
REGION = (slice(None), slice(5, 9), slice(6, 10))
IMAGE = torch.rand(3, 40, 32, generator=torch.Generator().manual_seed(1))


def wrapped(net):
    return pellucid.wrap(seeded(NETS[net][0]), size=(40, 32), mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4], name="network")


def by_hand(model, layer, change):
    """The logits after `change` was made to the layer's grid [channels, rows, columns], and the grid before."""
    place, seen = model.layer(layer), []

    def edit(_module, _inputs, output):
        grid = place.to_grid(output, IMAGE.shape[1:])
        seen.append(grid[0].clone().numpy())
        return place.from_grid(torch.from_numpy(change(grid[0].clone().numpy()))[None], output)

    module = model.module.eval()
    with torch.no_grad(), module.get_submodule(place.path).register_forward_hook(edit):
        logits = module(model.preprocess(IMAGE[None]))[0].numpy()
    return logits, seen[0]


def random_groups(model, layer, count=3):
    values = pellucid.record(model, IMAGE[None], layer)[layer].values
    return pellucid.factorize(np.abs(values), count)


def put(grid, where, value):
    grid[where] = value
    return grid


def changes(model, layer):
    """Each way to name a unit, and the same change in numpy."""
    groups = random_groups(model, layer)
    part = np.moveaxis(groups.part(1)[0], 2, 0)
    direction = np.arange(1, groups.channels.shape[1] + 1, dtype=np.float32)
    length = float(direction @ direction)

    def without_part(grid):
        return np.maximum(grid - part, 0) if grid.min() >= 0 else grid - part

    def without_direction(grid):
        less = grid - direction[:, None, None] * np.einsum("chw,c->hw", grid, direction) / length
        return np.maximum(less, 0) if grid.min() >= 0 else less

    return [
        (f"{layer}:2", lambda grid: put(grid, 2, 0)),
        (2, lambda grid: put(grid, 2, 0)),
        (Channel(layer, 2), lambda grid: put(grid, 2, 0)),
        (f"{layer}:1@2,-1", lambda grid: put(grid, (1, 2, -1), 0)),
        (Neuron(layer, 1), lambda grid: put(grid, (1, grid.shape[1] // 2, grid.shape[2] // 2), 0)),
        ((1, 3), lambda grid: put(grid, (slice(None), 1, 3), 0)),
        (Position(layer, -1, 0), lambda grid: put(grid, (slice(None), -1, 0), 0)),
        (f"{layer}@0,2", lambda grid: put(grid, (slice(None), 0, 2), 0)),
        (Region(1, 0, 3, 2), lambda grid: put(grid, (slice(None), slice(1, 4), slice(0, 2)), 0)),
        ((groups, 1), without_part),
        (Group(layer, groups.channels[1], groups.spatial[0, :, :, 1]), without_part),
        (Group(layer, direction), without_direction),
    ]


@pytest.mark.parametrize("net", NETS)
def test_every_unit_is_removed_as_by_hand(net):
    model, layer = wrapped(net), NETS[net][1]
    cases = changes(model, layer)
    together = intervene_each(model, IMAGE, layer=layer, units=[unit for unit, _ in cases], batch_size=5)
    assert together.dtype == np.float32
    before, _ = by_hand(model, layer, lambda grid: grid)
    moved = []
    for (unit, change), row in zip(cases, together, strict=True):
        expected, _ = by_hand(model, layer, change)
        effect = intervene(model, IMAGE, layer=layer, remove=[unit])
        np.testing.assert_allclose(effect.logits_after, expected, rtol=1e-4, atol=1e-5, err_msg=str(unit))
        np.testing.assert_allclose(effect.logits_before, before, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5, err_msg=str(unit))
        moved.append(np.abs(expected - before).max())
    # Where only maxima count, one position or channel may not matter.
    assert np.median(moved) > 1e-4
    assert moved[-1] > 1e-4


@pytest.mark.parametrize("factor", [0.5, 2.0, -1.0])
def test_units_are_scaled(factor):
    model = wrapped("plain")
    groups = random_groups(model, "3")
    part = np.moveaxis(groups.part(0)[0], 2, 0)
    cases = [
        (4, lambda grid: put(grid, 4, factor * grid[4])),
        (Region(5, 6, 4, 4), lambda grid: put(grid, REGION, factor * grid[REGION])),
        ("3:4@5,6", lambda grid: put(grid, (4, 5, 6), factor * grid[4, 5, 6])),
        ((groups, 0), lambda grid: np.maximum(grid + (factor - 1) * part, 0)),
    ]
    rows = intervene_each(model, IMAGE, layer="3", units=[unit for unit, _ in cases], factor=factor)
    for (unit, change), row in zip(cases, rows, strict=True):
        expected, _ = by_hand(model, "3", change)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5, err_msg=str(unit))
        effect = intervene(model, IMAGE, layer="3", scale={unit: factor})
        np.testing.assert_allclose(effect.logits_after, expected, rtol=1e-4, atol=1e-5)
        # What a pool leaves out does not matter.
        assert np.abs(expected - effect.logits_before).max() > 1e-4 or isinstance(unit, str)


def test_the_mean_can_stand_for_what_is_removed():
    model = wrapped("plain")
    groups = random_groups(model, "3")
    part = np.moveaxis(groups.part(0)[0], 2, 0)
    level = part.mean((1, 2), keepdims=True)

    def mean(grid):
        return grid.mean((1, 2))

    cases = [
        (4, lambda grid: put(grid, 4, mean(grid)[4])),
        (Region(5, 6, 4, 4), lambda grid: put(grid, REGION, mean(grid)[:, None, None])),
        ("3:4@5,6", lambda grid: put(grid, (4, 5, 6), mean(grid)[4])),
        ((groups, 0), lambda grid: np.maximum(grid - part + level, 0)),
    ]
    rows = intervene_each(model, IMAGE, layer="3", units=[unit for unit, _ in cases], fill="mean")
    for (unit, change), row in zip(cases, rows, strict=True):
        expected, _ = by_hand(model, "3", change)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5, err_msg=str(unit))


def test_several_changes_together():
    model = wrapped("plain")
    groups = random_groups(model, "3")
    part = np.moveaxis(groups.part(2)[0], 2, 0)

    def change(grid):
        grid = np.maximum(grid - part, 0)
        grid[2] = 0
        grid[:, 0, 1] = 0
        grid[5] *= 2
        return grid

    effect = intervene(model, IMAGE, layer="3", remove=[(groups, 2), "3:2", (0, 1)], scale=[(5, 2)])
    expected, _ = by_hand(model, "3", change)
    np.testing.assert_allclose(effect.logits_after, expected, rtol=1e-4, atol=1e-5)
    assert [unit for unit, _ in effect.changes][1:] == ["3:2", "3@0,1", "3:5"]
    assert [factor for _, factor in effect.changes] == [0, 0, 0, 2]
    # Removing twice is removing once: a group that overlaps what has gone takes nothing below zero.
    again = intervene(model, IMAGE, layer="3", remove=[(groups, 2), "3:2", (0, 1), "3:2"], scale={"3:5": 2})
    np.testing.assert_allclose(again.logits_after, expected, rtol=1e-4, atol=1e-5)


def test_a_groups_part_is_that_of_the_untouched_layer():
    model = wrapped("plain")
    vector = np.arange(8, dtype=np.float32)

    def change(grid):
        part = vector[:, None, None] * np.einsum("chw,c->hw", grid, vector) / float(vector @ vector)
        return np.maximum(put(grid, 7, 0) - part, 0)

    effect = intervene(model, IMAGE, layer="3", remove=[7, Group("3", vector)])
    expected, _ = by_hand(model, "3", change)
    np.testing.assert_allclose(effect.logits_after, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("net", ["added", "tokens", "counting"])
def test_all_positions_squares_and_channels(net):
    model, layer = wrapped(net), NETS[net][1]
    _, whole = by_hand(model, layer, lambda grid: grid)
    channels, rows, columns = whole.shape
    found = {
        kind: intervene_each(model, IMAGE, layer=layer, units=kind, batch_size=7)
        for kind in ("positions", "squares", "channels")
    }
    assert len(found["positions"]) == len(found["squares"]) == rows * columns
    assert len(found["channels"]) == channels
    for channel in range(0, channels, 3):
        expected, _ = by_hand(model, layer, lambda grid, channel=channel: put(grid, channel, 0))
        np.testing.assert_allclose(found["channels"][channel], expected, rtol=1e-4, atol=1e-5)
    for row in (0, rows // 2, rows - 1):
        for column in (0, columns // 2, columns - 1):
            for kind, reach in (("positions", 0), ("squares", 1)):
                where = np.zeros((rows, columns), bool)
                where[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
                expected, _ = by_hand(model, layer, lambda grid, where=where: put(grid, (slice(None), where), 0))
                np.testing.assert_allclose(found[kind][row * columns + column], expected, rtol=1e-4, atol=1e-5)


def test_what_follows_linearly_is_predicted_exactly():
    module = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(1140, 3)))
    model = pellucid.wrap(module, size=(40, 32), labels=["one", "two", "three"])
    found = attribute(model, IMAGE, layer="1", target="two")
    before = pellucid.record(model, IMAGE[None], "logits")["logits"].values[0, 1]
    positions = intervene_each(model, IMAGE, layer="1", units="positions")[:, 1]
    np.testing.assert_allclose(before - positions, found.positions().ravel(), atol=1e-5)
    channels = intervene_each(model, IMAGE, layer="1", units="channels", factor=3)[:, 1]
    np.testing.assert_allclose(channels - before, 2 * found.by_channel(), atol=1e-5)
    effect = intervene(model, IMAGE, layer="1", remove=[0, 1])
    assert effect.change("two") == pytest.approx(-found.by_channel()[:2].sum(), abs=1e-5)


def test_effects():
    model = pellucid.wrap(seeded(plain_net, 4), size=(40, 32), labels=["ape", "bee", "cat", "doe"], name="network")
    effect = intervene(model, IMAGE, layer="3", scale={3: 40})
    np.testing.assert_allclose(effect.probabilities_before.sum(), 1, rtol=1e-6)
    shifted = np.exp(effect.logits_after - effect.logits_after.max())
    np.testing.assert_allclose(effect.probabilities_after, shifted / shifted.sum(), rtol=1e-5)
    assert effect.change("CAT") == pytest.approx(effect.logits_after[2] - effect.logits_before[2])
    assert effect.change(2) == effect.change("cat")
    after, before = effect.top(4), effect.top(2, by="before")
    assert [each.probability_after for each in after] == sorted(effect.probabilities_after.tolist(), reverse=True)
    assert before[0].index == effect.logits_before.argmax()
    assert before[0].label == model.label(before[0].index)
    moves = [abs(each.probability_after - each.probability_before) for each in effect.top(4, by="change")]
    assert moves == sorted(moves, reverse=True)
    assert moves[0] > 0
    assert after[0].logit_after == pytest.approx(float(effect.logits_after.max()))
    assert f"now {after[0].label} {after[0].probability_after:.1%}>" in repr(effect)
    assert "Effect of 3:3 × 40: " in repr(effect)
    with pytest.raises(TargetError, match=r"no class 'bea' .* did you mean 'bee'"):
        effect.change("bea")


def test_images_and_tails_of_ones_own(tmp_path):
    model = wrapped("plain")
    picture = Image.fromarray((np.random.default_rng(0).random((50, 40, 3)) * 255).astype(np.uint8))
    picture.save(tmp_path / "picture.png")
    results = [
        intervene(model, each, layer="3", remove=[1]).logits_after for each in (picture, tmp_path / "picture.png")
    ]
    np.testing.assert_allclose(results[0], results[1], atol=2e-2)
    as_array = intervene(model, IMAGE.numpy(), layer="3", remove=[1])
    tail = Tail(model, IMAGE, layer="3", to=["8", "logits"])
    np.testing.assert_allclose(
        intervene(model, IMAGE, layer="3", remove=[1], tail=tail).logits_after, as_array.logits_after, atol=1e-6
    )
    with pytest.raises(InputError, match="does not lead from 6 to the logits"):
        intervene(model, IMAGE, layer="6", remove=[1], tail=tail)
    with pytest.raises(InputError, match="does not lead from 3 to the logits"):
        intervene_each(model, IMAGE, layer="3", units=[1], tail=Tail(model, IMAGE, layer="3", to=["8"]))


def test_two_classes_without_labels():
    model = pellucid.wrap(seeded(plain_net, 2), size=(40, 32))
    effect = intervene(model, IMAGE, layer="8", remove=[(0, 0)])
    assert {each.label for each in effect.top(5)} == {"class 0", "class 1"}


def test_the_model_comes_back_as_it_was():
    for net in ("joined", "counting"):
        model = wrapped(net)
        model.module.train()
        before = {key: value.clone() for key, value in model.module.state_dict().items()}
        intervene_each(model, IMAGE, layer="layer", units="channels")
        assert model.module.training
        assert all(parameter.requires_grad for parameter in model.module.parameters())
        assert not any(part._forward_hooks for part in model.module.modules())
        assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())


def test_progress_and_no_units():
    model, events = wrapped("plain"), []
    intervene_each(model, IMAGE, layer="8", units=[0, 1, 2, 3, 4], batch_size=2, progress=events.append)
    assert [(event.done, event.total) for event in events] == [(2, 5), (4, 5), (5, 5)]
    assert intervene_each(model, IMAGE, layer="8", units=[]).shape == (0, 10)


@pytest.mark.parametrize(
    ("unit", "error", "words"),
    [
        (8, TargetError, "no channel 8 in 3 of network: it has 8, numbered 0 to 7"),
        ("3:99", TargetError, "no channel 99 in 3"),
        ("6:1", TargetError, "6:1 is in 6; an intervention is in one layer, here 3"),
        ((36, 0), TargetError, r"3 has no position 36,0 on this image: it is 36×28"),
        ((0, -29), TargetError, "3 has no position 0,-29 on this image"),
        (Region(30, 0, 9, 9), TargetError, r"no position 30–38,0–8 on this image: it is 36×28"),
        (Region(0, 0, 0, 1), TargetError, "no position"),
        (Group("3", [1.0] * 7), TargetError, "a group of 7 numbers does not fit 3"),
        (Group("3", [1.0] * 8, np.ones((2, 2))), TargetError, "the mask of .* does not fit 3, which is 36×28"),
        ("lemon", TargetError, "cannot read 'lemon' as a target"),
        ("logits:2", InputError, "cannot remove 'logits:2'; give a channel"),
        (None, InputError, "cannot remove 'None'"),
    ],
)
def test_units_that_are_not_there(unit, error, words):
    with pytest.raises(error, match=words):
        intervene(wrapped("plain"), IMAGE, layer="3", remove=[unit])


def test_removing_nothing_changes_nothing():
    effect = intervene(wrapped("plain"), IMAGE, layer="3", remove=[])
    np.testing.assert_allclose(effect.logits_after, effect.logits_before, rtol=1e-5, atol=1e-7)
    assert repr(effect).startswith("<Effect of nothing: ")


def test_errors():
    model = wrapped("plain")
    groups = random_groups(model, "3")
    with pytest.raises(TargetError, match="no group 3; there are 3, numbered from 0"):
        intervene(model, IMAGE, layer="3", remove=[(groups, 3)])
    with pytest.raises(InputError, match=r"spatial factors \[1, 36, 28, 3\], expected \[1, 14, 10, 3\]"):
        intervene(model, IMAGE, layer="8", remove=[(groups, 0)])
    with pytest.raises(InputError, match="nothing to change; give units in remove="):
        intervene(model, IMAGE)
    with pytest.raises(InputError, match="cannot be scaled by nan"):
        intervene(model, IMAGE, layer="3", scale={1: float("nan")})
    with pytest.raises(InputError, match="no fill 'noise'; choose zero or mean"):
        intervene(model, IMAGE, layer="3", remove=[1], fill="noise")
    with pytest.raises(InputError, match="no units called 'neurons'; choose positions, squares or channels"):
        intervene_each(model, IMAGE, layer="3", units="neurons")
    with pytest.raises(TargetError, match="no layer '13'"):
        intervene(model, IMAGE, layer="13", remove=[1])
    with pytest.raises(InputError, match="images have shape"):
        intervene(model, IMAGE[:1], layer="3", remove=[1])
    with pytest.raises(InputError, match=r"expected \[channels, height, width\]"):
        intervene(model, IMAGE[None], layer="3", remove=[1])
    with pytest.raises(InputError, match="absent"):
        intervene(model, "absent.jpg", layer="3", remove=[1])
    headless = pellucid.wrap(seeded(plain_net)[:7], size=(40, 32), name="headless")
    with pytest.raises(ModelError, match="headless"):
        intervene(headless, IMAGE, layer="3", remove=[1])


def test_the_layer_may_be_left_to_a_unit():
    model = pellucid.wrap(seeded(plain_net), size=32)
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    groups = pellucid.factorize(pellucid.record(model, image[None], "3")["3"], 2)
    for unit in ("3:2", Channel("3", 2), Position("3", 1, 1), (groups, 1)):
        said = intervene(model, image, layer="3", remove=[unit, (0, 0)])
        assert intervene(model, image, remove=[unit, (0, 0)]).layer.name == "3"
        np.testing.assert_array_equal(intervene(model, image, remove=[unit, (0, 0)]).logits_after, said.logits_after)
    with pytest.raises(InputError, match="no unit names its layer"):
        intervene(model, image, remove=[(0, 0)])
