"""The pictures of a map: icons as tiles of one large picture, and real pieces of the images."""

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from ..bundle import PatchSheets, Tiles
from ..errors import InputError
from ..models import Layer, Model
from ._cells import Cells
from .sources import Images

_TILE = 512
_PIECES = 6
_PIECE_SIDE = 64
_SHEET_CELLS = 64
# A cell of few activations is still to be seen.
_SMALLEST = 0.34
_QUALITY = 82


def draw_tiles(cells: Cells, images: np.ndarray, prefix: str, *, side: int = 80) -> tuple[Tiles, dict[str, bytes]]:
    """The icons of a map as tiles, and their files by name.

    Args:
        cells: where they are and how many activations each holds: the side of an icon grows with the root of it.
        images: uint8 [n, size, size, 3].
        prefix: what names begin with.
        side: of a cell, px.
    """
    width, height = cells.columns * side, cells.rows * side
    across, down = -(-width // _TILE), -(-height // _TILE)
    touched: dict[tuple[int, int], list[int]] = {}
    boxes = _icon_boxes(cells, side)
    for number, (left, top, size) in enumerate(boxes):
        for y in range(top // _TILE, (top + size - 1) // _TILE + 1):
            for x in range(left // _TILE, (left + size - 1) // _TILE + 1):
                touched.setdefault((y, x), []).append(number)
    names, files = [""] * (across * down), {}
    for (y, x), numbers in sorted(touched.items()):
        tile = Image.new("RGBA", (min(_TILE, width - x * _TILE), min(_TILE, height - y * _TILE)), (0, 0, 0, 0))
        for number in numbers:
            left, top, size = boxes[number]
            icon = Image.fromarray(images[number]).resize((size, size), Image.Resampling.LANCZOS)
            tile.paste(icon, (left - x * _TILE, top - y * _TILE))
        name = f"{prefix}/{y}_{x}.webp"
        names[y * across + x] = name
        files[name] = as_webp(tile)
    return Tiles(width=width, height=height, side=_TILE, files=names), files


def draw_map(cells: Cells, images: np.ndarray, *, side: int) -> Image.Image:
    """The icons of a map in their places, on white, as one RGB picture of rows·side × columns·side px.

    Args:
        cells, images: as in `draw_tiles`.
        side: of a cell, px.
    """
    if side < 1:
        raise InputError(f"the side of a cell is {side} px; expected 1 or more.")
    whole = Image.new("RGB", (cells.columns * side, cells.rows * side), "white")
    for (left, top, size), icon in zip(_icon_boxes(cells, side), images, strict=True):
        whole.paste(Image.fromarray(icon).resize((size, size), Image.Resampling.LANCZOS), (left, top))
    return whole


def _icon_boxes(cells: Cells, side: int) -> list[tuple[int, int, int]]:
    """Left, top and side of each icon, px, in the middle of its cell."""
    boxes = []
    for (column, row), share in zip(cells.places.tolist(), icon_shares(cells.counts).tolist(), strict=True):
        size = max(1, round(share * side))
        boxes.append((column * side + (side - size) // 2, row * side + (side - size) // 2, size))
    return boxes


def icon_shares(counts: np.ndarray) -> np.ndarray:
    """Side of each icon as a share of its cell: the root of its activations, against that of a full cell."""
    full = np.percentile(counts, 90) if len(counts) else 1
    return np.clip(np.sqrt(counts / max(full, 1)), _SMALLEST, 1.0)


def draw_pieces(
    cells: Cells,
    model: Model,
    layer: Layer,
    sources: Sequence[Images | None],
    origins: Callable[[np.ndarray], Sequence[tuple[int, int, int, int]]],
    prefix: str,
) -> tuple[PatchSheets | None, dict[str, bytes]]:
    """What the layer looked at where it answered like each cell, as sheets of pieces, and their files by name.

    Args:
        sources: where the images are read from again; without them there are no pieces.
        origins: source, image, row and column of vectors by their numbers.
        prefix: what names begin with.
    """
    if not len(cells) or all(source is None for source in sources):
        return None, {}
    counts, files, names = [], {}, []
    for first in range(0, len(cells), _SHEET_CELLS):
        block = cells.exemplars[first : first + _SHEET_CELLS, :_PIECES]
        sheet = Image.new("RGB", (_PIECES * _PIECE_SIDE, len(block) * _PIECE_SIDE), "white")
        wanted = block[block >= 0]
        found = dict(zip(wanted.tolist(), origins(wanted), strict=True))
        for row, numbers in enumerate(block.tolist()):
            column = 0
            for source, image, y, x in (found[number] for number in numbers if number >= 0):
                piece = _piece(model, layer, sources[source], image, y, x)
                if piece is not None:
                    sheet.paste(piece, (column * _PIECE_SIDE, row * _PIECE_SIDE))
                    column += 1
            counts.append(column)
        names.append(f"{prefix}/{first // _SHEET_CELLS}.webp")
        files[names[-1]] = as_webp(sheet)
    return PatchSheets(files=names, side=_PIECE_SIDE, columns=_PIECES, cells=_SHEET_CELLS, counts=counts), files


def piece_box(model: Model, layer: Layer, row: int, column: int) -> tuple[float, float, float]:
    """Left, top and side, px of the input, of the square that a position mostly looks at: three tenths of the picture.

    Receptive fields of deep layers cover the whole picture; what counts lies near their middle (Luo et al. 2016).
    """
    height, width = model.size
    side = max(0.3 * min(height, width), 3.0 * height / layer.rows)
    side = min(side, height, width)
    middle_x, middle_y = (column + 0.5) * width / layer.columns, (row + 0.5) * height / layer.rows
    return min(max(middle_x - side / 2, 0), width - side), min(max(middle_y - side / 2, 0), height - side), side


def _piece(model: Model, layer: Layer, source: Images | None, image: int, row: int, column: int) -> Image.Image | None:
    if source is None:
        return None
    try:
        picture = source.load(image, model.size, model.input_channels)
    except InputError:
        return None
    return cut_piece(model, layer, picture, row, column)


def cut_piece(
    model: Model, layer: Layer, picture: np.ndarray, row: int, column: int, *, to: int = _PIECE_SIDE
) -> Image.Image:
    """What a position mostly looks at: a square of `to` px.

    Args:
        picture: uint8 [channels, height, width], as the model sees it.
    """
    left, top, side = piece_box(model, layer, row, column)
    pixels = np.repeat(picture, 3, 0)[:3] if picture.shape[0] == 1 else picture
    whole = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return whole.resize((to, to), Image.Resampling.LANCZOS, (left, top, left + side, top + side))


def as_webp(picture: Image.Image, quality: int = _QUALITY) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()
