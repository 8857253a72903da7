"""What a network answers when parts of a layer are removed, dampened or amplified."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ..models import Layer, Model
from ..models._view import Picture, view
from ..record import Tail
from ..targets import LOGITS
from ._units import Fill, Region, as_unit, every_unit, named_layer, scale_unit


@dataclass(frozen=True)
class ClassChange:
    """One class before and after an intervention."""

    index: int
    label: str
    logit_before: float
    logit_after: float
    probability_before: float
    probability_after: float


@dataclass(frozen=True, eq=False)
class Effect:
    """What an intervention did to every class.

    Args:
        layer: where it was.
        changes: what was changed, as text, and to which part of itself.
        logits_before, logits_after: float32 [classes].
        model: whose classes they are.
    """

    layer: Layer
    changes: tuple[tuple[str, float], ...]
    logits_before: np.ndarray
    logits_after: np.ndarray
    model: Model = field(repr=False)

    def __repr__(self) -> str:
        first, last = self.top(1, by="before")[0], self.top(1)[0]
        what = ", ".join(f"{unit} × {factor:g}" for unit, factor in self.changes[:3]) or "nothing"
        return (
            f"<Effect of {what}{' …' if len(self.changes) > 3 else ''}: {first.label} {first.probability_before:.1%} "
            f"→ {first.probability_after:.1%}, now {last.label} {last.probability_after:.1%}>"
        )

    @property
    def probabilities_before(self) -> np.ndarray:
        """float32 [classes], the softmax of the logits."""
        return _softmax(self.logits_before)

    @property
    def probabilities_after(self) -> np.ndarray:
        """float32 [classes], the softmax of the logits."""
        return _softmax(self.logits_after)

    def change(self, label: int | str) -> float:
        """How much the logit of a class rose: the measure that attribution predicts.

        Raises:
            TargetError: no such class.
        """
        index = self.model.class_index(label)
        return float(self.logits_after[index] - self.logits_before[index])

    def top(self, k: int = 5, *, by: Literal["after", "before", "change"] = "after") -> list[ClassChange]:
        """The k classes of highest probability after or before, or whose probability moved most, first the highest."""
        before, after = self.probabilities_before, self.probabilities_after
        worth = {"after": after, "before": before, "change": np.abs(after - before)}[by]
        return [
            ClassChange(
                int(index),
                self.model.label(int(index)),
                *(float(values[index]) for values in (self.logits_before, self.logits_after, before, after)),
            )
            for index in np.argsort(-worth, kind="stable")[:k]
        ]


def intervene(
    model: Model,
    image: Picture,
    *,
    layer: str | None = None,
    remove: Iterable[Any] = (),
    scale: Mapping[Any, float] | Iterable[tuple[Any, float]] = (),
    fill: Fill = "zero",
    tail: Tail | None = None,
) -> Effect:
    """What the classes become when units of a layer are removed or scaled together; only what follows is run again.

    A channel, neuron or place is moved towards zero or its channel's mean. Of a group, its reconstruction is
    subtracted, and what would fall below zero in a layer that has no negative numbers is set to zero.

    Args:
        model: it comes back as it was.
        image: a file, a Pillow image, or an array [channels, height, width], sRGB in [0, 1].
        layer: where; by default the layer that the first unit names, as `mixed4d:426` does. Where it is given, there
            may be nothing to change, and the answer stays as it was.
        remove: units: a channel (number, `Channel` or `mixed4d:426`), neuron, position ((row, column), `Position` or
            `mixed4d@4,1`), `Region`, `Group`, or (groups, index).
        scale: units and what part of each is left: .5 dampens, 2 amplifies, 0 removes.
        fill: what a removed unit becomes: `zero`, or `mean`, over the layer's positions on this image.
        tail: a tail of this layer on this image that reaches the logits, to save its making.

    Raises:
        InputError: the image cannot be read or does not fit; no layer and nothing to change; a factor that is
            not finite.
        TargetError: no such layer or unit.
        ModelError: the model's output is not logits.

    Example:
        >>> effect = intervene(model, image, layer="3", remove=["3:2", (0, 0)], scale={"3:5": 2})
        >>> len(effect.changes), len(effect.top(3))
        (3, 3)
    """
    scaled = scale.items() if isinstance(scale, Mapping) else scale
    wanted = [*((unit, 0.0) for unit in remove), *((unit, float(factor)) for unit, factor in scaled)]
    if not wanted and layer is None:
        raise InputError("nothing to change; give units in remove=[…] or scale={unit: factor}.")
    tail = _tail(model, image, layer or named_layer([unit for unit, _ in wanted]), tail)
    _check(fill, [factor for _, factor in wanted])
    units = [(as_unit(model, tail.layer.name, unit, tail.grid), factor) for unit, factor in wanted]
    whole = tail.grid[0]
    grid = whole.clone()
    for unit, factor in units:
        scale_unit(grid, whole, unit, factor, fill)
    return Effect(
        layer=tail.layer,
        changes=tuple(
            (f"{tail.layer.name}@{unit}" if isinstance(unit, Region) else str(unit), factor) for unit, factor in units
        ),
        logits_before=_logits(tail.outputs)[0],
        logits_after=_logits(_run(tail, grid[None]))[0],
        model=model,
    )


def intervene_each(
    model: Model,
    image: Picture,
    *,
    layer: str,
    units: Sequence[Any] | Literal["positions", "squares", "channels"],
    factor: float = 0.0,
    fill: Fill = "zero",
    tail: Tail | None = None,
    batch_size: int = 32,
    progress: Progress = silent,
) -> np.ndarray:
    """The logits after each of many single interventions: float32 [units, classes].

    Args:
        units: as in `intervene`; or all `positions`, row by row, all `squares` of 3 × 3 positions around each (cut at
            the edge), or all `channels`.
        factor: what is left of each; 0 removes it.
        batch_size: interventions at a time.
        progress: receives an event for each batch.
        model, image, layer, fill, tail: as in `intervene`, which see for the errors.

    Example:
        >>> intervene_each(model, image, layer="8", units="positions").shape
        (100, 10)
    """
    tail = _tail(model, image, layer, tail)
    _check(fill, [factor])
    name, whole = tail.layer.name, tail.grid[0]
    chosen = (
        every_unit(units, tail.grid)
        if isinstance(units, str)
        else [as_unit(model, name, unit, tail.grid) for unit in units]
    )
    parts = [np.zeros((0, tail.outputs[LOGITS].shape[1]), np.float32)]
    for start in range(0, len(chosen), batch_size):
        some = chosen[start : start + batch_size]
        grids = tail.grid.repeat(len(some), 1, 1, 1)
        for grid, unit in zip(grids, some, strict=True):
            scale_unit(grid, whole, unit, factor, fill)
        parts.append(_logits(_run(tail, grids)))
        progress(Event(f"intervening at {name}", start + len(some), len(chosen), "run"))
    return np.concatenate(parts)


def _tail(model: Model, image: Picture, layer: str, tail: Tail | None) -> Tail:
    tail = tail or Tail(model, view(model, image).image, layer=layer)
    if tail.layer.name != model.layer(layer).name or LOGITS not in tail.outputs:
        raise InputError(f"{tail!r} does not lead from {layer} to the logits.")
    return tail


def _check(fill: str, factors: Iterable[float]) -> None:
    if fill not in ("zero", "mean"):
        raise InputError(f"no fill {fill!r}; choose zero or mean.")
    for factor in factors:
        if not np.isfinite(factor):
            raise InputError(f"a unit cannot be scaled by {factor}; give a finite number.")


def _run(tail: Tail, grids: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return tail(grids)


def _logits(outputs: Mapping[str, Tensor]) -> np.ndarray:
    return outputs[LOGITS].flatten(1).float().cpu().numpy()


def _softmax(logits: np.ndarray) -> np.ndarray:
    return torch.softmax(torch.from_numpy(logits), 0).numpy()
