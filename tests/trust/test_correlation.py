"""Agreement against scipy."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st

from pellucid.trust import correlation, correlation_interval

ARRAYS = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=30)


@given(pairs=ARRAYS)
@settings(max_examples=60, deadline=None)
def test_correlation_is_scipys(pairs):
    first, second = np.array(pairs).T
    if min(first.std(), second.std()) < 1e-3:
        return
    assert correlation(first, second) == pytest.approx(scipy.stats.pearsonr(first, second).statistic, abs=1e-6)


def test_correlation_of_maps_and_constants():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 7)).astype(np.float32)
    expected = scipy.stats.pearsonr(first.ravel(), second.ravel()).statistic
    assert correlation(first, second) == pytest.approx(expected, abs=1e-5)
    assert correlation(first, first) == pytest.approx(1)
    assert correlation(first, -2 * first + 3) == pytest.approx(-1)
    assert correlation(np.ones((5, 7)), second) == 0
    assert correlation(np.full(100, 0.1), np.arange(100)) == 0
    assert correlation(np.full((7, 7), 0.1, np.float32), rng.normal(size=(7, 7))) == 0


@pytest.mark.parametrize("tail", ["normal", "heavy"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(tail):
    rng = np.random.default_rng(0)
    first, noise = rng.standard_normal((2, 20_000)) if tail == "normal" else rng.standard_t(2.5, (2, 20_000))
    second = first + noise
    truth = correlation(first, second)
    held = fisher = 0
    for _ in range(400):
        chosen = rng.integers(0, 20_000, 40)
        found = correlation(first[chosen], second[chosen])
        low, high = correlation_interval((first[chosen], second[chosen]), seed=1)
        assert low < found < high
        held += low <= truth <= high
        fisher += abs(np.arctanh(found) - np.arctanh(truth)) <= 1.96 / np.sqrt(40 - 3)
    if tail == "normal":
        assert held / 400 == pytest.approx(0.95, abs=0.04)
    else:
        assert held - fisher > 0.1 * 400


def test_the_interval_of_a_mean_is_narrower_and_that_of_few_is_wide():
    rng = np.random.default_rng(1)
    pairs = [(first, first + rng.normal(size=30)) for first in rng.normal(size=(4, 30))]
    one, four = correlation_interval(pairs[0]), correlation_interval(*pairs)
    assert four[1] - four[0] < 0.7 * (one[1] - one[0])
    few = correlation_interval((pairs[0][0][:6], pairs[0][1][:6]))
    assert few[1] - few[0] > one[1] - one[0]


def test_intervals_of_perfect_and_of_no_correlation():
    first = np.arange(12.0)
    assert correlation_interval((first, 3 * first)) == pytest.approx((1, 1), abs=1e-6)
    assert correlation_interval((first, np.ones(12))) == (0, 0)
    assert correlation_interval((first, first**2)) == correlation_interval((first, first**2))
