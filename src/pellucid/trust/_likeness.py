"""How alike things are, on a scale whose ends are measured: 0 other photos, 1 the unit's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Below this cosine, on average, two sets of images do not fire a unit for the same reason: benchmarks/known_truth.py.
_APART = 0.3
_FEWEST = 3


@dataclass(frozen=True)
class Likeness:
    """How like a unit's exemplars something is.

    Args:
        value: 1 for as like as the exemplars are to one another, 0 for no more like than to the other sets.
        control: what the set reaches that it is most like, but for one in twenty.
        cosine, others: its mean cosine with the exemplars, and with the other sets.
        own, apart: mean cosine of the exemplars with one another (median over them), and with the other sets.
        tells: whether the scale means anything: exemplars are more like one another than like nearly all other sets.
    """

    value: float
    control: float
    cosine: float
    others: float
    own: float
    apart: float
    tells: bool


def directions(vectors: np.ndarray) -> np.ndarray:
    """The vectors [n, channels] with length 1, or 0 where they are nothing."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def likeness(vectors: np.ndarray, exemplars: np.ndarray, others: Sequence[np.ndarray]) -> Likeness:
    """How like a unit's exemplars some vectors are, beside others that they need not be like.

    Args:
        vectors: of what is judged, [n, channels]; n likenesses are averaged.
        exemplars: of the unit, at least 2, [k, channels].
        others: at least 1 set of others, each [m, channels]: other units' exemplars, or a photo by chance.

    Example:
        >>> likeness(np.eye(1, 3), np.eye(3)[[0, 0]], [np.eye(3)[[1, 2]]]).value
        1.0
    """
    judged, own = directions(vectors), directions(exemplars)
    groups = [directions(each) for each in others]
    cosine = float((judged @ own.T).mean())
    among = own @ own.T
    among_own = float(np.median((among.sum(1) - among.diagonal()) / (len(own) - 1)))
    to_others = np.array([(judged @ each.T).mean() for each in groups])
    between = np.array([(own @ each.T).mean() for each in groups])
    middle, scale = float(to_others.mean()), among_own - float(between.mean())
    tells = among_own > np.quantile(between, 0.95) and scale > 1e-6
    return Likeness(
        value=(cosine - middle) / scale if tells else 0.0,
        control=(float(np.quantile(to_others, 0.95)) - middle) / scale if tells else 0.0,
        cosine=cosine,
        others=middle,
        own=among_own,
        apart=float(between.mean()),
        tells=bool(tells),
    )


def kinds(vectors: np.ndarray, apart: float = _APART, fewest: int = _FEWEST) -> list[np.ndarray]:
    """The kinds that some vectors fall into: places of the vectors of each, first the largest.

    The two most alike groups are joined (mean cosine of all their pairs) until none are more alike than `apart`.

    Args:
        vectors: [n, channels].
        apart: the cosine.
        fewest: how many make a kind; what is left over belongs to none.

    Example:
        >>> [kind.tolist() for kind in kinds(np.eye(4)[[0, 1, 0, 0, 1, 1, 3]])]
        [[0, 2, 3], [1, 4, 5]]
    """
    unit = directions(vectors)
    groups = [[place] for place in range(len(unit))]
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    while len(groups) > 1:
        first, second = divmod(int(alike.argmax()), len(groups))
        if alike[first, second] < apart:
            break
        first, second = min(first, second), max(first, second)
        sizes = len(groups[first]), len(groups[second])
        merged = (sizes[0] * alike[first] + sizes[1] * alike[second]) / sum(sizes)
        alike[first], alike[:, first] = merged, merged
        alike[first, first] = -np.inf
        alike = np.delete(np.delete(alike, second, 0), second, 1)
        groups[first] += groups.pop(second)
    return [np.sort(group) for group in sorted(groups, key=len, reverse=True) if len(group) >= fewest]
