"""What was measured about a result, beside a control."""

from dataclasses import dataclass

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
    """

    about: str
    name: str
    value: float
    control: float | None
    sentence: str


def compare_with_removals(attribution: np.ndarray, strength: np.ndarray, change: np.ndarray, about: str) -> Evidence:
    """Agreement of a map of attribution with the measured effect of removing each position.

    Args:
        attribution: [rows, columns], in units of the logit.
        strength: [rows, columns], how strongly the layer fires: the control, a map that knows nothing of the class.
        change: [rows, columns], change of the logit when a position is set to zero.
        about: which picture it is about.

    Example:
        >>> import numpy as np
        >>> map = np.arange(4.0).reshape(2, 2)
        >>> compare_with_removals(map, map**2, -map, "spatial:8:0").value
        1.0
    """
    value, control = correlation(attribution, -change), correlation(strength, -change)
    return Evidence(
        about=about,
        name="agreement with removal",
        value=round(value, 4),
        control=round(control, 4),
        sentence=(
            f"Each position was removed in turn and the rest of the network run again: the measured loss and this map "
            f"correlate at {value:.2f} (1 is perfect); a map of mere activation strength reaches {control:.2f}."
        ),
    )


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of two arrays of one shape; 0 where one of them is constant."""
    first, second = first.ravel() - first.mean(), second.ravel() - second.mean()
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / scale if scale > 0 else 0.0
