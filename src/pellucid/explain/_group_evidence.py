"""What groups of neurons tell of a layer: how much of it they hold, and how much of the decision they carry."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..groups import Groups
from ..record import Activations, Tail
from ..targets import LOGITS
from ..trust import Evidence
from ..trust._evidence import as_said
from ._analyse import divide
from ._case import Case

# So many times the channels are shuffled; the best of them is the control.
_SHUFFLES = 3
_SWEEPS = 60


@dataclass(frozen=True, eq=False)
class GroupTest:
    """Groups of a layer, beside as many of channels that do not belong together.

    Args:
        held: what the groups reconstruct: 1 less the length of what they leave over, as a share.
        held_control: the same for the best of the others.
        answers: float64 [2 + others, classes]: the logits for an empty layer, for the groups alone, and for each of the
            others alone.
    """

    held: float
    held_control: float
    answers: np.ndarray

    def carried(self, index: int, logit: float) -> tuple[float, float]:
        """How much of what the layer adds to a class the groups carry, and the best of the others.

        Args:
            index: of the class.
            logit: with all of the layer.
        """
        empty, *alone = self.answers[:, index].tolist()
        groups, *others = (_carried(each - empty, logit - empty) for each in alone)
        return groups, max(others)


def probe_groups(groups: Groups, values: np.ndarray, tail: Tail, seed: int) -> GroupTest:
    """What groups reconstruct, and what the network answers to that alone.

    The control is as many groups, found in the same activations after each channel's were shuffled among the positions,
    and placed on the photo as well as they can be: channels that do not belong together.

    Args:
        groups: of one photo.
        values: [rows, columns, channels]: what the layer does on it.
        tail: from the layer to the logits.
        seed: of the shuffling.
    """
    whole = groups.reconstruct()[0]
    others = [_control(values, tail, len(groups.channels), [seed, number]) for number in range(_SHUFFLES)]
    grids = np.stack([np.zeros_like(whole), whole, *others]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        answers = tail(torch.from_numpy(grids).to(tail.grid))[LOGITS].flatten(1).double().cpu().numpy()
    return GroupTest(1 - groups.error, max(1 - _missed(other, values) for other in others), answers)


def group_evidence(case: Case) -> Iterator[Evidence]:
    """What the groups that are shown first reconstruct, and what the network answers to that alone."""
    groups = case.explanation.groups(case.name)
    found = probe_groups(groups, case.values, case.tail, case.seed)
    count = f"{len(groups.channels)} groups"
    yield Evidence(
        about=case.about("groups"),
        name="reconstruction by the groups",
        value=round(found.held, 4),
        control=round(found.held_control, 4),
        sentence=(
            f"The {count} leave over {1 - found.held:.0%} of the activations, by their length. As many groups that "
            f"were found with each channel shuffled among the positions, so that none belong together, leave over "
            f"{1 - found.held_control:.0%}."
        ),
    )
    for score in case.scores:
        attribution = case.explanation.attributions[case.name][score.index]
        said, total = float(attribution.by_group(groups).sum()), attribution.total
        value, control = found.carried(score.index, score.logit)
        empty, with_groups = found.answers[:2, score.index].tolist()
        yield Evidence(
            about=case.about("groups", score),
            name="logit carried by the groups",
            value=round(value, 4),
            control=round(control, 4),
            sentence=(
                f"The rest of the network was run on the {count} alone: the logit of {score.label} is "
                f"{as_said(with_groups)}, with all of the layer {as_said(score.logit)}, with an empty one "
                f"{as_said(empty)}. By {attribution.method} attribution, the groups add {as_said(said)} of "
                f"{as_said(total)}. The best of {_SHUFFLES} sets of as many groups of shuffled channels carries "
                f"{as_said(control)} of what the layer adds."
            ),
        )


def _carried(part: float, whole: float) -> float:
    """How near what a part adds is to what the whole adds: 1 the same, 0 nothing, −1 the opposite."""
    return 1 - abs(part - whole) / max(abs(part), abs(whole), 1e-12)


def _control(values: np.ndarray, tail: Tail, count: int, seed: list[int]) -> np.ndarray:
    """What groups of channels that do not belong together can hold of the layer: [rows, columns, channels]."""
    rows, columns, channels = values.shape
    flat = values.reshape(-1, channels)
    order = np.random.default_rng(seed).random(flat.shape).argsort(0)
    shuffled = np.take_along_axis(flat, order, 0).reshape(1, rows, columns, channels)
    found: Groups = divide(Activations(tail.layer, shuffled), [count], seed[0])[count]
    return (_placed(flat, found.channels) @ found.channels).reshape(rows, columns, channels).astype(np.float32)


def _placed(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """[positions, groups]: how much of each group is at each position, none of it negative, with the least error.

    Coordinate descent, which is exact for one group and for groups that share no channel.

    Args:
        values: [positions, channels].
        vectors: [groups, channels], each of length 1 or 0.
    """
    found = np.zeros((len(values), len(vectors)))
    aim, alike = values @ vectors.T.astype(float), vectors.astype(float) @ vectors.T
    for _ in range(_SWEEPS):
        for group in range(len(vectors)):
            better = found[:, group] + aim[:, group] - found @ alike[:, group]
            found[:, group] = np.maximum(better, 0)
    return found


def _missed(part: np.ndarray, whole: np.ndarray) -> float:
    return float(np.linalg.norm(whole - part) / np.linalg.norm(whole))
