"""`render`: pictures of what units respond to, many at once."""

import dataclasses
import hashlib
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, ModelError, ResourceError, TargetError
from ..events import Event, Progress, silent
from ..models import Model, borrowed
from ..record import Slice, Untraceable, run, slice_network
from ..store import RenderCache
from ..targets import Target
from ._optimize import Job, Result, Settings, optimize
from ._rendering import Rendering
from .images import Alpha, Fourier, Parametrization
from .objectives import Objective, Revealed, as_objective, to_json
from .transforms import Scale, Transform, Window, apply_transforms, standard

Goal = Objective | Target | str
Precision = Literal["auto", "float32", "bfloat16"]

# A batch of 4 to 8 is as fast per image as any on a CPU; more only costs memory.
_CPU_BATCH_PIXELS = 8 * 224 * 224
_MOST_IMAGES = 256
_USUAL_STEPS = 256


def render(
    model: Model,
    targets: Goal | Sequence[Goal],
    *,
    size: int | tuple[int, int] | None = None,
    steps: int = _USUAL_STEPS,
    seed: int = 0,
    parametrization: Parametrization | None = None,
    transforms: Sequence[Transform] | None = None,
    learning_rate: float | None = None,
    optimizer: Literal["adam", "nadam"] = "adam",
    schedule: Literal["constant", "anneal"] = "anneal",
    betas: tuple[float, float] | None = None,
    copies: int = 1,
    start: Tensor | np.ndarray | None = None,
    draws: int = 1,
    alpha: bool | Literal["gradient"] = False,
    snapshots: Sequence[int] = (),
    precision: Precision = "auto",
    batch_size: int | None = None,
    cache: RenderCache | None = None,
    progress: Progress = silent,
) -> Rendering:
    """Images that make their targets fire as strongly as possible (feature visualization by optimization).

    All targets of a layer are optimized together, in batches, each as if alone: the result for one does not depend on
    which others are in the list. Ctrl-C returns what there is.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        targets: one or many: text (`"mixed4d:426"`, `"-mixed4d:426"` for what suppresses it, `"mixed4d:*"` or
            `"mixed4d:0-63"` for many channels), targets, or objectives (`pellucid.objectives`).
        size: height and width of the images, px; by default the model's own.
        steps: of the optimizer; 64 give a sketch, 128 a good picture, 256 a finished one.
        seed: of all randomness; the same seed on the same machine gives the same images.
        parametrization: what is optimized, `images.Fourier()` by default; see `pellucid.images`.
        transforms: small random changes at each step, `transforms.standard()` by default; see `pellucid.transforms`.
        learning_rate: of the optimizer; by default the parametrization's own, up to 1.5 times that in short runs.
        optimizer, betas: `adam` or `nadam`, and how long they remember gradients and their squares; by default
            what suits the parametrization. Momentum makes pictures of the Fourier kind weaker: see `docs/design`.
        schedule: `anneal` lowers the learning rate to nothing over the last third, `constant` leaves it.
        copies: images for each target; with an objective that compares them (`objectives.Likeness`), optimized jointly.
        start: an image to start from, [channels, height, width] in [0, 1], instead of a random one; or one for each
            target, [targets, channels, height, width].
        draws: of the transforms in which each image is seen at a step; its worth is their mean. The gradient is
            steadier, and a step costs as much as so many.
        alpha: give the images a fourth channel, opacity, and let them leave transparent what does not matter. With
            `"gradient"` the images are those without opacity, and it tells where the objective's gradient went: its
            absolute value at each pixel, summed over the steps, relative to what the strongest fifth exceeds.
        snapshots: steps after which to keep the images.
        precision: of the network's arithmetic. `auto` takes bfloat16 where the processor computes in it (CUDA, AMX,
            AVX512-BF16) and the network can be rewritten, float32 elsewhere.
        batch_size: images at a time; by default what suits the machine. Halved when memory runs out.
        cache: where to look for and keep finished images; they are then rounded to 1/255. `RenderCache()` also finds
            those that come with the package; of these only the last value of the objective is known.
        progress: receives an event for each step.

    Raises:
        TargetError: the model has no such unit.
        InputError: a setting does not fit.
        ResourceError: not even one image fits in memory.

    Source: Olah, Mordvintsev, Schubert, Feature Visualization, Distill 2017, doi 10.23915/distill.00007.

    Example:
        >>> rendering = pellucid.render(model, ["8:1", "8:2"], size=32, steps=4)
        >>> rendering.images.shape
        (2, 32, 32, 3)
    """
    began = time.perf_counter()
    settings = _settings(
        model,
        size,
        steps,
        seed,
        parametrization,
        transforms,
        learning_rate,
        optimizer,
        schedule,
        betas,
        alpha,
        snapshots,
        draws,
    )
    goals = list(targets) if isinstance(targets, Sequence) and not isinstance(targets, str) else [targets]
    named = [pair for goal in goals for pair in _expand(model, goal)]
    if not named:
        raise InputError("render needs at least one target.")
    if copies < 1:
        raise InputError(f"copies is {copies}; expected 1 or more.")
    first = _start_images(model, start, settings, len(named))
    revealed = isinstance(settings.parametrization, Alpha) and bool(alpha)
    jobs = [_job(model, objective, copies, image, revealed) for (_, objective), image in zip(named, first, strict=True)]
    settings = dataclasses.replace(settings, precision=_precision(precision, model))
    recipes = [[_recipe(model, job, settings, copy) for copy in range(copies)] for job in jobs]

    done: dict[int, tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]] = {}
    if cache is not None and not settings.snapshots:
        for index, recipe in enumerate(recipes):
            entries = [_recalled(cache, one, precision) for one in recipe]
            if all(entry is not None for entry in entries):
                images, curves = zip(*[entry for entry in entries if entry is not None], strict=True)
                whole = [_whole_curve(curve, settings.steps) for curve in curves]
                done[index] = (np.stack(images), np.stack(whole), {})

    def keep(indices: Sequence[int], result: Result) -> None:
        for place, index in enumerate(indices):
            part = slice(place * copies, (place + 1) * copies)
            images = result.images[part].permute(0, 2, 3, 1).contiguous().numpy()
            curves = result.objective[part].numpy()
            if cache is not None:
                images = np.round(images * 255) / np.float32(255)
                if not result.interrupted:
                    for recipe, image, curve in zip(recipes[index], images, curves, strict=True):
                        cache.write(recipe, image, np.round(curve, 4).tolist())
            snaps = {step: s[part].permute(0, 2, 3, 1).numpy() for step, s in result.snapshots.items()}
            done[index] = (images, curves, snaps)

    missing = [index for index in range(len(jobs)) if index not in done]
    remarks: list[str] = []
    interrupted = False
    with borrowed(model.module):
        for batch in _render_missing(model, jobs, missing, settings, batch_size, progress, remarks):
            keep(*batch)
            interrupted = interrupted or batch[1].interrupted
    order = sorted(done)
    texts = [
        text if copies == 1 else f"{text}~{copy + 1}" for text, _ in (named[i] for i in order) for copy in range(copies)
    ]
    curves = [curve for index in order for curve in done[index][1]]
    longest = max((len(curve) for curve in curves), default=0)
    reached = [set(done[index][2]) for index in order]
    return Rendering(
        images=np.concatenate([done[index][0] for index in order]),
        # An interrupted batch has fewer steps than the others; its last value stands for the rest.
        objective=np.stack([np.pad(c, (0, longest - len(c)), mode="edge" if len(c) else "constant") for c in curves]),
        targets=tuple(texts),
        snapshots={
            step: np.concatenate([done[index][2][step] for index in order])
            for step in sorted(set.intersection(*reached))
        },
        provenance={
            **_provenance(model, settings),
            "objectives": [to_json(jobs[index].objective) for index in order],
            "from_cache": len(jobs) - len(missing),
            "interrupted": interrupted,
            "remarks": remarks,
            "seconds": round(time.perf_counter() - began, 3),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def find_rendered(
    model: Model,
    targets: Sequence[Target],
    *,
    cache: RenderCache,
    size: int | None = None,
    steps: int = _USUAL_STEPS,
    seed: int = 0,
    alpha: bool = False,
) -> dict[int, np.ndarray]:
    """The images that `render` would take from the cache, by place in `targets`; nothing is rendered.

    Args:
        targets: each a single target.
        cache, size, steps, seed, alpha: as in `render`, whose other settings are the usual ones.

    Example:
        >>> find_rendered(model, [pellucid.Channel("8", 1)], cache=RenderCache("nowhere"))
        {}
    """
    settings = _settings(model, size, steps, seed, None, None, None, "adam", "anneal", None, alpha, (), 1)
    settings = dataclasses.replace(settings, precision=_precision("auto", model))
    found = {}
    for place, target in enumerate(targets):
        job = _job(model, as_objective(target), 1, None, alpha)
        entry = _recalled(cache, _recipe(model, job, settings, 0), "auto")
        if entry is not None:
            found[place] = entry[0]
    return found


def _settings(
    model: Model,
    size: int | tuple[int, int] | None,
    steps: int,
    seed: int,
    parametrization: Parametrization | None,
    transforms: Sequence[Transform] | None,
    learning_rate: float | None,
    optimizer: Literal["adam", "nadam"],
    schedule: Literal["constant", "anneal"],
    betas: tuple[float, float] | None,
    alpha: bool | Literal["gradient"],
    snapshots: Sequence[int],
    draws: int,
) -> Settings:
    shape = height_and_width(model.size if size is None else size)
    if steps < 1:
        raise InputError(f"steps is {steps}; expected 1 or more.")
    if draws < 1:
        raise InputError(f"draws is {draws}; expected 1 or more.")
    for name, value, known in (
        ("optimizer", optimizer, ("adam", "nadam")),
        ("schedule", schedule, ("constant", "anneal")),
        ("alpha", alpha, (True, False, "gradient")),
    ):
        if value not in known:
            raise InputError(f"{name} is {value!r}; expected {' or '.join(map(repr, known))}.")
    if learning_rate is not None and not 0 <= learning_rate < float("inf"):
        raise InputError(f"learning_rate is {learning_rate}; expected a number from 0 up.")
    late = [step for step in snapshots if not 1 <= step <= steps]
    if late:
        raise InputError(f"snapshot at step {late[0]} is outside 1 to {steps}.")
    chosen = parametrization or Fourier()
    if alpha == "gradient" and isinstance(chosen, Alpha):
        raise InputError("alpha='gradient' does not go with Alpha, whose opacity is optimized.")
    if alpha and alpha != "gradient" and not isinstance(chosen, Alpha):
        if not isinstance(chosen, Fourier):
            raise InputError(f"alpha goes with Fourier, not with {type(chosen).__name__}.")
        chosen = Alpha(chosen)
    return Settings(
        size=shape,
        steps=steps,
        parametrization=chosen,
        transforms=tuple(standard() if transforms is None else transforms),
        learning_rate=_learning_rate(chosen, steps, schedule) if learning_rate is None else learning_rate,
        optimizer=optimizer,
        betas=chosen.betas if betas is None else betas,
        schedule=schedule,
        seed=seed,
        snapshots=tuple(sorted(set(snapshots))),
        draws=draws,
        traced=alpha == "gradient",
    )


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Both sides of an image, px, of which one may be given for both."""
    shape = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if min(shape) < 2:
        raise InputError(f"size is {size}; expected at least 2 px.")
    return shape


def _learning_rate(parametrization: Parametrization, steps: int, schedule: str) -> float:
    """The parametrization's own; annealed runs of few steps take up to half as long again, to reach full contrast."""
    if schedule == "constant":
        return parametrization.learning_rate
    return parametrization.learning_rate * min(1.5, max(1.0, _USUAL_STEPS / steps))


def _expand(model: Model, goal: Goal) -> Iterator[tuple[str, Objective]]:
    """Each (text, objective) that a goal stands for; `layer:*` and `layer:3-7` stand for several."""
    if isinstance(goal, str):
        sign, text = ("-", goal.strip()[1:]) if goal.strip().startswith("-") else ("", goal.strip())
        name, _, unit = text.rpartition(":")
        low, dash, high = unit.partition("-")
        if name and (unit == "*" or (dash and low.isdigit() and high.isdigit())):
            layer = model.layer(name)
            chosen = range(layer.channels) if unit == "*" else range(int(low), int(high) + 1)
            if not chosen:
                raise TargetError(f"{goal!r} names no channel; write the smaller number first.")
            for index in chosen:
                yield f"{sign}{layer.name}:{index}", as_objective(f"{sign}{layer.name}:{index}")
            return
        yield goal.strip(), as_objective(goal)
        return
    yield (repr(goal) if isinstance(goal, Objective) else str(goal)), as_objective(goal)


def _job(model: Model, objective: Objective, copies: int, start: Tensor | None, alpha: bool) -> Job:
    checked = objective.checked(model)
    if alpha:
        checked = Revealed(checked)
    return Job(checked, copies, RenderCache.key(to_json(checked)), start)


def _start_images(
    model: Model, start: Tensor | np.ndarray | None, settings: Settings, count: int
) -> Sequence[Tensor | None]:
    """The image that each target starts from."""
    if start is None:
        return [None] * count
    given = torch.as_tensor(start)
    images = model.check_images(given if given.ndim == 4 else given[None]).float()
    if given.ndim == 4 and len(images) != count:
        raise InputError(f"start has {len(images)} images for {count} targets; give one for each, or a single one.")
    if tuple(images.shape[2:]) != settings.size:
        raise InputError(
            f"start is {list(images.shape[2:])} px, size is {list(settings.size)}; give size={tuple(images.shape[2:])}."
        )
    return list(images.expand(count, -1, -1, -1))


def _precision(wanted: Precision, model: Model) -> Literal["float32", "bfloat16"]:
    if wanted != "auto":
        if wanted not in ("float32", "bfloat16"):
            raise InputError(f"precision is {wanted!r}; expected 'auto', 'float32' or 'bfloat16'.")
        return wanted
    return "bfloat16" if fast_bfloat16(model.device) else "float32"


def fast_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def _recipe(model: Model, job: Job, settings: Settings, copy: int) -> dict[str, Any]:
    """Everything that one image depends on."""
    asked = describe(settings)
    for name in ("draws", "traced"):  # settings that came later: at their default, pictures made before are still found
        if getattr(settings, name) == getattr(Settings, name):
            del asked[name]
    recipe = {
        "engine": 1,  # raised when the same recipe would give other pictures
        "model": model.digest,
        "objective": to_json(job.objective),
        "copies": job.copies,
        "copy": copy,
        "settings": asked,
    }
    if job.start is not None:
        recipe["start"] = hashlib.sha256(job.start.cpu().contiguous().numpy().tobytes()).hexdigest()[:32]
    return recipe


def as_asked(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe before `precision="auto"` was resolved.

    Packs are keyed by it: which arithmetic a machine is fast in must not decide whether it finds a picture that was
    made elsewhere, and who leaves the precision open takes either.
    """
    return {**recipe, "settings": {**recipe["settings"], "precision": "auto"}}


def _recalled(
    cache: RenderCache, recipe: Mapping[str, Any], precision: Precision
) -> tuple[np.ndarray, list[float]] | None:
    entry = cache.read(recipe)
    return cache.read(as_asked(recipe)) if entry is None and precision == "auto" else entry


def _whole_curve(curve: Sequence[float], steps: int) -> np.ndarray:
    """The objective at each step; NaN where it was not kept."""
    return np.pad(np.asarray(curve, np.float32), (max(0, steps - len(curve)), 0), constant_values=np.nan)


def describe(settings: Settings) -> dict[str, Any]:
    """The settings as JSON values."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
            return {"kind": type(value).__name__, **fields}
        if isinstance(value, np.ndarray):
            digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:32]
            return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": digest}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return {field.name: plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)}


def _provenance(model: Model, settings: Settings) -> dict[str, Any]:
    from .. import __version__

    return {
        "model": model.name,
        "weights": model.digest,
        "source": dict(model.source),
        "settings": describe(settings),
        "seed": settings.seed,
        "versions": {"pellucid": __version__, "torch": str(torch.__version__), "python": platform.python_version()},
        "device": str(model.device),
    }


def _render_missing(
    model: Model,
    jobs: Sequence[Job],
    missing: Sequence[int],
    settings: Settings,
    batch_size: int | None,
    progress: Progress,
    remarks: list[str],
) -> Iterator[tuple[list[int], Result]]:
    """Render jobs in batches, those that read the same layers together; yields job numbers and results."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for index in missing:
        groups.setdefault(tuple(sorted(jobs[index].objective.needs())), []).append(index)
    total = sum(jobs[index].copies for index in missing) * settings.steps
    finished = 0
    for layers, indices in groups.items():
        fitted, size = _fitted(model, layers, settings)
        network = _network(model, layers, size, settings, remarks)
        # Neighbouring channels lie in the same branch of a block, and a batch computes only the branches it needs.
        queue = sorted(indices, key=lambda index: (_channels(jobs[index], layers), index))
        copies = jobs[queue[0]].copies
        limit = batch_size or _batch_size(model, settings)
        while queue:
            batch = queue[: max(1, limit // copies)]
            chosen = [jobs[index] for index in batch]
            task = f"rendering {_title(layers, model)}"

            def on_step(step: int, images: int = len(batch) * copies, before: int = finished, task: str = task) -> None:
                progress(Event(task, before + step * images, total, "step"))

            try:
                narrow = network.narrowed(_needs(chosen)) if network is not None else None
                result = optimize(model, narrow, layers, chosen, fitted, on_step)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if len(batch) == 1:
                    height, width = settings.size
                    raise ResourceError(
                        f"not enough memory to render even one target at {height}×{width} px; give a smaller size."
                    ) from error
                limit = max(copies, len(batch) * copies // 2)
                remarks.append(f"out of memory: batch halved to {limit}")
                progress(Event(task, finished, total, "step", remarks[-1]))
                continue
            yield batch, result
            if result.interrupted:
                return
            queue = queue[len(batch) :]
            finished += len(batch) * copies * settings.steps


def _fitted(model: Model, layers: Sequence[str], settings: Settings) -> tuple[Settings, tuple[int, int]]:
    """The settings, with a last transform to the model's own size where its layers take no other (transformers).

    And a size that the network can run at.
    """
    probe = torch.full((1, model.input_channels, *settings.size), 0.5)
    seen = apply_transforms(probe, settings.transforms, [torch.Generator().manual_seed(0)])
    if tuple(seen.shape[2:]) == model.size:
        return settings, model.size
    try:
        with torch.no_grad():
            run(model, seen, layers)
    except ModelError:
        fit = (Scale((model.size[0] / settings.size[0],)), Window(model.size))
        return dataclasses.replace(settings, transforms=(*settings.transforms, *fit)), model.size
    return settings, settings.size


def _network(
    model: Model, layers: Sequence[str], size: tuple[int, int], settings: Settings, remarks: list[str]
) -> Slice | None:
    if not layers:
        raise InputError("the objective does not look at any layer.")
    try:
        return slice_network(model, layers, size=size, dtype=getattr(torch, settings.precision))
    except Untraceable as error:
        remarks.append(f"runs through hooks, in the model's own precision: {error}")
        return None


def _needs(jobs: Sequence[Job]) -> dict[str, Sequence[int] | None]:
    joined: dict[str, Sequence[int] | None] = {}
    for layer in jobs[0].objective.needs():
        each = [job.objective.needs()[layer] for job in jobs]
        joined[layer] = (
            None if None in each else sorted(frozenset().union(*[part for part in each if part is not None]))
        )
    return joined


def _channels(job: Job, layers: Sequence[str]) -> tuple[int, ...]:
    return tuple(min(job.objective.needs()[layer] or (0,)) for layer in layers)


def _title(layers: Sequence[str], model: Model) -> str:
    return f"{' and '.join(layers)} of {model.name}"


def _batch_size(model: Model, settings: Settings) -> int:
    pixels = settings.size[0] * settings.size[1] * settings.draws
    if model.device.type == "cuda":
        # About 1.2 kB for each pixel and image at GoogLeNet's width in bfloat16, twice that in float32; half the free
        # memory leaves room for wider networks, and running out halves the batch.
        free, _ = torch.cuda.mem_get_info(model.device)
        each = pixels * (1_200 if settings.precision == "bfloat16" else 2_400)
        return int(min(_MOST_IMAGES, max(1, free // 2 // each)))
    return int(min(_MOST_IMAGES, max(1, _CPU_BATCH_PIXELS // pixels)))


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "can't allocate memory" in text or "not enough memory" in text or "out of memory" in text
