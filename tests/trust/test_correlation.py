"""Agreement against scipy."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st

from pellucid.trust import correlation

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
