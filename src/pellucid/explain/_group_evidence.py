"""What groups of neurons tell of a layer: how much of it they hold, and how much of the decision they carry."""

from collections.abc import Iterator

import numpy as np
import torch

from ..groups import Groups
from ..record import Activations
from ..targets import LOGITS
from ..trust import Evidence
from ..trust._evidence import as_said
from ._analyse import divide
from ._case import Case

# So many times the channels are shuffled; the best of them is the control.
_SHUFFLES = 3
_SWEEPS = 60


def group_evidence(case: Case) -> Iterator[Evidence]:
    """What the groups that are shown first reconstruct, and what the network answers to that alone.

    The control is as many groups, found in the same activations after each channel's were shuffled among the positions,
    and placed on the photo as well as they can be: channels that do not belong together.
    """
    groups = case.explanation.groups(case.name)
    whole = groups.reconstruct()[0]
    others = [_control(case, len(groups.channels), number) for number in range(_SHUFFLES)]
    held, controls = 1 - groups.error, [1 - _missed(other, case.values) for other in others]
    count = f"{len(groups.channels)} groups"
    yield Evidence(
        about=case.about("groups"),
        name="reconstruction by the groups",
        value=round(held, 4),
        control=round(max(controls), 4),
        sentence=(
            f"The {count} leave over {1 - held:.0%} of the activations, by their length. As many groups that were "
            f"found with each channel shuffled among the positions, so that none belong together, leave over "
            f"{1 - max(controls):.0%}."
        ),
    )
    grids = np.stack([np.zeros_like(whole), whole, *others])
    with torch.no_grad():
        answers = case.tail(torch.from_numpy(grids.transpose(0, 3, 1, 2)))[LOGITS].flatten(1).double().cpu().numpy()
    for score in case.scores:
        attribution = case.explanation.attributions[case.name][score.index]
        said, total = float(attribution.by_group(groups).sum()), attribution.total
        empty, with_groups, *with_others = answers[:, score.index].tolist()
        adds = score.logit - empty
        control = max(_carried(other - empty, adds) for other in with_others)
        yield Evidence(
            about=case.about("groups", score),
            name="logit carried by the groups",
            value=round(_carried(with_groups - empty, adds), 4),
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


def _control(case: Case, count: int, number: int) -> np.ndarray:
    """What groups of channels that do not belong together can hold of the layer: [rows, columns, channels]."""
    rows, columns, channels = case.values.shape
    flat = case.values.reshape(-1, channels)
    order = np.random.default_rng([case.seed, number]).random(flat.shape).argsort(0)
    shuffled = np.take_along_axis(flat, order, 0).reshape(1, rows, columns, channels)
    found: Groups = divide(Activations(case.model.layer(case.name), shuffled), [count], case.seed)[count]
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
