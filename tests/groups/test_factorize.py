"""Factorizations against scikit-learn, against published factors, and against what they are said to be."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from networks import plain_net, seeded
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import NMF, TruncatedSVD

import pellucid
from pellucid.groups import Groups, factorize, factorize_range


def blobs(n: int, side: int, channels: int, parts: int, seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """Activations as after a ReLU: sparse, of a few overlapping parts, with noise."""
    random = np.random.default_rng(seed)
    where = random.gamma(0.3, size=(n, side, side, parts))
    what = random.gamma(0.3, size=(parts, channels))
    mixed = where @ what
    return np.maximum(mixed + noise * mixed.std() * random.normal(size=mixed.shape), 0).astype(np.float32)


def peer_error(activations: np.ndarray, k: int) -> float:
    matrix = activations.reshape(-1, activations.shape[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer that has not converged is still a peer
        peer = NMF(k, init="nndsvd", random_state=0, max_iter=400)  # pyright: ignore[reportArgumentType]
        found = peer.fit(matrix)
    return float(found.reconstruction_err_ / np.linalg.norm(matrix))


def relative_error(activations: np.ndarray, groups: Groups) -> float:
    wide = activations.astype(np.float64).reshape(groups.reconstruct().shape)
    return float(np.linalg.norm(wide - groups.reconstruct()) / np.linalg.norm(wide))


@pytest.mark.parametrize(("shape", "k"), [((1, 9, 30), 2), ((1, 14, 120), 6), ((3, 12, 300), 9), ((1, 6, 20), 8)])
def test_its_error_is_that_of_scikit_learn(shape, k):
    activations = blobs(shape[0], shape[1], shape[2], parts=10)
    groups = factorize(activations, k)
    assert groups.error == pytest.approx(relative_error(activations, groups), rel=1e-4)
    assert groups.error <= 1.01 * peer_error(activations, k)


def test_its_error_is_that_of_scikit_learn_where_it_starts_on_a_sample():
    activations = blobs(60, 14, 40, parts=8)
    groups = factorize(activations, 5)
    assert len(activations.reshape(-1, 40)) > 10_000
    assert groups.error == pytest.approx(relative_error(activations, groups), rel=1e-4)
    assert groups.error <= 1.01 * peer_error(activations, 5)


def test_what_a_sample_of_positions_misses_is_found_all_the_same():
    activations = np.zeros((1, 120, 100, 30), np.float32)
    activations[0, 7, 9, :5] = 3
    activations[0, 100, 9, 20:] = 2
    groups = factorize(activations, 2)
    assert groups.error < 1e-3
    np.testing.assert_allclose(groups.magnitudes(), [3 * 5**0.5, 2 * 10**0.5], rtol=1e-3)


@pytest.mark.parametrize(("photo", "k"), [("beer", 6), ("chain", 7)])
def test_it_finds_the_published_factors(data, photo, k):
    """Of The Building Blocks of Interpretability: the factorization of mixed4d on two of its photos."""
    folder = data / "reference" / "nmf"
    activations = np.load(folder / f"{photo}_mixed4d_activations.npy")
    facts = json.loads((folder / f"{photo}_info.json").read_text())
    number = facts["num_4d"].index(k)
    published = np.load(folder / f"{photo}_mixed4d_nmf.npy")[0, number, :, :, :k].reshape(-1, k)
    magnitudes = np.array([group["magnitude"] for group in facts["data"][number]["mixed4d"]["each_group"]])
    groups = factorize(activations, k)
    likeness = np.corrcoef(groups.spatial.reshape(-1, k).T, published.T)[:k, k:]
    ours, theirs = linear_sum_assignment(-likeness)
    assert likeness[ours, theirs].min() >= 0.999
    np.testing.assert_allclose(groups.magnitudes()[ours], magnitudes[theirs], rtol=1e-3)


def test_exact_parts_are_found_again():
    random = np.random.default_rng(3)
    where, what = np.zeros((8, 8, 3)), np.zeros((3, 15))
    for part in range(3):
        where[2 * part : 2 * part + 3, :, part] = random.random((3, 8)) + 0.5
        what[part, 5 * part : 5 * part + 5] = random.random(5) + 0.5
    groups = factorize(where @ what, 3)
    assert groups.error < 1e-3
    expected = np.sort(np.linalg.norm(where, axis=(0, 1)) * np.linalg.norm(what, axis=1))[::-1]
    np.testing.assert_allclose(groups.magnitudes(), expected, rtol=1e-3)
    for channels in groups.channels:
        assert (what / np.linalg.norm(what, axis=1, keepdims=True) @ channels).max() > 0.999


def test_principal_components_are_scikit_learns():
    activations = np.random.default_rng(0).normal(size=(2, 9, 9, 40)).astype(np.float32) + 0.3
    groups = factorize(activations, 5, method="pca")
    matrix = activations.reshape(-1, 40)
    peer = TruncatedSVD(5, algorithm="arpack", random_state=0).fit(matrix)
    np.testing.assert_allclose(groups.magnitudes(), peer.singular_values_, rtol=1e-4)
    cosines = np.abs((groups.channels * peer.components_).sum(1))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)
    np.testing.assert_allclose(groups.spatial.reshape(-1, 5), matrix @ groups.channels.T, rtol=1e-3, atol=1e-4)
    assert groups.error == pytest.approx(relative_error(activations, groups), rel=1e-4)


@pytest.mark.parametrize("shape", [(60, 14, 14, 300), (1, 17, 17, 700)])
def test_principal_components_of_larger_matrices_have_the_least_error(shape):
    """Here the singular vectors come by iteration."""
    activations = blobs(shape[0], shape[1], shape[3], parts=30, noise=0.5)
    groups = factorize(activations, 7, method="pca")
    values = np.linalg.svd(activations.reshape(-1, shape[3]).astype(np.float64), compute_uv=False)
    assert groups.error == pytest.approx(np.sqrt((values[7:] ** 2).sum() / (values**2).sum()), rel=1e-4)
    np.testing.assert_allclose(groups.channels @ groups.channels.T, np.eye(7), atol=1e-5)


def test_the_largest_entry_of_a_component_is_positive():
    activations = np.random.default_rng(0).normal(size=(9, 9, 20))
    channels = factorize(activations, 6, method="pca").channels
    assert (np.take_along_axis(channels, np.abs(channels).argmax(1)[:, None], 1) > 0).all()
    np.testing.assert_allclose(factorize(-activations, 6, method="pca").channels, channels, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.integers(1, 9), st.data(), st.integers(0, 99))
def test_shapes_order_and_sums(n, rows, columns, channels, draw, seed):
    k = draw.draw(st.integers(1, min(n * rows * columns, channels)))
    method = draw.draw(st.sampled_from(["nmf", "pca"]))
    activations = np.random.default_rng(seed).gamma(0.5, size=(n, rows, columns, channels))
    groups = factorize(activations, k, method=method)
    assert groups.spatial.shape == (n, rows, columns, k)
    assert groups.channels.shape == (k, channels)
    assert groups.spatial.dtype == groups.channels.dtype == np.float32
    magnitudes = groups.magnitudes()
    assert (np.diff(magnitudes) <= 1e-4 * magnitudes[0]).all()
    lengths = np.linalg.norm(groups.channels, axis=1)
    assert (np.isclose(lengths, 1, atol=1e-4) | (lengths == 0)).all()
    if method == "nmf":
        assert groups.spatial.min() >= 0
        assert groups.channels.min() >= 0
    parts = sum(groups.part(index) for index in range(k))
    np.testing.assert_allclose(parts, groups.reconstruct(), rtol=1e-3, atol=1e-4)
    assert 0 <= groups.error <= 1


def test_many_counts_at_once_are_the_same_as_one_by_one():
    activations = blobs(1, 10, 50, parts=8)
    for method in ("nmf", "pca"):
        found = factorize_range(activations, (4, 2, 7, 4), method=method)
        assert list(found) == [2, 4, 7]
        for count, groups in found.items():
            alone = factorize(activations, count, method=method)
            np.testing.assert_allclose(groups.spatial, alone.spatial, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(groups.channels, alone.channels, rtol=1e-3, atol=1e-4)
        errors = [groups.error for groups in found.values()]
        assert errors == sorted(errors, reverse=True)
    assert list(factorize_range(activations)) == list(range(2, 13))


def test_a_seed_gives_one_result_and_leaves_random_numbers_alone():
    activations = blobs(60, 14, 20, parts=6)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, second = factorize(activations, 4, seed=3), factorize(activations, 4, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(first.spatial, second.spatial)
    np.testing.assert_array_equal(first.channels, second.channels)
    assert not np.array_equal(first.channels, factorize(activations, 4, seed=4).channels)


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e3, 1e20])
def test_the_scale_of_activations_does_not_matter(scale):
    activations = blobs(1, 8, 20, parts=5)
    plain, scaled = factorize(activations, 4), factorize(activations * np.float32(scale), 4)
    assert scaled.error == pytest.approx(plain.error, rel=1e-4)
    np.testing.assert_allclose(scaled.magnitudes() / scale, plain.magnitudes(), rtol=1e-3)


def test_what_it_takes():
    activations = blobs(1, 6, 12, parts=4)[0]
    expected = factorize(activations, 3).spatial
    locked = activations.copy()
    locked.flags.writeable = False
    turned = torch.from_numpy(activations).permute(2, 0, 1).contiguous().permute(1, 2, 0)
    tracked = torch.tensor(activations, requires_grad=True)
    for given_ in (activations[None], locked, turned, tracked, activations.astype(np.float64)):
        np.testing.assert_allclose(factorize(given_, 3).spatial, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(activations, turned.numpy())
    assert factorize(torch.from_numpy(activations).bfloat16(), 3).error < 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same():
    for activations, k in ((blobs(1, 14, 60, parts=8), 5), (blobs(60, 14, 40, parts=8), 5)):
        there = factorize(torch.from_numpy(activations).cuda(), k)
        assert there.error == pytest.approx(factorize(activations, k).error, rel=1e-3)


def test_activations_of_a_model_carry_their_layer():
    model = pellucid.wrap(seeded(plain_net), size=32)
    recorded = pellucid.record(model, torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), "8")["8"]
    groups = factorize(recorded, 3)
    assert groups.layer == model.layer("8")
    assert groups.spatial.shape == (2, 10, 10, 3)
    assert repr(groups).startswith("<Groups 8 nmf 3, error 0.")
    assert repr(factorize(recorded.values, 3)).startswith("<Groups nmf 3")


def test_fewer_parts_than_groups():
    groups = factorize(np.full((4, 4, 6), 2.0), 3)
    assert groups.error < 1e-3
    assert groups.magnitudes()[0] == pytest.approx(2 * 96**0.5, rel=1e-3)
    assert np.isfinite(groups.spatial).all()
    assert np.isfinite(groups.channels).all()


def test_progress_rises_and_an_exception_ends_the_work():
    events: list[pellucid.Event] = []
    factorize_range(blobs(60, 14, 20, parts=6), (2, 3), progress=events.append)
    done = [event.done for event in events]
    assert done == sorted(done)
    assert done[-1] == events[-1].total == 2
    assert {event.task for event in events} == {"factorizing activations"}

    def stop(event: pellucid.Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        factorize(blobs(1, 5, 8, parts=3), 2, progress=stop)


NAN = np.ones((3, 3, 4))
NAN[1, 1, 1] = np.nan


@pytest.mark.parametrize(
    ("activations", "options", "message"),
    [
        (np.zeros((3, 3, 4)), {}, "all zero, so there is nothing to divide"),
        (
            -np.eye(12).reshape(12, 3, 4),
            {},
            r"negative values \(down to -1\), as those of a layer before a ReLU .*'pca'",
        ),
        (
            np.ones((3, 3, 4)),
            {"n_groups": 5},
            r"n_groups is 5, more than .* positions \(9\) or channels \(4\).* most 4",
        ),
        (np.ones((1, 2, 4)), {"n_groups": 3}, r"positions \(2\) or channels \(4\); give at most 2"),
        (np.ones((3, 3, 4)), {"n_groups": 0}, "n_groups is 0; give a whole number from 1"),
        (np.ones((3, 3, 4)), {"n_groups": -1, "method": "pca"}, "n_groups is -1"),
        (np.ones((3, 3, 4)), {"n_groups": 2.5}, "n_groups is 2.5"),
        (np.ones((3, 3, 4)), {"n_groups": True}, "n_groups is True"),
        (NAN, {}, "not finite; look for NaN"),
        (np.full((3, 3, 4), np.inf), {"method": "pca"}, "not finite"),
        (np.ones((9, 4)), {}, r"shape \[9, 4\]; give \[rows, columns, channels\]"),
        (np.ones((0, 3, 4)), {}, r"shape \[0, 3, 4\]"),
        (np.ones((1, 1, 3, 3, 4)), {}, r"shape \[1, 1, 3, 3, 4\]"),
        ("mixed4d", {}, "activations are str; give an array or tensor of real numbers"),
        (np.ones((3, 3, 4), complex), {}, "real numbers"),
        (np.ones((3, 3, 4)), {"method": "ica"}, "no method 'ica' of factorization; give 'nmf' or 'pca'"),
    ],
)
def test_errors(activations, options, message):
    with pytest.raises(pellucid.InputError, match=message) as caught:
        factorize(activations, **{"n_groups": 2, **options})
    assert str(caught.value).count(". ") == 0


def test_errors_of_layers_counts_and_parts():
    model = pellucid.wrap(seeded(plain_net), size=32)
    recorded = pellucid.record(model, torch.rand(2, 3, 32, 32), ["logits", "7"])
    with pytest.raises(pellucid.InputError, match="logits is a vector layer; groups need positions"):
        factorize(recorded["logits"], 2)
    with pytest.raises(pellucid.InputError, match="7 hold negative values"):
        factorize(recorded["7"], 2)
    with pytest.raises(pellucid.InputError, match="no number of groups"):
        factorize_range(np.ones((3, 3, 4)), [])
    with pytest.raises(pellucid.TargetError, match="no group 2; there are 2, numbered from 0"):
        factorize(np.ones((3, 3, 4)), 2).part(2)
