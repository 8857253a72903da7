"""What a picture, a number or a question points at: a unit of a layer, and its text form.

mixed4d:426            Channel     one channel, wherever it fires
mixed4d:426@4,1        Neuron      that channel at row 4, column 1
mixed4d@4,1            Position    all channels at row 4, column 1
logits:Labrador retriever, logits:208
                       Logit       one class
(no text form)         Direction   a vector of channels, everywhere or at one position
(no text form)         Group       a vector of channels and where on the image it is
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from .errors import TargetError

LOGITS = "logits"


@dataclass(frozen=True)
class Channel:
    """Channel `index` of a layer, over all positions."""

    layer: str
    index: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.index}"


@dataclass(frozen=True)
class Neuron:
    """Channel `index` of a layer at one position; without a position, at the centre of the grid."""

    layer: str
    index: int
    row: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return f"{self.layer}:{self.index}@" + ("centre" if self.row is None else f"{self.row},{self.column}")


@dataclass(frozen=True)
class Logit:
    """One class of the model's output, by index or by label."""

    label: int | str

    @property
    def layer(self) -> str:
        return LOGITS

    def __str__(self) -> str:
        return f"{LOGITS}:{self.label}"


@dataclass(frozen=True)
class Direction:
    """A vector over the channels of a layer, everywhere or at one position.

    Args:
        layer: name of the layer.
        vector: one number for each channel.
        row, column: a position of the grid, or neither for all positions.
        cosine_power: 0 for the plain dot product h·v; p > 0 for (h·v) · max(0.1, cos(h, v))^p, which keeps a strong
            activation in a merely similar direction from winning (Activation Atlas, 2019).
        centred: where no position is given, at the centre of the grid only, as a `Neuron` is.
    """

    layer: str
    vector: tuple[float, ...]
    row: int | None = None
    column: int | None = None
    cosine_power: float = 0.0
    centred: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", tuple(float(value) for value in np.asarray(self.vector).reshape(-1)))

    def __str__(self) -> str:
        place = f"@{self.row},{self.column}" if self.row is not None else "@centre" if self.centred else ""
        return f"{self.layer}:direction of {len(self.vector)}{place}"


@dataclass(frozen=True)
class Position:
    """Everything that a layer does at one place: its value is the norm ‖h‖ of the activation vector there.

    A negative row or column counts from the end, as in a list.
    """

    layer: str
    row: int
    column: int

    def __str__(self) -> str:
        return f"{self.layer}@{self.row},{self.column}"


@dataclass(frozen=True)
class Group:
    """A pattern in a layer, as factorization finds it: a vector v of channels, present at each position p as m_p.

    Its value is the projection of the layer on the pattern, Σ_p m_p (h_p · v) / (‖m‖ ‖v‖): the group's magnitude
    where the layer is m ⊗ v alone, and the same however the scale is shared between m and v.

    Args:
        layer: name of the layer.
        vector: v, one number for each channel.
        mask: m, one number for each position, [rows][columns]; `None` for 1 everywhere.
    """

    layer: str
    vector: tuple[float, ...]
    mask: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", tuple(np.asarray(self.vector, dtype=float).reshape(-1).tolist()))
        if self.mask is not None:
            mask = np.asarray(self.mask, dtype=float)
            if mask.ndim != 2:
                raise ValueError(f"mask has shape {list(mask.shape)}, expected [rows, columns]")
            object.__setattr__(self, "mask", tuple(map(tuple, mask.tolist())))

    @property
    def direction(self) -> Direction:
        """The vector alone: what a rendering of the group shows."""
        return Direction(self.layer, self.vector)

    def __str__(self) -> str:
        place = "" if self.mask is None else f" on {len(self.mask)}×{len(self.mask[0])}"
        return f"{self.layer}:group of {len(self.vector)}{place}"


Target = Channel | Neuron | Logit | Direction | Position | Group

# No more digits than any layer has channels: Python refuses to read a number of thousands of them.
_NUMBER = r"\d{1,18}"
_PLACE = re.compile(rf"(?P<layer>[^:]*[^:\s])\s*@(?P<row>-?{_NUMBER}),(?P<column>-?{_NUMBER})")
_UNIT = re.compile(rf"(?P<index>{_NUMBER})(@(?P<row>-?{_NUMBER}),(?P<column>-?{_NUMBER})|@(?P<centre>cent(re|er)))?")
_FIELD_TYPES = {
    "layer": str,
    "index": int,
    "row": int | None,
    "column": int | None,
    "label": int | str,
    "vector": Sequence,
    "mask": Sequence | None,
    "cosine_power": int | float,
    "centred": bool,
}


def parse_target(text: str) -> Target:
    """The target that `text` names; whether the model has it is not checked here.

    Args:
        text: `layer:channel`, `layer:channel@row,column`, `layer:channel@centre`, `layer@row,column` or `logits:class`.

    Raises:
        TargetError: the text has none of these forms.

    Example:
        >>> parse_target("mixed4d:426@4,1")
        Neuron(layer='mixed4d', index=426, row=4, column=1)
    """
    place = _PLACE.fullmatch(text.strip())
    if place is not None:
        return Position(place["layer"], int(place["row"]), int(place["column"]))
    layer, separator, unit = text.strip().partition(":")
    layer, unit = layer.strip(), unit.strip()
    if not separator or not layer or not unit:
        raise TargetError(
            f"cannot read {text!r} as a target; write layer:channel (mixed4d:426), "
            "layer:channel@row,column (mixed4d:426@4,1), layer@row,column (mixed4d@4,1) "
            "or logits:class (logits:Labrador retriever)."
        )
    if layer == LOGITS and "@" not in unit:
        return Logit(int(unit) if re.fullmatch(_NUMBER, unit) else unit)
    match = _UNIT.fullmatch(unit)
    if match is None:
        if layer == LOGITS:
            return Logit(unit)
        raise TargetError(
            f"cannot read {unit!r} in {text!r} as a channel; write a number ({layer}:0), "
            f"or a number and a position ({layer}:0@4,1)."
        )
    index = int(match["index"])
    if match["centre"]:
        return Neuron(layer, index)
    if match["row"]:
        return Neuron(layer, index, int(match["row"]), int(match["column"]))
    return Channel(layer, index)


def target_to_json(target: Target) -> dict[str, Any]:
    """A JSON value from which `target_from_json` makes the same target again.

    Example:
        >>> target_to_json(Channel("mixed4d", 426))
        {'target': 'channel', 'layer': 'mixed4d', 'index': 426}
    """
    fields: dict[str, Any] = {"label": target.label} if isinstance(target, Logit) else dict(vars(target))
    if isinstance(target, Direction | Group):
        fields["vector"] = list(target.vector)
    if isinstance(target, Group) and target.mask is not None:
        fields["mask"] = list(map(list, target.mask))
    return {"target": type(target).__name__.lower(), **fields}


def target_from_json(value: Mapping[str, Any]) -> Target:
    """The target that `target_to_json` wrote.

    Raises:
        TargetError: the value does not describe a target.

    Example:
        >>> target_from_json({"target": "logit", "label": "lemon"})
        Logit(label='lemon')
    """
    kinds = {kind.__name__.lower(): kind for kind in get_args(Target)}
    try:
        fields = dict(value)
        kind = kinds[fields.pop("target", None)]
        for name, content in fields.items():
            if not isinstance(content, _FIELD_TYPES.get(name, object)):
                raise TypeError(f"{name} is {content!r}")
        return kind(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise TargetError(f"cannot read {value!r} as a target: {error}.") from None
