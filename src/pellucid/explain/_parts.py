"""The parts of an explanation: what each panel says, as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import TargetError
from ..groups import Groups
from ..models import Layer


@dataclass(frozen=True)
class ClassScore:
    """One of the model's answers."""

    index: int
    label: str
    logit: float
    probability: float


@dataclass(frozen=True, eq=False)
class Icons:
    """Pictures that stand for units.

    Args:
        images: float32 [n, side, side, 4], sRGB and opacity in [0, 1].
        keys: what each stands for: channels of a layer, or running numbers of groups.
    """

    images: np.ndarray
    keys: tuple[int, ...]

    def __getitem__(self, key: int) -> np.ndarray:
        """The picture of one unit."""
        if key not in self.keys:
            raise TargetError(f"no icon of {key}; there are icons of {', '.join(map(str, self.keys[:8]))} …")
        return self.images[self.keys.index(key)]


@dataclass(frozen=True, eq=False)
class SemanticDictionary:
    """The strongest channels at each position of a layer, and what they look for.

    Args:
        activations: [rows, columns, channels].
        top: [rows, columns, k] channel numbers, the strongest first.
        icons: at least one for each channel in `top`: what excites it at the centre of the picture.
    """

    layer: Layer
    activations: np.ndarray
    top: np.ndarray
    icons: Icons

    def at(self, row: int, column: int) -> list[tuple[int, float]]:
        """The (channel, activation) pairs at a position, the strongest first."""
        return [(int(c), float(self.activations[row, column, c])) for c in self.top[row, column]]


@dataclass(frozen=True, eq=False)
class ChannelAttribution:
    """What the channels of a layer add to a class, or to one class rather than another.

    Args:
        values: [channels of the layer], in units of the logit: positive supports, negative inhibits.
        firing: [rows, columns, channels]: where each fired on the photo.
    """

    layer: Layer
    label: str
    versus: str | None
    values: np.ndarray
    firing: np.ndarray

    def supporting(self, count: int = 6) -> list[tuple[int, float]]:
        """The (channel, attribution) pairs that add most, the largest first."""
        return [(int(c), float(self.values[c])) for c in np.argsort(-self.values)[:count] if self.values[c] > 0]

    def inhibiting(self, count: int = 6) -> list[tuple[int, float]]:
        """The (channel, attribution) pairs that take most away, the largest first."""
        return [(int(c), float(self.values[c])) for c in np.argsort(self.values)[:count] if self.values[c] < 0]


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """How the groups of one layer make those of the next one that is explained.

    Args:
        lower, upper: names of the layers.
        links: by (number of groups of upper, number of groups of lower): [groups of upper, groups of lower],
            attribution of each group's strength in `upper` to each group of `lower`.
        aligned: by number of groups of upper: as many groups of `lower`, made to match them; empty where the layer's
            activations are of both signs.
        aligned_links: by the same number: [groups of upper, aligned groups of lower].
    """

    lower: str
    upper: str
    links: Mapping[tuple[int, int], np.ndarray]
    aligned: Mapping[int, Groups]
    aligned_links: Mapping[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class GroupFlow:
    """Groups of several layers and the classes, and how much each feeds the next: what a Sankey diagram draws.

    Args:
        layers: names, from the first to the last.
        groups: of each layer.
        links: one fewer than layers: [groups of the later layer, groups of the earlier one].
        classes: labels.
        class_links: [classes, groups of the last layer], in units of the logit.
    """

    layers: tuple[str, ...]
    groups: tuple[Groups, ...]
    links: tuple[np.ndarray, ...]
    classes: tuple[str, ...]
    class_links: np.ndarray


@dataclass(frozen=True, eq=False)
class Experiments:
    """What the network answered when parts of a layer were removed or scaled, each on its own.

    Args:
        layer: name.
        unit: `channel`, `group`, `position` (row by row) or `square` (3 × 3 positions around each).
        groups: for groups, of how many; else 0.
        factor: what each part was multiplied with.
        units: which channels, groups or positions, by number.
        change: [units, classes of the explanation]: measured change of the logits.
        predicted: [units, classes]: what attribution had said that it would be.
        probabilities: [units, classes]: of the same classes afterwards.
        winners: [units]: the most probable of all classes afterwards.
    """

    layer: str
    unit: str
    groups: int
    factor: float
    units: tuple[int, ...]
    change: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    winners: np.ndarray
