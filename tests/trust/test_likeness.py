"""The scale of likeness at its ends, and kinds against scipy's average linkage."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from pellucid.trust._likeness import kinds, likeness


def around(centre: np.ndarray, count: int, spread: float, seed: int) -> np.ndarray:
    return centre + np.random.default_rng(seed).normal(0, spread, (count, len(centre)))


def test_one_of_its_own_reaches_1_and_one_of_the_others_0():
    axes = np.eye(12)
    own = around(axes[0], 40, 0.1, 0)
    others = [around(axes[number], 40, 0.1, number) for number in range(1, 12)]
    like = likeness(around(axes[0], 200, 0.1, 50), own, others)
    assert like.tells
    assert like.value == pytest.approx(1, abs=0.03)
    unlike = likeness(np.concatenate([around(axes[n], 20, 0.1, 60 + n) for n in range(1, 12)]), own, others)
    assert unlike.value == pytest.approx(-unlike.others / (unlike.own - unlike.apart), abs=0.05)
    assert unlike.value < 0.05
    decoy = likeness(around(axes[3], 1, 0.1, 99), own, others)
    assert decoy.control > 0.4 > abs(decoy.value) + 0.2


def test_it_says_nothing_where_exemplars_are_no_more_alike_than_others():
    random = np.random.default_rng(0)
    same = random.normal(size=6)
    sets = [same + random.normal(0, 0.1, (16, 6)) for _ in range(9)]
    assert not likeness(sets[0][:1], sets[0], sets[1:]).tells
    assert likeness(sets[0][:1], sets[0], sets[1:]).value == 0


@given(st.integers(2, 5), st.integers(2, 20), st.floats(-0.2, 0.9), st.integers(1, 3), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_kinds_are_those_of_average_linkage(width, count, apart, fewest, seed):
    vectors = np.random.default_rng(seed).normal(size=(count, width))
    labels = fcluster(linkage(pdist(vectors, "cosine"), "average"), 1 - apart, "distance")
    expected = {tuple(np.flatnonzero(labels == label)) for label in set(labels) if (labels == label).sum() >= fewest}
    found = kinds(vectors, apart, fewest)
    assert {tuple(group) for group in found} == expected
    assert [len(group) for group in found] == sorted(map(len, found), reverse=True)


def test_kinds_of_one_and_of_none():
    assert [len(kind) for kind in kinds(np.ones((5, 3)))] == [5]
    assert kinds(np.eye(6)) == []
