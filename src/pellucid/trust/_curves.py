"""What becomes of a logit while the places that a map names are taken away one after another, or put back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..models import Model
from ..models._view import Picture, view
from ..record import Tail
from ..targets import LOGITS
from ._evidence import Evidence, as_said
from ._units import Fill


@dataclass(frozen=True, eq=False)
class Curves:
    """A logit over the share of positions that were touched, in the order of a map and in random orders.

    Args:
        shares: [steps + 1], from 0 to 1: how many of the positions.
        deletion: [steps + 1]: the logit after removing so many, those of the highest value first.
        insertion: [steps + 1]: the logit of a layer that holds only so many, those of the highest value first.
        random_deletion, random_insertion: [orders, steps + 1]: the same in random orders.
    """

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray

    @property
    def gap(self) -> float:
        """The area between insertion and deletion, as a share of what the whole layer adds to an empty one.

        0 for an order that means nothing, on average; above 1 where some places speak against the class.
        """
        return float(self._gaps(self.insertion - self.deletion))

    @property
    def random_gaps(self) -> np.ndarray:
        """[orders]: the same for each random order."""
        return self._gaps(self.random_insertion - self.random_deletion)

    def _gaps(self, difference: np.ndarray) -> np.ndarray:
        # The largest distance that the curves reach at their ends, where every order agrees.
        whole = abs(float(self.deletion[0] - self.deletion[-1]))
        return np.trapezoid(difference, self.shares, axis=-1) / max(whole, 1e-12)

    def evidence(self, about: str, label: str) -> Evidence:
        """The gap beside the largest that a random order reached.

        Args:
            about: which picture: `spatial:mixed4d:208`.
            label: the class, in words.
        """
        control = float(self.random_gaps.max())
        return Evidence(
            about=about,
            name="gap between insertion and deletion",
            value=round(self.gap, 4),
            control=round(control, 4),
            sentence=(
                f"The places that this map names first are put into an empty layer, or taken out of a full one: "
                f"between the two, the logit of {label} differs by {as_said(self.gap)} of what the layer adds, on "
                f"average. The best of {len(self.random_gaps)} random orders reaches {as_said(control)}."
            ),
        )


def removal_curves(
    model: Model,
    image: Picture,
    values: np.ndarray,
    *,
    layer: str,
    label: int | str,
    versus: int | str | None = None,
    fill: Fill = "zero",
    steps: int = 20,
    orders: int = 8,
    seed: int = 0,
    tail: Tail | None = None,
    batch_size: int = 32,
) -> Curves:
    """Deletion and insertion curves of a map over a layer's positions, beside random orders of the same positions.

    Args:
        model: it comes back as it was.
        image: a file, a Pillow image, or an array [channels, height, width], sRGB in [0, 1].
        values: [rows, columns]: the map; the highest goes first, equal ones in the order of reading.
        layer: where.
        label: the class whose logit is followed.
        versus: a class whose logit is subtracted, or `None`.
        fill: what a removed position holds: `zero`, or `mean`, over the layer's positions on this image.
        steps: into how many equal steps the positions are divided, as far as that is possible.
        orders: how many random orders.
        seed: of the random orders.
        tail: a tail of this layer on this image that reaches the logits, to save its making.
        batch_size: runs at a time.

    Raises:
        InputError: the image or the map does not fit; a map with values that are not finite; fewer than one step or
            order; another fill.
        TargetError: no such layer or class.
        ModelError: the model's output is not logits.

    Source: Petsiuk, Das & Saenko, RISE, 2018, arXiv 1806.07421, there in pixels; Samek et al. 2015, arXiv 1509.06321.

    Example:
        >>> values = pellucid.attribute(model, image, layer="8", target=2).positions()
        >>> curves = removal_curves(model, image, values, layer="8", label=2, steps=5)
        >>> curves.shares.round(1).tolist(), curves.random_deletion.shape
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], (8, 6))
    """
    tail = tail or Tail(model, view(model, image).image, layer=layer)
    if tail.layer.name != model.layer(layer).name or LOGITS not in tail.outputs:
        raise InputError(f"{tail!r} does not lead from {layer} to the logits.")
    rows, columns = tail.grid.shape[2:]
    values = np.asarray(values, float)
    if values.shape != (rows, columns) or not np.isfinite(values).all():
        raise InputError(f"the map is {_what(values)}, expected finite numbers [{rows}, {columns}] for {layer}.")
    if steps < 1 or orders < 1:
        raise InputError(f"steps is {steps} and orders {orders}; expected at least 1 of each.")
    if fill not in ("zero", "mean"):
        raise InputError(f"no fill {fill!r}; choose zero or mean.")
    index = model.class_index(label)
    other = None if versus is None else model.class_index(versus)
    generator = np.random.default_rng(seed)
    count = rows * columns
    ranked = [
        np.argsort(-values.ravel(), kind="stable"),
        *(generator.permutation(count) for _ in range(orders)),
    ]
    taken = np.unique(np.round(np.linspace(0, count, min(steps, count) + 1)).astype(int))
    masks = np.concatenate([_kept(order, taken) for order in ranked]).reshape(-1, rows, columns)
    logits = np.concatenate(list(_answers(tail, masks, fill, batch_size)))
    strength = logits[:, index] - (0 if other is None else logits[:, other])
    curves = strength.reshape(1 + orders, 2, len(taken))
    return Curves(taken / count, curves[0, 0], curves[0, 1], curves[1:, 0], curves[1:, 1])


def _kept(order: np.ndarray, taken: Sequence[int] | np.ndarray) -> np.ndarray:
    """1 where a position is there, [2 · len(taken), positions]: deletion, then insertion."""
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    first = (rank[None] < np.asarray(taken)[:, None]).astype(np.float32)
    return np.concatenate([1 - first, first])


def _answers(tail: Tail, masks: np.ndarray, fill: Fill, batch_size: int) -> Iterator[np.ndarray]:
    nothing = tail.grid.mean((2, 3), keepdim=True) if fill == "mean" else torch.zeros_like(tail.grid)
    for start in range(0, len(masks), batch_size):
        kept = torch.from_numpy(masks[start : start + batch_size, None]).to(tail.grid)
        with torch.no_grad():
            grids = nothing + kept * (tail.grid - nothing)
            yield tail(grids)[LOGITS].flatten(1).double().cpu().numpy()


def _what(values: Any) -> str:
    return f"{list(values.shape)}" + ("" if np.isfinite(values).all() else " and not finite everywhere")
