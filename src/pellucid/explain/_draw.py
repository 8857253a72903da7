"""The pictures of an explanation: icons of channels and groups, activation grids."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..events import Progress
from ..features import ActivationGrid, preview_grid, render_grid
from ..groups import Groups
from ..models import Model
from ..record import Activations
from ..store import RenderCache
from ._analyse import Analysis
from ._icons import Look, channel_icon, draw_icons, group_icon
from ._parts import Icons

# Groups whose channel factors point this nearly in one direction share an icon: nobody could tell theirs apart.
_ALIKE = 0.97
# Channels that a group is said to consist of.
_HEAVIEST = 4


@dataclass(eq=False)
class Pictures:
    """What stands for units, by layer."""

    icons: dict[str, Icons] = field(default_factory=dict)
    group_icons: dict[str, Icons] = field(default_factory=dict)
    places: dict[str, dict[tuple[int, bool], tuple[int, ...]]] = field(default_factory=dict)
    grids: dict[str, ActivationGrid] = field(default_factory=dict)


def draw(
    analysis: Analysis,
    model: Model,
    *,
    look: Look,
    n_groups: int,
    grid_seconds: float,
    seed: int,
    cache: RenderCache | None,
    progress: Progress,
) -> Pictures:
    """Every picture of the explanation; what takes time is noted in the analysis.

    Args:
        look: how finely icons are rendered.
        n_groups: the number of groups whose heaviest channels get icons, too.
        grid_seconds: for each activation grid; 0 puts them together from icons.
    """
    pictures = Pictures()
    for name in analysis.names:
        began = time.perf_counter()
        wanted = set(np.unique(analysis.top[name]).tolist()) | set(analysis.told[name])
        usual = analysis.groupings[name][min(n_groups, max(analysis.groupings[name]))]
        wanted |= {channel for vector in usual.channels for channel in heaviest(vector)}
        channels = tuple(sorted(wanted))
        targets = [channel_icon(name, channel) for channel in channels]
        images = draw_icons(model, targets, look=look, seed=seed, cache=cache, progress=progress)
        pictures.icons[name] = Icons(images, channels)
        _note(analysis, f"dictionary:{name}", began)
        began = time.perf_counter()
        representatives, pictures.places[name] = _distinct_groups(analysis, name)
        targets = [group_icon(name, vector) for vector in representatives]
        images = draw_icons(model, targets, look=look, seed=seed, cache=cache, progress=progress)
        pictures.group_icons[name] = Icons(images, tuple(range(len(targets))))
        _note(analysis, f"groups:{name}", began)
        began = time.perf_counter()
        pictures.grids[name] = _grid(
            analysis.recorded[name], model, name, pictures.icons[name], grid_seconds, seed, cache, progress
        )
        _note(analysis, f"grid:{name}", began)
    return pictures


def heaviest(vector: np.ndarray, among: Sequence[int] | None = None) -> list[int]:
    """The channels that weigh most in a group, the heaviest first; of `among`, or of all."""
    order = np.argsort(-vector, kind="stable")
    allowed = set(order.tolist() if among is None else among)
    return [int(channel) for channel in order if int(channel) in allowed and vector[channel] > 0][:_HEAVIEST]


def _note(analysis: Analysis, panel: str, began: float) -> None:
    analysis.seconds[panel] = analysis.seconds.get(panel, 0.0) + time.perf_counter() - began


def _distinct_groups(analysis: Analysis, name: str) -> tuple[list[np.ndarray], dict[tuple[int, bool], tuple[int, ...]]]:
    """Channel factors that differ visibly, and which of them stands for each group of every grouping."""
    kept: list[np.ndarray] = []
    places: dict[tuple[int, bool], tuple[int, ...]] = {}
    aligned: Mapping[int, Groups] = {}
    for (lower, _), flow in analysis.flows.items():
        if lower == name:
            aligned = flow.aligned
    every = [((count, False), groups) for count, groups in analysis.groupings[name].items()]
    every += [((count, True), groups) for count, groups in aligned.items()]
    for key, groups in every:
        numbers = []
        for vector in groups.channels:
            unit = vector / max(float(np.linalg.norm(vector)), 1e-12)
            likeness = [float(unit @ other) for other in kept]
            if likeness and max(likeness) >= _ALIKE:
                numbers.append(int(np.argmax(likeness)))
            else:
                numbers.append(len(kept))
                kept.append(unit)
        places[key] = tuple(numbers)
    return kept, places


def _grid(
    recorded: Activations,
    model: Model,
    name: str,
    icons: Icons,
    seconds: float,
    seed: int,
    cache: RenderCache | None,
    progress: Progress,
) -> ActivationGrid:
    if seconds > 0:
        grid = render_grid(
            model, recorded, layer=name, budget_seconds=seconds, seed=seed, cache=cache, progress=progress
        )
        if grid.interrupted:
            raise KeyboardInterrupt
        return grid
    return preview_grid(recorded, icons.images, channels=icons.keys)
