"""The numbers of an explanation: what each layer did on the photo, what that adds to the classes, and experiments."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..attribution import Attribution, Method, attribute_many, from_removals
from ..errors import InputError
from ..events import Event, Progress, silent
from ..groups import Groups, align_groups, factorize_range
from ..models import Model
from ..record import Activations, Tail, record
from ..targets import LOGITS, Channel, Group, Position
from ..trust import intervene_each
from ._parts import ClassScore, Experiments, LayerFlow

# A semantic dictionary shows this many channels at a position, as the article did.
_TOP_CHANNELS = 4
# How many channels that support and inhibit each class, and each class against each other, the page can tell of.
_TELLING, _TELLING_PAIR, _MOST_TOLD = 6, 3, 64
_FACTORS = (0.0, 0.5, 2.0)
_COPIES = 16
_PLACES = 64


@dataclass(eq=False)
class Analysis:
    """Everything that an explanation says in numbers, filled in layer by layer."""

    names: tuple[str, ...]
    recorded: dict[str, Activations]
    scores: tuple[ClassScore, ...]
    probabilities: np.ndarray
    attributions: dict[str, dict[int, Attribution]] = field(default_factory=dict)
    maps: dict[str, dict[int, Attribution]] = field(default_factory=dict)
    top: dict[str, np.ndarray] = field(default_factory=dict)
    told: dict[str, tuple[int, ...]] = field(default_factory=dict)
    groupings: dict[str, dict[int, Groups]] = field(default_factory=dict)
    influences: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    channel_links: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    flows: dict[tuple[str, str], LayerFlow] = field(default_factory=dict)
    experiments: list[Experiments] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


@contextmanager
def timed(seconds: dict[str, float], panel: str) -> Iterator[None]:
    """Add what the block takes to the time of a panel."""
    began = time.perf_counter()
    yield
    seconds[panel] = seconds.get(panel, 0.0) + time.perf_counter() - began


def decide(model: Model, image: Tensor, names: Sequence[str], classes: Sequence[int], count: int) -> Analysis:
    """The answers of the network, and what the layers did.

    Args:
        classes: numbers of the classes to explain; none for the `count` most probable.

    Raises:
        InputError: a layer is zero everywhere.
    """
    began = time.perf_counter()
    recorded = record(model, image[None], [*names, LOGITS])
    logits = torch.from_numpy(recorded[LOGITS].values[0])
    probabilities = torch.softmax(logits.double(), 0)
    chosen = list(classes) or probabilities.topk(min(count, len(logits))).indices.tolist()
    chosen.sort(key=lambda index: -float(logits[index]))
    for name in names:
        if not recorded[name].values.any():
            raise InputError(f"{name} is zero everywhere on this image and explains nothing; choose another layer.")
    scores = tuple(ClassScore(i, model.label(i), float(logits[i]), float(probabilities[i])) for i in chosen)
    analysis = Analysis(tuple(names), recorded, scores, probabilities.numpy())
    analysis.seconds["decision"] = time.perf_counter() - began
    return analysis


def analyse_layer(
    analysis: Analysis,
    model: Model,
    image: Tensor,
    name: str,
    *,
    method: Method,
    counts: Sequence[int],
    seed: int,
    progress: Progress,
) -> None:
    """Attribution, groups and experiments of one layer, divided into as many groups as each of `counts`."""
    classes = [score.index for score in analysis.scores]
    with timed(analysis.seconds, f"spatial:{name}"):
        tail = Tail(model, image, layer=name)
        maps = attribute_many(model, image, layer=name, targets=classes, method=method, tail=tail, progress=progress)
        analysis.attributions[name] = dict(zip(classes, maps, strict=True))
        values = analysis.recorded[name].values[0]
        analysis.top[name] = np.argsort(-values, axis=2, kind="stable")[:, :, :_TOP_CHANNELS]

    with timed(analysis.seconds, f"channels:{name}"):
        by_channel = np.stack([map_.by_channel() for map_ in maps])
        analysis.told[name] = _telling(by_channel)

    with timed(analysis.seconds, f"groups:{name}"):
        analysis.groupings[name] = divide(analysis.recorded[name], counts, seed, progress)

    with timed(analysis.seconds, f"experiments:{name}"):
        _experiment(analysis, model, image, name, tail, by_channel, progress)

    with timed(analysis.seconds, f"spatial:{name}"):
        _map_removals(analysis, model, image, name, tail)


def analyse_pair(
    analysis: Analysis, model: Model, image: Tensor, lower: str, upper: str, *, method: Method, progress: Progress
) -> None:
    """How the positions, channels and groups of a layer make those of a later one."""
    tail = Tail(model, image, layer=lower, to=(upper,))
    below, above = analysis.recorded[lower].values[0], analysis.recorded[upper].values[0]
    # A path for every one of hundreds of targets would cost minutes; between neighbours linear is a fair account.
    method = method if method == "relaxed" else "linear"

    with timed(analysis.seconds, f"spatial:{upper}"):
        places = [Position(upper, row, column) for row, column in np.ndindex(*above.shape[:2])]
        maps = []
        for start in range(0, len(places), _PLACES):  # what is kept of each is a thousandth of what is computed
            some = places[start : start + _PLACES]
            maps += [
                each.positions()
                for each in attribute_many(model, image, layer=lower, targets=some, method=method, tail=tail)
            ]
            progress(Event(f"linking {lower} to {upper}", len(maps), len(places), "position"))
        analysis.influences[lower, upper] = np.stack(maps).reshape(*above.shape[:2], *below.shape[:2])

    with timed(analysis.seconds, f"channels:{upper}"):
        # The sum of a channel over all positions, in its own unit.
        units = [Channel(upper, channel) for channel in analysis.told[upper]]
        links = attribute_many(model, image, layer=lower, targets=units, tail=tail, progress=progress)
        scale = above.shape[0] * above.shape[1]
        told = list(analysis.told[lower])
        analysis.channel_links[lower, upper] = np.stack([scale * each.by_channel()[told] for each in links])

    with timed(analysis.seconds, f"flow:{upper}"):
        analysis.flows[lower, upper] = _flow(analysis, model, image, lower, upper, tail, progress)


def _telling(by_channel: np.ndarray) -> tuple[int, ...]:
    """The channels that most support or inhibit a class, or one class against another; of [classes, channels]."""
    worth: dict[int, float] = {}

    def take(values: np.ndarray, count: int) -> None:
        order = np.argsort(values, kind="stable")
        for channel in (*order[:count], *order[::-1][:count]):
            if values[channel]:
                worth[int(channel)] = max(worth.get(int(channel), 0.0), abs(float(values[channel])))

    for number, values in enumerate(by_channel):
        take(values, _TELLING)
        for other in by_channel[:number]:
            take(values - other, _TELLING_PAIR)
    kept = sorted(worth, key=lambda channel: -worth[channel])[:_MOST_TOLD]
    return tuple(sorted(kept)) or (0,)


def divide(recorded: Activations, counts: Sequence[int], seed: int, progress: Progress = silent) -> dict[int, Groups]:
    """Non-negative factorizations; of activations of both signs, of their positive and negative parts side by side.

    A group is then still a place that is not negative times a vector of channels, whose entries may be.
    """
    values = recorded.values
    if (values >= 0).all():
        return factorize_range(recorded, counts, seed=seed, progress=progress)
    parts = np.concatenate([np.maximum(values, 0), np.maximum(-values, 0)], 3)
    found = factorize_range(parts, counts, seed=seed, progress=progress)
    channels = values.shape[3]
    signed = {}
    for count, groups in found.items():
        vectors = groups.channels[:, :channels] - groups.channels[:, channels:]
        error = np.linalg.norm(values - groups.spatial @ vectors) / np.linalg.norm(values)
        signed[count] = Groups(recorded.layer, "nmf of both signs", groups.spatial, vectors, float(error))
    return signed


def _flow(
    analysis: Analysis, model: Model, image: Tensor, lower: str, upper: str, tail: Tail, progress: Progress
) -> LayerFlow:
    below = analysis.recorded[lower].values[0]
    # A layer cannot be divided in more groups than it has positions or channels.
    most = min(below.shape[0] * below.shape[1], below.shape[2])
    alignable = (below >= 0).all() and max(analysis.groupings[upper]) <= most
    links: dict[tuple[int, int], np.ndarray] = {}
    aligned: dict[int, Groups] = {}
    aligned_links: dict[int, np.ndarray] = {}
    for count, groups in analysis.groupings[upper].items():
        targets = [
            Group(upper, tuple(vector), tuple(map(tuple, groups.spatial[0, :, :, number])))
            for number, vector in enumerate(groups.channels)
        ]
        found = attribute_many(model, image, layer=lower, targets=targets, tail=tail, progress=progress)
        for number, smaller in analysis.groupings[lower].items():
            links[count, number] = np.stack([each.by_group(smaller) for each in found])
        if alignable:
            aligned[count] = align_groups(analysis.recorded[lower], np.stack([each.values for each in found]))
            aligned_links[count] = np.stack([each.by_group(aligned[count]) for each in found])
    return LayerFlow(lower, upper, links, aligned, aligned_links)


def _experiment(
    analysis: Analysis,
    model: Model,
    image: Tensor,
    name: str,
    tail: Tail,
    by_channel: np.ndarray,
    progress: Progress,
) -> None:
    values = analysis.recorded[name].values[0]
    rows, columns, _ = values.shape
    maps = list(analysis.attributions[name].values())
    classes = [score.index for score in analysis.scores]
    logits = np.array([score.logit for score in analysis.scores])

    def measure(unit: str, number: int, keys: Sequence[int], units: Any, adds: np.ndarray, factor: float) -> None:
        """`adds`: [units, classes], what attribution says that each unit adds."""
        after = intervene_each(model, image, layer=name, units=units, factor=factor, tail=tail)
        shifted = np.exp(after - after.max(1, keepdims=True))
        probabilities = shifted / shifted.sum(1, keepdims=True)
        analysis.experiments.append(
            Experiments(
                name,
                unit,
                number,
                factor,
                tuple(keys),
                after[:, classes] - logits,
                (factor - 1) * adds,
                probabilities[:, classes],
                after.argmax(1),
            )
        )

    told = list(analysis.told[name])
    groupings = analysis.groupings[name]
    total, done = 2 + (1 + len(groupings)) * len(_FACTORS), 0
    task = f"experimenting on {name}"

    def tick() -> None:
        nonlocal done
        done += 1
        progress(Event(task, done, total, "experiment"))

    for factor in _FACTORS:
        measure("channel", 0, told, [Channel(name, c) for c in told], by_channel[:, told].T, factor)
        tick()
        for count, groups in groupings.items():
            adds = np.stack([map_.by_group(groups) for map_ in maps], 1)
            measure("group", count, range(count), [(groups, number) for number in range(count)], adds, factor)
            tick()
    positions = np.stack([map_.positions().ravel() for map_ in maps], 1)
    measure("position", 0, range(rows * columns), "positions", positions, 0.0)
    tick()
    squares = np.stack([square_sums(map_.positions()).ravel() for map_ in maps], 1)
    measure("square", 0, range(rows * columns), "squares", squares, 0.0)
    tick()


def square_sums(map_: np.ndarray) -> np.ndarray:
    """The sum over the 3 × 3 positions around each, cut at the edge."""
    rows, columns = map_.shape
    padded = np.pad(map_, 1)
    return np.sum([padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3)], axis=0)


def _map_removals(analysis: Analysis, model: Model, image: Tensor, name: str, tail: Tail) -> None:
    """Maps that agree with the removals that the experiments have measured."""
    rows, columns = tail.grid.shape[2:]
    change = {
        each.unit: each.change.reshape(rows, columns, -1)
        for each in analysis.experiments
        if each.layer == name and each.unit in ("position", "square")
    }
    classes = list(analysis.attributions[name])
    estimates = attribute_many(model, image, layer=name, targets=classes, method="sampled", steps=_COPIES, tail=tail)
    analysis.maps[name] = {
        index: from_removals(estimate, -change["position"][:, :, number], -change["square"][:, :, number])
        for number, (index, estimate) in enumerate(zip(classes, estimates, strict=True))
    }
