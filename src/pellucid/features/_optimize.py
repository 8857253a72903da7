"""The loop: pictures of several jobs optimized together, each as if alone."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..models import Model
from ..record import Slice, run
from ._redirect import RedirectedReLUs
from .images import Fourier, Parametrization, Shape, encode_image
from .objectives import Objective
from .transforms import Transform, apply_transforms, standard

# A dead ReLU is helped this long (ALGORITHMS: Dead starts); later a zero gradient is an answer, not an accident.
_REDIRECTED_STEPS = 16
# Share of the steps over which the learning rate falls: see docs/design/speed.md for what was tried.
_ANNEALED = 0.3
# Share of a picture that is opaque where its opacity is told by the gradient.
_OPAQUE = 0.2


@dataclass(frozen=True)
class Settings:
    """How pictures are optimized; everything that changes the result is here, in the objective or in the seed."""

    size: tuple[int, int]
    steps: int
    parametrization: Parametrization = field(default_factory=Fourier)
    transforms: tuple[Transform, ...] = field(default_factory=standard)
    learning_rate: float = 0.05
    optimizer: Literal["adam", "nadam"] = "adam"
    betas: tuple[float, float] = (0.0, 0.9)
    schedule: Literal["constant", "anneal"] = "anneal"
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    snapshots: tuple[int, ...] = ()
    draws: int = 1
    traced: bool = False
    """Whether pictures get a fourth channel, opacity, by the gradient that reached each pixel."""


@dataclass(frozen=True, eq=False)
class Job:
    """An objective, checked against the model, and how many pictures are optimized for it together.

    Args:
        key: what tells its randomness from that of other jobs.
        start: a picture to start from, [channels, height, width] in [0, 1], or `None` for a random one.
    """

    objective: Objective
    copies: int
    key: str
    start: Tensor | None = None

    def generators(self, seed: int) -> list[torch.Generator]:
        """One random generator for each copy; they depend on nothing but the job and the seed."""
        made = []
        for copy in range(self.copies):
            digest = hashlib.sha256(f"{seed}|{self.key}|{copy}".encode()).digest()
            made.append(torch.Generator().manual_seed(int.from_bytes(digest[:7], "big")))
        return made


@dataclass(frozen=True, eq=False)
class Result:
    """What became of the jobs of a batch.

    Args:
        images: float32 [images, channels, height, width] in [0, 1], on the CPU; jobs in order, copies side by side.
            With `traced`, the last channel is opacity.
        objective: float32 [images, steps done].
        parameters: of the parametrization, from which the images were decoded; on the CPU.
        snapshots: for each step that was asked for and reached, the images after it.
        interrupted: whether Ctrl-C ended the work early.
    """

    images: Tensor
    objective: Tensor
    parameters: list[Tensor]
    snapshots: dict[int, Tensor]
    interrupted: bool


class _Readings:
    """One job's view of the batch."""

    def __init__(
        self,
        rows: slice,
        canvas: Tensor,
        opacity: Tensor | None,
        grids: Mapping[str, Sequence[Tensor]],
        kept: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.images = canvas[rows]
        self.opacity = opacity[rows] if opacity is not None else self.images.new_ones(self.images[:, 0].shape)
        self._rows, self._grids, self._kept = rows, grids, kept

    def grid(self, layer: str) -> Tensor:
        return torch.stack(self._grids[layer][self._rows]).float()  # type: ignore[arg-type]

    def channel(self, layer: str, index: int) -> Tensor:
        kept = self._kept.get(layer)
        place = index if kept is None else kept.index(index)
        # Each image's own slice: a slice of the whole batch would cost a batch of zeros in the backward pass.
        return torch.stack([grid[place].float() for grid in self._grids[layer][self._rows]])


Network = Callable[[Tensor], dict[str, Tensor]]


@torch.enable_grad()  # the caller may have switched gradients off; here they are the point
def optimize(
    model: Model,
    network: Slice | None,
    layers: Sequence[str],
    jobs: Sequence[Job],
    settings: Settings,
    on_step: Callable[[int], None],
) -> Result:
    """The pictures of some jobs after `settings.steps` steps, or what there is when Ctrl-C comes.

    Args:
        model: whose layers are read.
        network: the rewritten part of it, or `None` to run the module itself through hooks.
        layers: the layers that the jobs read.
        jobs: optimized together; none sees the others.
        on_step: called with the number of steps done.

    Raises:
        InputError: an objective does not depend on the picture.
    """
    shape: Shape = (model.input_channels, *settings.size)
    parametrization = settings.parametrization
    generators = [generator for job in jobs for generator in job.generators(settings.seed)]
    parameters = _start(jobs, settings, shape, generators, model.device)
    kinds = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam}
    optimizer = kinds[settings.optimizer](parameters, lr=settings.learning_rate, betas=settings.betas)
    run_layers: Network = network if network is not None else (lambda images: run(model, images, layers))
    kept = network.kept if network is not None else {}
    rows, first = [], 0
    for job in jobs:
        rows.append(slice(first, first + job.copies))
        first += job.copies

    def worth(seen: Tensor, canvas: Tensor, opacity: Tensor | None) -> Tensor:
        grids = {name: grid.unbind(0) for name, grid in run_layers(seen).items()}
        values = []
        for first in range(0, len(seen), len(canvas)):
            view = {name: each[first : first + len(canvas)] for name, each in grids.items()}
            readings = [_Readings(part, canvas, opacity, view, kept) for part in rows]
            values.append(torch.cat([job.objective.value(read) for job, read in zip(jobs, readings, strict=True)]))
        return torch.stack(values).mean(0)

    def finished() -> Tensor:
        with torch.no_grad():
            images = parametrization.decode(parameters, shape)
            return (images if strength is None else torch.cat([images, _opacity(strength)], 1)).float().cpu()

    strength: Tensor | None = None  # of the gradient at each pixel, summed over the steps
    history: list[Tensor] = []
    snapshots: dict[int, Tensor] = {}
    interrupted = False
    try:
        for step in range(settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _schedule(settings, step)
            picture = parametrization.decode(parameters, shape)
            canvas, opacity = _split(picture, shape)
            seen = _drawn(canvas, opacity, settings, generators)
            evaluate = partial(worth, seen, canvas, opacity)
            values = evaluate()
            if not values.requires_grad:
                raise InputError(f"the objective {jobs[0].objective!r} does not depend on the picture.")
            help_dead = step < _REDIRECTED_STEPS
            *gradients, reached, arrived = torch.autograd.grad(
                -values.sum(), [*parameters, seen, canvas], retain_graph=help_dead, allow_unused=True
            )
            if settings.traced and arrived is not None:
                traced = arrived.abs().mean(1, keepdim=True)
                strength = traced if strength is None else strength + traced
            gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
            if help_dead and reached is not None:
                asleep = (reached == 0).flatten(1).all(1).view(settings.draws, -1).all(0)
                _revive(evaluate, parameters, gradients, asleep)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            history.append(values.detach())
            if step + 1 in settings.snapshots:
                snapshots[step + 1] = finished()
            on_step(step + 1)
    except KeyboardInterrupt:
        interrupted = True
    images = finished()
    count = len(images)
    objective = torch.stack(history, 1).float().cpu() if history else torch.zeros(count, 0)
    return Result(images, objective, [each.detach().cpu() for each in parameters], snapshots, interrupted)


def _revive(
    evaluate: Callable[[], Tensor], parameters: Sequence[Tensor], gradients: list[Tensor], dead: Tensor
) -> None:
    """Give dead images, which no gradient reaches through the network, the one that redirected ReLUs let through."""
    if not dead.any():
        return
    with RedirectedReLUs():
        redirected = torch.autograd.grad(-evaluate().sum(), parameters)
    for index, gradient in enumerate(redirected):
        if len(dead) % len(gradient) == 0:
            # What images share is dead only if all of them are.
            mask = dead.view(len(gradient), -1).all(1).view(-1, *[1] * (gradient.ndim - 1))
            gradients[index] = torch.where(mask, gradient, gradients[index])


def _schedule(settings: Settings, step: int) -> float:
    """What the learning rate is multiplied with: 1, and over the last third of an annealed run down to 0."""
    left = (settings.steps - step) / settings.steps / _ANNEALED
    if settings.schedule == "constant" or left >= 1:
        return 1.0
    return 0.5 * (1 - math.cos(math.pi * left))


def _start(
    jobs: Sequence[Job], settings: Settings, shape: Shape, generators: Sequence[torch.Generator], device: torch.device
) -> list[Tensor]:
    """The parameters of all images, leaves on the model's device; each entry has the images along its first axis."""
    started, first = [], 0
    for job in jobs:
        if job.start is not None:
            one = encode_image(settings.parametrization, job.start[None].float())
            started.append([parameter.repeat(job.copies, *[1] * (parameter.ndim - 1)) for parameter in one])
        else:
            each = [
                settings.parametrization.start(shape, 1, generator)
                for generator in generators[first : first + job.copies]
            ]
            joined = [torch.cat(parts) for parts in zip(*each, strict=True)]
            # What copies share, they share with the first.
            whole = settings.parametrization.start(shape, job.copies, torch.Generator().manual_seed(0))
            started.append([part[: len(like)] for part, like in zip(joined, whole, strict=True)])
        first += job.copies
    return [torch.cat(parts).to(device).requires_grad_() for parts in zip(*started, strict=True)]


def _split(picture: Tensor, shape: Shape) -> tuple[Tensor, Tensor | None]:
    if picture.shape[1] == shape[0]:
        return picture, None
    return picture[:, : shape[0]], picture[:, shape[0]]


def _drawn(canvas: Tensor, opacity: Tensor | None, settings: Settings, generators: Sequence[torch.Generator]) -> Tensor:
    """All pictures after one draw of the transforms, then all after another, and so on."""
    if settings.draws > 1:
        canvas = canvas.repeat(settings.draws, 1, 1, 1)
        opacity = None if opacity is None else opacity.repeat(settings.draws, 1, 1)
        generators = list(generators) * settings.draws
    transformed = apply_transforms(_on_background(canvas, opacity, generators), settings.transforms, generators)
    return transformed.view_as(transformed)  # what the network alone depends on, and no penalty of the canvas


def _opacity(strength: Tensor) -> Tensor:
    """Opacity in [0, 1]: proportional to the strength, 1 where it is among the strongest fifth of its picture."""
    full = strength.flatten(1).quantile(1 - _OPAQUE, 1).clamp(min=1e-30)
    return (strength / full[:, None, None, None]).clamp(max=1)


def _on_background(canvas: Tensor, opacity: Tensor | None, generators: Sequence[torch.Generator]) -> Tensor:
    """The pictures on backgrounds of random soft colours, different at every step, where they are transparent."""
    if opacity is None:
        return canvas
    coarse = torch.stack([torch.rand((canvas.shape[1], 5, 5), generator=generator) for generator in generators])
    background = F.interpolate(coarse.to(canvas), canvas.shape[2:], mode="bilinear", align_corners=False)
    return torch.lerp(background, canvas, opacity[:, None])
