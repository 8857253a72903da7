"""How much each unit of a layer adds to a class, or to a unit or group of a later layer."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, TargetError
from ..events import Event, Progress, silent
from ..models import Model, borrowed
from ..models._view import Picture, view
from ..record import Tail, run
from ..targets import Logit, Target
from ._attribution import Attribution
from ._methods import LINEAR_PATH, Path, gauss_path, mean_gradients, sampled_path, zero_path
from ._removal import from_removals, measure_removals, square_members
from ._strength import as_target, check_place, layer_of

Method = Literal[
    "linear", "integrated", "relaxed", "gradient", "integrated_gradients", "grad_cam", "sampled", "removal"
]
Aim = Target | str | int


def attribute(
    model: Model,
    image: Picture,
    *,
    layer: str,
    target: Aim,
    versus: Aim | None = None,
    method: Method = "linear",
    steps: int = 50,
    tail: Tail | None = None,
) -> Attribution:
    """The attribution of one target to a layer: how much each of the layer's units adds to it, on one image.

    With h the layer and y the target's strength, the methods are: `linear`, h · ∂y/∂h, exact where the rest of the
    network is linear; `integrated`, h times the mean gradient over h·k/N, k = 1…N; `relaxed`, linear with max pools
    relaxed, for spatial maps without checkerboard; `gradient`, ∂y/∂h; `integrated_gradients`, the path from the
    layer's response to a picture of the mean colour, whose values add up to the change of y; `grad_cam`, h times
    each channel's mean gradient; `sampled`, h times the mean gradient over copies of the layer that lack a random half
    to none of their positions; `removal`, the map over positions that best agrees with what the removal of each
    position and of each square of 3 × 3 does, and with `sampled` where these contradict each other.

    Args:
        model: it comes back as it was.
        image: a file, a Pillow image, or an array [channels, height, width], sRGB in [0, 1].
        layer: where; of a token layer, the patches.
        target: a class by label or number, any text form (`logits:lemon`, `mixed4d:426`, `mixed4d@4,1`), or a
            `Target` of a later layer, such as a `Group`.
        versus: another target, whose attribution is subtracted: what argues for the one rather than the other.
        method: one of the above.
        steps: N, for the two methods that follow a path; how many copies, for `sampled` and `removal`.
        tail: a tail of this layer on this image that reaches the target's layer, to save its making.

    Raises:
        InputError: the image cannot be read or does not fit; an unknown method; steps below 1.
        TargetError: no such layer, class, unit or position; target and versus are the same; the target does not
            come after the layer.
        ModelError: the target is a class and the model's output is not logits.

    Source: Olah et al., The Building Blocks of Interpretability, Distill 2018, doi 10.23915/distill.00010; Sundararajan
    et al. 2017, arXiv 1703.01365; Selvaraju et al. 2017, arXiv 1610.02391. Sampling is that of Okhrati & Lipani 2020,
    arXiv 2010.12082, with gradients instead of differences.

    Example:
        >>> found = attribute(model, image, layer="3", target=2, versus=5)
        >>> found.positions().shape, bool(found.positions().sum() == found.by_channel().sum())
        ((28, 28), True)
    """
    aim = target if versus is None else (target, versus)
    return attribute_many(model, image, layer=layer, targets=[aim], method=method, steps=steps, tail=tail)[0]


def attribute_many(
    model: Model,
    image: Picture,
    *,
    layer: str,
    targets: Sequence[Aim | tuple[Aim, Aim]],
    method: Method = "linear",
    steps: int = 50,
    tail: Tail | None = None,
    batch_size: int = 16,
    progress: Progress = silent,
) -> list[Attribution]:
    """The attribution of many targets to one layer; the network up to the layer runs once, the rest in batches.

    Args:
        targets: each as in `attribute`; a pair (target, versus) is their difference.
        batch_size: gradients at a time.
        progress: receives an event for each batch.
        model, image, layer, method, steps, tail: as in `attribute`, which see for the errors.

    Example:
        >>> places = [f"8@{row},{column}" for row in range(10) for column in range(10)]
        >>> len(attribute_many(model, image, layer="3", targets=places))
        100
    """
    if method not in get_args(Method):
        raise InputError(f"no method {method!r}; choose one of {', '.join(get_args(Method))}.")
    if steps < 1:
        raise InputError(f"steps is {steps}; a path needs at least 1.")
    name = model.layer(layer).name
    pairs = [_pair(model, name, aim) for aim in targets]
    if not pairs:
        return []
    names = list(dict.fromkeys(layer_of(each) for pair in pairs for each in pair if each is not None))
    input = view(model, image).image
    tail = tail or Tail(model, input, layer=name, to=names)
    if tail.layer.name != name or not set(names) <= set(tail.outputs):
        raise InputError(f"{tail!r} does not lead from {name} to {', '.join(names)}.")
    for pair in pairs:
        for each in pair:
            if each is not None:
                check_place(each, tail.outputs[layer_of(each)])
    path = LINEAR_PATH
    moved = tail.grid
    rows, columns = tail.grid.shape[2:]
    if method in ("sampled", "removal"):
        path = sampled_path(steps, rows, columns)
    if method == "integrated":
        path = zero_path(steps)
    elif method == "integrated_gradients":
        baseline = _response_to_mean(model, input, name)
        path, moved = gauss_path(steps, baseline), tail.grid - baseline
    found = _attributions(tail, pairs, method, path, moved, batch_size, progress)
    if method != "removal":
        return found
    removed = np.concatenate([np.eye(rows * columns, dtype=bool), square_members(rows, columns)])
    lost = measure_removals(tail, pairs, removed, batch_size=batch_size).reshape(len(pairs), 2, rows, columns)
    return [from_removals(each, *parts) for each, parts in zip(found, lost, strict=True)]


def _pair(model: Model, layer: str, aim: Aim | tuple[Aim, Aim]) -> tuple[Target, Target | None]:
    first, second = aim if isinstance(aim, tuple) else (aim, None)
    target, versus = as_target(model, first), None if second is None else as_target(model, second)
    if target == versus:
        what = model.label(int(target.label)) if isinstance(target, Logit) else str(target)
        raise TargetError(f"{what} is compared with itself; give two different targets.")
    for each in (target, versus):
        if each is not None and layer_of(each) == layer:
            raise TargetError(f"{each} is in {layer} itself; attribute it to a layer that comes before.")
    return target, versus


def _response_to_mean(model: Model, image: Tensor, layer: str) -> Tensor:
    """What the layer gives on a picture of the mean colour, where the network's input is zero."""
    mean = torch.tensor(model.mean, dtype=image.dtype)[:, None, None].expand_as(image)
    with borrowed(model.module), torch.no_grad():
        return run(model, mean[None], [layer])[layer]


def _attributions(
    tail: Tail,
    pairs: Sequence[tuple[Target, Target | None]],
    method: Method,
    path: Path,
    moved: Tensor,
    batch_size: int,
    progress: Progress,
) -> list[Attribution]:
    activations = np.ones(()) if method == "gradient" else _to_numpy(moved[0])
    results: list[Attribution] = []
    gradients = mean_gradients(tail, pairs, path, batch_size=batch_size, relaxed=method == "relaxed")
    for (target, versus), gradient in zip(pairs, gradients, strict=True):
        if method == "grad_cam":
            gradient = gradient.mean((1, 2), keepdim=True).expand_as(gradient)
        slope = _to_numpy(gradient)
        results.append(
            Attribution(tail.layer, target, versus, method, slope, np.broadcast_to(activations, slope.shape))
        )
        if len(results) % batch_size == 0 or len(results) == len(pairs):
            progress(Event(f"attributing to {tail.layer.name}", len(results), len(pairs), "target"))
    return results


def _to_numpy(grid: Tensor) -> np.ndarray:
    """float32 [rows, columns, channels] of [channels, rows, columns]."""
    return np.ascontiguousarray(grid.detach().permute(1, 2, 0).float().cpu().numpy())
