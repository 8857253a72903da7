"""Layouts: what they keep, and where others are placed."""

import numpy as np
import pytest

from pellucid.atlas import project
from pellucid.atlas._project import Layout, into_square, principal_basis, reduce, turned_like
from pellucid.errors import InputError


def clusters(count=3, each=60, channels=20, seed=0):
    """Unit vectors around a few directions, and which one each is of."""
    random = np.random.default_rng(seed)
    middles = np.abs(random.normal(size=(count, channels)))
    points = np.repeat(middles, each, 0) + 0.15 * np.abs(random.normal(size=(count * each, channels)))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), np.repeat(
        np.arange(count), each
    )


_SLOW = pytest.mark.slow  # they load or compile themselves first


@pytest.mark.parametrize(
    "method",
    ["pca", pytest.param("tsne", marks=_SLOW), pytest.param("umap", marks=_SLOW), pytest.param("pacmap", marks=_SLOW)],
)
def test_neighbours_in_the_layer_are_neighbours_on_the_map(method):
    manifold = pytest.importorskip("sklearn.manifold")
    points, kinds = clusters()
    found = project(points, method=method, neighbours=15, seed=1)
    assert found.shape == (180, 2)
    assert found.dtype == np.float32
    assert manifold.trustworthiness(points, found, n_neighbors=10) > 0.8
    middles = np.stack([found[kinds == kind].mean(0) for kind in range(3)])
    nearest = np.linalg.norm(found[:, None] - middles, axis=2).argmin(1)
    assert (nearest == kinds).mean() > 0.98


@pytest.mark.slow
def test_the_same_seed_gives_the_same_layout():
    points, _ = clusters()
    first, second = (project(points, method="umap", neighbours=15, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_principal_components_are_those_of_numpy():
    points, _ = clusters()
    _, _, axes = np.linalg.svd(points - points.mean(0), full_matrices=False)
    expected = (points - points.mean(0)) @ axes[:2].T
    found = project(points, method="pca")
    for axis in range(2):
        assert abs(np.corrcoef(found[:, axis], expected[:, axis])[0, 1]) == pytest.approx(1, abs=1e-5)


def test_a_square_holds_the_first_to_ninety_ninth_percentile_and_a_margin():
    points = np.random.default_rng(0).normal(size=(5000, 2)) * [3, 50] + [7, -2]
    square = into_square(points)
    low, high = np.percentile(square, [1, 99], axis=0)
    # The margin is a tenth at both sides of what is 1 wide: 0.1 / 1.2 from the edge.
    np.testing.assert_allclose(low, 0.1 / 1.2, atol=1e-3)
    np.testing.assert_allclose(high, 1.1 / 1.2, atol=1e-3)


def test_a_turned_and_mirrored_layout_is_turned_back():
    wanted = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])
    found = turned_like(wanted @ turn + [4, 5], wanted)
    np.testing.assert_allclose(found, wanted - wanted.mean(0), atol=1e-5)


def test_a_vector_of_the_layout_is_placed_where_its_like_lie():
    points, kinds = clusters(each=200)
    basis = principal_basis(points.T.astype(np.float64) @ points)
    known, new = np.arange(0, len(points), 2), np.arange(1, len(points), 2)
    where = project(points, method="pca")
    layout = Layout(basis, reduce(points[known], basis).astype(np.float16), where[known], known)
    placed = layout.place(7.0 * points[new])  # length does not matter
    spread = np.stack([where[kinds == kind].std(0) for kind in range(3)]).mean()
    assert np.median(np.linalg.norm(placed - where[new], axis=1)) < 1.5 * spread
    middles = np.stack([where[kinds == kind].mean(0) for kind in range(3)])
    assert (np.linalg.norm(placed[:, None] - middles, axis=2).argmin(1) == kinds[new]).mean() > 0.98


def test_unknown_methods_and_too_few_points_are_one_sentence():
    with pytest.raises(InputError, match="expected umap"):
        project(np.eye(5, dtype=np.float32), method="magic")
    with pytest.raises(InputError, match="at least 3"):
        project(np.eye(2, dtype=np.float32), method="pca")
