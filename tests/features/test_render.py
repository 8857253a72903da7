"""Renderings on a small network: right gradients, one target apart from the next, and the module given back."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import InputError, ModelError, ResourceError, TargetError
from pellucid.features import _render, objectives
from pellucid.features.images import CPPN, Alpha, Fourier, Laplacian, MagnitudeConstrained, Pixel, Shared
from pellucid.features.objectives import Difference, Likeness, TotalVariation, channel
from pellucid.features.transforms import Jitter, Noise, Pad, standard
from pellucid.store import RenderCache

QUICK = {"size": 32, "steps": 6, "precision": "float32"}


def render(model, targets, **settings):
    return pellucid.render(model, targets, **{**QUICK, **settings})


def worth(model, image: np.ndarray, layer: str, index: int) -> float:
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
    return float(pellucid.record(model, pixels, [layer])[layer].values[0, ..., index].mean())


@pytest.mark.parametrize("target", ["first:3", "block:2", "block:9", "last:4@3,1", "last:0@centre", "logits:lemon"])
def test_the_objective_rises(small, target):
    rendering = render(small, target, steps=40)
    curve = rendering.objective[0]
    assert rendering.images.shape == (1, 32, 32, 3)
    assert rendering.images.dtype == np.float32
    assert rendering.images.min() >= 0
    assert rendering.images.max() <= 1
    assert rendering.objective.shape == (1, 40)
    assert curve[-8:].mean() > curve[:3].mean() + 0.05 * abs(curve[:3].mean())
    assert rendering.targets == (target,)


def test_the_objective_is_the_networks_own_number(small):
    rendering = render(small, "block:9", steps=3, transforms=(), snapshots=(1, 2))
    for step in (1, 2):  # the value of a step is that of the image before it
        found = worth(small, rendering.snapshots[step][0], "block", 9)
        assert rendering.objective[0, step] == pytest.approx(found, rel=1e-4, abs=1e-5)


def test_negative_targets_lower_what_others_raise(small):
    raised, lowered = render(small, ["last:1", "-last:1"], steps=40, transforms=()).images
    start = render(small, "last:1", steps=1, learning_rate=0.0, transforms=()).images[0]
    before = worth(small, start, "last", 1)
    assert worth(small, lowered, "last", 1) < before < worth(small, raised, "last", 1)


@pytest.mark.parametrize("parametrization", [Fourier(deviation=0.05), Pixel(deviation=0.3)])
@pytest.mark.parametrize("objective", [channel("last", 2), 0.3 * channel("block", 4) - channel("last", 1)])
def test_the_step_follows_the_gradient_by_finite_differences(small, parametrization, objective):
    """Adam's first step is the sign of the gradient: compare with what moving one parameter does, in float64."""
    shape = (3, 32, 32)
    rate = 1e-4
    start = render(small, objective, steps=1, learning_rate=0.0, transforms=(), parametrization=parametrization)
    moved = render(small, objective, steps=1, learning_rate=rate, transforms=(), parametrization=parametrization)
    before = parametrization.encode(torch.from_numpy(start.images).permute(0, 3, 1, 2).double())[0]
    after = parametrization.encode(torch.from_numpy(moved.images).permute(0, 3, 1, 2).double())[0]
    step = ((after - before) / rate).round(decimals=1)

    network = pellucid.wrap(small.module.double(), size=32, mean=0.45, std=0.25, name="small")

    def value(parameters: torch.Tensor) -> float:
        picture = parametrization.decode([parameters], shape)
        with torch.no_grad():
            from pellucid.record import run

            grids = run(network, picture, ["block", "last"])
        readings = type("R", (), {"images": picture, "channel": lambda self, layer, i: grids[layer][:, i]})()
        return float(objective.value(readings))

    generator = torch.Generator().manual_seed(0)
    checked = 0
    for place in torch.randperm(before.numel(), generator=generator).tolist():
        small_step = torch.zeros(before.numel(), dtype=torch.float64)
        small_step[place] = 1e-5
        slope = (value(before + small_step.view_as(before)) - value(before - small_step.view_as(before))) / 2e-5
        sign = step.flatten()[place].item()
        # Frequencies that a real picture holds only once, and parameters that hardly matter, tell nothing.
        if abs(slope) < 1e-4 or abs(sign) < 0.5:
            continue
        assert np.sign(slope) == np.sign(sign)
        checked += 1
        if checked == 40:
            break
    assert checked >= 20


def test_the_same_seed_gives_the_same_images(small):
    first, again = render(small, ["block:1", "last:2"]), render(small, ["block:1", "last:2"])
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.objective, again.objective)
    other = render(small, ["block:1", "last:2"], seed=1)
    assert abs(other.images - first.images).max() > 0.01


def test_neither_the_global_generator_nor_the_time_matters(small):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = render(small, "last:2")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    np.testing.assert_array_equal(first.images, render(small, "last:2").images)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"alpha": True},
        {"parametrization": Laplacian()},
        {"parametrization": CPPN(layers=3, width=8)},
        {"parametrization": MagnitudeConstrained(), "optimizer": "nadam"},
        {"transforms": (Pad(4), Jitter(6), Noise(0.1))},
        {"draws": 3},
        {"draws": 2, "alpha": True},
        {"draws": 2, "alpha": "gradient"},
    ],
    ids=str,
)
def test_a_target_knows_nothing_of_its_neighbours(small, settings):
    alone = render(small, "block:9", steps=4, **settings)
    beside = render(small, ["block:1", "block:9", "last:3", "block:11", "-block:9"], steps=4, **settings)
    split = render(small, ["block:2", "block:3", "block:9"], steps=4, batch_size=2, **settings)
    # Adam turns rounding into steps where a gradient is next to nothing; the pictures agree all the same.
    np.testing.assert_allclose(beside.images[1], alone.images[0], atol=2e-3)
    np.testing.assert_allclose(split.images[2], alone.images[0], atol=2e-3)
    np.testing.assert_allclose(beside.objective[1], alone.objective[0], rtol=1e-3, atol=1e-4)
    assert abs(beside.images[1] - beside.images[0]).max() > 0.02


def test_copies_know_nothing_of_their_number(small):
    two, three = render(small, "block:9", copies=2), render(small, "block:9", copies=3)
    np.testing.assert_allclose(three.images[:2], two.images, atol=2e-3)
    assert three.targets == ("block:9~1", "block:9~2", "block:9~3")
    assert abs(three.images[0] - three.images[1]).max() > 0.02
    np.testing.assert_allclose(render(small, "block:9").images, two.images[:1], atol=2e-3)


def test_repeats_of_a_target_are_equal(small):
    first, second = render(small, ["block:9", "block:9"]).images
    np.testing.assert_allclose(first, second, atol=2e-3)


def test_layers_mixed_in_one_call_come_back_in_order(small):
    targets = ["last:1", "first:0", "logits:0", "block:6", "first:1"]
    rendering = render(small, targets)
    assert rendering.targets == tuple(targets)
    for place, target in enumerate(targets):
        np.testing.assert_allclose(rendering.images[place], render(small, target).images[0], atol=2e-3)


def test_one_objective_over_two_layers(small):
    objective = channel("first", 3) + 0.5 * channel("last", 1) - 2 * TotalVariation()
    rendering = render(small, objective, steps=30)
    assert rendering.objective[0, -1] > rendering.objective[0, 0]
    assert rendering.targets == (repr(objective),)


def test_stars_and_ranges(small):
    whole = render(small, "first:*", steps=1)
    assert whole.targets == tuple(f"first:{index}" for index in range(8))
    assert render(small, ["block:3-5", "last:7"], steps=1).targets == ("block:3", "block:4", "block:5", "last:7")
    assert render(small, "-block:10-11", steps=1).targets == ("-block:10", "-block:11")
    assert render(small, "logits:0-1", steps=1).targets == ("logits:0", "logits:1")
    assert len(render(small, "-logits:*", steps=1)) == 4


def test_targets_may_be_values(small):
    goals = [pellucid.Channel("block", 1), pellucid.Neuron("block", 1), pellucid.Direction("block", (1.0,) * 12)]
    assert render(small, goals).targets == ("block:1", "block:1@centre", "block:direction of 12")
    np.testing.assert_allclose(
        render(small, goals[0]).images, render(small, [objectives.channel("block", 1)]).images, atol=2e-3
    )


def test_snapshots_are_the_images_on_the_way(small):
    rendering = render(small, ["block:1", "last:1"], schedule="constant", snapshots=(4, 2, 6, 2))
    assert sorted(rendering.snapshots) == [2, 4, 6]
    np.testing.assert_array_equal(rendering.snapshots[6], rendering.images)
    shorter = render(small, ["block:1", "last:1"], schedule="constant", steps=4)
    np.testing.assert_allclose(rendering.snapshots[4], shorter.images, atol=1e-4)


def test_the_cosine_schedule_comes_to_rest(small):
    rest = render(small, "block:1", steps=30, snapshots=(1, 2, 29), transforms=()).snapshots
    final = render(small, "block:1", steps=30, transforms=()).images
    assert abs(final - rest[29]).mean() < 0.2 * abs(rest[2] - rest[1]).mean()


def test_alpha_leaves_transparent_what_does_not_matter():
    module = nn.Sequential(nn.Conv2d(3, 1, 9, stride=4), nn.ReLU())
    with torch.no_grad():
        module[0].weight.fill_(1 / 243)
        module[0].bias.zero_()
    bright = pellucid.wrap(module, size=64)  # its centre wants white in 9 px, and cannot see the rest
    rendering = render(bright, "1:0@centre", alpha=True, steps=100, size=64)
    assert rendering.images.shape == (1, 64, 64, 4)
    colours, opacity = rendering.images[0, :, :, :3], rendering.images[0, :, :, 3]
    assert opacity[28:36, 28:36].mean() > 0.6 > 0.4 > opacity[:12].mean()
    assert colours[28:36, 28:36].mean() > 0.8


def test_alpha_as_a_parametrization(small):
    assert render(small, "last:0", parametrization=Alpha(), steps=2).images.shape == (1, 32, 32, 4)


@pytest.fixture
def gradients(monkeypatch) -> list[torch.Tensor]:
    """The gradient of each step, of an optimizer that does not move."""
    found = []

    class Still(torch.optim.SGD):
        def __init__(self, parameters, lr, betas):
            super().__init__(parameters, lr=0.0)
            self.watched = parameters

        def step(self):
            found.append(torch.cat([parameter.grad.flatten(1) for parameter in self.watched], 1))

    monkeypatch.setattr(torch.optim, "Adam", Still)
    return found


@pytest.mark.parametrize(
    "objective", [channel("last", 1), channel("last", 1) - 0.5 * Likeness("block") - 0.1 * TotalVariation()]
)
def test_the_gradient_of_several_draws_is_the_mean_of_single_draws(small, gradients, objective):
    settings = {"transforms": (Jitter(9),), "copies": 2}
    drawn = render(small, [objective, -objective], draws=3, steps=1, **settings)
    single = render(small, [objective, -objective], steps=3, **settings)
    together, *draws = gradients
    assert (draws[0] - draws[1]).abs().max() > 0.1 * draws[0].abs().max()
    torch.testing.assert_close(together, torch.stack(draws).mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(drawn.objective[:, 0], single.objective.mean(1), rtol=1e-5)


def test_each_view_has_a_background_of_its_own(small, gradients):
    settings = {"transforms": (), "alpha": True}
    render(small, "last:1", draws=2, steps=1, **settings)
    render(small, "last:1", steps=2, **settings)
    together, *draws = gradients
    assert not torch.allclose(draws[0], draws[1], rtol=1e-2)
    torch.testing.assert_close(together, torch.stack(draws).mean(0), rtol=1e-4, atol=1e-6)


def test_a_dead_picture_is_helped_where_no_view_reaches_it():
    module = nn.Sequential(nn.Conv2d(3, 1, 5, stride=4), nn.ReLU())
    with torch.no_grad():
        module[0].weight.fill_(1 / 75)
        module[0].bias.fill_(-0.55)  # silent on grey
    asleep = pellucid.wrap(module, size=32)
    assert render(asleep, "1:0", draws=2, steps=16, transforms=(Jitter(4),)).objective[0, -1] > 0


def test_gradient_opacity_is_the_networks_own_gradient(small):
    plain = render(small, "last:1", steps=1, learning_rate=0.0, transforms=())
    traced = render(small, "last:1", steps=1, learning_rate=0.0, transforms=(), alpha="gradient")
    np.testing.assert_array_equal(traced.images[..., :3], plain.images)
    pixels = torch.from_numpy(plain.images).permute(0, 3, 1, 2).clone().requires_grad_()
    from pellucid.record import run

    (slope,) = torch.autograd.grad(run(small, pixels, ["last"])["last"][:, 1].mean(), pixels)
    strength = slope[0].abs().mean(0).numpy()
    np.testing.assert_allclose(
        traced.images[0, ..., 3], np.minimum(1, strength / np.quantile(strength, 0.8)), atol=1e-3
    )


def test_gradient_opacity_is_summed_over_the_steps_and_changes_nothing_else():
    module = nn.Sequential(nn.Conv2d(3, 1, 9, stride=4), nn.ReLU())
    with torch.no_grad():
        module[0].weight.fill_(1 / 243)
        module[0].bias.zero_()
    bright = pellucid.wrap(module, size=64)
    settings = {"steps": 20, "size": 64, "snapshots": (1, 20), "transforms": (Jitter(24),)}
    traced, plain = (render(bright, "1:0@centre", alpha=alpha, **settings) for alpha in ("gradient", False))
    np.testing.assert_array_equal(traced.images[..., :3], plain.images)
    opacity = traced.images[0, ..., 3]
    assert opacity[26:38, 26:38].min() > 0.2  # where one shift or another put the centre
    assert opacity[:12].max() == 0
    assert (traced.snapshots[1][0, ..., 3] > 0).sum() < 0.5 * (opacity > 0).sum()
    np.testing.assert_array_equal(traced.snapshots[20], traced.images)


def test_a_picture_seen_once_is_found_in_caches_from_before_there_were_draws(small, tmp_path):
    cache = RenderCache(tmp_path)
    once = render(small, "last:1", cache=cache)
    (entry,) = tmp_path.rglob("*.json")
    asked = json.loads(entry.read_text())["recipe"]["settings"]
    assert list(asked) == [
        *("size", "steps", "parametrization", "transforms", "learning_rate", "optimizer", "betas", "schedule"),
        *("precision", "seed", "snapshots"),
    ]
    assert once.provenance["settings"]["draws"] == 1
    for change in ({"draws": 2}, {"alpha": "gradient"}):
        other = render(small, "last:1", cache=cache, **change)
        assert other.provenance["from_cache"] == 0
        again = render(small, "last:1", cache=cache, **change)
        assert again.provenance["from_cache"] == 1
        np.testing.assert_array_equal(again.images, other.images)
    assert render(small, "last:1", cache=cache, draws=1, alpha=False).provenance["from_cache"] == 1


def test_starting_from_an_image(small):
    start = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    still = render(small, "last:1", start=start, steps=1, learning_rate=0.0)
    np.testing.assert_allclose(still.images[0], start.permute(1, 2, 0).numpy(), atol=1e-4)
    moved = render(small, "last:1", start=start.numpy(), steps=20, transforms=())
    assert worth(small, moved.images[0], "last", 1) > worth(small, still.images[0], "last", 1)
    np.testing.assert_allclose(
        render(small, "last:1", start=start, copies=2, steps=1).images[0], still.images[0], atol=0.2
    )


def test_bfloat16_is_close(small):
    exact = render(small, ["block:7", "last:1"], steps=30)
    rough = render(small, ["block:7", "last:1"], steps=30, precision="bfloat16")
    assert rough.provenance["settings"]["precision"] == "bfloat16"
    assert rough.images.dtype == np.float32
    for place, (layer, index) in enumerate([("block", 7), ("last", 1)]):
        first, second = (worth(small, r.images[place], layer, index) for r in (exact, rough))
        assert second == pytest.approx(first, rel=0.2)


def test_what_cannot_be_traced_gives_the_same_images(small, make_model):
    targets = ["block:9", "last:1@2,2", "logits:1", channel("first", 1) + channel("block", 2)]
    traced, hooked = render(small, targets), render(make_model(branching=True), targets)
    assert traced.provenance["remarks"] == []
    assert any("hooks" in remark for remark in hooked.provenance["remarks"])
    np.testing.assert_allclose(hooked.images, traced.images, atol=2e-3)
    np.testing.assert_allclose(hooked.objective, traced.objective, rtol=1e-3, atol=1e-4)


def snapshot_of(module: nn.Module) -> list:
    parts = [
        (name, part.training, len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
        for name, part in module.named_modules()
    ]
    parameters = [(n, p.requires_grad, p.grad is None, p.dtype, p.clone()) for n, p in module.named_parameters()]
    return [parts, parameters]


def assert_same_module(module: nn.Module, before: list) -> None:
    now = snapshot_of(module)
    assert now[0] == before[0]
    for (*fields, weight), (*old, old_weight) in zip(now[1], before[1], strict=True):
        assert fields == old
        assert torch.equal(weight, old_weight)


@pytest.mark.parametrize("branching", [False, True])
@pytest.mark.parametrize("failure", [None, RuntimeError, KeyboardInterrupt])
def test_the_module_comes_back_as_it_was(make_model, branching, failure):
    model = make_model(branching=branching)
    model.module.train()
    model.module.block.eval()
    model.module.first.weight.requires_grad_(False)
    calls = []
    model.module.last.register_forward_hook(lambda *args: calls.append(1))
    before = snapshot_of(model.module)

    def progress(event):
        if failure is not None:
            raise failure("now")

    if failure is RuntimeError:
        with pytest.raises(RuntimeError, match="now"):
            render(model, ["block:1", "logits:1"], progress=progress)
    else:
        render(model, ["block:1", "logits:1"], progress=progress)
    assert_same_module(model.module, before)
    assert torch.is_grad_enabled()


def test_it_renders_where_gradients_are_off(small):
    expected = render(small, "block:1").images
    with torch.no_grad():
        np.testing.assert_array_equal(render(small, "block:1").images, expected)


def test_an_interrupt_returns_what_there_is(small):
    steps = []

    def stop(event):
        steps.append(event)
        if len(steps) == 3:
            raise KeyboardInterrupt

    rendering = render(small, ["block:1", "block:2"], steps=50, progress=stop)
    assert rendering.provenance["interrupted"] is True
    assert rendering.objective.shape == (2, 3)
    assert rendering.targets == ("block:1", "block:2")
    three = render(small, ["block:1", "block:2"], steps=50, snapshots=(3,)).snapshots[3]
    np.testing.assert_allclose(rendering.images, three, atol=1e-4)


def test_an_interrupt_keeps_the_batches_before_it(small):
    seen = []

    def stop(event):
        seen.append(event)
        if len(seen) == 8:  # the second step of the second batch
            raise KeyboardInterrupt

    rendering = render(small, ["block:1", "block:2", "block:3"], batch_size=1, progress=stop, snapshots=(2, 5))
    assert rendering.targets == ("block:1", "block:2")
    assert rendering.objective.shape == (2, 6)
    assert (rendering.objective[1, 2:] == rendering.objective[1, 1]).all()
    assert sorted(rendering.snapshots) == [2]
    np.testing.assert_allclose(rendering.images[0], render(small, "block:1").images[0], atol=2e-3)


def test_progress_counts_every_step_of_every_image(small):
    events = []
    render(small, ["block:1", "block:2", "last:3"], steps=4, batch_size=1, progress=events.append)
    assert [event.done for event in events] == list(range(1, 13))
    assert {event.total for event in events} == {12}
    assert {event.task for event in events} == {"rendering block of small", "rendering last of small"}


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("no"), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: x")],
)
def test_out_of_memory_halves_the_batch(small, monkeypatch, error):
    targets = [f"block:{index}" for index in range(5)]
    expected = render(small, targets)
    real, sizes, events = _render.optimize, [], []

    def scarce(model, network, layers, jobs, *rest):
        sizes.append(len(jobs))
        if len(jobs) > 2:
            raise error
        return real(model, network, layers, jobs, *rest)

    monkeypatch.setattr(_render, "optimize", scarce)
    rendering = render(small, targets, progress=events.append)
    assert sizes == [5, 2, 2, 1]
    assert rendering.provenance["remarks"] == ["out of memory: batch halved to 2"]
    assert [event.message for event in events if event.message] == rendering.provenance["remarks"]
    np.testing.assert_allclose(rendering.images, expected.images, atol=2e-3)


def test_out_of_memory_for_one_target_is_said(small, monkeypatch):
    def scarce(*_):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(_render, "optimize", scarce)
    with pytest.raises(ResourceError, match=r"not enough memory to render even one target at 32×32 px"):
        render(small, ["block:1", "block:2"])


def test_other_errors_are_not_taken_for_memory(small, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(_render, "optimize", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        render(small, "block:1")


@pytest.mark.parametrize("channels", [1, 5])
def test_other_than_three_channels(make_model, channels, tmp_path):
    rendering = render(make_model(channels=channels), ["block:1", "logits:0"], steps=20)
    assert rendering.images.shape == (2, 32, 32, channels)
    assert (rendering.objective[:, -1] > rendering.objective[:, 0]).all()
    rendering.save(tmp_path)


@pytest.mark.parametrize("size", [(20, 33), 17, (64, 8)])
def test_any_size(small, size):
    shape = (size, size) if isinstance(size, int) else size
    assert render(small, ["block:1", "last:0"], size=size, steps=2).images.shape == (2, *shape, 3)


def test_the_models_own_size_is_the_usual_one(small):
    assert pellucid.render(small, "block:1", steps=1).images.shape == (1, 32, 32, 3)


def test_provenance_says_everything_that_matters(small):
    provenance = render(small, ["block:1", "-last:2"], seed=3).provenance
    assert provenance["model"] == "small"
    assert provenance["weights"] == small.digest
    assert provenance["seed"] == 3
    assert provenance["interrupted"] is False
    assert provenance["versions"]["torch"] == torch.__version__
    assert provenance["settings"]["steps"] == 6
    assert provenance["settings"]["size"] == [32, 32]
    assert [kind["kind"] for kind in provenance["settings"]["transforms"]] == [type(t).__name__ for t in standard()]
    assert [objectives.from_json(value) for value in provenance["objectives"]] == [
        channel("block", 1),
        -channel("last", 2),
    ]


@pytest.mark.parametrize(
    ("targets", "settings", "error", "match"),
    [
        ("blok:1", {}, TargetError, r"no layer 'blok' in small; did you mean 'block'"),
        ("block:12", {}, TargetError, r"no channel 12 in block of small: it has 12, numbered 0 to 11"),
        ("block:10-12", {}, TargetError, r"no channel 12"),
        ("block:5-3", {}, TargetError, "smaller number first"),
        ("nowhere:*", {}, TargetError, "no layer 'nowhere'"),
        ("head:1@0,0", {}, TargetError, "is a vector and has no positions"),
        ("logits:1@0,0", {}, TargetError, "is a vector and has no positions"),
        ("block:1@8,0", {"transforms": ()}, TargetError, r"no position 8,0 at this size: it is 8×8"),
        ("logits:ostrich", {}, TargetError, "no class 'ostrich'"),
        ("logits:4", {}, TargetError, "numbered 0 to 3"),
        ("block", {}, TargetError, "cannot read 'block' as a target"),
        ([], {}, InputError, "at least one target"),
        ("block:1", {"steps": 0}, InputError, "steps is 0"),
        ("block:1", {"size": 1}, InputError, "size is 1"),
        ("block:1", {"size": (40, 0)}, InputError, "size is"),
        ("block:1", {"copies": 0}, InputError, "copies is 0"),
        ("block:1", {"snapshots": (0,)}, InputError, "snapshot at step 0 is outside 1 to 6"),
        ("block:1", {"snapshots": (3, 7)}, InputError, "snapshot at step 7 is outside 1 to 6"),
        ("block:1", {"precision": "float16"}, InputError, "precision is 'float16'"),
        ("block:1", {"alpha": True, "parametrization": Pixel()}, InputError, "alpha goes with Fourier, not with Pixel"),
        ("block:1", {"start": torch.rand(3, 20, 32)}, InputError, r"start is \[20, 32\] px, size is \[32, 32\]"),
        ("block:1", {"start": torch.rand(1, 32, 32)}, InputError, "images have shape"),
        ("block:1", {"start": torch.rand(3, 32, 32) * 255}, InputError, "range from"),
        (
            "block:1",
            {"start": torch.rand(3, 32, 32), "parametrization": Shared()},
            InputError,
            "cannot start from an image",
        ),
        ("block:1", {"draws": 0}, InputError, "draws is 0; expected 1 or more"),
        ("block:1", {"alpha": "gradients"}, InputError, "alpha is 'gradients'; expected True or False or 'gradient'"),
        ("block:1", {"alpha": "gradient", "parametrization": Alpha()}, InputError, "does not go with Alpha"),
        pytest.param("block:1", {"optimizer": "sgd"}, InputError, "optimizer is 'sgd'"),
        pytest.param("block:1", {"schedule": "linear"}, InputError, "schedule is 'linear'"),
        (TotalVariation(), {}, InputError, "does not look at any layer"),
        (Difference("block", np.zeros((12, 3, 3))), {}, InputError, "render at the size of the reference"),
        (objectives.direction("block", [1, 2, 3]), {}, TargetError, "a direction of 3 numbers does not fit block"),
    ],
)
def test_what_does_not_fit_is_said(small, targets, settings, error, match):
    before = snapshot_of(small.module)
    with pytest.raises(error, match=match):
        render(small, targets, **settings)
    assert_same_module(small.module, before)


def test_likeness_alone_on_one_image_says_that_nothing_depends_on_it(small):
    @dataclass(frozen=True)
    class Detached(objectives.Objective):
        def needs(self):
            return {"block": None}

        def value(self, readings):
            return readings.grid("block").detach().mean((1, 2, 3))

    objectives.Objective.kinds.pop("Detached")
    with pytest.raises(InputError, match=r"Detached\(\) does not depend on the picture"):
        render(small, objectives.Sum((Detached(),)))
    assert render(small, Likeness("block"), steps=2).images.shape == (1, 32, 32, 3)


def test_a_model_without_logits(small):
    class Pair(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x), 1

    model = pellucid.wrap(Pair(small.module), size=32)
    with pytest.raises(ModelError, match="output=0"):
        render(model, "logits:1")
    assert render(model, "inner.block:1").images.shape == (1, 32, 32, 3)
    picked = pellucid.wrap(Pair(small.module), size=32, mean=0.45, std=0.25, output=0)
    np.testing.assert_allclose(render(picked, "logits:1").images, render(small, "logits:1").images, atol=2e-3)
