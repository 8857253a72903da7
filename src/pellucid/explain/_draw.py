"""The pictures of an explanation: icons of channels and groups, activation grids."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..events import Progress
from ..features import ActivationGrid, preview_grid, render_grid
from ..groups import Groups
from ..models import Model
from ..record import Activations
from ..store import RenderCache
from ..targets import Target
from ._analyse import Analysis, timed
from ._icons import FINE, Look, channel_icon, draw_icons, find_icons, group_icon, scaled
from ._parts import Icons

# Channels that a group is said to consist of.
_HEAVIEST = 4
# What an icon that is not drawn yet looks like.
_BLANK = 0.88


@dataclass(frozen=True, eq=False)
class Plan:
    """What has to be drawn, by layer.

    Args:
        look: how finely.
        top: [rows, columns, k]: the channels that the dictionary shows.
        channels: whose icons the page needs.
        vectors: channel factors of groups that differ visibly.
        places: which of them stands for each group, by (number of groups, whether aligned).
    """

    look: Look
    top: Mapping[str, np.ndarray]
    channels: Mapping[str, tuple[int, ...]]
    vectors: Mapping[str, Sequence[np.ndarray]]
    places: Mapping[str, Mapping[tuple[int, bool], tuple[int, ...]]]

    def channel_targets(self, name: str) -> list[Target]:
        return [channel_icon(name, channel) for channel in self.channels[name]]

    def group_targets(self, name: str) -> list[Target]:
        return [group_icon(name, vector) for vector in self.vectors[name]]


@dataclass(frozen=True, eq=False)
class Pictures:
    """What stands for units, by layer."""

    icons: Mapping[str, Icons]
    group_icons: Mapping[str, Icons]
    grids: Mapping[str, ActivationGrid]


def plan_pictures(analysis: Analysis, look: Look, n_groups: int) -> Plan:
    """The icons that the page needs: of channels that it names, and of groups.

    Args:
        look: how finely it is drawn.
        n_groups: the number of groups whose heaviest channels get icons, too.
    """
    top, channels, vectors, places = {}, {}, {}, {}
    for name in analysis.names:
        groupings = analysis.groupings[name]
        top[name] = analysis.top[name][:, :, : look.strongest]
        wanted = set(np.unique(top[name]).tolist()) | set(analysis.told[name])
        wanted |= {channel for vector in groupings[n_groups].channels for channel in heaviest(vector)}
        channels[name] = tuple(sorted(wanted))
        vectors[name], places[name] = _distinct_groups(analysis, name, look.alike, n_groups)
    return Plan(look, top, channels, vectors, places)


def count_missing(plan: Plan, model: Model, *, seed: int, cache: RenderCache | None) -> int:
    """How many fine icons the cache does not hold."""
    targets = [target for name in plan.channels for target in (*plan.channel_targets(name), *plan.group_targets(name))]
    return len(targets) - len(find_icons(model, targets, seed=seed, cache=cache))


def draw(
    plan: Plan,
    analysis: Analysis,
    model: Model,
    *,
    grid_seconds: float,
    seed: int,
    cache: RenderCache | None,
    seconds: dict[str, float],
    step: Callable[[Pictures], None],
    progress: Progress,
) -> Pictures:
    """Every picture of the explanation.

    Args:
        grid_seconds: for each activation grid; 0 puts them together from icons.
        seconds: what each panel took is added to these.
        step: is given what is drawn so far, each time that there is more.
    """
    icons, group_icons, grids = {}, {}, {}
    drawn = Pictures(icons, group_icons, grids)

    for name in analysis.names:
        with timed(seconds, f"dictionary:{name}"):
            targets = plan.channel_targets(name)
            images = draw_icons(model, targets, look=plan.look, seed=seed, cache=cache, progress=progress)
            icons[name] = Icons(images, plan.channels[name])
        step(drawn)
    for name in analysis.names:
        with timed(seconds, f"groups:{name}"):
            targets = plan.group_targets(name)
            images = draw_icons(model, targets, look=plan.look, seed=seed, cache=cache, progress=progress)
            group_icons[name] = Icons(images, tuple(range(len(targets))))
        step(drawn)
    for name in analysis.names:
        with timed(seconds, f"grid:{name}"):
            recorded = analysis.recorded[name]
            grids[name] = _grid(recorded, model, name, icons[name], grid_seconds, seed, cache, progress)
        step(drawn)
    return drawn


def sketch(
    plan: Plan,
    model: Model,
    *,
    seed: int,
    cache: RenderCache | None,
    rough: tuple[Plan, Pictures] | None = None,
) -> Pictures:
    """Icons without drawing any: those that the cache holds, else rough ones, else plain grey squares; no grids.

    Args:
        rough: a quick look that is drawn already, and what it was planned to be.
    """
    icons, group_icons = {}, {}
    for name, channels in plan.channels.items():
        found = find_icons(model, plan.channel_targets(name), seed=seed, cache=cache)
        grouped = find_icons(model, plan.group_targets(name), seed=seed, cache=cache)
        if rough is not None:
            coarse, pictures = rough
            for number, channel in enumerate(channels):
                if number not in found and channel in pictures.icons[name].keys:
                    found[number] = pictures.icons[name][channel]
            for number, vector in enumerate(plan.vectors[name]):
                if number not in grouped:
                    likeness = np.stack(coarse.vectors[name]) @ vector
                    grouped[number] = pictures.group_icons[name].images[int(likeness.argmax())]
        icons[name] = Icons(_filled(found, len(channels), model), channels)
        count = len(plan.vectors[name])
        group_icons[name] = Icons(_filled(grouped, count, model), tuple(range(count)))
    return Pictures(icons, group_icons, {})


def _filled(found: Mapping[int, np.ndarray], count: int, model: Model) -> np.ndarray:
    """float32 [count, side, side, channels + 1], grey where nothing was found."""
    blank = np.full((FINE.size, FINE.size, model.input_channels + 1), _BLANK, np.float32)
    blank[..., -1] = 1
    return np.stack([scaled(found[number], FINE.size) if number in found else blank for number in range(count)])


def heaviest(vector: np.ndarray, among: Sequence[int] | None = None) -> list[int]:
    """The channels that weigh most in a group, the heaviest first; of `among`, or of all."""
    order = np.argsort(-vector, kind="stable")
    allowed = set(order.tolist() if among is None else among)
    return [int(channel) for channel in order if int(channel) in allowed and vector[channel] > 0][:_HEAVIEST]


def _distinct_groups(
    analysis: Analysis, name: str, alike: float, first: int
) -> tuple[list[np.ndarray], dict[tuple[int, bool], tuple[int, ...]]]:
    """Channel factors that differ visibly, and which of them stands for each group of every grouping.

    The groups of the grouping that is shown `first` stand for themselves as far as they differ.
    """
    kept: list[np.ndarray] = []
    places: dict[tuple[int, bool], tuple[int, ...]] = {}
    aligned: Mapping[int, Groups] = {}
    for (lower, _), flow in analysis.flows.items():
        if lower == name:
            aligned = flow.aligned
    every = [((count, False), groups) for count, groups in analysis.groupings[name].items()]
    every += [((count, True), groups) for count, groups in aligned.items()]
    every.sort(key=lambda entry: entry[0][0] != first)
    for key, groups in every:
        numbers = []
        for vector in groups.channels:
            unit = vector / max(float(np.linalg.norm(vector)), 1e-12)
            likeness = [float(unit @ other) for other in kept]
            if likeness and max(likeness) >= alike:
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
    return preview_grid(recorded, _in_colour(icons.images), channels=icons.keys)


def _in_colour(images: np.ndarray) -> np.ndarray:
    """Red, green, blue and opacity; grey where the network takes other channels than three."""
    if images.shape[3] == 4:
        return images
    return np.concatenate([np.repeat(images[..., :-1].mean(3, keepdims=True), 3, axis=3), images[..., -1:]], 3)
