"""What a factorization gives: where each group fires, and which channels it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import TargetError
from ..figures import maps
from ..models import Layer
from ._matrix import Matrix

# Rows at a time while the residual is measured.
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Groups:
    """A layer's activations as a sum of groups, each a spatial factor times a channel factor.

    Args:
        layer: where; `None` for a bare array.
        method: `nmf`, `pca` or `aligned`.
        spatial: float32 [n, rows, columns, k], in units of the activations: how strongly each group
            fires at each place.
        channels: float32 [k, channels], each of length 1 (all zeros for a group of magnitude 0): the direction that a
            group's icon shows.
        error: ‖activations − reconstruction‖ / ‖activations‖, from 0 (exact) to 1.
    """

    layer: Layer | None
    method: str
    spatial: np.ndarray
    channels: np.ndarray
    error: float

    def __repr__(self) -> str:
        where = f"{self.layer.name} " if self.layer else ""
        return f"<Groups {where}{self.method} {len(self.channels)}, error {self.error:.3f}>"

    def magnitudes(self) -> np.ndarray:
        """‖spatial factor‖ · ‖channel factor‖ of each group: float32 [k], in units of the activations."""
        # In float64, where the squares of no float32 are lost.
        spatial = np.linalg.norm(self.spatial.reshape(-1, len(self.channels)).astype(np.float64), axis=0)
        return (spatial * np.linalg.norm(self.channels, axis=1)).astype(np.float32)

    def reconstruct(self) -> np.ndarray:
        """The sum of all groups: float32 [n, rows, columns, channels]."""
        return self.spatial @ self.channels

    def picture(
        self,
        photo: Any,
        *,
        image: int = 0,
        order: Sequence[int] | None = None,
        captions: Sequence[object] | None = None,
        columns: int | None = None,
        side: int = 192,
    ) -> Image.Image:
        """Where each group fires on a photo, as one RGB Pillow image with captions; each map has a scale of its own.

        Args:
            photo: a Pillow image, or an array [channels, height, width] in [0, 1].
            image: which of the n images it is.
            order: numbers of the groups to show; by default all.
            captions: one for each group shown; by default its number.
            columns, side: maps in a row, and the longer side of each, px.

        Raises:
            TargetError: no such group.
            InputError: other captions than groups, or a side or number of columns below 1.

        Example:
            >>> groups = pellucid.factorize(pellucid.record(model, image[None], "8")["8"], 3)
            >>> groups.picture(image, side=100).size
            (316, 120)
        """
        chosen = [self._checked(group) for group in (range(len(self.channels)) if order is None else order)]
        values = [self.spatial[image, :, :, group] for group in chosen]
        return maps(photo, values, captions or [f"group {group}" for group in chosen], columns=columns, side=side)

    def part(self, group: int) -> np.ndarray:
        """What one group adds to the reconstruction: float32 [n, rows, columns, channels].

        Args:
            group: its number, from 0.

        Raises:
            TargetError: no such group.

        Example:
            >>> import numpy as np
            >>> groups = pellucid.factorize(np.random.default_rng(0).random((5, 5, 8)), 2)
            >>> bool(np.allclose(groups.part(0) + groups.part(1), groups.reconstruct(), atol=1e-5))
            True
        """
        return self.spatial[..., self._checked(group), None] * self.channels[group]

    def _checked(self, group: int) -> int:
        if not 0 <= group < len(self.channels):
            raise TargetError(f"no group {group}; there are {len(self.channels)}, numbered from 0.")
        return int(group)


def as_groups(matrix: Matrix, w: Tensor, h: Tensor, *, method: str, ordered: bool = True) -> Groups:
    """The groups that two factors make, their channel factors brought to length 1.

    Args:
        matrix: what was factorized.
        w, h: [k, positions], [k, channels].
        method: what `Groups` says of itself.
        ordered: the largest magnitude first; else as they come.
    """
    lengths = h.norm(dim=1, keepdim=True)
    h = h / lengths.clamp_min(1e-30)
    w = w * lengths
    if ordered:
        order = w.norm(dim=1).sort(descending=True, stable=True).indices
        w, h = w[order], h[order]
    error = _relative_error(matrix.values, w, h)
    spatial = (w.T * matrix.scale).reshape(*matrix.grid, len(h))
    return Groups(matrix.layer, method, spatial.contiguous().cpu().numpy(), h.cpu().numpy(), error)


def _relative_error(values: Tensor, w: Tensor, h: Tensor) -> float:
    """‖values − Wᵀ·H‖ / ‖values‖; the difference is formed, so that small errors are not lost to rounding."""
    missed, total = 0.0, 0.0
    for start in range(0, len(values), _BLOCK):
        rows = values[start : start + _BLOCK]
        missed += float(torch.addmm(rows, w[:, start : start + _BLOCK].T, h, alpha=-1).square().sum())
        total += float(rows.square().sum())
    return (missed / total) ** 0.5
