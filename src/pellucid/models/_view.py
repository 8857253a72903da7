"""A photo as a model sees it."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import InputError
from ..pictures import opaque, open_picture, to_array, to_picture
from ._model import Model

Picture = str | os.PathLike[str] | Image.Image | Tensor | np.ndarray


@dataclass(frozen=True, eq=False)
class View:
    """A photo, and what of it goes into a model.

    Args:
        photo: RGB, cut to the model's aspect and of twice its size; an array as it is.
        image: float32 [channels, height, width], sRGB in [0, 1], of the model's size; an array as it is.
        title: the file's name without its ending, or `picture`.
    """

    photo: Image.Image
    image: Tensor
    title: str


def view(model: Model, picture: Picture) -> View:
    """The picture, scaled and cut to the model's own size; an array is taken as it is, at any size.

    Args:
        model: whose input it shall be.
        picture: a file, a Pillow image, or an array [channels, height, width] in [0, 1].

    Raises:
        InputError: the picture cannot be read, or the array does not fit.

    Example:
        >>> view(model, torch.rand(3, 32, 32)).image.shape
        torch.Size([3, 32, 32])
    """
    height, width = model.size
    if isinstance(picture, str | os.PathLike):
        photo = open_picture(picture, size=(2 * height, 2 * width))
        return View(photo, _as_input(photo, model), Path(picture).stem)
    if isinstance(picture, Image.Image):
        photo = ImageOps.fit(opaque(picture), (2 * width, 2 * height), Image.Resampling.LANCZOS)
        return View(photo, _as_input(photo, model), "picture")
    array = torch.as_tensor(picture)
    if array.ndim != 3:
        raise InputError(f"image has shape {list(array.shape)}, expected [channels, height, width].")
    image = model.check_images(array[None])[0].float()
    return View(to_picture(image.permute(1, 2, 0).cpu().numpy()).convert("RGB"), image, "picture")


def _as_input(photo: Image.Image, model: Model) -> Tensor:
    height, width = model.size
    smaller = photo.resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(to_array(smaller, model.input_channels))
