"""Activations of real images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..events import Event, Progress, silent
from ..models import Layer, Model, borrowed
from ._run import run


@dataclass(frozen=True, eq=False)
class Activations:
    """What a layer did on some images.

    Args:
        layer: where.
        values: float32 [n, rows, columns, channels]; [n, channels] for a vector layer.
    """

    layer: Layer
    values: np.ndarray

    def __repr__(self) -> str:
        return f"<Activations {self.layer.name} {list(self.values.shape)}>"


def record(
    model: Model,
    images: Tensor | np.ndarray,
    layers: str | Sequence[str],
    *,
    batch_size: int = 32,
    progress: Progress = silent,
) -> dict[str, Activations]:
    """The activations of some layers on some images, by layer name; the network runs no further than the deepest.

    Args:
        images: [n, channels, height, width], sRGB in [0, 1].
        layers: names; `logits` is the model's output.
        batch_size: images at a time.
        progress: receives an event for each batch.

    Raises:
        InputError: the images do not fit.
        TargetError: no such layer.
        ModelError: the model cannot run on this size.

    Example:
        >>> model = pellucid.wrap(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()), size=16)
        >>> pellucid.record(model, torch.rand(2, 3, 16, 16), ["1"])["1"].values.shape
        (2, 14, 14, 8)
    """
    images = model.check_images(images)
    names = [layers] if isinstance(layers, str) else list(layers)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with borrowed(model.module), torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            grids = run(model, batch, names)
            for name in names:
                layer = model.layer(name)
                grid = grids[layer.name].float().permute(0, 2, 3, 1).cpu().numpy()
                parts[name].append(grid[:, 0, 0] if layer.kind == "vector" else np.ascontiguousarray(grid))
            progress(Event(f"recording {model.name}", min(start + batch_size, len(images)), len(images), "image"))
    return {name: Activations(model.layer(name), np.concatenate(parts[name])) for name in names}
