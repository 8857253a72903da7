"""The collected activation vectors of a layer, read a piece at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ._collect import STAGE, Shard
from ._folder import Folder


@dataclass(frozen=True, eq=False)
class Vectors:
    """Every activation vector of one layer, over all shards, numbered in their order.

    Args:
        folder: of the atlas.
        keys: of the layer's files.
        starts: number of the first vector of each file, and of all vectors at the end.
        channels: of the layer.
        classes: of the model; 0 where no attribution is known.
    """

    folder: Folder
    keys: tuple[str, ...]
    starts: tuple[int, ...]
    channels: int
    classes: int

    def __len__(self) -> int:
        return self.starts[-1]

    def parts(self, name: str = "values") -> Iterator[tuple[int, np.ndarray]]:
        """Number of the first vector and an array of every file, one after another."""
        for start, key in zip(self.starts, self.keys, strict=False):
            with self.folder.opened(STAGE, key) as file:
                yield start, file.get_tensor(name)

    def attributions(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of the vectors whose attribution is known, and it, [n, classes], file by file."""
        for start, key in zip(self.starts, self.keys, strict=False):
            with self.folder.opened(STAGE, key) as file:
                if "attribution" in file.keys():  # noqa: SIM118
                    yield start + file.get_tensor("attributed").astype(np.int64), file.get_tensor("attribution")

    def take(self, numbers: np.ndarray, name: str = "values") -> np.ndarray:
        """Rows of an array by the vectors' numbers."""
        numbers = np.asarray(numbers, np.int64)
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], self.starts)
        made: np.ndarray | None = None
        for place, key in enumerate(self.keys):
            rows = order[bounds[place] : bounds[place + 1]]
            if not len(rows):
                continue
            with self.folder.opened(STAGE, key) as file:
                found = file.get_tensor(name)[numbers[rows] - self.starts[place]]
            if made is None:
                made = np.empty((len(numbers), *found.shape[1:]), found.dtype)
            if found.dtype.itemsize > made.dtype.itemsize:
                made = made.astype(found.dtype)
            made[rows] = found
        return made if made is not None else np.empty((0, self.channels), np.float16)


def vectors_of(folder: Folder, shards: Sequence[Shard], place: int) -> Vectors:
    """The vectors of the layer at `place` of the settings."""
    starts, channels, classes = [0], 0, 0
    keys = tuple(shard.keys[place] for shard in shards)
    for key in keys:
        with folder.opened(STAGE, key) as file:
            length, channels = file.get_slice("values").get_shape()
            if "attribution" in file.keys():  # noqa: SIM118
                classes = file.get_slice("attribution").get_shape()[1]
        starts.append(starts[-1] + length)
    return Vectors(folder, keys, tuple(starts), channels, classes)
