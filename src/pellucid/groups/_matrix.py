"""From activations to the matrix that is factorized, one row for each position; and every complaint about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..models import Layer
from ..record import Activations


@dataclass(frozen=True, eq=False)
class Matrix:
    """The activations at every position of every image.

    Args:
        values: float32 [n · rows · columns, channels], on the device that the activations came on, divided by `scale`.
        grid: (n, rows, columns).
        scale: 1, except for numbers so large or small that their squares would leave float32.
        layer: where, or `None` for a bare array.
    """

    values: Tensor
    grid: tuple[int, int, int]
    scale: float
    layer: Layer | None

    @property
    def name(self) -> str:
        """What progress and messages call it."""
        return self.layer.name if self.layer else "activations"


def as_matrix(activations: Any, *, non_negative: bool) -> Matrix:
    """The matrix of some activations.

    Args:
        activations: `Activations` of a grid or token layer, or an array or tensor [n, rows, columns, channels] or
            [rows, columns, channels].
        non_negative: refuse negative numbers.

    Raises:
        InputError: another shape, numbers that are not finite, negative or all zero.
    """
    layer = activations.layer if isinstance(activations, Activations) else None
    if layer is not None and layer.kind == "vector":
        raise InputError(f"{layer.name} is a vector layer; groups need positions, so choose a grid or token layer.")
    grid = as_tensor(activations.values if isinstance(activations, Activations) else activations, "activations")
    if grid.ndim not in (3, 4) or 0 in grid.shape:
        raise InputError(
            f"activations have shape {list(grid.shape)}; give [rows, columns, channels] or "
            "[n, rows, columns, channels], none of them 0."
        )
    values = grid.reshape(-1, grid.shape[-1])
    low, high = (float(number) for number in torch.aminmax(values))
    where = layer.name if layer else "the activations"
    # NaN passes through aminmax; infinity is an extreme.
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{where} hold numbers that are not finite; look for NaN or overflow before this layer.")
    if low == high == 0:
        raise InputError(f"{where} are all zero, so there is nothing to divide into groups; choose another layer.")
    if non_negative and low < 0:
        raise InputError(
            f"{where} hold negative values (down to {low:.3g}), as those of a layer before a ReLU do; use method='pca' "
            "or the layer after the ReLU."
        )
    peak = max(-low, high)
    scale = 1.0 if 1e-6 < peak < 1e6 else peak
    rows, columns = grid.shape[-3:-1]
    return Matrix(
        values if scale == 1 else values / scale, (len(values) // (rows * columns), rows, columns), scale, layer
    )


def as_tensor(values: Any, name: str) -> Tensor:
    """float32, contiguous, detached, on its own device.

    Raises:
        InputError: it is not an array of numbers.
    """
    try:
        array = None if isinstance(values, Tensor) else np.ascontiguousarray(values)
        # torch warns of arrays that it must not write to, as memory-mapped ones are.
        tensor = values if array is None else torch.from_numpy(array if array.flags.writeable else array.copy())
        if tensor.is_complex():
            raise TypeError
        return tensor.detach().float().contiguous()
    except (TypeError, ValueError):
        raise InputError(f"{name} are {type(values).__name__}; give an array or tensor of real numbers.") from None


def checked_counts(counts: Iterable[int], matrix: Matrix) -> list[int]:
    """The numbers of groups, in ascending order and once each.

    Raises:
        InputError: none, one below 1 or not whole, or more than the matrix has positions or channels.
    """
    given = list(counts)
    if not given:
        raise InputError("no number of groups was given; give at least one, such as 6.")
    for count in given:
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise InputError(f"n_groups is {count!r}; give a whole number from 1.")
    positions, channels = matrix.values.shape
    most = max(given)
    if most > min(positions, channels):
        raise InputError(
            f"n_groups is {most}, more than {matrix.name} has positions ({positions}) or channels ({channels}); "
            f"give at most {min(positions, channels)}."
        )
    return sorted({int(count) for count in given})
