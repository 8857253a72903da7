"""What was measured about a result, beside a control."""

from dataclasses import dataclass, field

import numpy as np


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
