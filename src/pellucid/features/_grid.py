"""Activation grids: a photo as a layer sees it, a small picture for each position."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from ..pictures import to_bytes, to_picture
from ..record import Activations

# How near an icon's object is cut out for a cell of a preview, which it should fill; see `cut_out`.
_CUT = 1.4


@dataclass(frozen=True, eq=False)
class ActivationGrid:
    """A picture for each position of a layer, side by side: what the layer sees there.

    Args:
        layer: name of the layer.
        image: float32 [rows·side, columns·side, channels], sRGB in [0, 1]: the cells without gaps.
        strength: float32 [rows, columns] in [0, 1]: norm of each position's activations, as a share of the largest.
        objective: float32 [steps]: mean projection of the cells on their directions at each step; empty for a preview.
        interrupted: whether Ctrl-C ended the work early.
        provenance: model and weights digest, every setting, seed, versions, seconds.
    """

    layer: str
    image: np.ndarray
    strength: np.ndarray
    objective: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    interrupted: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        rows, columns = self.strength.shape
        return f"<ActivationGrid {self.layer}: {rows}×{columns} cells of {self.side} px>"

    @property
    def side(self) -> int:
        """Height and width of a cell, px."""
        return self.image.shape[0] // self.strength.shape[0]

    @property
    def cells(self) -> np.ndarray:
        """The cells apart: float32 [rows, columns, side, side, channels], a view of `image`."""
        rows, columns = self.strength.shape
        return self.image.reshape(rows, self.side, columns, self.side, -1).swapaxes(1, 2)

    def sized(self, *, smallest: float = 0.08) -> np.ndarray:
        """The cells on white, the side of each in proportion to its strength: float32, the shape of `image`.

        Args:
            smallest: share of the full side that even the weakest cell keeps.

        Example:
            >>> ActivationGrid("6", np.zeros((64, 96, 3)), np.ones((2, 3))).sized().shape
            (64, 96, 3)
        """
        sheet, side = np.ones_like(self.image), self.side
        for (row, column), strength in np.ndenumerate(self.strength):
            length = max(1, round(side * max(smallest, float(strength))))
            picture = to_picture(self.cells[row, column]).resize((length, length), Image.Resampling.LANCZOS)
            pixels = np.asarray(picture, np.float32).reshape(length, length, -1) / 255
            top, left = row * side + (side - length) // 2, column * side + (side - length) // 2
            sheet[top : top + length, left : left + length] = pixels
        return sheet

    def _repr_png_(self) -> bytes:
        """The grid: what a notebook shows."""
        buffer = BytesIO()
        to_picture(self.image).save(buffer, "PNG")
        return buffer.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the grid as a picture, in the format that the name asks for (PNG, WebP, JPEG).

        Raises:
            InputError: the name has no ending that stands for a format of pictures.
        """
        try:
            to_picture(self.image).save(path)
        except ValueError:
            raise InputError(f"{path} names no format of pictures; end it in .png or .webp.") from None


def preview_grid(
    activations: Activations | np.ndarray,
    icons: np.ndarray,
    *,
    channels: Sequence[int],
    layer: str = "",
    side: int = 48,
    top: int = 1,
    power: float = 2.0,
) -> ActivationGrid:
    """A grid at once, from icons that were rendered before: each cell shows its strongest channel, or a blend of a few.

    Where an icon has opacity, its object is cut out, so that it fills the cell.

    Args:
        activations: of one image, [rows, columns, channels of the layer], or from `record`.
        icons: [n, height, width, 3 or 4] in [0, 1]; a fourth channel is opacity, and the ground is white.
        channels: whose icons these are, n numbers; the other channels are left out.
        layer: name, where the activations do not say it.
        side: of a cell, px.
        top: how many icons a cell blends; 1 shows the strongest alone and reads best, 3 are grey.
        power: an icon counts as its activation to this power: higher lets the strongest win.

    Raises:
        InputError: the arrays do not fit each other, or nothing is active.

    Example:
        >>> activations = np.random.default_rng(0).random((4, 4, 10))
        >>> pellucid.features.preview_grid(activations, np.random.random((2, 32, 32, 4)), channels=[3, 7])
        <ActivationGrid : 4×4 cells of 48 px>
    """
    values, name = grid_values(activations, layer)
    numbers = np.asarray(channels, dtype=int)
    if icons.ndim != 4 or icons.shape[3] not in (3, 4) or len(icons) != len(numbers) or not len(numbers):
        raise InputError(f"icons is {list(icons.shape)} for {len(numbers)} channels; expected [n, height, width, 3|4].")
    if numbers.min() < 0 or numbers.max() >= values.shape[2]:
        raise InputError(f"channels go up to {numbers.max()}; the activations have 0 to {values.shape[2] - 1}.")
    if side < 1 or top < 1:
        raise InputError(f"side is {side} and top is {top}; expected 1 or more.")
    small = np.stack([_on_white(icon, side) for icon in icons])
    known = np.maximum(values[:, :, numbers], 0)
    order = np.argsort(-known, axis=2, kind="stable")[:, :, :top]
    raised = np.take_along_axis(known, order, 2).astype(np.float64)
    weights = (raised / np.maximum(raised[:, :, :1], 1e-12)) ** power
    weights *= raised > 0
    total = weights.sum(2, keepdims=True)
    weights = (weights / np.maximum(total, 1e-12)).astype(np.float32)
    cells = np.einsum("rck,rckhwd->rchwd", weights, small[order]) + (total == 0)[..., None, None]
    rows, columns = values.shape[:2]
    image = cells.swapaxes(1, 2).reshape(rows * side, columns * side, 3)
    settings = {"side": side, "top": top, "power": power}
    return ActivationGrid(
        layer=name,
        image=image.astype(np.float32),
        strength=relative_strength(values),
        provenance={"method": "preview", "channels": numbers.tolist(), "settings": settings},
    )


def _on_white(icon: np.ndarray, side: int) -> np.ndarray:
    """The icon's object on white: float32 [side, side, 3]."""
    if icon.shape[2] == 3:
        resized = Image.fromarray(to_bytes(icon)).resize((side, side), Image.Resampling.LANCZOS)
        return np.asarray(resized, np.float32) / 255
    cut = cut_out(icon, side=side, spread=_CUT)
    return cut[..., :3] * cut[..., 3:] + (1 - cut[..., 3:])


def cut_out(icon: np.ndarray, *, side: int, spread: float = 2.0) -> np.ndarray:
    """The part of an icon around its object, so that it reads when it is drawn small: float32 [side, side, 4].

    Args:
        icon: [height, width, 4] in [0, 1], the fourth channel opacity.
        side: of the result, px.
        spread: half the side of what is cut out, in standard deviations of the opacity around its centre: 2 keeps the
            object's outline on its ground, 1.4 lets the object fill the picture.

    Example:
        >>> cut_out(np.random.default_rng(0).random((96, 96, 4)), side=60).shape
        (60, 60, 4)
    """
    box = _object_box(icon[..., 3], spread)
    # Colours weighted with opacity: what is transparent must not bleed into the edges.
    planes = [icon[..., channel] * icon[..., 3] for channel in range(3)] + [icon[..., 3]]
    resized = [
        Image.fromarray(plane.astype(np.float32)).resize((side, side), Image.Resampling.LANCZOS, box)
        for plane in planes
    ]
    *colours, opacity = (np.asarray(plane, np.float32) for plane in resized)
    return np.stack([*(colour / opacity.clip(1 / 255) for colour in colours), opacity], 2).clip(0, 1)


def _object_box(opacity: np.ndarray, spread: float) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) of a square about what is most opaque; `None` where nothing is."""
    # Squared, so that the faint veil that optimization leaves everywhere does not count.
    weight = opacity.astype(np.float64) ** 2
    total = weight.sum()
    if total == 0:
        return None
    centres, variance = [], 0.0
    for axis in (0, 1):
        profile, places = weight.sum(1 - axis), np.arange(opacity.shape[axis]) + 0.5
        centres.append(float((profile * places).sum() / total))
        variance += float((profile * (places - centres[axis]) ** 2).sum() / total) / 2
    shortest = min(opacity.shape) / 2
    half = min(max(spread * variance**0.5, 0.4 * shortest), shortest)
    y, x = (min(max(c, half), length - half) for c, length in zip(centres, opacity.shape, strict=True))
    return x - half, y - half, x + half, y + half


def grid_values(activations: Activations | np.ndarray, layer: str) -> tuple[np.ndarray, str]:
    """float32 [rows, columns, channels] of one image, checked, and the layer's name.

    Raises:
        InputError: the activations have no positions, are of several images, not finite, or zero everywhere.
    """
    name = layer
    values = activations
    if isinstance(activations, Activations):
        name = layer or activations.layer.name
        if activations.layer.name != name:
            raise InputError(f"these are activations of {activations.layer.name}; record those of {name}.")
        values = activations.values
        if values.ndim == 4 and len(values) != 1:
            raise InputError(f"these are activations of {len(values)} images; a grid shows one.")
        values = values[0] if values.ndim == 4 else values
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim != 3 or 0 in values.shape:
        raise InputError(
            f"a grid needs activations [rows, columns, channels], not {list(values.shape)}; choose a layer with "
            "positions."
        )
    if not np.isfinite(values).all():
        raise InputError("the activations are not all finite numbers.")
    if not values.any():
        raise InputError(f"{name or 'the layer'} is zero everywhere on this image, so there is nothing to draw.")
    return values, name


def relative_strength(values: np.ndarray) -> np.ndarray:
    """Norm of the activations at each position as a share of the largest: float32 [rows, columns]."""
    norms = np.linalg.norm(values.astype(np.float64), axis=2)
    return (norms / norms.max()).astype(np.float32)
