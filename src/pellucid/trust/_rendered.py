"""Renderings as what is judged: their pictures as the model sees them, and the unit that each stands for."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..models import Model
from ..targets import Channel, Direction, Logit, Target, parse_target
from ._exemplars import Feature, as_feature

if TYPE_CHECKING:
    from ..features import Rendering


def pictures_of(renderings: np.ndarray, model: Model) -> Tensor:
    """float32 [n, channels, height, width]: what the model is shown; transparency becomes mid-grey.

    Args:
        renderings: [n, height, width, channels], with opacity as one channel more or without.
    """
    images = torch.from_numpy(np.ascontiguousarray(renderings)).permute(0, 3, 1, 2).float()
    if images.shape[1] == model.input_channels + 1:
        opacity = images[:, -1:]
        images = images[:, :-1] * opacity + 0.5 * (1 - opacity)
    return model.check_images(images.clamp(0, 1))


def scramble(images: Tensor, seed: int) -> Tensor:
    """The images with their parts scattered: the same amplitude at every frequency and the same mean, phases by chance.

    Colours of a frequency stay together, since all channels are turned by the same phase.

    Args:
        images: [n, channels, height, width] in [0, 1]; so is what comes back, cut to that range.
        seed: of the phases, which all images share.
    """
    noise = np.random.default_rng(seed).standard_normal(tuple(images.shape[2:])).astype(np.float32)
    phase = torch.fft.rfft2(torch.from_numpy(noise))
    turn = phase / phase.abs().clamp(min=1e-12)
    turn[0, 0] = 1
    return torch.fft.irfft2(torch.fft.rfft2(images) * turn, s=tuple(images.shape[2:])).clamp(0, 1)


def units_of(model: Model, rendering: "Rendering") -> tuple[list[str], list[Feature]]:
    """The text and the unit of each picture."""
    from ..features.objectives import from_json

    made_for = rendering.provenance.get("weights")
    if made_for is not None and made_for != model.digest:
        raise InputError(
            f"the rendering is of {rendering.provenance.get('model')} with weights {made_for}, not of {model!r}."
        )
    if not len(rendering):
        raise InputError("the rendering has no pictures.")
    objectives = rendering.provenance.get("objectives")
    if objectives:
        copies = len(rendering) // len(objectives)
        targets = [
            _target_of(from_json(each), text)
            for each, text in zip(objectives, rendering.targets[::copies], strict=True)
        ]
        return list(rendering.targets), [as_feature(model, target) for target in targets for _ in range(copies)]
    plain = [re.sub(r"~\d+$", "", text) for text in rendering.targets]
    return list(rendering.targets), [as_feature(model, parse_target(text)) for text in plain]


def as_target(unit: Feature) -> Target:
    if unit.vector:
        return Direction(unit.layer, unit.vector)
    return Logit(unit.index) if unit.layer == "logits" else Channel(unit.layer, unit.index)


def _target_of(objective: Any, text: str) -> Target:
    """The one target that an objective wants to fire; what regularizes or diversifies beside it does not count."""
    found = list(_wanted(objective, 1.0))
    if len(found) != 1:
        raise InputError(f"{text} is not about one unit that shall fire, and cannot be judged as one.")
    return found[0]


def _wanted(objective: Any, factor: float) -> Iterable[Target]:
    from ..features.objectives import Activation, Constant, Product, Revealed, Sum

    match objective:
        case Activation(target):
            if factor <= 0:
                raise InputError(f"{target} is suppressed, and only what fires a unit can be compared with photos.")
            yield target
        case Sum(parts):
            for part in parts:
                yield from _wanted(part, factor)
        case Product(parts):
            amount = factor * float(np.prod([part.amount for part in parts if isinstance(part, Constant)]))
            for part in parts:
                yield from _wanted(part, amount)
        case Revealed(of):
            yield from _wanted(of, factor)
