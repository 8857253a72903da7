"""How well attribution methods predict what removing parts of a layer does, over several photos."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ..attribution import Attribution, Method, attribute, from_removals
from ..attribution._removal import measure_removals, square_members
from ..bundle import MethodScore
from ..explain._analyse import divide
from ..explain._group_evidence import probe_groups
from ..models import Model
from ..record import Tail, record
from ..targets import LOGITS, Channel, Logit
from ..trust import correlation, intervene_each

METHODS: tuple[Method, ...] = (
    "linear",
    "relaxed",
    "integrated",
    "integrated_gradients",
    "grad_cam",
    "sampled",
    "removal",
)
_STEPS = 16
_SHARES, _SETS = (0.1, 0.3, 0.5), 24
_CHANNELS = 64
# Every position and every square is removed for `removal`: where there are more, it would take minutes a photo.
MOST_POSITIONS = 400
_UNITS = ("set", "channel", "group")


@dataclass(frozen=True, eq=False)
class Agreement:
    """On one photo: correlations with measured removals, and seconds.

    Args:
        values: by method and kind of part.
        strength: by kind of part: the same for mere strength of activation.
        seconds: by method, for one class.
        groups: what groups reconstruct and what they carry of the logit, each beside its control; empty where there are
            no groups.
    """

    values: dict[tuple[str, str], float] = field(default_factory=dict)
    strength: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    groups: dict[str, tuple[float, float]] = field(default_factory=dict)


def measure_agreement(model: Model, image: Tensor, layer: str, n_groups: int, seed: int) -> Agreement:
    """How well each method predicts removals for the most probable class of one photo.

    Args:
        model: it comes back as it was.
        image: [channels, height, width] in [0, 1], of the model's size.
        layer: one with positions.
        n_groups: how many groups the layer is divided into; one that is too small has none.
        seed: of which sets and channels are removed.
    """
    tail = Tail(model, image, layer=layer)
    top = int(tail.outputs[LOGITS].flatten(1).argmax())
    generator = np.random.default_rng(seed)
    maps, seconds = _attributions(model, image, tail, top)
    activations = next(iter(maps.values())).activations
    found = Agreement(seconds=seconds)

    removed = _random_sets(activations.shape[0] * activations.shape[1], generator)
    lost = measure_removals(tail, [(Logit(top), None)], removed, batch_size=32)[0]

    def over_sets(map_: np.ndarray) -> float:
        sums = removed @ map_.ravel().astype(float)
        parts = zip(np.split(sums, len(_SHARES)), np.split(lost, len(_SHARES)), strict=True)
        return float(np.mean([correlation(*part) for part in parts]))

    found.strength["set"] = over_sets(np.linalg.norm(activations, axis=2))
    for method, each in maps.items():
        found.values[method, "set"] = over_sets(each.positions())

    before = float(tail.outputs[LOGITS].flatten(1)[0, top])
    sums = activations.sum((0, 1))
    firing = np.flatnonzero(np.abs(activations).sum((0, 1)))
    chosen = np.sort(generator.permutation(firing)[:_CHANNELS])
    if len(chosen) > 2:
        units = [Channel(layer, int(index)) for index in chosen]
        change = before - intervene_each(model, image, layer=layer, units=units, tail=tail)[:, top]
        found.strength["channel"] = correlation(sums[chosen], change)
        for method, each in maps.items():
            found.values[method, "channel"] = correlation(each.by_channel()[chosen], change)
    recorded = record(model, image[None], layer)[layer]
    if not activations.any() or n_groups > min(activations.shape[0] * activations.shape[1], activations.shape[2]):
        return found
    groups = divide(recorded, [n_groups], seed)[n_groups]
    pairs = [(groups, number) for number in range(n_groups)]
    change = before - intervene_each(model, image, layer=layer, units=pairs, tail=tail)[:, top]
    found.strength["group"] = correlation(groups.magnitudes(), change)
    for method, each in maps.items():
        found.values[method, "group"] = correlation(each.by_group(groups), change)
    test = probe_groups(groups, recorded.values[0], tail, seed)
    found.groups["reconstruction by the groups"] = test.held, test.held_control
    found.groups["logit carried by the groups"] = test.carried(top, before)
    return found


def score_methods(photos: Sequence[Agreement]) -> tuple[MethodScore, ...]:
    """Medians and quartiles over photos, the best method of each kind of part first."""
    scores = []
    for unit in _UNITS:
        with_unit = [each for each in photos if unit in each.strength]
        if not with_unit:
            continue
        control = np.array([each.strength[unit] for each in with_unit])
        rows = []
        for method in dict.fromkeys(method for each in with_unit for method, of in each.values if of == unit):
            values = np.array([each.values[method, unit] for each in with_unit])
            low, median, high = np.percentile(values, (25, 50, 75)).round(4).tolist()
            rows.append(
                MethodScore(
                    method=method,
                    unit=unit,
                    value=median,
                    low=low,
                    high=high,
                    control=round(float(np.median(control)), 4),
                    says="for" if np.mean(values > control) >= 0.75 else "nothing",
                    seconds=round(float(np.median([each.seconds[method] for each in with_unit])), 4),
                )
            )
        scores += sorted(rows, key=lambda row: -row.value)
    return tuple(scores)


def _attributions(
    model: Model, image: Tensor, tail: Tail, top: int
) -> tuple[Mapping[Method, Attribution], dict[str, float]]:
    """The attribution to a class by every method, and the processor's seconds that each took."""
    layer, (rows, columns) = tail.layer.name, tail.grid.shape[2:]
    maps: dict[Method, Attribution] = {}
    seconds: dict[str, float] = {}
    for method in METHODS:
        if method == "removal" and rows * columns > MOST_POSITIONS:
            continue
        started = time.process_time()
        if method == "removal":
            members = np.concatenate([np.eye(rows * columns, dtype=bool), square_members(rows, columns)])
            lost = measure_removals(tail, [(Logit(top), None)], members, batch_size=32)[0]
            maps[method] = from_removals(maps["sampled"], *lost.reshape(2, rows, columns))
        else:
            maps[method] = attribute(model, image, layer=layer, target=top, method=method, steps=_STEPS, tail=tail)
        seconds[method] = time.process_time() - started
    if "removal" in seconds:
        seconds["removal"] += seconds["sampled"]
    return maps, seconds


def _random_sets(count: int, generator: "np.random.Generator") -> np.ndarray:
    """Sets of a tenth, three tenths and half of the positions: bool [sets, positions]."""
    return np.concatenate(
        [np.argsort(generator.random((_SETS, count)), axis=1) < max(1, round(share * count)) for share in _SHARES]
    )
