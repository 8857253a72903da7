"""Pictures in and out of files: whatever a camera or a browser makes, as sRGB in [0, 1]."""

import os
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
    """float32 [channels, height, width] in [0, 1] of a Pillow picture."""
    if channels not in (1, 3):
        raise InputError(f"a picture has 1 or 3 channels, and the model takes {channels}; give it an array instead.")
    array = np.asarray(picture.convert("RGB" if channels == 3 else "L"), dtype=np.float32) / 255
    return np.ascontiguousarray(array.transpose(2, 0, 1) if channels == 3 else array[None])


def open_picture(path: str | os.PathLike[str], *, size: int | tuple[int, int] | None = None) -> Image.Image:
    """The picture as an RGB Pillow image; arguments and errors are those of `load_image`."""
    path = Path(path)
    box = (size, size) if isinstance(size, int) else size
    if box is not None and min(box) < 1:
        raise InputError(f"size is {size}; expected a positive number of pixels, or (height, width).")
    try:
        with warnings.catch_warnings():
            # Pillow warns of damaged metadata, which pixels can do without, and from 89 megapixels up; the limit here
            # is checked below, before pixels are read.
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if opened.width * opened.height > _MOST_PIXELS:
                    raise InputError(f"{path} has {opened.width}×{opened.height} px, more than {_MOST_PIXELS:,}.")
                if box is not None:
                    # A JPEG can be read at a fraction of its size, which saves most of the time on large photos.
                    # It may yet be turned, so either side may become the longer one.
                    opened.draft("RGB", (2 * max(box), 2 * max(box)))
                picture = ImageOps.exif_transpose(opened)
                picture = opaque(picture)
    except FileNotFoundError:
        raise InputError(f"no file {path}.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a picture.") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not a picture in a format that can be read (JPEG, PNG, WebP, GIF, TIFF …)."
        ) from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has more pixels than can be read ({_MOST_PIXELS:,}).") from None
    except MemoryError:
        raise ResourceError(f"not enough memory to read {path}.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read.") from None
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise almost anything on a damaged file
        raise InputError(f"{path} is damaged or cut short: {error}.") from error
    if box is not None:
        picture = ImageOps.fit(picture, (box[1], box[0]), Image.Resampling.LANCZOS)
    return picture


def opaque(picture: Image.Image) -> Image.Image:
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
    """uint8 of values in [0, 1], rounded."""
    return (np.clip(images, 0, 1) * 255 + 0.5).astype(np.uint8)


def to_picture(image: np.ndarray) -> Image.Image:
    """A Pillow image of [height, width, channels] in [0, 1].

    One channel is grey, two grey and opacity, three RGB, four RGB and opacity; of more, their mean is shown.
    """
    if image.shape[2] > 4:
        image = image.mean(2, keepdims=True)
    array = to_bytes(image)
    if array.shape[2] == 2:
        grey, opacity = (Image.fromarray(np.ascontiguousarray(array[:, :, index])) for index in (0, 1))
        return Image.merge("LA", (grey, opacity))
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
