"""What can be taken away from a layer, and how: a channel, a neuron, a place, a group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, TargetError
from ..models import Model
from ..targets import Channel, Group, Neuron, Position, parse_target


@dataclass(frozen=True)
class Region:
    """A rectangle of positions of a layer, all channels of them.

    Args:
        row, column: its first position, from 0.
        rows, columns: how many.
    """

    row: int
    column: int
    rows: int = 1
    columns: int = 1

    def __str__(self) -> str:
        if (self.rows, self.columns) == (1, 1):
            return f"{self.row},{self.column}"
        return f"{self.row}–{self.row + self.rows - 1},{self.column}–{self.column + self.columns - 1}"


Unit = Channel | Neuron | Region | Group
Fill = Literal["zero", "mean"]


def as_unit(model: Model, layer: str, value: Any, grid: Tensor) -> Unit:
    """The unit that a value names, checked against the layer's grid.

    Args:
        layer: its name.
        value: a `Channel`, `Neuron`, `Position`, `Region` or `Group`; a channel's number; a text (`mixed4d:426`,
            `mixed4d:426@4,1`, `mixed4d@4,1`); (row, column); or (groups, index), where groups have `.spatial`
            [1, rows, columns, k] and `.channels` [k, channels].
        grid: what the layer gives, [1, channels, rows, columns].

    Raises:
        TargetError: the layer has no such unit.
        InputError: the value is nothing of that kind.
    """
    if isinstance(value, str):
        value = parse_target(value)
    if isinstance(value, int | np.integer):
        value = Channel(layer, int(value))
    if isinstance(value, tuple) and len(value) == 2:
        first, second = value
        if hasattr(first, "spatial"):
            value = _group(layer, first, int(second), grid)
        elif isinstance(first, int | np.integer) and isinstance(second, int | np.integer):
            value = Position(layer, int(first), int(second))
    if isinstance(value, Region):
        return _check_region(layer, value, grid)
    if not isinstance(value, Channel | Neuron | Position | Group):
        raise InputError(
            f"cannot remove {str(value)[:60]!r}; give a channel ({layer}:0), a position (row, column), a Region, a "
            "Group, or (groups, index)."
        )
    value = model.check(value)
    if value.layer != layer:
        raise TargetError(f"{value} is in {value.layer}; an intervention is in one layer, here {layer}.")
    rows, columns = grid.shape[2:]
    if isinstance(value, Position):
        return _check_region(layer, Region(_index(value.row, rows), _index(value.column, columns)), grid)
    if isinstance(value, Neuron):
        row = rows // 2 if value.row is None else _index(value.row, rows)
        column = columns // 2 if value.column is None else _index(value.column, columns)
        _check_region(layer, Region(row, column), grid)
        return Neuron(layer, value.index, row, column)
    if isinstance(value, Group):
        if value.mask is not None and (len(value.mask), len(value.mask[0])) != (rows, columns):
            raise TargetError(f"the mask of {value} does not fit {layer}, which is {rows}×{columns} on this image.")
        return value
    assert isinstance(value, Channel)
    return value


def named_layer(values: Sequence[Any]) -> str:
    """The layer that the first of some units to name one names.

    Raises:
        InputError: none does.
    """
    for value in values:
        target = parse_target(value) if isinstance(value, str) else value
        if isinstance(target, tuple) and len(target) == 2 and getattr(target[0], "layer", None) is not None:
            return target[0].layer.name
        if isinstance(target, Channel | Neuron | Position | Group):
            return target.layer
    raise InputError("no unit names its layer; say layer='mixed4d', or write a unit as 'mixed4d:426'.")


def every_unit(kind: str, grid: Tensor) -> list[Unit]:
    """All units of a kind in the order of a flattened array.

    Args:
        kind: `positions`; `squares`, of 3 × 3 positions around each, cut at the edge; or `channels`.
        grid: [1, channels, rows, columns].

    Raises:
        InputError: another kind.
    """
    channels, rows, columns = grid.shape[1:]
    if kind == "channels":
        return [Channel("", index) for index in range(channels)]
    if kind not in ("positions", "squares"):
        raise InputError(f"no units called {kind!r}; choose positions, squares or channels, or give a list of units.")
    reach = 1 if kind == "squares" else 0

    def around(at: int, length: int) -> tuple[int, int]:
        first = max(at - reach, 0)
        return first, min(at + reach + 1, length) - first

    spans = [[around(at, length) for at in range(length)] for length in (rows, columns)]
    return [Region(top, left, height, width) for top, height in spans[0] for left, width in spans[1]]


def scale_unit(grid: Tensor, whole: Tensor, unit: Unit, factor: float, fill: Fill) -> None:
    """Move a unit of `grid` towards nothing (factor 0) or beyond what it is (above 1), in place.

    Args:
        grid: [channels, rows, columns].
        whole: the same before any unit was touched: means are taken of it.
        unit: as `as_unit` gives it.
        factor: what is left of the unit.
        fill: what stands for nothing: zero, or the mean over the layer's positions.
    """
    mean = whole.mean((1, 2)) if fill == "mean" else torch.zeros_like(whole[:, 0, 0])
    match unit:
        case Channel(_, index):
            grid[index] = mean[index] + factor * (grid[index] - mean[index])
        case Neuron(_, index, row, column):
            grid[index, row, column] = mean[index] + factor * (grid[index, row, column] - mean[index])
        case Region(row, column, rows, columns):
            part = grid[:, row : row + rows, column : column + columns]
            part.copy_(mean[:, None, None] + factor * (part - mean[:, None, None]))
        case Group():
            part = part_of(unit, whole)
            if fill == "mean":
                part = part - part.mean((1, 2), keepdim=True)
            grid += (factor - 1) * part
            if whole.min() >= 0:  # after a ReLU there is no less than nothing
                grid.clamp_(min=0)


def part_of(group: Group, whole: Tensor) -> Tensor:
    """What a group adds to the layer, [channels, rows, columns]: mask ⊗ vector; without a mask, the projection."""
    vector = torch.tensor(group.vector).to(whole)
    if group.mask is not None:
        return vector[:, None, None] * torch.tensor(group.mask).to(whole)
    along = torch.einsum("chw,c->hw", whole, vector) / vector.square().sum().clamp(min=1e-24)
    return vector[:, None, None] * along


def _group(layer: str, groups: Any, index: int, grid: Tensor) -> Group:
    spatial, channels = np.asarray(groups.spatial), np.asarray(groups.channels)
    if not 0 <= index < len(channels):
        raise TargetError(f"no group {index}; there are {len(channels)}, numbered from 0.")
    want = (1, *grid.shape[2:], len(channels))
    if spatial.shape != want:
        raise InputError(f"groups have spatial factors {list(spatial.shape)}, expected {list(want)} for this image.")
    return Group(layer, channels[index], spatial[0, :, :, index])  # type: ignore[arg-type]  # it makes tuples of them


def _index(place: int, length: int) -> int:
    return place + length if -length <= place < 0 else place


def _check_region(layer: str, region: Region, grid: Tensor) -> Region:
    rows, columns = grid.shape[2:]
    inside = region.row >= 0 and region.column >= 0 and region.rows > 0 and region.columns > 0
    if not inside or region.row + region.rows > rows or region.column + region.columns > columns:
        raise TargetError(f"{layer} has no position {region} on this image: it is {rows}×{columns}.")
    return region
