"""What an attribution is: a gradient, what it is multiplied with, and the sums over atoms."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError, TargetError
from ..figures import overlay
from ..models import Layer
from ..targets import Logit, Target


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each unit of a layer adds to a target, on one image.

    `values` are rounded to multiples of a power of two, 2^-30 of the largest or finer in layers of up to 4 million
    numbers, so that in float64 their sums carry no error: the sums over positions, channels, or groups and their
    remainder are the same number, to the last bit.

    Args:
        layer: where.
        target: what is explained; a class by its number.
        versus: what is subtracted from it, or `None`.
        method: how, see `attribute`.
        gradient: float32 [rows, columns, channels]: what stands for ∂target/∂h in this method.
        activations: float32 [rows, columns, channels]: what it is multiplied with, h itself or h less a baseline.
    """

    layer: Layer
    target: Target
    versus: Target | None
    method: str
    gradient: np.ndarray
    activations: np.ndarray

    def __repr__(self) -> str:
        return f"<Attribution of {self.title} to {self.layer.name}, {self.method}: {self.total:.4g}>"

    @property
    def title(self) -> str:
        """The target as text: `logits:208`, `logits:208 − logits:281`."""
        return str(self.target) if self.versus is None else f"{self.target} − {self.versus}"

    @property
    def class_index(self) -> int | None:
        """The class's number, where the target is a class."""
        return int(self.target.label) if isinstance(self.target, Logit) else None

    @cached_property
    def values(self) -> np.ndarray:
        """float32 [rows, columns, channels], in units of the target; positive supports it."""
        if self.method == "gradient":
            return _rounded(self.gradient, self._unit(self.gradient)).astype(np.float32)
        product = self.gradient.astype(np.float64) * self.activations
        return _rounded(product, self._unit(product)).astype(np.float32)

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self.values.sum(dtype=np.float64))

    def positions(self) -> np.ndarray:
        """The sum over channels: float64 [rows, columns].

        Raises:
            TargetError: the layer is a vector.
        """
        if self.layer.kind == "vector":
            raise TargetError(f"{self.layer.name} is a vector and has no positions; by_channel() sums its channels.")
        return self.values.sum(2, dtype=np.float64)

    def picture(self, photo: Any, *, limit: float | None = None, side: int | None = None) -> Image.Image:
        """`positions` over the photo, as one RGB Pillow image: teal argues for the target, orange against it.

        Args:
            photo: what it is about: a Pillow image, or an array [channels, height, width] in [0, 1].
            limit: the value of full colour; by default the largest that there is. Give it to compare maps.
            side: the longer side of the picture, px; by default the photo's, but 192 at least.

        Raises:
            TargetError: the layer is a vector.

        Example:
            >>> pellucid.attribute(model, image, layer="8", target=3).picture(image, side=128).size
            (128, 128)
        """
        return overlay(photo, self.positions(), limit=limit, side=side)

    def by_channel(self) -> np.ndarray:
        """The sum over positions: float64 [channels]."""
        return self.values.sum((0, 1), dtype=np.float64)

    def by_group(self, groups: Any, *, image: int = 0) -> np.ndarray:
        """The sum over a group's part of the activations times the gradient, for each group: float64 [k].

        Args:
            groups: anything with `.spatial` [n, rows, columns, k] and `.channels` [k, channels].
            image: which of the n images this attribution is about.

        Raises:
            InputError: the groups are of another shape, or the method is `gradient`, which adds nothing up.
        """
        if self.method == "gradient":
            raise InputError("a plain gradient does not divide a target among groups; attribute with method='linear'.")
        spatial, channels = np.asarray(groups.spatial), np.asarray(groups.channels)
        rows, columns, count = self.gradient.shape
        if spatial.shape[1:] != (rows, columns, len(channels)) or channels.shape[1:] != (count,):
            raise InputError(
                f"groups have spatial factors {list(spatial.shape)} and channel factors {list(channels.shape)}, "
                f"expected [n, {rows}, {columns}, k] and [k, {count}]."
            )
        # Σ_p s_pk (g_p · v_k): the gradient meets the channel factors first, which never makes a group's whole part.
        slopes = self.gradient.reshape(-1, count).astype(np.float64) @ channels.T.astype(np.float64)
        sums = (slopes * spatial[image].reshape(-1, len(channels))).sum(0)
        return _rounded(sums, self._unit(self.values))

    def remainder(self, groups: Any, *, image: int = 0) -> float:
        """What the groups leave over: `by_group(groups).sum() + remainder(groups) == total`."""
        return float(self.total - self.by_group(groups, image=image).sum())

    @property
    def depends_on_position(self) -> bool:
        """Whether the gradient differs between positions.

        After a layer that is only averaged it does not: the map then tells where channels fire, and nothing about
        which places count more.
        """
        flat = self.gradient.reshape(-1, self.gradient.shape[2])
        spread = np.abs(flat - flat[:1]).max(initial=0)
        return bool(spread > 1e-5 * np.abs(flat).max(initial=0))

    def _unit(self, array: np.ndarray) -> float:
        """A power of 2 so large that sums of its multiples as large as these are exact in float64."""
        largest = float(np.abs(array).max(initial=0))
        bits = 52 - int(np.ceil(np.log2(max(array.size, 2))))
        return 2.0 ** (np.ceil(np.log2(largest)) - min(bits, 36)) if largest > 0 else 1.0


def _rounded(array: np.ndarray, unit: float) -> np.ndarray:
    return np.round(array.astype(np.float64) / unit) * unit
