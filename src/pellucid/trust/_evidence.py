"""What was measured about a result, beside a control."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Draws of an interval, and how many standard deviations to either side hold 95 % of a normal distribution.
_DRAWS, _DEVIATIONS = 500, 1.96
# Fisher's z of a perfect correlation is infinite.
_PERFECT = 1 - 1e-7


@dataclass(frozen=True)
class Evidence:
    """One measure of how far a picture can be trusted.

    Args:
        about: which picture: `spatial:mixed4d:208`.
        name: of the measure.
        value: what was measured.
        control: the same for something that should do worse, or `None`.
        sentence: what it means, for a person who does not know the measure.
        low, high: ends of the 95 % interval of `value`, or `None`.
    """

    about: str
    name: str
    value: float
    control: float | None
    sentence: str
    low: float | None = field(default=None, kw_only=True)
    high: float | None = field(default=None, kw_only=True)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of two arrays of one shape; 0 where one of them is constant.

    Example:
        >>> round(correlation(np.array([1, 2, 3]), np.array([2, 4, 5])), 2)
        0.98
    """
    first, second = first.ravel() - first.mean(), second.ravel() - second.mean()
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / scale if scale > 0 else 0.0


def correlation_interval(*parts: tuple[np.ndarray, np.ndarray], seed: int = 0) -> tuple[float, float]:
    """The ends of the 95 % interval of a correlation, or of the mean correlation of several pairs of arrays.

    The entries of each pair are drawn anew 500 times, with replacement; to both sides of the correlation go 1.96
    standard deviations of what comes out, on the scale of Fisher's z. Fisher's own interval takes both arrays to be
    normal, and is far too narrow where few entries are much larger than all others, as effects of channels are.

    Args:
        parts: pairs of arrays of one shape each.
        seed: of the draws.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ISBN 978-0-412-04231-7, chapters 12 and 13.

    Example:
        >>> first = np.arange(40.0)
        >>> low, high = correlation_interval((first, first + np.random.default_rng(0).normal(0, 20, 40)))
        >>> 0 < low < high < 1
        True
    """
    generator = np.random.default_rng(seed)
    drawn = np.mean([_drawn_correlations(*part, generator) for part in parts], axis=0)
    middle, spread = _fisher(np.mean([correlation(*part) for part in parts])), _fisher(drawn).std()
    return float(np.tanh(middle - _DEVIATIONS * spread)), float(np.tanh(middle + _DEVIATIONS * spread))


def _drawn_correlations(first: np.ndarray, second: np.ndarray, generator: "np.random.Generator") -> np.ndarray:
    """[draws]: the correlations of entries that are drawn with replacement."""
    places = generator.integers(0, first.size, (_DRAWS, first.size))
    one, other = (each.ravel().astype(float)[places] for each in (first, second))
    one, other = one - one.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    scale = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(1) / np.where(scale > 0, scale, np.inf)


def _fisher(values: Any) -> np.ndarray:
    return np.arctanh(np.clip(values, -_PERFECT, _PERFECT))


def as_said(value: float, digits: int = 2) -> str:
    """A number in a sentence: a true minus sign, and none before a zero."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "−")
