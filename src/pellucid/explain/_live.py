"""Questions that a page asks about a finished explanation: changes of several parts, and parts of the photo."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..bundle import (
    ChannelChange,
    ExperimentAnswer,
    ExperimentRequest,
    GroupChange,
    Outcome,
    RegionAnswer,
    RegionChannel,
    RegionLayer,
    RegionRequest,
)
from ..errors import InputError, TargetError
from ..groups import Groups
from ..models import Layer, Model
from ..record import Tail, record
from ..trust import Effect, Region, intervene
from ._explanation import Explanation

# Networks that are cut at a layer are kept for so many layers.
_MOST_TAILS = 3
# A region is told of in so many layers, and so many channels of each.
_MOST_LAYERS, _TOP_CHANNELS, _TOP_CLASSES = 24, 4, 5

Groupings = Mapping[str, Mapping[int, Groups]]


class Live:
    """Answers about one photo, by running the network again from a layer on.

    Threads may share it: it works on one question at a time.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        image: what the model saw: float32 [channels, height, width], sRGB in [0, 1].
        classes: numbers of the classes that answers are about.
        groupings: by layer, then by number of groups.
        lock: held while the model is run, for models that several threads share.

    Example:
        >>> live = Live.of(explanation)                                                            # doctest: +SKIP
        >>> change = ChannelChange(channel=11, factor=0)                                           # doctest: +SKIP
        >>> live.experiment(ExperimentRequest(layer="mixed4d", changes=[change])).classes[0]       # doctest: +SKIP
    """

    def __init__(
        self,
        model: Model,
        image: Tensor,
        *,
        classes: Sequence[int],
        groupings: Groupings,
        lock: AbstractContextManager | None = None,
    ) -> None:
        self.model, self.image = model, image
        self.classes, self.groupings = list(classes), groupings
        self._lock = lock or threading.Lock()
        self._tails: OrderedDict[str, Tail] = OrderedDict()
        self._recorded: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, explanation: Explanation, lock: AbstractContextManager | None = None) -> "Live":
        """The answers about an explanation's photo."""
        classes = [score.index for score in explanation.classes]
        return cls(explanation.model, explanation.image, classes=classes, groupings=explanation.groupings, lock=lock)

    def prepare(self, layers: Iterable[str]) -> None:
        """Do beforehand what the first question about each of these layers would wait for."""
        with self._lock:
            for name in list(layers)[-_MOST_TAILS:]:
                self._tail(name)
            self._record()

    def experiment(self, request: ExperimentRequest) -> ExperimentAnswer:
        """What the classes become when parts of a layer are changed together.

        Raises:
            TargetError: no such layer, channel, position or group.
        """
        began = time.perf_counter()
        layer = self.model.layer(request.layer)
        units = [(self._unit(layer, change), change.factor) for change in request.changes]
        with self._lock:
            effect = intervene(self.model, self.image, layer=layer.name, scale=units, tail=self._tail(layer.name))
        best = np.argsort(-effect.logits_after, kind="stable")[:_TOP_CLASSES].tolist()
        return ExperimentAnswer(
            layer=layer.name,
            classes=_outcomes(effect, self.classes),
            top=_outcomes(effect, best),
            seconds=round(time.perf_counter() - began, 4),
        )

    def region(
        self, request: RegionRequest, icon: Callable[[str, int], str] = lambda layer, channel: ""
    ) -> RegionAnswer:
        """The channels that stand out in a rectangle of the photo, in every layer.

        Args:
            request: the rectangle, as shares of the photo's sides.
            icon: gives the address of a channel's icon, of layer and channel.

        Raises:
            InputError: the rectangle is empty.
        """
        began = time.perf_counter()
        if request.bottom <= request.top or request.right <= request.left:
            raise InputError("the region is empty; draw a rectangle of some width and height.")
        with self._lock:
            self._record()
        layers = [self._seen(name, values, request, icon) for name, values in self._recorded.items()]
        return RegionAnswer(layers=layers, seconds=round(time.perf_counter() - began, 4))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the model as arrays, from which `from_arrays` makes the same answers."""
        found = {"image": self.image.numpy(), "classes": np.asarray(self.classes, np.int64)}
        for layer, groupings in self.groupings.items():
            for count, groups in groupings.items():
                found[f"{count}|spatial|{layer}"] = groups.spatial.astype(np.float32)
                found[f"{count}|channels|{layer}"] = groups.channels.astype(np.float32)
        return found

    @classmethod
    def from_arrays(
        cls, model: Model, arrays: Mapping[str, np.ndarray], lock: AbstractContextManager | None = None
    ) -> "Live":
        """What `arrays` was made of.

        Raises:
            InputError: the arrays are those of something else.
        """
        groupings: dict[str, dict[int, Groups]] = {}
        try:
            for name, spatial in arrays.items():
                if name in ("image", "classes"):
                    continue
                count, kind, layer = name.split("|", 2)
                if kind == "spatial":
                    channels = arrays[f"{count}|channels|{layer}"]
                    groups = Groups(model.layer(layer), "nmf", spatial, channels, 0.0)
                    groupings.setdefault(layer, {})[int(count)] = groups
            image = torch.from_numpy(np.array(arrays["image"]))
            return cls(model, image, classes=arrays["classes"].tolist(), groupings=groupings, lock=lock)
        except (KeyError, ValueError, LookupError) as error:
            raise InputError(f"these are not the arrays of an explanation: {error}.") from None

    def _unit(self, layer: Layer, change: Any) -> Any:
        if isinstance(change, ChannelChange):
            return change.channel
        if isinstance(change, GroupChange):
            groups = self.groupings.get(layer.name, {}).get(change.groups)
            if groups is None:
                raise TargetError(f"{layer.name} was not divided into {change.groups} groups here.")
            return groups, change.group
        (top, bottom), (left, right) = change.rows, change.columns
        if bottom < top or right < left:
            raise InputError("the first row and column of a region come before its last.")
        return Region(top, left, bottom - top + 1, right - left + 1)

    def _tail(self, name: str) -> Tail:
        if name not in self._tails:
            self._tails[name] = Tail(self.model, self.image, layer=name)
        self._tails.move_to_end(name)
        while len(self._tails) > _MOST_TAILS:
            self._tails.popitem(last=False)
        return self._tails[name]

    def _record(self) -> None:
        if not self._recorded:
            names = telling_layers(self.model)
            recorded = record(self.model, self.image[None], names)
            self._recorded = {name: recorded[name].values[0] for name in names}

    def _seen(
        self, name: str, values: np.ndarray, request: RegionRequest, icon: Callable[[str, int], str]
    ) -> RegionLayer:
        rows, columns = values.shape[:2]
        top, bottom = _span(request.top, request.bottom, rows)
        left, right = _span(request.left, request.right, columns)
        part = values[top : bottom + 1, left : right + 1]
        count, inside = part.shape[0] * part.shape[1], part.mean((0, 1), dtype=np.float64)
        others = rows * columns - count
        whole = values.mean((0, 1), dtype=np.float64)
        outside = (whole * rows * columns - inside * count) / others if others else np.zeros_like(whole)
        best = np.argsort(outside - inside, kind="stable")[:_TOP_CHANNELS]
        return RegionLayer(
            layer=name,
            rows=(top, bottom),
            columns=(left, right),
            covers=count / (rows * columns),
            channels=[
                RegionChannel(
                    channel=int(channel),
                    label="",
                    inside=round(float(inside[channel]), 5),
                    outside=round(float(outside[channel]), 5),
                    icon=icon(name, int(channel)),
                )
                for channel in best
                if inside[channel] > outside[channel]
            ],
        )


def telling_layers(model: Model) -> list[str]:
    """The layers that tell of a part of a photo, from the first to the last: those of more than one position that
    compute something of their own, at the depth of naming where a model's modules are; at most 24, evenly spread.
    """
    placed = [layer for layer in model.layers.values() if layer.kind != "vector" and min(layer.rows, layer.columns) > 1]
    if not placed:
        raise TargetError(f"{model.name} has no layer with positions.")
    own = model.layer(model.default_layer) if model.default_layer else None
    depth = (own or min(placed, key=lambda layer: layer.name.count("."))).name.count(".")
    alike = [layer for layer in placed if layer.name.count(".") == depth]
    computing = [layer for layer in alike if any(True for _ in model.module.get_submodule(layer.path).parameters())]
    if computing and own in (None, *computing):  # else the model's own favourite is one that has no parameters
        alike = computing
    names = [layer.name for layer in alike]
    if len(names) <= _MOST_LAYERS:
        return names
    return [names[int(place)] for place in np.linspace(0, len(names) - 1, _MOST_LAYERS).round()]


def _span(start: float, end: float, count: int) -> tuple[int, int]:
    """First and last of `count` cells that a stretch of [0, 1] touches."""
    first = min(int(start * count + 1e-9), count - 1)
    return first, max(first, min(int(np.ceil(end * count - 1e-9)) - 1, count - 1))


def _outcomes(effect: Effect, numbers: Iterable[int]) -> list[Outcome]:
    before, after = effect.probabilities_before, effect.probabilities_after
    return [
        Outcome(
            index=index,
            label=effect.model.label(index),
            logit_before=round(float(effect.logits_before[index]), 5),
            logit_after=round(float(effect.logits_after[index]), 5),
            probability_before=min(1.0, float(before[index])),
            probability_after=min(1.0, float(after[index])),
        )
        for index in numbers
    ]
