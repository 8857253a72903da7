"""What all sources of images share: the protocol, pixels and identity of an item, names and classes."""

import hashlib
import os
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from PIL import Image

from ...errors import InputError
from ...pictures import decode_picture, fit_picture, open_picture, to_bytes, to_pixels

Item = Path | bytes | Image.Image | np.ndarray
_Found = TypeVar("_Found")
# HEIC and AVIF need a plug-in of Pillow; without it they are listed as unreadable, not passed over.
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"),
}
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "pixel_values", "images")
LABEL_COLUMNS = ("label", "labels", "class", "cls", "target", "category", "fine_label", "coarse_label")
# Of a file, so much is read at a place.
_PIECE = 64 * 1024
# ImageNet's own files name their class: n01440764_tench.jpg, n01440764_10026.JPEG.
_WORDNET = re.compile(r"(n\d{8})_")


@runtime_checkable
class Images(Protocol):
    """What the atlas reads."""

    @property
    def where(self) -> str:
        """What a sentence calls it, such as a path."""
        ...

    @property
    def keys(self) -> Sequence[str]:
        """The name of each image within the source: unique, in an order that stays."""
        ...

    @property
    def labels(self) -> Sequence[str | None]:
        """The class of each image, where the source says one."""
        ...

    @property
    def digest(self) -> str:
        """Identity of the source: names, sizes, times and places of its files."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """What was left out on opening, and why."""
        ...

    def __len__(self) -> int: ...

    def load(self, index: int, size: tuple[int, int], channels: int = 3) -> np.ndarray:
        """uint8 [channels, height, width]: the image, scaled to cover `size` and cut to its centre.

        Raises:
            InputError: this image is damaged, or not one; others can still be read.
        """
        ...

    def content(self, index: int) -> str:
        """Digest of the file's bytes, or of the pixels where there is no file: equal for duplicates."""
        ...

    def reopen(self) -> str | None:
        """From what `open_images` makes the same again; none for objects of Python."""
        ...


class Source:
    """What all sources share: their items become pixels in one place."""

    keys: Sequence[str]
    labels: Sequence[str | None]
    digest: str
    remarks: list[str]

    def __init__(self, where: str, *, reopens: bool) -> None:
        self.where = printable(where)
        path = os.path.abspath(where)
        # A name that is no text cannot be written down.
        self._path = path if reopens and printable(path) == path else None

    def __len__(self) -> int:
        return len(self.keys)

    def load(self, index: int, size: tuple[int, int], channels: int = 3) -> np.ndarray:
        return read_pixels(self._item(index), self._name(index), size, channels)

    def content(self, index: int) -> str:
        return content_of(self._item(index), self._name(index))

    def reopen(self) -> str | None:
        return self._path

    def _name(self, index: int) -> str:
        return f"{self.keys[index]} of {self.where}"

    @abstractmethod
    def _item(self, index: int) -> Item:
        """A path, the bytes of a file, a Pillow image that has been read, or an array."""


def read_pixels(item: Item, name: str, size: tuple[int, int], channels: int) -> np.ndarray:
    if isinstance(item, Path):
        picture = open_picture(item, size=size)
    elif isinstance(item, bytes):
        picture = decode_picture(item, name, size=size)
    elif isinstance(item, Image.Image):
        picture = fit_picture(item, name, size=size)
    else:
        picture = fit_picture(_from_array(item, name), name, size=size)
    return to_pixels(picture, channels)


def content_of(item: Item, name: str) -> str:
    if isinstance(item, Path):
        try:
            item = item.read_bytes()
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}.") from None
    if isinstance(item, bytes):
        return hashlib.sha256(item).hexdigest()
    if isinstance(item, Image.Image):
        head, body = f"{item.mode} {item.size} {item.getpalette()}", item.tobytes()
    else:
        head, body = f"{item.dtype} {item.shape}", item.tobytes()
    return hashlib.sha256(head.encode() + body).hexdigest()


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    """A Pillow image of uint8, uint16 or floats in [0, 1], channels last or first."""
    given = f"{name} is an array of {array.dtype} {list(array.shape)}"
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape or not {array.shape[0], array.shape[2]} & {1, 3, 4}:
        raise InputError(
            f"{given}; expected [height, width, channels] or [channels, height, width] of 1, 3 or 4 channels."
        )
    # Where both ends could be the channels, floats are as torch has them and bytes as files have them.
    ends = (0, 2) if np.issubdtype(array.dtype, np.floating) else (2, 0)
    channels = next(end for end in ends if array.shape[end] in (1, 3, 4))
    array = np.moveaxis(array, channels, 2)
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not -1e-3 <= low <= high <= 1 + 1e-3:
            raise InputError(
                f"{name} has values from {low:.4g} to {high:.4g}; expected floats in [0, 1], not normalized, or uint8."
            )
        array = to_bytes(array)
    elif array.dtype == np.uint16:
        array = to_bytes(array / 65535)
    elif array.dtype != np.uint8:
        raise InputError(f"{given}; expected uint8, or floats in [0, 1].")
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array))


def relative_names(files: Sequence[Path]) -> list[str]:
    """The names of files below the folder that they share."""
    common = os.path.commonpath([file.parent for file in files])
    return [printable(Path(os.path.relpath(file, common)).as_posix()) for file in files]


def look_at_each(files: Sequence[Path], look: Callable[[Path], _Found]) -> tuple[list[tuple[Path, _Found]], list[str]]:
    """What `look` finds in each file, and why it could not in some.

    Raises:
        InputError: it could not in any.
    """
    seen: list[tuple[Path, _Found]] = []
    errors: list[InputError] = []
    for file in files:
        try:
            seen.append((file, look(file)))
        except InputError as error:
            errors.append(error)
    if not seen:
        raise errors[0]
    return seen, [f"{str(error).rstrip('.')}; it was left out" for error in errors]


def stamp_of(file: Path, pieces: int = 64) -> str:
    """What tells a file from others: its size and pieces of it, evenly spread; not its time, which copying changes.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        for place in range(pieces):
            opened.seek(place * max(0, size - _PIECE) // max(1, pieces - 1))
            digest.update(opened.read(_PIECE))
    return f"{size}|{digest.hexdigest()}"


def folder_classes(names: Sequence[str]) -> list[str | None]:
    """The class of each file: the innermost folder, or the next one out where that is the same for all."""
    folders = [name.split("/")[:-1] for name in names]
    levels = range(1, max(map(len, folders)) + 1)
    level = next((level for level in levels if len({each[-level] for each in folders if len(each) >= level}) > 1), 1)
    if levels:
        return [each[-level] if len(each) >= level else None for each in folders]
    return [found[1] if (found := _WORDNET.match(name)) else None for name in names]


def label_of(value: Any, names: Sequence[str] = ()) -> str | None:
    """A class as text: a number is the place of its name, and less than 0 where there is none."""
    if isinstance(value, torch.Tensor):
        value = value.numpy(force=True)
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item() if value.size == 1 else None
    if isinstance(value, str):
        return value.strip() or None
    if not isinstance(value, int) or value < 0:
        return None
    return names[value] if value < len(names) else str(value)


def digest_of(kind: str, lines: Iterable[str]) -> str:
    digest = hashlib.sha256(kind.encode())
    for line in lines:
        digest.update(f"\n{line}".encode())
    return digest.hexdigest()


def printable(name: str) -> str:
    """A file's name as text that can be written anywhere, bytes that are no text as \\x…"""
    return os.fsencode(name).decode(errors="backslashreplace")
