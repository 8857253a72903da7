"""Many finished pictures in few files, read only: how rendered icons travel with the package."""

import functools
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from ..pictures import to_picture
from ._files import write_folder

_SCHEMA = 1
_INDEX = "index.json"
_LARGEST_WEBP = 16_383
# Opacity below this is nothing to the eye, and a ground that is really empty costs no bytes.
_FAINT = 6 / 255
# Of WebP: 14 steps of opacity. Lossless it takes more than half of a sprite; fewer steps show as contours in a haze.
_OPACITY_QUALITY = 60


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """The name of what a recipe makes: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class Packed:
    """One picture for a pack.

    Args:
        recipe: under which it will be found.
        image: [height, width, 3 or 4] in [0, 1]; a fourth channel is opacity.
        value: what its objective was worth at the end; the rest of the curve is not kept.
    """

    recipe: Mapping[str, Any]
    image: np.ndarray
    value: float


@dataclass(frozen=True)
class _Place:
    sheet: str
    top: int
    left: int
    height: int
    width: int
    channels: int
    value: float


class RenderPack:
    """A folder of sprites and an index of what is where, by the keys of recipes.

    A sprite is decoded when the first of its pictures is asked for, and then stays in memory. A damaged pack or sprite
    counts as absent.

    Args:
        folder: written by `write_pack`.

    Example:
        >>> RenderPack("icons").read(recipe)  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._sheets: dict[str, np.ndarray | None] = {}

    def __repr__(self) -> str:
        return f"RenderPack({str(self.folder)!r})"

    def __len__(self) -> int:
        return len(self._places)

    def read(self, recipe: Mapping[str, Any]) -> tuple[np.ndarray, list[float]] | None:
        """The picture, float32 [height, width, channels] in steps of 1/255, and its last objective; else `None`."""
        place = self._places.get(recipe_key(recipe))
        sheet = self._sheet(place.sheet) if place is not None else None
        if place is None or sheet is None:
            return None
        part = sheet[place.top : place.top + place.height, place.left : place.left + place.width, : place.channels]
        if part.shape != (place.height, place.width, place.channels):
            return None
        return part.astype(np.float32) / 255, [place.value]

    @cached_property
    def _places(self) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        try:
            index = json.loads((self.folder / _INDEX).read_bytes())
            if index["schema"] != _SCHEMA:
                return {}
            for sheet in index["sheets"]:
                height, width, channels = (int(length) for length in sheet["shape"])
                for number, (key, value) in enumerate(zip(sheet["keys"], sheet["values"], strict=True)):
                    row, column = divmod(number, int(sheet["columns"]))
                    places[key] = _Place(
                        sheet["file"], row * height, column * width, height, width, channels, float(value)
                    )
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
            return {}
        return places

    def _sheet(self, name: str) -> np.ndarray | None:
        if name not in self._sheets:
            try:
                with Image.open(self.folder / name) as picture:
                    # WebP drops an alpha channel that is opaque everywhere.
                    self._sheets[name] = np.asarray(picture.convert("RGBA"))
            except (OSError, ValueError, SyntaxError):
                self._sheets[name] = None
        return self._sheets[name]


def write_pack(folder: Path, sheets: Mapping[str, Sequence[Packed]], *, quality: int = 75) -> int:
    """How many bytes the pack has, after `folder` holds it; one that was there is replaced.

    Args:
        folder: for `index.json` and one sprite for each entry of `sheets`.
        sheets: pictures of one shape, by the name of the sprite that holds them.
        quality: of the sprites' colours, 0 to 100; opacity is rounded to steps of about 1/14.

    Raises:
        InputError: the pictures of a sprite differ in shape, or are too many for one; or `folder` holds other things.
        ResourceError: the disk is full.

    Example:
        >>> write_pack(Path("icons"), {"mixed4d": [Packed(recipe, image, 3.5)]})  # doctest: +SKIP
        2381
    """
    files: dict[str, bytes] = {}
    index: dict[str, Any] = {"schema": _SCHEMA, "sheets": []}
    for name, entries in sheets.items():
        shapes = {entry.image.shape for entry in entries}
        if len(shapes) != 1 or next(iter(shapes))[2] not in (3, 4):
            raise InputError(
                f"sprite {name!r} needs pictures of one shape [height, width, 3 or 4], not {shapes or {}}."
            )
        height, width, channels = next(iter(shapes))
        columns = math.ceil(math.sqrt(len(entries) * height / width))
        rows = -(-len(entries) // columns)
        if max(rows * height, columns * width) > _LARGEST_WEBP:
            raise InputError(f"sprite {name!r} would be {rows * height}×{columns * width} px; give it fewer pictures.")
        sheet = np.zeros((rows * height, columns * width, channels), np.float32)
        for number, entry in enumerate(entries):
            top, left = number // columns * height, number % columns * width
            sheet[top : top + height, left : left + width] = entry.image
        if channels == 4:
            sheet[..., 3] *= sheet[..., 3] >= _FAINT
        buffer = BytesIO()
        to_picture(sheet).save(buffer, "WEBP", quality=quality, alpha_quality=_OPACITY_QUALITY, method=6)
        files[f"{name}.webp"] = buffer.getvalue()
        index["sheets"].append(
            {
                "file": f"{name}.webp",
                "shape": [height, width, channels],
                "columns": columns,
                "keys": [recipe_key(entry.recipe) for entry in entries],
                "values": [float(f"{entry.value:.5g}") for entry in entries],
            }
        )
    files[_INDEX] = json.dumps(index, separators=(",", ":")).encode()
    write_folder(folder, files, marker=_INDEX)
    return sum(map(len, files.values()))


@functools.cache
def shipped_packs() -> tuple[RenderPack, ...]:
    """The packs that come with the package; what they decode is shared by everything in the process."""
    return (RenderPack(Path(__file__).parents[1] / "embedded" / "icons"),)
