"""What a picture is optimized for: values that add, subtract, scale, and can be written down.

    0.2 * channel("mixed4a", 3) - neuron("mixed4d", 426) + 0.1 * total_variation()

An objective gives one number for each image, to be maximized; positions are averaged. Written as JSON
(`to_json`, `from_json`) it makes the same objective again.
"""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, TargetError
from ..models import Model
from ..targets import (
    Channel,
    Direction,
    Group,
    Logit,
    Neuron,
    Position,
    Target,
    parse_target,
    target_from_json,
    target_to_json,
)

Needs = dict[str, frozenset[int] | None]
"""For each layer that is read, the channels, or `None` for all of them."""


class Readings(Protocol):
    """What an objective may look at: one job's images and what the network made of them."""

    @property
    def images(self) -> Tensor:
        """The pictures themselves, before transforms: [copies, channels, height, width] in (0, 1)."""
        ...

    @property
    def opacity(self) -> Tensor:
        """The alpha channel, [copies, height, width] in (0, 1); 1 where there is none."""
        ...

    def grid(self, layer: str) -> Tensor:
        """A whole layer: float32 [copies, channels, rows, columns]."""
        ...

    def channel(self, layer: str, index: int) -> Tensor:
        """One channel: float32 [copies, rows, columns]."""
        ...


class Objective:
    """Base of all objectives; a subclass says what it reads and what it is worth."""

    kinds: ClassVar[dict[str, type["Objective"]]] = {}

    def __init_subclass__(cls) -> None:
        Objective.kinds[cls.__name__] = cls

    def needs(self) -> Needs:
        """The layers and channels that are read."""
        return {}

    def value(self, readings: Readings) -> Tensor:
        """What each image of the job is worth: [copies]."""
        raise NotImplementedError

    def checked(self, model: Model) -> "Objective":
        """The same with every target checked against a model."""
        return self

    def __add__(self, other: "Objective | float") -> "Objective":
        return Sum((*_terms(self), *_terms(as_objective(other))))

    def __radd__(self, other: float) -> "Objective":
        return as_objective(other) + self

    def __neg__(self) -> "Objective":
        return Product((Constant(-1.0), self))

    def __sub__(self, other: "Objective | float") -> "Objective":
        return self + (-as_objective(other))

    def __rsub__(self, other: float) -> "Objective":
        return as_objective(other) + (-self)

    def __mul__(self, other: "Objective | float") -> "Objective":
        return Product((as_objective(other), self))

    __rmul__ = __mul__


def _terms(objective: Objective) -> tuple[Objective, ...]:
    return objective.parts if isinstance(objective, Sum) else (objective,)


def _joined(parts: Sequence[Objective]) -> Needs:
    needs: Needs = {}
    for part in parts:
        for layer, channels in part.needs().items():
            before = needs.get(layer, frozenset())
            needs[layer] = None if before is None or channels is None else before | channels
    return needs


@dataclass(frozen=True)
class Constant(Objective):
    """A number."""

    amount: float

    def value(self, readings: Readings) -> Tensor:
        return readings.images.new_full((len(readings.images),), self.amount)

    def __repr__(self) -> str:
        return f"{self.amount:g}"


@dataclass(frozen=True)
class Sum(Objective):
    """Several objectives together."""

    parts: tuple[Objective, ...]

    def needs(self) -> Needs:
        return _joined(self.parts)

    def value(self, readings: Readings) -> Tensor:
        return torch.stack([part.value(readings) for part in self.parts]).sum(0)

    def checked(self, model: Model) -> Objective:
        return Sum(tuple(part.checked(model) for part in self.parts))

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts)).replace("+ -", "- ")


@dataclass(frozen=True)
class Product(Objective):
    """Objectives multiplied with one another, or with a number."""

    parts: tuple[Objective, ...]

    def needs(self) -> Needs:
        return _joined(self.parts)

    def value(self, readings: Readings) -> Tensor:
        return torch.stack([part.value(readings) for part in self.parts]).prod(0)

    def checked(self, model: Model) -> Objective:
        return Product(tuple(part.checked(model) for part in self.parts))

    def __repr__(self) -> str:
        first, *rest = [f"({part!r})" if isinstance(part, Sum) else repr(part) for part in self.parts]
        if first == "-1":
            return "-" + " * ".join(rest)
        return " * ".join([first, *rest])


@dataclass(frozen=True)
class Magnitude(Objective):
    """The absolute value of another objective, itself not optimized: a unit in which to state what something costs."""

    of: Objective

    def needs(self) -> Needs:
        return self.of.needs()

    def value(self, readings: Readings) -> Tensor:
        return self.of.value(readings).detach().abs()

    def checked(self, model: Model) -> Objective:
        return Magnitude(self.of.checked(model))


@dataclass(frozen=True)
class Revealed(Objective):
    """Another objective, worth more the more transparent the picture is: what is opaque has to earn it."""

    of: Objective

    def needs(self) -> Needs:
        return self.of.needs()

    def value(self, readings: Readings) -> Tensor:
        value, opacity = self.of.value(readings), readings.opacity.mean((1, 2))
        # A value below zero, as of a negative target, is raised towards zero by leaving things out.
        return torch.where(value >= 0, value * (1 - opacity), value * (1 + opacity))

    def checked(self, model: Model) -> Objective:
        return Revealed(self.of.checked(model))


@dataclass(frozen=True)
class Activation(Objective):
    """How strongly a target fires: a channel's mean, a neuron, a class logit, the projection on a direction.

    Raises:
        TargetError: the target is a position, which names no one thing to render.
    """

    target: Channel | Neuron | Logit | Direction

    def __post_init__(self) -> None:
        target: Target = self.target
        if isinstance(target, Position):
            raise TargetError(
                f"{target} cannot be rendered, because it points at no direction; give its activation vector as "
                f"direction({target.layer!r}, vector)."
            )
        if isinstance(target, Group):
            object.__setattr__(self, "target", target.direction)

    def needs(self) -> Needs:
        match self.target:
            case Channel(layer, index) | Neuron(layer, index):
                return {layer: frozenset({index})}
            case Logit(label):
                return {"logits": None if isinstance(label, str) else frozenset({label})}
            case Direction(layer):
                return {layer: None}

    def value(self, readings: Readings) -> Tensor:
        match self.target:
            case Channel(layer, index):
                return readings.channel(layer, index).mean((1, 2))
            case Neuron(layer, index, row, column):
                grid = readings.channel(layer, index)
                return _at(grid[:, None], row, column, layer)[:, 0]
            case Logit(label):
                if isinstance(label, str):
                    raise TargetError(f"{self.target} has not been checked against a model; call checked(model) first.")
                return readings.channel("logits", label).mean((1, 2))
            case Direction(layer, vector, row, column, power, centred):
                grid = readings.grid(layer)
                if row is not None or centred:
                    grid = _at(grid, row, column, layer)[:, :, None, None]
                return cosine_weighted(grid, torch.tensor(vector, device=grid.device), power).mean((1, 2))

    def checked(self, model: Model) -> Objective:
        return Activation(model.check(self.target))  # type: ignore[arg-type]  # the kind stays

    def __repr__(self) -> str:
        match self.target:
            case Channel(layer, index):
                return f"channel({layer!r}, {index})"
            case Neuron(layer, index, row, column):
                return f"neuron({layer!r}, {index}{'' if row is None else f', {row}, {column}'})"
            case Logit(label):
                return f"logit({label!r})"
            case Direction(layer, vector):
                return f"direction({layer!r}, <{len(vector)} numbers>)"


def _at(grid: Tensor, row: int | None, column: int | None, layer: str) -> Tensor:
    """[n, channels] at a position; the centre where none is given."""
    rows, columns = grid.shape[2:]
    row = rows // 2 if row is None else row
    column = columns // 2 if column is None else column
    if not (-rows <= row < rows and -columns <= column < columns):
        raise TargetError(f"{layer} has no position {row},{column} at this size: it is {rows}×{columns}.")
    return grid[:, :, row, column]


def cosine_weighted(grid: Tensor, vector: Tensor, power: float) -> Tensor:
    """(h·v) · max(0.1, cos(h, v))^power at each position: [n, rows, columns].

    Args:
        grid: h, [n, channels, rows, columns].
        vector: v, [channels].
        power: 0 for the plain dot product.

    Example:
        >>> cosine_weighted(torch.ones(1, 2, 1, 1), torch.tensor([2.0, 0.0]), power=1)
        tensor([[[1.4142]]])
    """
    dot = torch.einsum("nchw,c->nhw", grid, vector)
    if power == 0:
        return dot
    cosine = dot / (grid.norm(dim=1) * vector.norm()).clamp(min=1e-12)
    return dot * cosine.clamp(min=0.1) ** power


@dataclass(frozen=True)
class DeepDream(Objective):
    """Everything a layer already sees, more of it: the mean of h²."""

    layer: str

    def needs(self) -> Needs:
        return {self.layer: None}

    def value(self, readings: Readings) -> Tensor:
        return readings.grid(self.layer).square().mean((1, 2, 3))

    def checked(self, model: Model) -> Objective:
        return DeepDream(model.layer(self.layer).name)


@dataclass(frozen=True)
class TotalVariation(Objective):
    """Mean absolute difference of neighbouring pixels; subtract it for smoother pictures."""

    def value(self, readings: Readings) -> Tensor:
        rows, columns = readings.images.diff(dim=2), readings.images.diff(dim=3)
        return rows.abs().mean((1, 2, 3)) + columns.abs().mean((1, 2, 3))


@dataclass(frozen=True)
class Norm(Objective):
    """Mean distance of the pixels from `centre`: absolute for power 1, root mean square for power 2."""

    power: int = 2
    centre: float = 0.5

    def value(self, readings: Readings) -> Tensor:
        distance = readings.images - self.centre
        if self.power == 1:
            return distance.abs().mean((1, 2, 3))
        return (distance.square().mean((1, 2, 3)) + 1e-12).sqrt()


@dataclass(frozen=True)
class Opacity(Objective):
    """Mean opacity of a picture with an alpha channel; 1 where it has none."""

    def value(self, readings: Readings) -> Tensor:
        return readings.opacity.mean((1, 2))


@dataclass(frozen=True)
class Blurriness(Objective):
    """Likeness of the picture to its own blur, negative mean square; added, it blurs a little at each step."""

    def value(self, readings: Readings) -> Tensor:
        blurred = F.avg_pool2d(readings.images, 3, 1, 1, count_include_pad=False).detach()
        return -(readings.images - blurred).square().mean((1, 2, 3))


@dataclass(frozen=True)
class Interpolation(Objective):
    """From one target to another over the images of a job: the first image all `first`, the last all `second`."""

    first: Objective
    second: Objective

    def needs(self) -> Needs:
        return _joined((self.first, self.second))

    def value(self, readings: Readings) -> Tensor:
        share = torch.linspace(0, 1, len(readings.images), device=readings.images.device)
        return (1 - share) * self.first.value(readings) + share * self.second.value(readings)

    def checked(self, model: Model) -> Objective:
        return Interpolation(self.first.checked(model), self.second.checked(model))


@dataclass(frozen=True)
class Alignment(Objective):
    """Likeness of the images of a job to one another in a layer, nearer ones counting more; negative mean square.

    Args:
        layer: where they are compared.
        decay: a pair `d` apart counts decay^-d.
    """

    layer: str
    decay: float = 2.0

    def needs(self) -> Needs:
        return {self.layer: None}

    def value(self, readings: Readings) -> Tensor:
        grid = readings.grid(self.layer)
        index = torch.arange(len(grid), device=grid.device)
        weight = self.decay ** -(index[:, None] - index[None, :]).abs().float()
        distance = (grid[:, None] - grid[None, :]).square().mean((2, 3, 4))
        return -(weight * distance).mean(1)

    def checked(self, model: Model) -> Objective:
        return Alignment(model.layer(self.layer).name, self.decay)


@dataclass(frozen=True)
class Likeness(Objective):
    """Mean product of an image's normalized Gram matrix with those of the other images of its job, 0 to 1.

    Subtracted, it makes the images diverse: several answers to one question.
    """

    layer: str

    def needs(self) -> Needs:
        return {self.layer: None}

    def value(self, readings: Readings) -> Tensor:
        gram = F.normalize(_gram(readings.grid(self.layer)).flatten(1), dim=1)
        product = gram @ gram.T
        count = len(gram)
        return (product.sum(1) - product.diagonal()) / max(count - 1, 1)

    def checked(self, model: Model) -> Objective:
        return Likeness(model.layer(self.layer).name)


def _gram(grid: Tensor) -> Tensor:
    flat = grid.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


@dataclass(frozen=True, eq=False)
class _ToReference(Objective):
    """Base of objectives that compare a layer with what it was on a given image."""

    layer: str
    reference: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference", np.ascontiguousarray(self.reference, dtype=np.float32))

    def needs(self) -> Needs:
        return {self.layer: None}

    def checked(self, model: Model) -> Objective:
        return dataclasses.replace(self, layer=model.layer(self.layer).name)

    def _reference(self, grid: Tensor) -> Tensor:
        reference = torch.from_numpy(self.reference).to(grid)
        if reference.shape != grid.shape[1:]:
            raise InputError(
                f"the reference at {self.layer} is {list(reference.shape)}, "
                f"the picture's layer {list(grid.shape[1:])}; render at the size of the reference image."
            )
        return reference

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.layer!r}, <{'×'.join(map(str, self.reference.shape))}>)"


@dataclass(frozen=True, eq=False, repr=False)
class Difference(_ToReference):
    """Mean square distance of a layer from `reference` [channels, rows, columns]; subtract it to invert a layer."""

    def value(self, readings: Readings) -> Tensor:
        grid = readings.grid(self.layer)
        return (grid - self._reference(grid)).square().mean((1, 2, 3))


@dataclass(frozen=True, eq=False, repr=False)
class Caricature(_ToReference):
    """Cosine-weighted product of a layer with `reference` [channels, rows, columns]: what is there, exaggerated.

    Args:
        power: of the cosine, see `cosine_weighted`.
    """

    power: float = 1.0

    def value(self, readings: Readings) -> Tensor:
        grid = readings.grid(self.layer)
        reference = self._reference(grid)
        dot = (grid * reference).flatten(1).sum(1)
        norms = grid.flatten(1).norm(dim=1) * reference.norm()
        return dot / reference[0].numel() * (dot / norms.clamp(min=1e-12)).clamp(min=0.1) ** self.power


@dataclass(frozen=True, eq=False, repr=False)
class Style(_ToReference):
    """Mean absolute difference of a layer's Gram matrix from that of `reference` [channels, rows, columns].

    The reference may have another size than the picture. Subtract it to give the picture that texture.

    Args:
        together: compare the mean over the images of a job, where they are opaque, so that all of them have the texture
            together and not each on its own: for views of one thing.
    """

    together: bool = False

    def value(self, readings: Readings) -> Tensor:
        grid = readings.grid(self.layer)
        wanted = _gram(torch.from_numpy(self.reference).to(grid)[None])
        if self.together:
            opacity = F.adaptive_avg_pool2d(readings.opacity[:, None].to(grid), (grid.shape[2], grid.shape[3]))
            mean = _gram(grid * opacity.sqrt()).mean(0) / opacity.mean().clamp(min=1e-6)
            gram = mean.expand(len(grid), -1, -1)
        else:
            gram = _gram(grid)
        return (gram - wanted).abs().mean((1, 2)) / wanted.abs().mean().clamp(min=1e-12)


def channel(layer: str, index: int) -> Objective:
    """The mean of a channel.

    Example:
        >>> 0.2 * channel("mixed4a", 3) - neuron("mixed4d", 426)
        0.2 * channel('mixed4a', 3) - neuron('mixed4d', 426)
    """
    return Activation(Channel(layer, index))


def neuron(layer: str, index: int, row: int | None = None, column: int | None = None) -> Objective:
    """A channel at one position, by default the centre.

    Example:
        >>> neuron("mixed4d", 426, 4, 1)
        neuron('mixed4d', 426, 4, 1)
    """
    return Activation(Neuron(layer, index, row, column))


def logit(label: int | str) -> Objective:
    """A class.

    Example:
        >>> logit("lemon")
        logit('lemon')
    """
    return Activation(Logit(label))


def direction(
    layer: str,
    vector: Sequence[float] | np.ndarray | Tensor,
    row: int | None = None,
    column: int | None = None,
    *,
    cosine_power: float = 0.0,
    centred: bool = False,
) -> Objective:
    """The projection on a vector of channels, everywhere, at one position or at the centre.

    Example:
        >>> pellucid.render(model, direction("8", [1.0] * 10, cosine_power=2), size=32, steps=4).images.shape
        (1, 32, 32, 3)
    """
    values = tuple(np.asarray(vector, dtype=float).reshape(-1).tolist())
    return Activation(Direction(layer, values, row, column, cosine_power, centred))


def as_objective(value: "Objective | Target | str | float") -> Objective:
    """The objective of a target, of its text form (a leading `-` for its opposite), or of a number.

    Raises:
        TargetError: the text names no target, or one that cannot be rendered.

    Example:
        >>> as_objective("-mixed4d:426")
        -channel('mixed4d', 426)
    """
    if isinstance(value, Objective):
        return value
    if isinstance(value, str):
        text = value.strip()
        return -as_objective(text[1:]) if text.startswith("-") else as_objective(parse_target(text))
    if isinstance(value, int | float):
        return Constant(float(value))
    return Activation(value)  # type: ignore[arg-type]  # a group becomes its direction, a position is refused


def to_json(objective: Objective) -> dict[str, Any]:
    """A JSON value from which `from_json` makes the same objective again.

    Example:
        >>> from_json(to_json(-channel("mixed4d", 426)))
        -channel('mixed4d', 426)
    """
    fields = {field.name: _encode(getattr(objective, field.name)) for field in dataclasses.fields(objective)}  # type: ignore[arg-type]
    return {"objective": type(objective).__name__, **fields}


def from_json(value: Mapping[str, Any]) -> Objective:
    """The objective that `to_json` wrote.

    Raises:
        InputError: the value does not describe an objective.

    Example:
        >>> from_json(to_json(logit("lemon")))
        logit('lemon')
    """
    try:
        fields = {key: _decode(item) for key, item in value.items() if key != "objective"}
        return Objective.kinds[value["objective"]](**fields)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {str(value)[:80]} as an objective: {error}.") from None


def _encode(value: Any) -> Any:
    if isinstance(value, Objective):
        return to_json(value)
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "float32": base64.b64encode(value.tobytes()).decode()}
    return target_to_json(value) if isinstance(value, Channel | Neuron | Logit | Direction) else value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, Mapping):
        if "objective" in value:
            return from_json(value)
        if "target" in value:
            return target_from_json(value)
        if "float32" in value:
            flat = np.frombuffer(base64.b64decode(value["float32"]), dtype=np.float32)
            return flat.reshape(value["shape"]).copy()  # torch warns of arrays that cannot be written to
    return value
