"""Cells: the square divided into a grid, and the activations of each cell summed up."""

from dataclasses import dataclass

import numpy as np
import torch

from ._vectors import Vectors

EXEMPLARS = 9


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one grid that hold enough activations.

    Args:
        columns, rows: cells side by side and one above the other.
        places: int32 [n, 2]: column and row of each.
        counts: int64 [n]: activations in each.
        means: float32 [n, channels]: their mean.
        attribution: float32 [n, classes]: the mean of what they argue for; zeros where nothing is known.
        attributed: int64 [n]: over how many activations that mean is.
        exemplars: int64 [n, 9]: numbers of the activations most like the mean, of different images; -1 where there
            are fewer.
    """

    columns: int
    rows: int
    places: np.ndarray
    counts: np.ndarray
    means: np.ndarray
    attribution: np.ndarray
    attributed: np.ndarray
    exemplars: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    def lists(self) -> dict[str, np.ndarray]:
        """The arrays that have an entry for each cell, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name, for a file."""
        return {**self.lists(), "shape": np.asarray([self.columns, self.rows], np.int32)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Cells":
        """What `arrays` gave."""
        columns, rows = arrays["shape"].tolist()
        return cls(columns, rows, **{name: value for name, value in arrays.items() if name != "shape"})

    def number_at(self, column: int, row: int) -> int | None:
        """The place of a cell in the lists, or `None` where there is no cell."""
        found = np.flatnonzero((self.places == (column, row)).all(1))
        return int(found[0]) if len(found) else None


def cell_of(positions: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """The cell of each position, row · columns + column, int32 [n]; -1 outside the square.

    A cell has the edges at its left and top and not those at its right and bottom, so that each position has one.

    Example:
        >>> cell_of(np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.2]]), 2, 2).tolist()
        [0, 1, -1]
    """
    column = np.floor(positions[:, 0] * columns).astype(np.int64)
    row = np.floor(positions[:, 1] * rows).astype(np.int64)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    return np.where(inside, row * columns + column, -1).astype(np.int32)


def sum_up(
    vectors: Vectors, cells: np.ndarray, columns: int, rows: int, *, least: int, numbers: np.ndarray | None = None
) -> Cells:
    """The cells that hold at least `least` activations, the vectors being read a file at a time.

    Args:
        cells: int32 [vectors]: the cell of each, -1 for none.
        columns, rows: of the grid.
        least: a cell of fewer is left out; where none has as many, the fullest is kept.
        numbers: which vectors these are, rising; by default all.
    """
    counts = np.bincount(cells[cells >= 0], minlength=columns * rows)
    if counts.max(initial=0) < least:
        least = max(1, int(counts.max(initial=0)))
    kept = np.flatnonzero(counts >= least)
    place = np.full(columns * rows + 1, -1, np.int64)  # the last entry serves cell -1
    place[kept] = np.arange(len(kept))
    every = np.full(len(vectors), -1, np.int64)
    every[slice(None) if numbers is None else numbers] = place[cells]

    sums = torch.zeros((len(kept), vectors.channels), dtype=torch.float64)
    for start, part in vectors.parts():
        mine = every[start : start + len(part)]
        inside = np.flatnonzero(mine >= 0)
        if len(inside):
            sums.index_add_(0, torch.from_numpy(mine[inside]), torch.from_numpy(part[inside]).double())
    means = (sums.numpy() / np.maximum(counts[kept], 1)[:, None]).astype(np.float32)

    argued = np.zeros((len(kept), vectors.classes), np.float64)
    attributed = np.zeros(len(kept), np.int64)
    for known, attribution in vectors.attributions():
        mine = every[known]
        inside = np.flatnonzero(mine >= 0)
        np.add.at(attributed, mine[inside], 1)
        target = torch.from_numpy(argued)
        target.index_add_(0, torch.from_numpy(mine[inside]), torch.from_numpy(attribution[inside]).double())
    return Cells(
        columns=columns,
        rows=rows,
        places=np.stack([kept % columns, kept // columns], 1).astype(np.int32),
        counts=counts[kept].astype(np.int64),
        means=means,
        attribution=(argued / np.maximum(attributed, 1)[:, None]).astype(np.float32),
        attributed=attributed,
        exemplars=_exemplars(vectors, every, means),
    )


def _exemplars(vectors: Vectors, cells: np.ndarray, means: np.ndarray) -> np.ndarray:
    """[cells, 9]: the activations most like the mean of their cell, the most alike first, one of each image."""
    likeness = np.full(len(vectors), -np.inf, np.float32)
    image = np.zeros(len(vectors), np.int64)
    units = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    for place, ((start, part), (_, pictures)) in enumerate(zip(vectors.parts(), vectors.parts("image"), strict=True)):
        mine = cells[start : start + len(part)]
        inside = np.flatnonzero(mine >= 0)
        chosen = part[inside].astype(np.float32)
        length = np.maximum(np.linalg.norm(chosen, axis=1), 1e-9)
        likeness[start + inside] = np.einsum("nc,nc->n", chosen, units[mine[inside]]) / length
        # Images are numbered within their source; no two shards hold the same one.
        image[start : start + len(part)] = (np.int64(place) << 32) + pictures
    order = np.lexsort((-likeness, cells))
    order = order[cells[order] >= 0]
    # The best of each image in its cell comes first in this order; later ones are dropped.
    pair = np.stack([cells[order], image[order]], 1)
    _, first = np.unique(pair, axis=0, return_index=True)
    order = order[np.sort(first)]
    rank = np.arange(len(order)) - np.searchsorted(cells[order], cells[order])
    found = np.full((len(means), EXEMPLARS), -1, np.int64)
    near = rank < EXEMPLARS
    found[cells[order[near]], rank[near]] = order[near]
    return found
