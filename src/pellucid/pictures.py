"""Pictures in and out of files: whatever a camera or a browser makes, as sRGB in [0, 1]."""

import difflib
import io
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import InputError, ResourceError

# Beyond this many pixels a file is a mistake or an attack; 10,000 × 10,000 is read.
_MOST_PIXELS = 200_000_000


def load_image(path: str | os.PathLike[str], *, size: int | tuple[int, int] | None = None, channels: int = 3) -> Tensor:
    """The picture as float32 [channels, height, width], sRGB in [0, 1], turned the way it was taken.

    A transparent ground becomes white; greyscale, palette and CMYK become RGB.

    Args:
        path: any format that Pillow reads.
        size: height and width in px: the picture is scaled to cover them and cut to its centre; `None` keeps its own.
        channels: 3 for RGB, 1 for greyscale.

    Raises:
        InputError: not a picture, damaged, too large, or of no pixels.

    Example:
        >>> load_image("photo.jpg", size=224).shape                    # doctest: +SKIP
        torch.Size([3, 224, 224])
    """
    return torch.from_numpy(to_array(open_picture(path, size=size), channels))


def to_array(picture: Image.Image, channels: int = 3) -> np.ndarray:
    """float32 [channels, height, width] in [0, 1] of a Pillow picture.

    Example:
        >>> to_array(Image.new("RGB", (30, 20))).shape
        (3, 20, 30)
    """
    return to_pixels(picture, channels).astype(np.float32) / 255


def to_pixels(picture: Image.Image, channels: int = 3) -> np.ndarray:
    """uint8 [channels, height, width] of a Pillow picture.

    Example:
        >>> to_pixels(Image.new("RGB", (30, 20)), channels=1).shape
        (1, 20, 30)
    """
    if channels not in (1, 3):
        raise InputError(f"a picture has 1 or 3 channels, and the model takes {channels}; give it an array instead.")
    array = np.asarray(picture.convert("RGB" if channels == 3 else "L"))
    return np.ascontiguousarray(array.transpose(2, 0, 1) if channels == 3 else array[None])


def open_picture(path: str | os.PathLike[str], *, size: int | tuple[int, int] | None = None) -> Image.Image:
    """The picture as an RGB Pillow image; arguments and errors are those of `load_image`.

    Example:
        >>> open_picture(pellucid.example_photos()["coffee"], size=64).size
        (64, 64)
    """
    path = Path(path)
    return _read(path, str(path), size)


def decode_picture(content: bytes, name: str, *, size: int | tuple[int, int] | None = None) -> Image.Image:
    """The picture in the bytes of a file, as `open_picture` gives it; `name` is what errors call it.

    Example:
        >>> content = pellucid.example_photos()["coffee"].read_bytes()
        >>> decode_picture(content, "coffee", size=64).size
        (64, 64)
    """
    return _read(io.BytesIO(content), name, size)


def fit_picture(
    picture: Image.Image, name: str = "the picture", *, size: int | tuple[int, int] | None = None
) -> Image.Image:
    """A Pillow image as `open_picture` gives one from a file; `name` is what errors call it.

    Example:
        >>> fit_picture(Image.new("RGB", (30, 20)), size=16).size
        (16, 16)
    """
    box = _box(size)
    try:
        picture = opaque(ImageOps.exif_transpose(picture))
    except MemoryError:
        raise ResourceError(f"not enough memory to read {name}.") from None
    except Exception as error:  # it may not have been read yet; see _read
        raise InputError(f"{name} is damaged or cut short: {error}.") from error
    return _cover(picture, box)


def _read(file: Path | io.BytesIO, name: str, size: int | tuple[int, int] | None) -> Image.Image:
    box = _box(size)
    try:
        with _NO_WARNINGS, Image.open(file) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise InputError(f"{name} has {opened.width}×{opened.height} px, more than {_MOST_PIXELS:,}.")
            if box is not None:
                # A JPEG can be read at a fraction of its size, which saves most of the time on large photos.
                # It may yet be turned, so either side may become the longer one.
                opened.draft("RGB", (2 * max(box), 2 * max(box)))
            picture = ImageOps.exif_transpose(opened)
            picture = opaque(picture)
    except FileNotFoundError:
        raise InputError(f"no file {name}{_nearest(name)}") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder, not a picture; name one of its pictures.") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{name} is not a picture in a format that can be read (JPEG, PNG, WebP, GIF, TIFF …)."
        ) from None
    except Image.DecompressionBombError:
        raise InputError(f"{name} has more pixels than can be read ({_MOST_PIXELS:,}).") from None
    except MemoryError:
        raise ResourceError(f"not enough memory to read {name}.") from None
    except PermissionError:
        raise InputError(f"{name} may not be read; ask its owner, or take a copy.") from None
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise almost anything on a damaged file
        raise InputError(f"{name} is damaged or cut short: {error}.") from error
    return _cover(picture, box)


def _nearest(name: str) -> str:
    """A hint at the file of the same folder whose name is most like it."""
    path = Path(name)
    names = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(near[0])}?" if near else "; check the path."


def _box(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width."""
    box = (size, size) if isinstance(size, int) else size
    if box is not None and min(box) < 1:
        raise InputError(f"size is {size}; expected a positive number of pixels, or (height, width).")
    return box


def _cover(picture: Image.Image, box: tuple[int, int] | None) -> Image.Image:
    if box is None or picture.size == (box[1], box[0]):
        return picture
    return ImageOps.fit(picture, (box[1], box[0]), Image.Resampling.LANCZOS)


class _NoWarnings:
    """Silences warnings while any thread is within.

    Pillow warns of damaged metadata, which pixels can do without, and from 89 megapixels up, where `_read` has a limit
    of its own. `warnings.catch_warnings` puts back what it found, so that two threads that leave it in the order
    in which they came would silence everything for good; here the first takes and the last gives back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._caught.__exit__(None, None, None)


_NO_WARNINGS = _NoWarnings()


def opaque(picture: Image.Image) -> Image.Image:
    """An RGB picture: transparent grounds become white, 16 bits and floating point numbers 8 bits.

    Example:
        >>> opaque(Image.new("RGBA", (30, 20))).getpixel((0, 0))
        (255, 255, 255)
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        array = np.asarray(picture, dtype=np.float64)
        top = 65535 if picture.mode != "F" else max(float(array.max()), 1e-9)
        return Image.fromarray((np.nan_to_num(array / top).clip(0, 1) * 255).astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        ground = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(ground, layered).convert("RGB")
    return picture.convert("RGB")


def to_bytes(images: np.ndarray) -> np.ndarray:
    """uint8 of values in [0, 1], rounded.

    Example:
        >>> to_bytes(np.array([0.0, 0.5, 1.0])).tolist()
        [0, 128, 255]
    """
    return (np.clip(images, 0, 1) * 255 + 0.5).astype(np.uint8)


def to_picture(image: np.ndarray) -> Image.Image:
    """A Pillow image of [height, width, channels] in [0, 1].

    One channel is grey, two grey and opacity, three RGB, four RGB and opacity; of more, their mean is shown.

    Example:
        >>> to_picture(np.zeros((20, 30, 3))).size
        (30, 20)
    """
    if image.shape[2] > 4:
        image = image.mean(2, keepdims=True)
    array = to_bytes(image)
    if array.shape[2] == 2:
        grey, opacity = (Image.fromarray(np.ascontiguousarray(array[:, :, index])) for index in (0, 1))
        return Image.merge("LA", (grey, opacity))
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
