"""The render cache of a server, which keeps nothing that a photo had a part in."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..store import RenderCache

# Parts of a network. A direction may be a group of neurons, which is found in one photo.
_UNITS = frozenset({"channel", "neuron", "logit"})


class UnitCache(RenderCache):
    """Keeps pictures of channels, neurons and classes only, whatever it is told.

    Activation grids and icons of groups are computed from a photo, and entries of a render cache stay for good; a
    photo's retention is over some day.

    Args:
        cache: whose folder and packs it uses.
    """

    def __init__(self, cache: RenderCache) -> None:
        super().__init__(cache.folder, keep=cache.keep, packs=cache.packs)

    def write(self, recipe: Mapping[str, Any], image: np.ndarray, objective: list[float]) -> bool:
        """Keep a picture of a unit; whether it was kept."""
        kinds = set(_targets(recipe.get("objective")))
        return bool(kinds) and kinds <= _UNITS and super().write(recipe, image, objective)


def _targets(value: Any) -> Iterator[str]:
    """The kinds of all targets in an objective's JSON."""
    if isinstance(value, Mapping):
        if isinstance(value.get("target"), str):
            yield value["target"]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _targets(part)
