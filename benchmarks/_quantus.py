"""The same numbers by Pellucid and by Quantus.

Quantus (Hedström et al. 2023, arXiv 2202.06861) evaluates maps over a network's input. Here that input is a mask over
the positions of a layer: the network is cut at the layer (`pellucid.record.Tail`), whose activations are multiplied by
the mask, so that Quantus' pixels are the positions.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import quantus
import torch
from quantus.functions.similarity_func import correlation_pearson
from torch import Tensor, nn

from pellucid.models import Model
from pellucid.record import Tail
from pellucid.trust import correlation, intervene_each, randomize_cascade, removal_curves, stability

_PLAIN: dict[str, Any] = {"abs": False, "normalise": False, "disable_warnings": True}
"""Quantus by default takes maps in size, divides them by their maximum, and warns of what its results depend on."""
_REMOVED: Any = 0.0
"""What a removed position's mask is; by default "black", the least number of the input: of a mask of ones, one."""


class OnPositions(nn.Module):
    """The rest of a network as a function of a mask over the layer's positions: logits for [n, 1, rows, columns]."""

    def __init__(self, tail: Tail, *, inverted: bool = False) -> None:
        super().__init__()
        self.tail, self.inverted = tail, inverted
        self.eval()

    def forward(self, mask: Tensor) -> Tensor:
        mask = 1 - mask if self.inverted else mask
        return self.tail(self.tail.grid * mask)["logits"].flatten(1)


class Both(NamedTuple):
    """The same numbers by Pellucid and by Quantus, and the processor's seconds of either."""

    ours: np.ndarray
    theirs: np.ndarray
    seconds: tuple[float, float]


def _timed(ours: Callable[[], Any], theirs: Callable[[], Any]) -> Both:
    times = [time.process_time()]
    found = []
    for work in (ours, theirs):
        found.append(np.asarray(work(), float).ravel())
        times.append(time.process_time())
    return Both(found[0], found[1], (times[1] - times[0], times[2] - times[1]))


def _quantus(metric: Any, tail: Tail, values: np.ndarray, label: int, *, inverted: bool = False) -> Any:
    """What a metric gives for a map [rows, columns]; nothing is removed before it begins."""
    whole = np.ones((1, 1, *values.shape), np.float32)
    return metric(
        model=OnPositions(tail, inverted=inverted),
        x_batch=whole,
        y_batch=np.array([label]),
        a_batch=values[None, None].astype(float),
        channel_first=True,
        softmax=False,
    )


def curves(model: Model, image: Tensor, tail: Tail, values: np.ndarray, label: int, step: int) -> dict[str, Both]:
    """Deletion and insertion, as many positions at a time: `removal_curves` and PixelFlipping, with Selectivity."""
    steps = values.size // step
    settings = {"layer": tail.layer.name, "label": label, "steps": steps, "orders": 1, "tail": tail}
    found = removal_curves(model, image, values, **settings)
    flipping = quantus.PixelFlipping(features_in_step=step, perturb_baseline=_REMOVED, **_PLAIN)
    both = {
        "deletion, PixelFlipping": _timed(
            lambda: removal_curves(model, image, values, **settings).deletion[1:],
            lambda: _quantus(flipping, tail, values, label),
        ),
        "insertion, PixelFlipping of the inverted mask": _timed(
            lambda: found.insertion[1:], lambda: _quantus(flipping, tail, values, label, inverted=True)
        ),
    }
    if step == 1:
        patches = quantus.Selectivity(patch_size=1, perturb_baseline=_REMOVED, **_PLAIN)
        both["deletion, Selectivity with patches of one"] = _timed(
            lambda: found.deletion[1:], lambda: _quantus(patches, tail, values, label)
        )
    return both


def each_position(model: Model, image: Tensor, tail: Tail, values: np.ndarray, label: int) -> Both:
    """Correlation of a map with what removals of single positions do: `intervene_each`, FaithfulnessEstimate."""
    before = float(tail.outputs["logits"].flatten()[label])

    def ours() -> float:
        after = intervene_each(model, image, layer=tail.layer.name, units="positions", tail=tail)[:, label]
        return correlation(values.ravel(), before - after)

    estimate = quantus.FaithfulnessEstimate(features_in_step=1, perturb_baseline=_REMOVED, **_PLAIN)
    return _timed(ours, lambda: _quantus(estimate, tail, values, label))


def random_sets(tail: Tail, values: np.ndarray, label: int, size: int, runs: int, seed: int = 0) -> Both:
    """Correlation of a map's sums with what removals of random sets do, as in methods_compared.py.

    Beside it is FaithfulnessCorrelation, which draws its sets from NumPy's global generator: ours are drawn likewise.
    """
    before = float(tail.outputs["logits"].flatten()[label])

    def ours() -> float:
        chance = np.random.RandomState(seed)
        kept = np.ones((runs, values.size), np.float32)
        for row in kept:
            row[chance.choice(values.size, size, replace=False)] = 0
        with torch.no_grad():
            masks = torch.from_numpy(kept).view(runs, 1, *values.shape)
            after = np.concatenate([tail(tail.grid * part)["logits"].flatten(1)[:, label] for part in masks.split(16)])
        return correlation((1 - kept) @ values.ravel(), before - after)

    def theirs() -> Any:
        metric = quantus.FaithfulnessCorrelation(
            nr_runs=runs, subset_size=size, perturb_baseline=_REMOVED, return_aggregate=False, **_PLAIN
        )
        state = np.random.get_state()
        np.random.seed(seed)
        found = _quantus(metric, tail, values, label)
        np.random.set_state(state)
        return found

    return _timed(ours, theirs)


def _as_large(values: np.ndarray, image: Tensor) -> np.ndarray:
    """The map [1, height, width], each position repeated: Quantus wants maps as large as the image."""
    return values.repeat(image.shape[1] // values.shape[0], 0).repeat(image.shape[2] // values.shape[1], 1)[None]


def noise(model: Model, image: Tensor, map_of: Callable[[Tensor], np.ndarray], copies: int) -> Both:
    """How far the map moves at most under the same noise: `stability`, MaxSensitivity."""
    deviation = 0.02
    generator = torch.Generator().manual_seed(0)

    def perturb(arr: np.ndarray, **_: Any) -> np.ndarray:
        changed = image + deviation * torch.randn(image.shape, generator=generator)
        return changed.clamp(0, 1).numpy().reshape(arr.shape)

    def theirs() -> Any:
        metric = quantus.MaxSensitivity(nr_samples=copies, perturb_func=perturb, **_PLAIN)
        return metric(
            model=nn.Identity().eval(),  # is not asked
            x_batch=image[None].numpy(),
            y_batch=np.array([0]),
            explain_func=lambda inputs, **_: np.stack(
                [_as_large(map_of(torch.as_tensor(each)), image) for each in inputs]
            ),
            channel_first=True,
        )

    kept = {"brightness": 0.0, "contrast": 0.0, "shift": 0, "copies": copies, "seed": 0}
    return _timed(lambda: stability(model, image, map_of, noise=deviation, **kept).moved.max(), theirs)


def randomization(model: Model, image: Tensor, map_of: Callable[[Model], np.ndarray]) -> Both:
    """The mean size of the correlation of a map with those of networks that are randomized from the top: MPRT.

    Pellucid shuffles each module's weights, in the reverse order of computing; Quantus draws them anew, in the reverse
    order of the module's definition.
    """

    def explain(model: nn.Module, inputs: np.ndarray, *, original: Model = model, **_: Any) -> np.ndarray:
        return _as_large(map_of(replace(original, module=model)), image)[None].repeat(len(inputs), 0)

    def theirs() -> float:
        metric = quantus.MPRT(similarity_func=correlation_pearson, seed=0, **_PLAIN)
        scores: Any = metric(
            model=deepcopy(model.module).eval(),
            x_batch=image[None].numpy(),
            y_batch=np.array([0]),
            explain_func=explain,
            channel_first=True,
        )
        return float(np.mean([abs(score[0]) for name, score in scores.items() if name != "original"]))

    return _timed(lambda: 1 - randomize_cascade(model, map_of).sensitivity, theirs)
