"""What makes a unit fire on an image: through which channels of the layers before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, ModelError
from ..models import Layer, Model, borrowed
from ..record import run
from ..record._run import Edit
from ._exemplars import Feature

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Routes:
    """What happened on some images, each seen for one unit.

    Args:
        values: the unit's largest activation, float32 [n].
        states: by layer: the activations before it, averaged over positions by how much each concerns the unit;
            float32 [n, channels].
        routes: by layer: what each channel adds to the unit, h · ∂unit/∂h summed over positions; float32 [n, channels].
    """

    values: np.ndarray
    states: dict[str, np.ndarray]
    routes: dict[str, np.ndarray]

    def __getitem__(self, chosen: slice | Sequence[int]) -> "Routes":
        part = slice(chosen.start, chosen.stop) if isinstance(chosen, slice) else list(chosen)
        return Routes(
            self.values[part],
            {name: array[part] for name, array in self.states.items()},
            {name: array[part] for name, array in self.routes.items()},
        )


def layers_before(model: Model, layer: Layer, count: int = 3) -> list[str]:
    """Layers through which all that a layer sees must pass, from early to late, the last right before it.

    Taken are outermost modules and neighbours of the layer's own, of those that cut it off from the picture when their
    output is made a constant; where none does (a class token runs beside the patches), those that it depends on.

    Args:
        model: it comes back as it was.
        layer: where the unit is.
        count: how many at most, spread evenly; the first, which see little more than pixels, come last.
    """
    names = list(model.layers)
    earlier = names[: names.index(layer.name)]
    # What lies inside a module that has ended is part of it.
    outer = {name for name in earlier if not any(name.startswith(f"{other}.") for other in names)}
    beside = {name for name in earlier if name.rpartition(".")[0] == layer.path.rpartition(".")[0]}
    usable = [name for name in earlier if name in outer | beside]
    usable = [name for name in usable if model.layers[name].kind != "vector"] or usable
    image = torch.full((1, model.input_channels, *model.size), 0.5, requires_grad=True)
    with borrowed(model.module), torch.enable_grad():
        cuts = [name for name in usable if _reached(model, image, layer.name, {name: Tensor.detach}) is None]
        if not cuts:
            cuts = [name for name in usable if _reached(model, image.detach(), layer.name, {name: _alive}) is not None]
    if len(cuts) <= count:
        return cuts
    at = np.linspace(len(cuts) - 1, (len(cuts) - 1) / count, count).round().astype(int)[::-1]
    return [cuts[index] for index in at]


def _reached(model: Model, image: Tensor, layer: str, edits: Mapping[str, Edit]) -> Tensor | None:
    """What the layer gives, where gradients come through to it."""
    grid = run(model, image, [layer], edits=edits)[layer]
    return grid if grid.requires_grad else None


def _alive(grid: Tensor) -> Tensor:
    return grid.detach().requires_grad_() * 1  # what follows may work in place


def read_routes(model: Model, images: Tensor, units: Sequence[Feature], layers: Sequence[str]) -> Routes:
    """What makes each image's unit fire where it fires most.

    Args:
        model: it comes back as it was.
        images: [n, channels, height, width] in [0, 1].
        units: one for each image, all of one layer.
        layers: names of earlier ones.

    Raises:
        InputError: a layer that the unit does not depend on.
    """
    parts = [
        _read(model, images[start : start + _BATCH], units[start : start + _BATCH], layers)
        for start in range(0, len(images), _BATCH)
    ]
    return Routes(
        np.concatenate([part.values for part in parts]),
        {name: np.concatenate([part.states[name] for part in parts]) for name in layers},
        {name: np.concatenate([part.routes[name] for part in parts]) for name in layers},
    )


def _read(model: Model, images: Tensor, units: Sequence[Feature], layers: Sequence[str]) -> Routes:
    kept: dict[str, Tensor] = {}

    def keep(name: str):
        def edit(grid: Tensor) -> Tensor:
            kept[name] = grid if grid.requires_grad else grid.detach().requires_grad_()
            return kept[name] * 1  # what follows may work in place

        return edit

    where = units[0].layer
    with borrowed(model.module), torch.enable_grad():
        grid = run(model, images, [where], edits={name: keep(name) for name in layers})[where].float()
        weights = torch.from_numpy(np.stack([unit.weights(grid.shape[1]) for unit in units])).to(grid)
        values = torch.einsum("nchw,nc->nhw", grid, weights).flatten(1).max(1).values
        # Where the unit depends on none of them there is nothing to differentiate.
        gradients: Sequence[Tensor | None] = [None] * len(layers)
        if values.requires_grad:
            gradients = torch.autograd.grad(values.sum(), [kept[name] for name in layers], allow_unused=True)
    states, routes = {}, {}
    for name, gradient in zip(layers, gradients, strict=True):
        if gradient is None:
            raise InputError(f"{where} of {model.name} does not depend on {name}; choose an earlier layer.")
        before = kept[name].detach().float()
        concern = gradient.float().norm(dim=1, keepdim=True)
        # Where nothing matters, because the unit is off, every position counts the same.
        concern = torch.where(concern.sum((2, 3), keepdim=True) > 0, concern, torch.ones_like(concern))
        share = concern / concern.sum((2, 3), keepdim=True)
        states[name] = (before * share).sum((2, 3)).cpu().numpy()
        routes[name] = (before * gradient.float()).sum((2, 3)).cpu().numpy()
    return Routes(values.detach().cpu().numpy(), states, routes)


def at_own_size(model: Model, images: Tensor, layer: str) -> Tensor:
    """The images, scaled to the model's usual size where it takes no other."""
    if tuple(images.shape[2:]) == model.size:
        return images
    try:
        with borrowed(model.module), torch.no_grad():
            run(model, images[:1], [layer])
    except ModelError:
        return torch.nn.functional.interpolate(
            images, size=model.size, mode="bilinear", align_corners=False, antialias=True
        )
    return images
