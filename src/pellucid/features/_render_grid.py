"""`render_grid`: a picture for each position of a layer, all optimized together."""

import hashlib
import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, ModelError, ResourceError, TargetError
from ..events import Event, Progress, silent
from ..models import Layer, Model, borrowed
from ..record import Activations, Untraceable, record, run, slice_network
from ..store import RenderCache
from ._grid import ActivationGrid, grid_values, relative_strength
from ._redirect import RedirectedReLUs
from ._render import Precision, _out_of_memory, _precision
from .images import Fourier, Laplacian, to_colours

# What was compared for these, with pictures: docs/design/grids.md.
_MOST_STEPS = 64
_TRAVEL, _FASTEST = 0.4, 0.12
_BETAS = (0.0, 0.9)
_ANNEALED = 0.3
_COSINE_POWER = 4.0
_COARSER = 8
_SHIFT, _TURN, _ZOOM = 0.125, 5.0, 0.05
_WIDTH = 672
_SMALLEST = 16
_REDIRECTED_STEPS = 16
_CHUNK_PIXELS = 32 * 48 * 48


@dataclass(frozen=True)
class _Settings:
    side: int
    steps: int | None
    budget_seconds: float | None
    seed: int
    precision: str


def render_grid(
    model: Model,
    source: Tensor | np.ndarray | Activations,
    *,
    layer: str,
    side: int | None = None,
    steps: int | None = None,
    budget_seconds: float = 30.0,
    seed: int = 0,
    precision: Precision = "auto",
    cache: RenderCache | None = None,
    progress: Progress = silent,
) -> ActivationGrid:
    """The photo as a layer sees it: for each position a small picture whose centre points in that position's direction.

    The network sees every cell by itself, with a random turn, shift and zoom at each step that may bring in a little
    of the neighbours. Each cell has a spectrum of its own, and all share one coarse picture of the whole, so that
    colours run on from cell to cell and a few dozen steps are enough. Ctrl-C returns what there is.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        source: an image [channels, height, width], sRGB in [0, 1], or its activations from `record`.
        layer: a layer with positions.
        side: of a cell, px; by default about 672 px for the whole grid, and an odd number of the layer's strides.
        steps: of the optimizer; by default at most 64, as many as fit into `budget_seconds`.
        budget_seconds: how long it may take; without effect where `steps` is given, whose results are the same at each
            run on one machine.
        seed: of all randomness.
        precision: as for `render`.
        cache: where to look for and keep the finished grid; it is then rounded to 1/255.
        progress: receives an event for each step.

    Raises:
        TargetError: no such layer, or one without positions.
        InputError: a setting does not fit, or the layer is zero everywhere on this image.
        ResourceError: not enough memory.

    Source: Olah et al., The Building Blocks of Interpretability, Distill 2018, doi 10.23915/distill.00010.

    Example:
        >>> pellucid.features.render_grid(model, torch.rand(3, 32, 32), layer="6", side=16, steps=2)
        <ActivationGrid 6: 12×12 cells of 16 px>
    """
    began = time.perf_counter()
    place = model.layer(layer)
    if place.kind == "vector":
        raise TargetError(
            f"{place.name} has no positions; choose a layer that `pellucid layers` lists as grid or tokens."
        )
    if steps is not None and steps < 1:
        raise InputError(f"steps is {steps}; expected 1 or more.")
    if not 0 < budget_seconds < float("inf"):
        raise InputError(f"budget_seconds is {budget_seconds}; expected more than 0.")
    if side is not None and side < 4:
        raise InputError(f"side is {side}; expected at least 4 px.")
    recorded = source if isinstance(source, Activations) else _recorded(model, source, place)
    values, _ = grid_values(recorded, place.name)
    if values.shape[2] != place.channels:
        raise InputError(f"the activations have {values.shape[2]} channels; {place.name} has {place.channels}.")
    settings = _Settings(
        side=side or _usual_side(model, place, values.shape[:2]),
        steps=steps,
        budget_seconds=None if steps else float(budget_seconds),
        seed=seed,
        precision=_precision(precision, model),
    )
    recipe = {
        "engine": 1,  # raised when the same recipe would give other pictures
        "grid": place.name,
        "model": model.digest,
        "source": _digest(values if isinstance(source, Activations) else np.asarray(torch.as_tensor(source).cpu())),
        "settings": asdict(settings),
    }
    remarks: list[str] = []
    found = cache.read(recipe) if cache is not None else None
    if found is not None:
        image, curve, interrupted = found[0], found[1], False
    else:
        with borrowed(model.module):
            image, curve, interrupted = _optimize(model, place, values, settings, began, progress, remarks)
        if cache is not None:
            image = np.round(image * 255) / np.float32(255)
            if not interrupted:
                cache.write(recipe, image, np.round(curve, 4).tolist())
    return ActivationGrid(
        layer=place.name,
        image=image,
        strength=relative_strength(values),
        objective=np.asarray(curve, np.float32),
        interrupted=interrupted,
        provenance={
            **_provenance(model),
            "method": "optimized",
            "settings": asdict(settings),
            "steps": len(curve),
            "from_cache": found is not None,
            "interrupted": interrupted,
            "remarks": remarks,
            "seconds": round(time.perf_counter() - began, 3),
        },
    )


def _recorded(model: Model, image: Tensor | np.ndarray, place: Layer) -> Activations:
    given = torch.as_tensor(image)
    if given.ndim != 3:
        raise InputError(f"the image is {list(given.shape)}; expected [channels, height, width].")
    return record(model, given[None], place.name)[place.name]


def _usual_side(model: Model, place: Layer, shape: tuple[int, ...]) -> int:
    """An odd number of strides, so that a position lies in the middle; no cell of more than half the usual picture."""
    stride = max(1, round(model.size[0] / place.rows))
    wanted = min(max(_WIDTH / max(shape), 1.5 * _SMALLEST), min(model.size) / 2)
    return max(_SMALLEST, (2 * round((wanted / stride - 1) / 2) + 1) * stride)


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(str(array.shape).encode() + np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()[
        :32
    ]


@dataclass(frozen=True)
class _Canvas:
    """What is optimized: a spectrum for each cell, and a coarse picture of the whole as a pyramid."""

    rows: int
    columns: int
    side: int
    channels: int

    @property
    def size(self) -> tuple[int, int]:
        return self.rows * self.side, self.columns * self.side

    @property
    def _coarse(self) -> tuple[int, int, int]:
        return self.channels, max(2, self.size[0] // _COARSER), max(2, self.size[1] // _COARSER)

    def start(self, generator: torch.Generator) -> list[Tensor]:
        cell = (self.channels, self.side, self.side)
        pyramid = Laplacian(levels=5).start(self._coarse, 1, generator)
        return [*Fourier().start(cell, self.rows * self.columns, generator), *pyramid]

    def decode(self, parameters: list[Tensor]) -> Tensor:
        """[1, channels, rows·side, columns·side] in (0, 1)."""
        own, *shared = parameters
        cells = Fourier().plain(own, (self.channels, self.side, self.side))
        tiled = cells.view(self.rows, self.columns, *cells.shape[1:]).permute(2, 0, 3, 1, 4)
        coarse = Laplacian(levels=5).plain(shared, self._coarse)
        whole = F.interpolate(coarse, self.size, mode="bilinear", align_corners=False)
        return to_colours(tiled.reshape(whole.shape) + whole)

    def cut(self, picture: Tensor, window: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Every cell, slightly moved, turned and zoomed: [cells, channels, *window]; grey beyond the canvas."""
        count = self.rows * self.columns
        height, width = self.size

        def draw(most: float) -> Tensor:
            return most * (2 * torch.rand(count, generator=generator) - 1)

        index, turn, zoom = torch.arange(count), torch.deg2rad(draw(_TURN)), 1 + draw(_ZOOM)
        centre_y = (index // self.columns + 0.5 + draw(_SHIFT)) * self.side
        centre_x = (index % self.columns + 0.5 + draw(_SHIFT)) * self.side
        offsets = [(torch.arange(length) + 0.5) / length * self.side - self.side / 2 for length in window]
        y, x = torch.meshgrid(*offsets, indexing="ij")
        cosine, sine = (torch.cos(turn) / zoom)[:, None, None], (torch.sin(turn) / zoom)[:, None, None]
        rows = sine * x + cosine * y + centre_y[:, None, None]
        columns = cosine * x - sine * y + centre_x[:, None, None]
        points = torch.stack([2 * columns / width - 1, 2 * rows / height - 1], -1)
        # All windows as one tall picture: a batch of them would need a copy of the canvas, and its gradient, for each.
        tall = points.view(1, count * window[0], window[1], 2).to(picture)
        seen = F.grid_sample(picture - 0.5, tall, align_corners=False) + 0.5
        return seen.view(self.channels, count, *window).transpose(0, 1)


@torch.enable_grad()  # the caller may have switched gradients off; here they are the point
def _optimize(
    model: Model,
    place: Layer,
    values: np.ndarray,
    settings: _Settings,
    began: float,
    progress: Progress,
    remarks: list[str],
) -> tuple[np.ndarray, list[float], bool]:
    """The picture, the mean projection at each step, and whether Ctrl-C came."""
    rows, columns, _ = values.shape
    window, network = _network(model, place, settings, remarks)
    canvas = _Canvas(rows, columns, settings.side, model.input_channels)
    vectors = F.normalize(torch.from_numpy(values).flatten(0, 1), dim=1).to(model.device)
    generator = torch.Generator().manual_seed(settings.seed)
    parameters = [part.to(model.device).requires_grad_() for part in canvas.start(generator)]
    optimizer = torch.optim.Adam(parameters, lr=_FASTEST, betas=_BETAS)
    curve: list[float] = []
    total, first = settings.steps or _MOST_STEPS, 0.0
    interrupted = False
    try:
        while len(curve) < total:
            optimizer.param_groups[0]["lr"] = _rate(len(curve), total)
            seen = canvas.cut(canvas.decode(parameters), window, generator)
            gradient, worth = _gradient(network, seen, vectors, len(curve) < _REDIRECTED_STEPS)
            for parameter, part in zip(parameters, torch.autograd.grad(seen, parameters, -gradient), strict=True):
                parameter.grad = part
            optimizer.step()
            curve.append(worth)
            now = time.perf_counter()
            if settings.budget_seconds is not None and len(curve) == 1:
                first = now
                total = total if now - began < settings.budget_seconds else 1
            elif settings.budget_seconds is not None:
                # The first step also warms up; the mean of the others says how many fit.
                each = max((now - first) / (len(curve) - 1), 1e-9)
                fitting = len(curve) + max(0, int((settings.budget_seconds - (now - began)) / each))
                total = min(_MOST_STEPS, fitting)
            progress(Event(f"rendering the grid of {place.name} of {model.name}", len(curve), total, "step"))
    except KeyboardInterrupt:
        interrupted = True
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise ResourceError(
            f"not enough memory for {rows}×{columns} cells of {settings.side} px; give a smaller side."
        ) from error
    with torch.no_grad():
        picture = canvas.decode(parameters)[0].permute(1, 2, 0).float().cpu().numpy()
    return np.ascontiguousarray(picture), curve, interrupted


def _rate(step: int, total: int) -> float:
    """The learning rate: larger in short runs, so that they reach full contrast, and falling over the last steps."""
    left = (total - step) / total / _ANNEALED
    return min(_FASTEST, _TRAVEL / math.sqrt(total)) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, left)))


def _gradient(
    network: Callable[[Tensor], Tensor], seen: Tensor, vectors: Tensor, help_dead: bool
) -> tuple[Tensor, float]:
    """What raises each cell's projection on its own vector: the gradient for its pixels; and the mean projection.

    A few cells at a time keep the network's activations small, whatever the size of the grid.
    """
    gradients, worth = [], 0.0
    size = max(1, _CHUNK_PIXELS // (seen.shape[2] * seen.shape[3]))
    for part, wanted in zip(seen.detach().split(size), vectors.split(size), strict=True):
        pixels = part.contiguous().requires_grad_()

        def value(pixels: Tensor = pixels, wanted: Tensor = wanted) -> tuple[Tensor, Tensor]:
            centre = _centre(network(pixels))
            projection = (centre * wanted).sum(1)
            cosine = projection / centre.norm(dim=1).clamp(min=1e-12)
            return projection * cosine.clamp(min=0.1) ** _COSINE_POWER, projection.detach()

        weighted, projection = value()
        (gradient,) = torch.autograd.grad(weighted.sum(), pixels)
        dead = (gradient == 0).flatten(1).all(1) & (wanted != 0).any(1)
        if help_dead and dead.any():
            with RedirectedReLUs():
                (redirected,) = torch.autograd.grad(-value()[0].sum(), pixels)
            gradient = torch.where(dead[:, None, None, None], -redirected, gradient)
        gradients.append(gradient)
        worth += float(projection.sum())
    return torch.cat(gradients), worth / len(vectors)


def _centre(grid: Tensor) -> Tensor:
    """[n, channels] at the middle: of one position, or of the two or four around it."""
    rows, columns = grid.shape[2:]
    middle = grid[:, :, (rows - 1) // 2 : rows // 2 + 1, (columns - 1) // 2 : columns // 2 + 1]
    return middle.float().mean((2, 3))


def _network(
    model: Model, place: Layer, settings: _Settings, remarks: list[str]
) -> tuple[tuple[int, int], Callable[[Tensor], Tensor]]:
    """The size at which cells are shown, and the run up to the layer; the model's own size where it takes no other."""
    window = (settings.side, settings.side)
    probe = torch.full((1, model.input_channels, *window), 0.5)
    try:
        with torch.no_grad():
            if 0 in run(model, probe.to(model.device), [place.name])[place.name].shape:
                raise ModelError(f"{place.name} has no position on {settings.side} px.")
    except ModelError:
        window = model.size
        remarks.append(f"cells are enlarged to {window[0]}×{window[1]} px: the network takes no smaller ones")
    try:
        network = slice_network(model, [place.name], size=window, dtype=getattr(torch, settings.precision))
        return window, lambda pixels: network(pixels)[place.name]
    except Untraceable as error:
        remarks.append(f"runs through hooks, in the model's own precision: {error}")
        return window, lambda pixels: run(model, pixels, [place.name])[place.name]


def _provenance(model: Model) -> dict[str, Any]:
    from .. import __version__

    return {
        "model": model.name,
        "weights": model.digest,
        "source": dict(model.source),
        "versions": {"pellucid": __version__, "torch": str(torch.__version__), "python": platform.python_version()},
        "device": str(model.device),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
