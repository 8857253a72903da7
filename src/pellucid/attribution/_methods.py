"""Mean gradients of targets along a path in a layer's own space, in batches."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..record import Tail
from ..targets import Target
from ._relaxed import RelaxedMaxPools
from ._strength import strength


@dataclass(frozen=True, eq=False)
class Path:
    """Points b + t · (h − b) between a baseline b and what the layer does, h, with a weight for each.

    Args:
        places: t, in [0, 1].
        weights: of their gradients, summing to 1.
        baseline: b, [1, channels, rows, columns], or `None` for zero.
        kept: [points, 1, rows, columns]: what the positions are multiplied with, or `None`.
    """

    places: tuple[float, ...]
    weights: tuple[float, ...]
    baseline: Tensor | None = None
    kept: Tensor | None = None

    def points(self, grid: Tensor, numbers: Sequence[int]) -> Tensor:
        """Some of the points, [n, channels, rows, columns]."""
        at = torch.tensor([self.places[number] for number in numbers]).to(grid)[:, None, None, None]
        if self.kept is not None:
            at = at * self.kept[list(numbers)].to(grid)
        return at * grid if self.baseline is None else self.baseline + at * (grid - self.baseline)


LINEAR_PATH = Path((1.0,), (1.0,))


def zero_path(steps: int) -> Path:
    """k / N for k = 1…N, of equal weight, from zero."""
    return Path(tuple(np.arange(1, steps + 1) / steps), (1 / steps,) * steps)


def gauss_path(steps: int, baseline: Tensor) -> Path:
    """The points of Gauss and Legendre, which integrate polynomials up to degree 2N − 1 exactly."""
    places, weights = np.polynomial.legendre.leggauss(steps)
    return Path(tuple((places + 1) / 2), tuple(weights / 2), baseline)


def sampled_path(steps: int, rows: int, columns: int) -> Path:
    """The layer with a random half to none of its positions set to zero, always the same for a size."""
    generator = torch.Generator().manual_seed(0)
    kept = (torch.arange(steps) + steps + 0.5) / (2 * steps)
    drawn = torch.rand(steps, 1, rows, columns, generator=generator) < kept[:, None, None, None]
    return Path((1.0,) * steps, (1 / steps,) * steps, kept=drawn)


@torch.enable_grad()
def mean_gradients(
    tail: Tail,
    pairs: Sequence[tuple[Target, Target | None]],
    path: Path,
    *,
    batch_size: int = 32,
    relaxed: bool = False,
) -> Iterator[Tensor]:
    """For each pair, the weighted mean over the path of the gradient of target − versus: [channels, rows, columns].

    Where the path has one point, many targets share a backward pass, each with a copy of the grid; where it has
    many, they share the forward passes and each has backward passes of its own.
    """
    if len(path.places) == 1:
        for start in range(0, len(pairs), batch_size):
            some = pairs[start : start + batch_size]
            grids = path.points(tail.grid, [0] * len(some))
            leaf, outputs = _forward(tail, grids, relaxed)
            rows = ({name: grid[n : n + 1] for name, grid in outputs.items()} for n in range(len(some)))
            total = torch.stack([difference(*pair, row) for pair, row in zip(some, rows, strict=True)]).sum()
            yield from torch.autograd.grad(total, leaf)[0]
        return
    sums = [torch.zeros_like(tail.grid[0]) for _ in pairs]
    for start in range(0, len(path.places), batch_size):
        numbers = range(start, min(start + batch_size, len(path.places)))
        leaf, outputs = _forward(tail, path.points(tail.grid, numbers), relaxed)
        weights = torch.tensor([path.weights[number] for number in numbers]).to(leaf)
        for place, pair in enumerate(pairs):
            total = difference(*pair, outputs) @ weights
            (gradient,) = torch.autograd.grad(total, leaf, retain_graph=place + 1 < len(pairs))
            sums[place] += gradient.sum(0)
    yield from sums


def _forward(tail: Tail, grids: Tensor, relaxed: bool) -> tuple[Tensor, dict[str, Tensor]]:
    leaf = grids.detach().requires_grad_()
    with RelaxedMaxPools() if relaxed else nullcontext():
        return leaf, tail(leaf)


def difference(target: Target, versus: Target | None, grids: Mapping[str, Tensor]) -> Tensor:
    """The strength of a target less that of another, for each of n grids: [n]."""
    value = strength(target, grids)
    return value if versus is None else value - strength(versus, grids)
