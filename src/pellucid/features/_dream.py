"""DeepDream: an image with more of everything that a layer sees in it, at any size."""

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ..models import Model, borrowed
from ..record import Untraceable, run, slice_network
from ._render import Goal, fast_bfloat16
from .objectives import DeepDream, Objective, as_objective

# Tiles of the model's usual size keep memory flat for any picture; a random shift at each step hides their seams.
_SMALLEST_OCTAVE = 64


def dream(
    model: Model,
    image: Tensor | np.ndarray,
    goal: Goal,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 12,
    step_size: float = 0.012,
    tile: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> np.ndarray:
    """The image after DeepDream: float32 [height, width, channels], sRGB in [0, 1].

    From coarse to fine (octaves), the picture climbs the gradient, normalized in each tile; the detail that a smaller
    octave lost is put back at the next (Mordvintsev, Olah, Tyka, Inceptionism, 2015).

    Args:
        image: [channels, height, width], sRGB in [0, 1], of any size.
        goal: a layer's name for everything it sees, or a target or objective.
        octaves: how many sizes, each `octave_scale` times the one before; as many as leave 64 px.
        steps: at each octave.
        step_size: mean absolute change of a pixel at each step, in units of the range 0 to 1.
        tile: side of the tiles, px; by default the model's own size.
        seed: of the shifts.
        progress: receives an event for each step.

    Raises:
        InputError: the image or a setting does not fit.
        TargetError: no such layer or unit.

    Example:
        >>> pellucid.dream(model, torch.rand(3, 80, 100), "8", octaves=2, steps=2).shape
        (80, 100, 3)
    """
    picture = model.check_images(torch.as_tensor(image)[None]).float()
    if octaves < 1 or octave_scale <= 1 or steps < 1:
        raise InputError(
            f"dream needs octaves ≥ 1, octave_scale > 1 and steps ≥ 1, not {octaves}, {octave_scale}, {steps}."
        )
    objective: Objective
    if isinstance(goal, str) and ":" not in goal:
        objective = DeepDream(model.layer(goal).name)
    else:
        objective = as_objective(goal).checked(model)
    side = tile or min(model.size)
    height, width = picture.shape[2:]
    sizes = [
        (round(height / octave_scale**level), round(width / octave_scale**level)) for level in reversed(range(octaves))
    ]
    sizes = [size for size in sizes if min(size) >= _SMALLEST_OCTAVE] or [(height, width)]
    generator = torch.Generator().manual_seed(seed)
    layers = sorted(objective.needs())
    total = len(sizes) * steps
    if not layers:
        raise InputError("the objective does not look at any layer.")
    with borrowed(model.module), torch.enable_grad():
        try:
            dtype = torch.bfloat16 if fast_bfloat16(model.device) else torch.float32
            network = slice_network(model, layers, size=(side, side), dtype=dtype)
        except Untraceable:
            network = None
        detail = torch.zeros_like(picture)
        current = picture
        for level, size in enumerate(sizes):
            base = _resize(picture, size)
            current = base + _resize(detail, size)
            for step in range(steps):
                shift = [int(torch.randint(0, side, (), generator=generator)) for _ in range(2)]
                rolled = torch.roll(current, shift, (2, 3))
                gradient = _gradient(model, network, objective, layers, rolled, side)
                gradient = torch.roll(gradient, [-s for s in shift], (2, 3))
                current = (current + step_size * gradient).clamp(0, 1)
                progress(Event(f"dreaming of {goal}", level * steps + step + 1, total, "step"))
            detail = current - base
    return current[0].permute(1, 2, 0).cpu().numpy()


class _Readings:
    """One tile's view, for objectives."""

    def __init__(self, images: Tensor, grids: dict[str, Tensor]) -> None:
        self.images, self._grids = images, grids
        self.opacity = torch.ones_like(images[:, 0])

    def grid(self, layer: str) -> Tensor:
        return self._grids[layer].float()

    def channel(self, layer: str, index: int) -> Tensor:
        return self._grids[layer][:, index].float()


def _gradient(model: Model, network, objective: Objective, layers: list[str], image: Tensor, side: int) -> Tensor:
    """The gradient of the whole picture, tile by tile, each divided by its own mean magnitude."""
    _, _, height, width = image.shape
    gradient = torch.zeros_like(image)
    for top, bottom in _spans(height, side):
        for left, right in _spans(width, side):
            part = image[:, :, top:bottom, left:right].detach().requires_grad_()
            grids = network(part) if network is not None else run(model, part, layers)
            value = objective.value(_Readings(part, grids)).sum()
            (found,) = torch.autograd.grad(value, part)
            gradient[:, :, top:bottom, left:right] = found / found.abs().mean().clamp(min=1e-12)
    return gradient


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    """Spans that cover an axis evenly, each about `side` long."""
    count = max(1, math.ceil(length / (1.5 * side)))
    edges = [round(length * index / count) for index in range(count + 1)]
    return list(pairwise(edges))


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
