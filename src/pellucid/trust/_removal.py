"""Causal effect: take a position of a layer away, run the rest of the network, and see what the logits do."""

import numpy as np
from torch import Tensor

from ..models import Model
from ..record import Tail
from ._intervene import intervene_each


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
    tail = Tail(model, image, layer=layer)
    logits = intervene_each(model, image, layer=layer, units="positions", tail=tail)
    before = tail.outputs["logits"].flatten(1).float().cpu().numpy()
    return (logits - before).reshape(*tail.grid.shape[2:], -1)
