"""What is measured about an explanation: each of its claims beside a control."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..attribution import Attribution, Method
from ..attribution._removal import measure_removals
from ..events import Event, Progress
from ..record import Tail
from ..targets import Logit
from ..trust import Curves, Evidence, correlation, removal_curves
from ..trust._evidence import as_said
from ._analyse import square_sums, timed
from ._case import Case, agreement
from ._explanation import Explanation
from ._group_evidence import group_evidence
from ._icon_evidence import icon_evidence
from ._parts import ClassScore
from ._steadiness import random_networks, small_changes

# Deletion and insertion: in so many steps, beside so many random orders.
_STEPS, _ORDERS = 12, 8
_PANELS = {"channel": "channels", "group": "groups", "position": "spatial", "square": "experiments"}


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was measured about an explanation.

    Args:
        curves: by layer, then by class number.
        seconds: spent on each layer, by `trust:LAYER`.
    """

    evidence: tuple[Evidence, ...]
    curves: dict[str, dict[int, Curves]]
    seconds: dict[str, float]


def judge(explanation: Explanation, progress: Progress) -> Judgement:
    """Every measure of every layer; the network is run again from each layer on, the whole of it only where it must.

    Args:
        explanation: whose icons are drawn.
        progress: receives an event for each test.
    """
    tests = (
        _removals,
        _random_sets,
        _path,
        small_changes,
        random_networks,
        group_evidence,
        icon_evidence,
    )
    evidence: list[Evidence] = []
    curves: dict[str, dict[int, Curves]] = {}
    seconds: dict[str, float] = {}
    for name in explanation.layers:
        with timed(seconds, f"trust:{name}"):
            case = Case(explanation, name, Tail(explanation.model, explanation.image, layer=name))
            curves[name] = _curves(case)
            for score in case.scores:
                about = case.about("spatial", score)
                evidence.append(curves[name][score.index].evidence(about, score.label))
            for done, test in enumerate(tests, 1):
                evidence += test(case)
                progress(Event(f"testing {name}", done, len(tests), "test"))
    return Judgement(tuple(evidence), curves, {key: round(value, 3) for key, value in seconds.items()})


def _curves(case: Case) -> dict[int, Curves]:
    """What becomes of a class without the places that its map names, and with them alone."""
    maps = case.explanation.maps[case.name]
    return {
        score.index: removal_curves(
            case.model,
            case.explanation.image,
            maps[score.index].positions(),
            layer=case.name,
            label=score.index,
            steps=_STEPS,
            orders=_ORDERS,
            seed=case.seed,
            tail=case.tail,
        )
        for score in case.scores
    }


def _removals(case: Case) -> Iterator[Evidence]:
    """Agreement of what was predicted with the removals that the experiments have measured."""
    groups = case.explanation.groups(case.name)
    strength = {
        "channel": case.values.sum((0, 1))[list(case.explanation.told[case.name])],
        "group": groups.magnitudes(),
        "position": case.strength.ravel(),
        "square": square_sums(case.strength).ravel(),
    }
    usual = len(groups.channels)
    for each in case.explanation.experiments:
        if each.layer != case.name or each.factor or (each.unit == "group" and each.groups != usual):
            continue
        if len(each.units) < 3:
            continue
        what = {
            "channel": f"Each of {len(each.units)} channels",
            "group": f"Each of {usual} groups",
            "position": "Each position",
            "square": "Each square of 3 × 3 positions",
        }[each.unit]
        for column, score in enumerate(case.explanation.classes):
            yield agreement(
                case.about(_PANELS[each.unit], score),
                f"agreement with removal of {each.unit}s",
                [(each.predicted[:, column], each.change[:, column])],
                [-strength[each.unit]],
                lambda value, control, what=what, score=score: (
                    f"{what} was removed and the rest of the network run again: what this predicted for {score.label} "
                    f"and what was measured correlate at {value}; mere strength of activation reaches {control}."
                ),
            )


def _random_sets(case: Case) -> Iterator[Evidence]:
    """Agreement of both kinds of maps with the removal of random sets of positions, which neither was made of."""
    maps, classic = (found[case.name] for found in (case.explanation.maps, case.explanation.attributions))
    pairs = [(Logit(score.index), None) for score in case.explanation.classes]
    sizes, sets, _ = case.sets.shape
    lost = measure_removals(case.tail, pairs, case.sets.reshape(sizes * sets, -1), batch_size=32)

    def sums(map_: np.ndarray) -> list[np.ndarray]:
        """What a map says of each set, size by size."""
        return [some @ map_.ravel().astype(float) for some in case.sets]

    for score, measured in zip(case.explanation.classes, lost.reshape(-1, sizes, sets), strict=True):
        usual = classic[score.index]
        for map_, which, more in (
            (maps[score.index], "this map", ""),
            (usual, f"the map of {usual.method} attribution", f", {usual.method}"),
        ):
            yield agreement(
                case.about("spatial", score),
                f"agreement with removal of random sets{more}",
                list(zip(sums(map_.positions()), measured, strict=True)),
                sums(case.strength),
                lambda value, control, which=which, score=score: (
                    f"{sizes * sets} random sets of positions were removed, a tenth, three tenths or half of all, "
                    f"that no map was made of. What {which} says that they add to {score.label} and what was "
                    f"measured correlate within a size at {value}; mere strength of activation reaches {control}."
                ),
            )


def _path(case: Case) -> Iterator[Evidence]:
    """Whether attribution along a path and at the photo alone tell the same."""
    other: Method = "linear" if case.method == "integrated" else "integrated"
    crossed = case.attribute(case.explanation.image, case.tail, other)
    for score, found in zip(case.scores, crossed, strict=True):
        yield _path_evidence(case, score, case.explanation.attributions[case.name][score.index], found)


def _path_evidence(case: Case, score: ClassScore, used: Attribution, other: Attribution) -> Evidence:
    value = correlation(used.positions(), other.positions())
    control = correlation(case.strength, other.positions())
    how = "along a path from nothing to the photo" if other.method == "integrated" else "at the photo alone"
    return Evidence(
        about=case.about("spatial", score),
        name="independence of the path",
        value=round(value, 4),
        control=round(control, 4),
        sentence=(
            f"The map of {used.method} attribution and the same computed {how} correlate at {as_said(value)}; where "
            f"that is far below 1, how much a place adds depends on what else is there. Mere strength of activation "
            f"reaches {as_said(control)}."
        ),
    )
