"""Whether a map has anything to do with what the network learned: the same map while its weights are randomized."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from ..errors import InputError, ModelError
from ..models import Model
from ..targets import LOGITS
from ._evidence import Evidence, as_said, correlation

ModelMap = Callable[[Model], np.ndarray]


@dataclass(frozen=True, eq=False)
class Randomization:
    """How like its old self a map stays while the network's weights are randomized from the top down.

    Args:
        modules: paths of the modules with weights, the last of the network first.
        similarities: [seeds, modules]: correlation of the map with the network's own, once all modules up to this one
            are random.
        controls: the same of a map that should not notice much, such as mere strength; or `None`.
    """

    modules: tuple[str, ...]
    similarities: np.ndarray
    controls: np.ndarray | None

    @property
    def sensitivity(self) -> float:
        """1 less the size of the correlation, averaged over all stages and seeds: 0 for a map that notices nothing."""
        return float(1 - np.abs(self.similarities).mean())

    def evidence(self, about: str, what: str = "the map", control_is: str = "the control") -> Evidence:
        """The sensitivity beside that of the control.

        Args:
            about: which picture: `spatial:mixed4d:208`.
            what, control_is: what was compared, and what the control is, in words: one thing each.
        """
        control = None if self.controls is None else float(1 - np.abs(self.controls).mean())
        beside = "" if control is None else f" Of {control_is}, {as_said(1 - control)} is left."
        return Evidence(
            about=about,
            name="sensitivity to randomized weights",
            value=round(self.sensitivity, 4),
            control=None if control is None else round(control, 4),
            sentence=(
                f"The network's weights are made random, the last first: of the likeness of {what} to its old self, "
                f"which was 1, {as_said(1 - self.sensitivity)} is left, averaged over {len(self.modules)} stages. What "
                f"tells of what was learned should lose it.{beside}"
            ),
        )


def randomize_cascade(
    model: Model,
    map_of: ModelMap,
    *,
    control_of: ModelMap | None = None,
    stages: int | None = None,
    seeds: int = 1,
    seed: int = 0,
) -> Randomization:
    """Compare a map with that of the same network while its weights are randomized, module by module from the top down.

    The numbers of each weight and bias are shuffled: they keep their distribution and lose what they learned. Running
    statistics of norms stay.

    Args:
        model: it comes back as it was; the randomized networks are copies.
        map_of: the map of a network: any array, of one shape for all. It must name what is explained itself, such as a
            class by its number, as the random network has other answers.
        control_of: the same for a map that should notice less.
        stages: compare at so many modules, evenly spaced and the last among them; by default at every one.
        seeds: how many times, with other shuffles.
        seed: of the first.

    Raises:
        InputError: the module has no weights; fewer than one stage or seed; maps that differ in shape or hold numbers
            that are not finite.
        ModelError: the module cannot be copied.

    Source: Adebayo et al., Sanity Checks for Saliency Maps, 2018, arXiv 1810.03292.

    Example:
        >>> def map_of(network):
        ...     return pellucid.attribute(network, image, layer="3", target=2).positions()
        >>> found = randomize_cascade(model, map_of, stages=2)
        >>> len(found.modules), found.similarities.shape
        (2, (1, 2))
    """
    if (stages is not None and stages < 1) or seeds < 1:
        raise InputError(f"stages is {stages} and seeds {seeds}; expected at least 1 of each.")
    makers = [map_of] if control_of is None else [map_of, control_of]
    usual = [_finite(make(model)) for make in makers]
    found: list[list[list[float]]] = [[] for _ in makers]
    modules: list[str] = []
    for number in range(seeds):
        rows: list[list[float]] = [[] for _ in makers]
        modules = []
        for path, network in randomized(model, stages=stages, seed=seed + number):
            modules.append(path)
            for maker, make in enumerate(makers):
                values = _finite(make(network))
                if values.shape != usual[maker].shape:
                    raise InputError(
                        f"the map is {list(values.shape)} on the random network and {list(usual[maker].shape)} on "
                        "the trained one."
                    )
                rows[maker].append(correlation(values, usual[maker]))
        for all_rows, row in zip(found, rows, strict=True):
            all_rows.append(row)
    return Randomization(tuple(modules), np.array(found[0]), np.array(found[1]) if control_of else None)


def randomized(model: Model, *, stages: int | None, seed: int) -> Iterator[tuple[str, Model]]:
    """The network while its weights are randomized from the top down: the last module that was, and a model of it.

    Each is valid until the next is asked for: they share one copy of the module.

    Args:
        stages: so many, evenly spaced and the last among them; `None` for every module with weights.

    Raises:
        InputError: the module has no weights.
        ModelError: it cannot be copied.
    """
    order = _from_the_top(model)
    if not order:
        raise InputError(f"{model.name} has no weights to randomize.")
    count = len(order) if stages is None else min(stages, len(order))
    shown = np.unique(np.round(np.linspace(len(order) / count, len(order), count)).astype(int) - 1)
    try:
        module = deepcopy(model.module)
    except Exception as error:  # what a user's module does when it is copied may fail in any way
        raise ModelError(f"{model.name} cannot be copied, which randomizing its weights needs: {error}") from error
    generator = torch.Generator().manual_seed(seed)
    for place, path in enumerate(order):
        _shuffle(module.get_submodule(path), generator)
        if place in shown:
            # A model remembers what it once computed, such as its digest: each stage is a model of its own.
            yield path, replace(model, module=module, name=f"{model.name}, randomized")


def _from_the_top(model: Model) -> list[str]:
    """Paths of the modules with weights of their own, in the reverse order of computing."""
    own = [path for path, part in model.module.named_modules() if any(True for _ in part.parameters(recurse=False))]
    # Layers stand in the order in which they are computed; what is no layer keeps its place among the modules.
    computed = [layer.path for name, layer in model.layers.items() if name != LOGITS]
    place = {path: number for number, path in enumerate(computed)}
    last = -1
    ranks = {}
    for path in own:
        last = place.get(path, last)
        ranks[path] = last
    return sorted(own, key=lambda path: (ranks[path], own.index(path)), reverse=True)


def _shuffle(part: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in part.parameters(recurse=False):
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        raise InputError("map_of gave numbers that are not finite.")
    return values
