"""The number that a target stands for, given what the layers do."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import TargetError
from ..models import Model
from ..targets import LOGITS, Channel, Direction, Group, Logit, Neuron, Position, Target, parse_target


def as_target(model: Model, value: Target | str | int) -> Target:
    """The target checked against a model: a text may also be a label, a number is a class.

    Raises:
        TargetError: it names nothing in the model; the message names the nearest.

    Example:
        >>> as_target(model, 3), as_target(model, "8:2")
        (Logit(label=3), Channel(layer='8', index=2))
    """
    if isinstance(value, int | np.integer):
        return Logit(model.class_index(int(value)))
    if not isinstance(value, str):
        return model.check(value)
    labels = {label.casefold() for label in model.labels or ()}
    is_label = value.strip().casefold() in labels or not (":" in value or "@" in value)
    return Logit(model.class_index(value)) if is_label else model.check(parse_target(value))


def layer_of(target: Target) -> str:
    """The layer that a target's strength is read from."""
    return LOGITS if isinstance(target, Logit) else target.layer


def check_place(target: Target, grid: Tensor) -> Target:
    """The target, if its position or mask lies on `grid` [1, channels, rows, columns].

    Raises:
        TargetError: it does not.
    """
    rows, columns = grid.shape[2:]
    if isinstance(target, Group):
        if target.mask is not None and (len(target.mask), len(target.mask[0])) != (rows, columns):
            raise TargetError(
                f"the mask of a group is {len(target.mask)}×{len(target.mask[0])}, "
                f"and {target.layer} {rows}×{columns} on this image."
            )
    elif isinstance(target, Position | Neuron | Direction):
        row, column = target.row or 0, target.column or 0
        if not (-rows <= row < rows and -columns <= column < columns):
            raise TargetError(f"{target.layer} has no position {row},{column} on this image: it is {rows}×{columns}.")
    return target


def strength(target: Target, grids: Mapping[str, Tensor]) -> Tensor:
    """How strong a target is for each of n grids: [n].

    A logit; a channel's mean over positions; a neuron; h · v, averaged over positions or at one; ‖h‖ at a position;
    the projection on a group. What can be rendered is measured as its objective measures it.

    Args:
        target: checked against the model.
        grids: for the target's layer, [n, channels, rows, columns].

    Example:
        >>> strength(pellucid.Channel("8", 1), {"8": torch.ones(2, 10, 4, 4)})
        tensor([1., 1.])
    """
    grid = grids[layer_of(target)]
    middle = (grid.shape[2] // 2, grid.shape[3] // 2)
    match target:
        case Logit(label):
            return grid[:, int(label), 0, 0]
        case Channel(_, index):
            return grid[:, index].mean((1, 2))
        case Neuron(_, index, row, column):
            return grid[:, index, middle[0] if row is None else row, middle[1] if column is None else column]
        case Position(_, row, column):
            return grid[:, :, row, column].norm(dim=1)
        case Direction(_, vector, row, column, power, centred):
            weight = _like(grid, vector)
            if row is None and centred:
                row, column = middle
            at = grid if row is None else grid[:, :, row, column][:, :, None, None]
            dot = torch.einsum("nchw,c->nhw", at, weight)
            if power:
                cosine = dot / (at.norm(dim=1) * weight.norm()).clamp(min=1e-12)
                dot = dot * cosine.clamp(min=0.1) ** power
            return dot.mean((1, 2))
        case Group(_, vector, mask):
            weight = _like(grid, vector)
            where = torch.ones_like(grid[0, 0]) if mask is None else _like(grid, mask)
            scale = (weight.norm() * where.norm()).clamp(min=1e-12)
            return torch.einsum("nchw,c,hw->n", grid, weight, where) / scale


def _like(grid: Tensor, values: Sequence) -> Tensor:
    return torch.tensor(values, dtype=grid.dtype, device=grid.device)
