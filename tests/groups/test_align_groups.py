"""Aligned groups: group i of the result feeds later group i."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

import pellucid
from pellucid.groups import Groups, align_groups, factorize
from pellucid.groups._align import _order
from pellucid.models import borrowed
from pellucid.record import run


def planted(seed: int, parts: int = 4, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activations that are a sum of parts, each part's share of them attributed to one later group; and the parts."""
    random = np.random.default_rng(seed)
    where, what = random.gamma(0.5, size=(9, 9, parts)), random.gamma(0.5, size=(parts, 30))
    pieces = np.einsum("hwk,kc->khwc", where, what)
    leak = noise * pieces.mean() * random.random(pieces.shape)
    signs = random.choice([-1, 1], size=pieces.shape)
    return pieces.sum(0), (pieces + leak) * signs, pieces


def flow(groups: Groups, lower: np.ndarray, attributions: np.ndarray) -> np.ndarray:
    """The attribution of each group to each later group, [N, N], by the definition."""
    slope = np.divide(attributions, lower, out=np.zeros_like(attributions), where=lower > 0)
    return np.array([[(groups.part(g)[0] * s).sum() for s in slope] for g in range(len(groups.channels))])


@pytest.mark.parametrize("seed", range(4))
def test_group_i_is_the_part_that_feeds_later_group_i(seed):
    lower, attributions, pieces = planted(seed)
    order = np.random.default_rng(seed).permutation(4)
    groups = align_groups(lower, attributions[order])
    for group, piece in enumerate(pieces[order]):
        ours = groups.part(group).ravel()
        likeness = [np.corrcoef(ours, other.ravel())[0, 1] for other in pieces]
        assert np.argmax(likeness) == order[group]
        assert np.corrcoef(ours, piece.ravel())[0, 1] > 0.95


def test_exact_parts_are_found_exactly():
    lower, attributions, pieces = planted(1, noise=0)
    groups = align_groups(lower, attributions)
    assert groups.error < 1e-3
    for group, piece in enumerate(pieces):
        np.testing.assert_allclose(groups.part(group)[0], piece, atol=2e-3 * lower.max())


def test_turning_the_later_groups_round_turns_the_result_round():
    random = np.random.default_rng(5)
    lower, attributions, _ = planted(5)
    order = random.permutation(4)
    plain, turned = align_groups(lower, attributions), align_groups(lower, attributions[order])
    np.testing.assert_allclose(turned.channels, plain.channels[order], atol=0.02)
    np.testing.assert_allclose(turned.magnitudes(), plain.magnitudes()[order], rtol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_more_of_the_attribution_goes_to_the_own_later_group_than_without_alignment(seed):
    """Eight parts, of which the first and the fifth feed later group 0, and so on: NMF alone joins others."""
    lower, _, pieces = planted(seed, parts=8)
    attributions = pieces[:4] + pieces[4:]
    own: list[float] = []
    for groups in (align_groups(lower, attributions), factorize(lower, 4)):
        amounts = flow(groups, lower, attributions)
        best = linear_sum_assignment(-amounts)
        own.append(amounts[best].sum() / amounts.sum())
        if groups.method == "aligned":
            assert np.trace(amounts) == pytest.approx(amounts[best].sum(), rel=1e-6)
    assert own[0] > own[1] + 0.01


@pytest.mark.parametrize("photo", ["beer", "chain"])
def test_groups_of_a_real_network_flow_to_their_own(data, monkeypatch, photo):
    """mixed4a of InceptionV1 to 4 groups of mixed4d: the ribbons of the group flow cross less than unaligned ones."""
    monkeypatch.setenv("PELLUCID_DATA", str(data))
    model = pellucid.load("inception_v1", download=False)
    image = pellucid.load_image(data / "reference" / "photos" / f"{photo}.jpeg")
    leaves: list[torch.Tensor] = []

    def cut(grid: torch.Tensor) -> torch.Tensor:
        leaves.append(grid.detach().requires_grad_())
        return leaves[0].clone()

    slopes: list[torch.Tensor] = []
    with borrowed(model.module), torch.enable_grad():
        images = model.check_images(torch.as_tensor(image)[None])
        later = run(model, images, ["mixed4d"], edits={"mixed4a": cut})["mixed4d"][0].permute(1, 2, 0)
        groups = factorize(later, 4)
        for index in range(4):
            where, what = torch.from_numpy(groups.spatial[0, ..., index]), torch.from_numpy(groups.channels[index])
            strength = ((later @ what) * where).sum() / where.norm()
            slopes += torch.autograd.grad(strength, leaves[0], retain_graph=True)
    lower = leaves[0].detach()[0].permute(1, 2, 0).numpy()
    slope = np.stack([each[0].permute(1, 2, 0).numpy() for each in slopes])
    own: list[float] = []
    for found in (align_groups(lower, lower * slope), factorize(lower, 4)):
        amounts = np.array([[(found.part(g)[0] * each).sum() for each in slope] for g in range(4)])
        best = linear_sum_assignment(-amounts)
        own.append(amounts[best].sum() / np.abs(amounts).sum())
        if found.method == "aligned":
            np.testing.assert_array_equal(best[1], range(4))
            np.testing.assert_array_equal(amounts.argmax(0), range(4))
    assert own[0] > own[1] + 0.03


def test_places_are_exchanged_where_that_brings_more():
    assert _order(torch.eye(4)) == [0, 1, 2, 3]
    random = np.random.default_rng(0)
    for _ in range(20):
        order = random.permutation(6)
        gain = torch.from_numpy(np.eye(6)[order] + 0.1 * random.random((6, 6)))
        found = _order(gain)
        assert found == list(np.argsort(order))
        best = gain[linear_sum_assignment(-gain.numpy())].sum()
        assert float(gain[found, range(6)].sum()) == pytest.approx(float(best))
    assert _order(torch.ones(3, 3)) == [0, 1, 2]


def test_copies_add_up_whatever_is_attributed():
    """With one later group, it is the plain factorization into one; so it is with an even split into several."""
    lower = np.random.default_rng(0).gamma(0.5, size=(6, 7, 9))
    plain = factorize(lower, 1)
    for attributions in (np.ones((1, 6, 7, 9)), -1e30 * np.ones((1, 6, 7, 9)), np.zeros((1, 6, 7, 9))):
        groups = align_groups(lower, attributions)
        assert groups.error == pytest.approx(plain.error, rel=1e-4)
        np.testing.assert_allclose(groups.reconstruct(), plain.reconstruct(), rtol=1e-2, atol=1e-3)
    even = align_groups(lower, np.ones((3, 6, 7, 9)))
    assert even.error <= plain.error + 1e-6


def test_only_proportions_within_an_activation_count():
    lower, attributions, _ = planted(3)
    scaled = attributions * np.random.default_rng(0).gamma(1, size=lower.shape) * 1e6
    np.testing.assert_allclose(
        align_groups(lower, scaled).channels, align_groups(lower, attributions).channels, atol=1e-3
    )


def test_a_later_group_that_nothing_feeds_gets_nothing():
    lower, attributions, _ = planted(0)
    attributions[2] = 0
    groups = align_groups(lower, attributions)
    assert np.argmin(groups.magnitudes()) == 2
    assert groups.magnitudes()[2] == 0
    assert np.isfinite(groups.spatial).all()


def test_layers_tensors_and_progress():
    layer = pellucid.Layer("a", "grid", 30, 9, 9)
    lower, attributions, _ = planted(0)
    events: list[pellucid.Event] = []
    recorded = pellucid.Activations(layer, lower[None].astype(np.float32))
    groups = align_groups(recorded, torch.from_numpy(attributions), progress=events.append)
    assert (groups.layer, groups.method) == (layer, "aligned")
    assert groups.spatial.shape == (1, 9, 9, 4)
    assert groups.error == pytest.approx(
        np.linalg.norm(lower - groups.reconstruct()[0]) / np.linalg.norm(lower), rel=1e-4
    )
    np.testing.assert_array_equal(groups.channels, align_groups(lower, attributions).channels)
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert events[-1].done == events[-1].total
    assert events[0].task == "aligning a"


@pytest.mark.parametrize(
    ("lower", "attributions", "message"),
    [
        (np.ones((3, 3, 4)), np.ones((2, 3, 4)), r"shape \[2, 3, 4\]; these activations need \['N', 3, 3, 4\]"),
        (np.ones((3, 3, 4)), np.ones((2, 3, 3, 5)), r"shape \[2, 3, 3, 5\]"),
        (np.ones((2, 3, 3, 4)), np.ones((2, 3, 3, 4)), "activations of 2 images; align the groups of one"),
        (np.ones((3, 3, 4)), np.ones((5, 3, 3, 4)), r"n_groups is 5, more than"),
        (np.ones((3, 3, 4)), np.full((2, 3, 3, 4), np.nan), "attributions hold numbers that are not finite"),
        (np.ones((3, 3, 4)), np.ones((0, 3, 3, 4)), "n_groups is 0"),
        (-np.ones((3, 3, 4)), np.ones((2, 3, 3, 4)), "negative values"),
        (np.zeros((3, 3, 4)), np.ones((2, 3, 3, 4)), "all zero"),
        (np.ones((3, 3, 4)), "x", "attributions are str"),
    ],
)
def test_errors(lower, attributions, message):
    with pytest.raises(pellucid.InputError, match=message):
        align_groups(lower, attributions)
