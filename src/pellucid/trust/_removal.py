"""Causal effect: take a position of a layer away, run the rest of the network, and see what the logits do."""

import numpy as np
import torch
from torch import Tensor

from ..models import Model, borrowed
from ..record import run
from ..targets import LOGITS

# Removals that run together; the rest of the network is cheap, its input is not.
_BATCH = 64


def measure_removals(model: Model, image: Tensor, layer: str) -> np.ndarray:
    """How each logit changes when one position of a layer is set to zero: float32 [rows, columns, classes].

    Args:
        model: it comes back as it was.
        image: [channels, height, width], sRGB in [0, 1].
        layer: name of a grid or token layer.

    Raises:
        TargetError: no such layer.

    Example:
        >>> measure_removals(model, image, "8").shape
        (10, 10, 10)
    """
    name = model.layer(layer).name
    images = model.check_images(image[None])
    with borrowed(model.module), torch.no_grad():
        whole = run(model, images, [name, LOGITS])
        rows, columns = whole[name].shape[2:]
        changes = []
        for start in range(0, rows * columns, _BATCH):
            places = torch.arange(start, min(start + _BATCH, rows * columns))
            logits = _without(model, images, name, places)
            changes.append((logits - whole[LOGITS].flatten(1)).float().cpu())
    return torch.cat(changes).reshape(rows, columns, -1).numpy()


def _without(model: Model, images: Tensor, layer: str, places: Tensor) -> Tensor:
    """The logits with each of `places` removed in turn: [places, classes]."""

    def remove(grid: Tensor) -> Tensor:
        edited = grid.expand(len(places), -1, -1, -1).clone()
        rows, columns = places // grid.shape[3], places % grid.shape[3]
        edited[torch.arange(len(places)), :, rows, columns] = 0
        return edited

    try:
        # One image up to the layer, many from there on: what runs beside the layer broadcasts.
        logits = run(model, images, [LOGITS], edits={layer: remove})[LOGITS].flatten(1)
    except RuntimeError:
        logits = None  # something beside the layer is joined rather than added, and wants equally many images
    if logits is None or len(logits) != len(places):  # or the code counted the images before the layer
        many = images.expand(len(places), -1, -1, -1)
        logits = run(model, many, [LOGITS], edits={layer: remove})[LOGITS].flatten(1)
    return logits
