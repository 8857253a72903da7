"""Figures for notebooks and papers: pictures side by side with captions, and maps over a photo."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .errors import InputError
from .pictures import opaque, to_picture

# From against to for, by way of white; told apart by every kind of colour vision, as on the pages.
_DIVERGING = np.array([(209, 102, 15), (242, 166, 94), (255, 255, 255), (95, 179, 174), (11, 122, 117)]) / 255
_ONE_ROW, _MOST_COLUMNS = 6, 8
# A caption of two words needs as much, px.
_CAPTIONED = 144
_FONT_SIZE = 12
_LINE = 16
_INK = (68, 68, 68)
# What Pillow's own font lacks and captions have.
_PLAIN = str.maketrans({"−": "-", "×": "x", "→": "->", "←": "<-", "—": "-", "–": "-", "’": "'"})


def sheet(
    images: Sequence[Any] | np.ndarray,
    captions: Sequence[object] = (),
    *,
    columns: int | None = None,
    side: int | None = None,
    gap: int = 8,
    sharp: bool = False,
) -> Image.Image:
    """Pictures in rows on white, each with its caption above it: an RGB Pillow image, which a notebook shows.

    Args:
        images: Pillow images or arrays [height, width, channels], or of at most 4 channels [channels, height, width];
            bytes run from 0 to 255, other numbers from 0 to 1. What is transparent becomes white; of more than 4
            channels, their mean is shown.
        captions: one for each picture, or none. Pillow's own font has Latin letters without accents; other signs are
            written as the nearest of them, or as a question mark.
        columns: pictures in a row; by default up to six, and where there are more, as many as make the sheet about
            square, at most 8.
        side: the longer side of every picture, px; by default that of the largest, and below captions 144 at least.
        gap: white between pictures, px.
        sharp: enlarge single pixels to squares, instead of smoothly.

    Raises:
        InputError: no picture, other captions than pictures, or a side or number of columns below 1.

    Example:
        >>> sheet(np.random.default_rng(0).random((3, 32, 32, 3)), ["a", "b", "c"], columns=3, side=64).size
        (208, 84)
    """
    if not len(images) or len(captions) not in (0, len(images)):
        raise InputError(f"there are {len(images)} pictures and {len(captions)} captions; give a caption for each.")
    if min(columns or 1, side or 1) < 1:
        raise InputError(f"columns is {columns} and side is {side}; expected 1 or more.")
    pictures = [as_picture(image) for image in images]
    side = side or max(_CAPTIONED if len(captions) else 1, *(max(picture.size) for picture in pictures))
    pictures = [_sized(picture, side, sharp) for picture in pictures]
    if columns is None and len(pictures) > _ONE_ROW:
        columns = min(_MOST_COLUMNS, round(len(pictures) ** 0.5 + 0.49))
    columns = min(columns or _ONE_ROW, len(pictures))
    width, height = (max(picture.size[axis] for picture in pictures) for axis in (0, 1))
    font = ImageFont.load_default(_FONT_SIZE)
    lines = [_wrapped(str(caption), width, font) for caption in captions] or [[]] * len(pictures)
    first = range(0, len(pictures), columns)
    above = [max(_LINE * len(some) + 4 if some else 0 for some in lines[start : start + columns]) for start in first]
    tops = np.cumsum([0, *(height + gap + text for text in above)])
    whole = Image.new("RGB", (columns * (width + gap) - gap, int(tops[-1]) - gap), "white")
    pen = ImageDraw.Draw(whole)
    for number, (picture, some) in enumerate(zip(pictures, lines, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * (width + gap), int(tops[row]) + above[row]
        for place, line in enumerate(reversed(some)):
            space = max(width - pen.textlength(line, font), 0)
            pen.text((left + space / 2, top - 4 - (place + 1) * _LINE), line, _INK, font)
        whole.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
    return whole


def maps(
    photo: Any,
    values: Sequence[np.ndarray] | np.ndarray,
    captions: Sequence[object] = (),
    *,
    columns: int | None = None,
    side: int = 192,
    together: bool = False,
) -> Image.Image:
    """Maps over one photo, as `overlay` draws each, on one `sheet`.

    Args:
        photo: as `sheet` takes it.
        values: of each map, [rows, columns]; of any shapes.
        captions, columns: as in `sheet`.
        side: the longer side of each map, px.
        together: one scale for all maps, instead of one for each.

    Raises:
        InputError: no map, one that is no matrix or not finite, or other captions than maps.

    Example:
        >>> maps(np.zeros((96, 96, 3)), [np.eye(4), np.eye(7)], ["a", "b"], side=100).size
        (208, 120)
    """
    limit = max((float(np.abs(each).max(initial=0)) for each in values), default=0.0) if together else None
    drawn = [overlay(photo, each, limit=limit, side=side) for each in values]
    return sheet(drawn, captions, columns=columns, side=side)


def overlay(photo: Any, values: np.ndarray, *, limit: float | None = None, side: int | None = None) -> Image.Image:
    """A map over a photo in grey: teal above zero, orange below; the stronger, the less of the photo shines through.

    Args:
        photo: as `sheet` takes it.
        values: [rows, columns]: of `Attribution.positions`, of a channel's activations, of a group.
        limit: the value of full colour; by default the largest that there is. Give it to compare maps.
        side: the longer side of the picture, px; by default the photo's, but 192 at least.

    Raises:
        InputError: the map is no matrix or not finite.

    Example:
        >>> overlay(np.zeros((96, 96, 3)), np.eye(4)).size
        (192, 192)
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InputError(f"a map is a matrix [rows, columns] of finite numbers, not {list(values.shape)}.")
    picture = as_picture(photo)
    picture = _sized(picture, side or max(*picture.size, 192), sharp=False)
    grey = 0.25 + 0.75 * np.asarray(picture.convert("L"), np.float64) / 255
    rows, columns = (
        np.arange(length) * cells // length for length, cells in zip(grey.shape, values.shape, strict=True)
    )
    relative = (values / max(limit if limit is not None else np.abs(values).max(), 1e-12))[rows][:, columns].clip(-1, 1)
    stops = np.linspace(-1, 1, len(_DIVERGING))
    colours = np.stack([np.interp(relative, stops, plane) for plane in _DIVERGING.T], 2)
    cover = (0.15 + 1.1 * np.abs(relative)).clip(0, 0.9)[:, :, None]
    return to_picture(colours * cover + grey[:, :, None] * (1 - cover))


def as_picture(image: Any) -> Image.Image:
    """An RGB Pillow image of a picture or an array, as `sheet` takes it.

    Raises:
        InputError: an array of another shape.

    Example:
        >>> as_picture(torch.rand(3, 20, 30)).size
        (30, 20)
    """
    if isinstance(image, Image.Image):
        return opaque(image)
    given = np.asarray(image)
    pixels = given / 255 if given.dtype == np.uint8 else given
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or not pixels.size:
        raise InputError(f"a picture is [height, width, channels] or [channels, height, width], not {given.shape}.")
    if pixels.shape[0] <= 4 < pixels.shape[2]:
        pixels = pixels.transpose(1, 2, 0)
    return opaque(to_picture(pixels))


def _sized(picture: Image.Image, side: int, sharp: bool) -> Image.Image:
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.NEAREST if sharp and scale > 1 else Image.Resampling.LANCZOS)


def _wrapped(caption: str, width: int, font: Any) -> list[str]:
    """The caption in one line or two, of what the font has, cut where it is longer."""
    plain = unicodedata.normalize("NFKD", caption.translate(_PLAIN))
    text = "".join(sign for sign in plain if not unicodedata.combining(sign)).encode("ascii", "replace").decode()
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > 2:
        lines = [lines[0], f"{lines[1]} …"]
    return [_cut(line, width, font) for line in lines if line]


def _cut(line: str, width: int, font: Any) -> str:
    while len(line) > 1 and font.getlength(line) > width:
        line = line.rstrip("…")[:-1] + "…"
    return line
