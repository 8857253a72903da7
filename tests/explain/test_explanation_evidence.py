"""The evidence of an explanation against the same measures by other roads, and on networks whose truth is known."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from drawn_network import make_network
from torch import nn

import pellucid
from pellucid.attribution import attribute
from pellucid.bundle import ExplanationBody, check_manifest
from pellucid.explain import _explain
from pellucid.explain._bundle import to_bundle
from pellucid.explain._group_evidence import _placed, probe_groups
from pellucid.explain._icon_evidence import _own
from pellucid.record import Tail
from pellucid.trust import correlation, randomize_cascade, removal_curves, stability

ICONS: dict[str, Any] = {"icon_size": 16, "icon_steps": 2, "grid_seconds": 0, "n_groups": 3}
SLOW = ["gap between insertion and deletion", "agreement on changed photos", "independence of the path"]
SLOW += ["stability under small changes, linear", "sensitivity to randomized weights, linear"]


@pytest.fixture(autouse=True, scope="module")
def _few_groups():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_explain, "_MOST_GROUPS", 4)
        yield


@pytest.fixture(scope="module")
def explanation():
    """Of the same network as `network`, on noise with a bright and a dark part."""
    image = 0.4 + 0.2 * torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(2))
    image[:2, 6:14, 4:12] += 0.3
    image[:, 16:, 10:] -= 0.3
    return pellucid.explain(make_network(), image, layers=["1", "3"], classes=["lemon", 4], seed=3, **ICONS)


def named(explanation, about: str, name: str):
    (entry,) = [each for each in explanation.evidence if (each.about, each.name) == (about, name)]
    return entry


def test_evidence_is_made_last_or_when_asked_for(network, photo):
    parts = []
    settings = {"layers": "3", **ICONS}
    whole = pellucid.explain(network, photo, partial=parts.append, **settings)
    assert not any(part.evidence or part.curves for part in parts)
    assert parts[-1].grids  # all else was there
    without = pellucid.explain(network, photo, evidence=False, **settings)
    assert (without.evidence, without.curves) == ((), {})
    assert "trust:3" not in without.seconds
    judged = without.judged()
    assert judged.evidence == whole.evidence
    assert judged.seconds["trust:3"] > 0
    assert {key: value for key, value in judged.seconds.items() if key != "trust:3"} == without.seconds
    assert judged.judged().evidence == judged.evidence


def test_what_takes_long_is_measured_for_few_classes(network, photo):
    usual = pellucid.explain(network, photo, layers="3", **ICONS)
    asked = pellucid.explain(network, photo, layers="3", classes=[4, 0, 2], **ICONS)
    for explanation, indices in ((usual, [usual.classes[0].index]), (asked, [c.index for c in asked.classes[:2]])):
        assert list(explanation.curves["3"]) == indices
        for name in SLOW:
            assert [each.about for each in explanation.evidence if each.name == name] == [
                f"spatial:3:{index}" for index in indices
            ]
        everyone = [f"spatial:3:{score.index}" for score in explanation.classes]
        name = "agreement with removal of positions"
        assert [each.about for each in explanation.evidence if each.name == name] == everyone


def test_every_measure_has_a_control_and_lies_in_its_interval(explanation):
    for each in explanation.evidence:
        assert each.control is not None
        assert each.sentence.endswith(".")
        assert (each.low is not None) == each.name.startswith("agreement with removal")
        if each.low is not None and each.high is not None:
            assert each.low <= each.value <= each.high
            assert f"{each.low:.2f} to {each.high:.2f}".replace("-", "−") in each.sentence


def test_curves_are_those_of_the_map_that_is_shown(network, explanation):
    for name in ("1", "3"):
        for index in (1, 4):
            found = explanation.curves[name][index]
            map_ = explanation.spatial(name, index).positions()
            wanted = removal_curves(
                network, explanation.image, map_, layer=name, label=index, steps=12, orders=8, seed=3
            )
            for part, values in vars(wanted).items():
                np.testing.assert_allclose(getattr(found, part), values, atol=1e-5)
            entry = named(explanation, f"spatial:{name}:{index}", "gap between insertion and deletion")
            assert (entry.value, entry.control) == (round(found.gap, 4), round(float(found.random_gaps.max()), 4))
    manifest = to_bundle(explanation).manifest
    check_manifest(manifest)
    assert isinstance(manifest.body, ExplanationBody)
    document = json.loads(json.dumps(explanation.to_json()))
    for packed, told in zip(manifest.body.curves, document["curves"], strict=True):
        curves = explanation.curves[packed.layer][packed.class_index]
        assert (told["layer"], told["class"]) == (packed.layer, packed.class_index)
        np.testing.assert_allclose(packed.random_insertion, curves.random_insertion, atol=1e-4)
        np.testing.assert_allclose(told["deletion"], curves.deletion, atol=1e-4)


def test_small_changes_are_those_of_stability(network, explanation):
    for panel, sums, name in (
        ("spatial", lambda found: found.positions(), "stability under small changes, linear"),
        ("channels", lambda found: found.by_channel(), "stability under small changes"),
    ):
        wanted = stability(
            network,
            explanation.image,
            lambda view, sums=sums: sums(attribute(network, view, layer="1", target=4)),
            contrast=0,
            copies=1,
            seed=3,
        )
        entry = named(explanation, f"{panel}:1:4", name)
        assert entry.value == pytest.approx(wanted.correlations.min(), abs=1e-4)
        if panel == "spatial":
            assert entry.control == pytest.approx(wanted.control, abs=1e-4)
        assert wanted.changes[int(wanted.correlations.argmin())] in entry.sentence


def test_random_networks_are_those_of_the_cascade(network, explanation):
    def strength(model):
        return np.linalg.norm(pellucid.record(model, explanation.image[None], "1")["1"].values[0], axis=2)

    wanted = randomize_cascade(
        network,
        lambda model: attribute(model, explanation.image, layer="1", target=1).positions(),
        control_of=strength,
        stages=3,
        seed=3,
    ).evidence("spatial:1:1")
    entry = named(explanation, "spatial:1:1", "sensitivity to randomized weights, linear")
    assert (entry.value, entry.control) == pytest.approx((wanted.value, wanted.control), abs=1e-4)


def test_changed_photos_lose_what_the_map_said(network, explanation):
    """Through the two halves of the module, without the library's own running from a layer on."""
    first, rest = network.module[:2], network.module[2:]
    generator = np.random.default_rng(3)
    sets = [np.argsort(generator.random((32, 144)), axis=1) < round(share * 144) for share in (0.1, 0.3)][1]
    noise = 0.02 * torch.randn(explanation.image.shape, generator=torch.Generator().manual_seed(3))
    moved = {"down": (1, 0), "up": (-1, 0), "right": (0, 1), "left": (0, -1)}
    padded = nn.functional.pad(explanation.image[None], (1, 1, 1, 1), mode="replicate")[0]
    views = [explanation.image + noise, explanation.image + 0.05, explanation.image - 0.05]
    views += [padded[:, 1 - down : 25 - down, 1 - right : 25 - right] for down, right in moved.values()]
    said = sets @ explanation.spatial("1", 1).positions().ravel()

    def agreement(view: torch.Tensor) -> float:
        with torch.no_grad():
            grid = first((view[None].clamp(0, 1) - 0.45) / 0.25)
            kept = torch.from_numpy(~sets).view(32, 1, 12, 12)
            lost = rest(grid)[0, 1] - rest(grid * kept)[:, 1]
        return correlation(said, lost.numpy())

    entry = named(explanation, "spatial:1:1", "agreement on changed photos")
    assert entry.value == pytest.approx(min(map(agreement, views)), abs=1e-3)
    assert entry.control == pytest.approx(agreement(explanation.image.flip(1, 2)), abs=1e-3)


def test_groups_that_are_all_there_is_hold_and_carry_everything(network, explanation):
    rng = np.random.default_rng(0)
    channels = np.zeros((3, 6))
    channels[[0, 0, 1, 1, 2, 2], range(6)] = rng.uniform(0.5, 1, 6)
    values = (rng.random((12, 12, 3)) ** 4 @ channels).astype(np.float32)
    tail = Tail(network, explanation.image, layer="3")
    found = probe_groups(pellucid.factorize(values, 3), values, tail, seed=0)
    whole = tail(torch.from_numpy(values).permute(2, 0, 1)[None])["logits"].flatten().tolist()
    assert found.held == pytest.approx(1, abs=5e-3)
    assert found.held_control < 0.9
    for index, logit in enumerate(whole):
        assert found.carried(index, logit)[0] == pytest.approx(1, abs=2e-2)
    empty = tail(torch.zeros(1, 6, 12, 12))["logits"].flatten()
    np.testing.assert_allclose(found.answers[0], empty.detach(), atol=1e-5)


def test_groups_are_placed_as_least_squares_would():
    rng = np.random.default_rng(1)
    vectors = rng.random((4, 9))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    values = rng.random((20, 9)) - 0.2
    wanted = np.stack([scipy.optimize.nnls(vectors.T, row)[0] for row in values])
    np.testing.assert_allclose(_placed(values, vectors), wanted, atol=2e-3)


def test_groups_say_what_they_leave_over(explanation):
    groups = explanation.groups("3")
    entry = named(explanation, "groups:3", "reconstruction by the groups")
    assert entry.value == pytest.approx(1 - groups.error, abs=1e-4)
    assert entry.control is not None
    assert entry.value > entry.control


def test_an_icon_is_its_channels_where_no_other_fires_it_more():
    firing = np.array([[3.0, 1, 9], [2, 5, 0], [2, 4, 8]])
    assert _own(firing, firing).tolist() == [True, True, False]
    assert _own(firing, np.full((3, 3), 2.5)).tolist() == [True, False, False]


def test_exchanged_icons_are_found_out(explanation):
    icons = explanation.icons["3"]
    entry = named(explanation, "dictionary:3", "icons that fire their channel most")
    assert entry.value * len(icons.keys) == pytest.approx(round(entry.value * len(icons.keys)), abs=1e-2)
    turned = replace(icons, images=np.roll(icons.images, 1, axis=0))
    other = replace(explanation, icons={**explanation.icons, "3": turned}).judged()
    shifted = named(other, "dictionary:3", "icons that fire their channel most")
    assert shifted.value < entry.value


class Corner(nn.Module):
    """Class 1 is what happens at one position, and class 0 nothing at all."""

    def __init__(self) -> None:
        super().__init__()
        convolution = nn.Conv2d(3, 4, 1, bias=False)
        self.seen = nn.Sequential(convolution, nn.ReLU())
        self.head = nn.Linear(4 * 64, 2)
        with torch.no_grad():
            convolution.weight.uniform_(0.2, 1, generator=torch.Generator().manual_seed(0))
            self.head.weight.zero_()
            self.head.weight.view(2, 4, 8, 8)[1, :, 2, 5] = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.seen(x).flatten(1))


def test_one_place_that_decides_is_found_and_a_class_without_reasons_has_none():
    model = pellucid.wrap(Corner().eval(), size=8, labels=["nothing", "corner"], name="corner")
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1))
    explanation = pellucid.explain(model, image, layers="seen", classes=[0, 1], **ICONS)
    gap = named(explanation, "spatial:seen:1", "gap between insertion and deletion")
    assert gap.value == pytest.approx(1 - 1 / 12, abs=0.02)  # all of it in the first of 12 steps
    assert gap.control is not None
    assert gap.control < gap.value
    sets = named(explanation, "spatial:seen:1", "agreement with removal of random sets")
    assert sets.low is not None
    assert sets.control is not None
    assert sets.value == pytest.approx(1, abs=1e-3)
    assert sets.low > sets.control
    for each in explanation.evidence:
        if each.about.endswith(":0") and "sensitivity" not in each.name:
            assert each.control is not None
            assert each.value <= each.control  # says nothing here


class Uncopied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = make_network().module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.parts(x)

    def __deepcopy__(self, memo):
        raise RuntimeError("no copies, please")


def test_a_network_that_cannot_be_copied_has_all_other_evidence(photo):
    model = pellucid.wrap(Uncopied().eval(), size=24, name="uncopied")
    names = {each.name for each in pellucid.explain(model, photo, layers="parts.3", **ICONS).evidence}
    assert {"agreement on changed photos", "logit carried by the groups", "stability under small changes"} <= names
    assert not any("sensitivity" in name for name in names)
    with pytest.raises(pellucid.errors.ModelError, match=r"uncopied cannot be copied, .*no copies, please"):
        randomize_cascade(model, lambda _: np.zeros(2))
