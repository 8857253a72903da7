"""A network as Pellucid sees it: a module, its layers, what goes in and what its outputs are called."""

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, ModelError, TargetError
from ..targets import LOGITS, Direction, Group, Logit, Neuron, Position, Target
from ._layers import Layer, discover_layers

Output = int | str | Callable[[Any], Tensor] | None


@contextmanager
def borrowed(module: nn.Module) -> Iterator[nn.Module]:
    """The module in eval mode with frozen parameters; on leaving, each part is as it was, also after an exception.

    Example:
        >>> with borrowed(nn.Sequential(nn.Conv2d(3, 4, 3))) as module:
        ...     module.training
        False
    """
    modes = [(part, part.training) for part in module.modules()]
    frozen = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        for part, _ in modes:
            part.training = False
        for parameter, _ in frozen:
            parameter.requires_grad_(False)
        yield module
    finally:
        for part, training in modes:
            part.training = training
        for parameter, requires_grad in frozen:
            parameter.requires_grad_(requires_grad)


def first_line(error: BaseException) -> str:
    """What an exception of PyTorch's says before its traces and hints."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _pick_output(output: Any, choice: Output) -> Any:
    if callable(choice):
        return choice(output)
    if isinstance(choice, str) and not isinstance(output, Mapping):
        return getattr(output, choice)
    if choice is not None:
        return output[choice]
    return output if isinstance(output, Tensor) else getattr(output, "logits", output)


@dataclass(frozen=True, eq=False)
class Model:
    """A module with its layers, preprocessing and labels; made by `pellucid.wrap` and `pellucid.load`.

    Args:
        module: any `torch.nn.Module` that takes [n, channels, height, width].
        name: what provenance and messages call it.
        size: height and width of its usual input, in px; other sizes are taken where the module takes them.
        input_channels: 1, 3 or any number.
        mean, std: what is subtracted from an sRGB value in [0, 1], and what the difference is divided by; one per
            channel.
        labels: names of the outputs, in order, or `None`.
        output: which part of what the module returns are the logits: an index, a key, an attribute or a function.
        default_layer: the layer that is shown where none is asked for.
        source: for provenance: where the weights came from.
    """

    module: nn.Module
    name: str
    size: tuple[int, int]
    input_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...] | None = None
    output: Output = None
    default_layer: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Model {self.name}: {len(self.layers)} layers, {self.size[0]}×{self.size[1]} px>"

    @property
    def device(self) -> torch.device:
        """Where the module's parameters lie."""
        return next((tensor.device for tensor in self.module.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the module's parameters."""
        return next((t.dtype for t in self.module.parameters() if t.is_floating_point()), torch.float32)

    @cached_property
    def _discovery(self) -> tuple[dict[str, Layer], object]:
        probe = torch.full((1, self.input_channels, *self.size), 0.5)
        with borrowed(self.module):
            try:
                return discover_layers(self.module, self.preprocess(probe), self.logits_of)
            except (TypeError, KeyError, IndexError, AttributeError) as error:
                raise ModelError(
                    f"{self.name} does not give logits through output={self.output!r}: {error}; "
                    "pass wrap(…, output=…) an index, a key, an attribute or a function."
                ) from error
            except (RuntimeError, AssertionError) as error:
                shape = [1, self.input_channels, *self.size]
                raise ModelError(
                    f"{self.name} cannot run on an input of shape {shape}: {first_line(error)}; "
                    "give its own with wrap(…, size=…, channels=…)."
                ) from error

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers by name, in the order in which the network computes them."""
        return MappingProxyType(self._discovery[0])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the parameters, buffers and preprocessing, as 16 hexadecimal digits."""
        digest = hashlib.sha256(repr((self.name, self.mean, self.std)).encode())
        for key, tensor in self.module.state_dict().items():
            if isinstance(tensor, Tensor):
                digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def logits_of(self, output: Any) -> Any:
        """The logits in what the module returned."""
        return _pick_output(output, self.output)

    def layer(self, name: str) -> Layer:
        """The layer of that name; `/` and `_` may stand for the dots of a module's path.

        Raises:
            TargetError: there is none; the message names the nearest.
        """
        layers = self.layers
        if name in layers:
            return layers[name]
        same = [layer for key, layer in layers.items() if re.sub(r"[./_]", "", key) == re.sub(r"[./_]", "", name)]
        if len(same) == 1:
            return same[0]
        if name == LOGITS:
            output = self._discovery[1]
            what = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ModelError(
                f"{self.name} returns {what}, not logits of shape [n, classes]; say which part they are with "
                "wrap(…, output=0), an attribute name or a function."
            )
        near = difflib.get_close_matches(name, layers, n=3, cutoff=0.5)
        hint = f" did you mean {' or '.join(repr(other) for other in near)}?" if near else ""
        raise TargetError(
            f"no layer {name!r} in {self.name};{hint} `pellucid layers --model {self.name}` lists all {len(layers)}."
        )

    def class_index(self, label: int | str) -> int:
        """The output of that label (case does not matter) or number.

        Raises:
            TargetError: no such class; the message names the nearest labels.
        """
        count = self.layer(LOGITS).channels
        if isinstance(label, int) or re.fullmatch(r"\s*\d{1,18}\s*", label):
            index = int(label)
            if not 0 <= index < count:
                raise TargetError(f"no class {index} in {self.name}: it has {count}, numbered 0 to {count - 1}.")
            return index
        if self.labels is None:
            raise TargetError(f"{self.name} has no labels; name the class by its number, 0 to {count - 1}.")
        folded = [name.casefold() for name in self.labels[:count]]
        wanted = label.strip().casefold()
        if wanted in folded:
            return folded.index(wanted)
        near = difflib.get_close_matches(wanted, folded, n=3, cutoff=0.5)
        near += [name for name in folded if wanted in name and name not in near][: 3 - len(near)]
        hint = f"; did you mean {' or '.join(repr(self.labels[folded.index(name)]) for name in near)}?" if near else "."
        raise TargetError(f"no class {label!r} among the {len(folded)} labels of {self.name}{hint}")

    def label(self, index: int) -> str:
        """The name of a class, or `class 7` where it has none."""
        name = self.labels[index] if self.labels and index < len(self.labels) else ""
        return name or f"class {index}"

    def check(self, target: Target) -> Target:
        """The target with its layer's own name and its class as a number.

        Raises:
            TargetError: the model has no such layer, channel, position or class.
        """
        if isinstance(target, Logit):
            return Logit(self.class_index(target.label))
        layer = self.layer(target.layer)
        row, column = None, None
        if isinstance(target, Direction | Group):
            if len(target.vector) != layer.channels:
                raise TargetError(
                    f"a {type(target).__name__.lower()} of {len(target.vector)} numbers does not fit {layer.name}, "
                    f"which has {layer.channels} channels."
                )
        elif not isinstance(target, Position) and not 0 <= target.index < layer.channels:
            raise TargetError(
                f"no channel {target.index} in {layer.name} of {self.name}: it has {layer.channels}, "
                f"numbered 0 to {layer.channels - 1}."
            )
        if isinstance(target, Neuron | Direction | Position):
            row, column = target.row, target.column
        at_position = isinstance(target, Neuron) or row is not None
        if at_position and layer.kind == "vector":
            raise TargetError(f"{layer.name} is a vector and has no positions; drop the part after '@' in {target}.")
        if (row is None) != (column is None):
            raise TargetError(f"{target} needs both a row and a column, or neither.")
        fields = {**vars(target), "layer": layer.name}
        return type(target)(**fields)

    def preprocess(self, images: Tensor) -> Tensor:
        """The module's input from sRGB in [0, 1], [n, channels, height, width], on the module's device and dtype."""
        images = images.to(self.device, self.dtype)
        mean = torch.tensor(self.mean, device=images.device, dtype=images.dtype)[:, None, None]
        std = torch.tensor(self.std, device=images.device, dtype=images.dtype)[:, None, None]
        return (images - mean) / std

    def check_images(self, images: Tensor | np.ndarray) -> Tensor:
        """The images as a float tensor [n, channels, height, width].

        Raises:
            InputError: wrong rank, channels, type or range.
        """
        if isinstance(images, np.ndarray) and not (images.flags.writeable and min(images.strides, default=0) >= 0):
            images = images.copy()  # PyTorch takes neither
        tensor = torch.as_tensor(images)
        want = f"expected float [n, {self.input_channels}, height, width] in [0, 1]"
        if tensor.ndim != 4 or tensor.shape[1] != self.input_channels or 0 in tensor.shape:
            hint = ""
            if tensor.ndim == 4 and tensor.shape[3] == self.input_channels:
                hint = "; images.permute(0, 3, 1, 2) puts the channels second"
            elif tensor.ndim == 3:
                hint = "; images[None] makes a batch of one"
            raise InputError(f"images have shape {list(tensor.shape)}, {want}{hint}.")
        if not tensor.is_floating_point():
            raise InputError(f"images have type {tensor.dtype}, {want}; divide bytes by 255.")
        if not torch.isfinite(tensor).all():
            raise InputError(f"images contain values that are not finite, {want}.")
        low, high = tensor.min().item(), tensor.max().item()
        if low < -0.01 or high > 1.01:
            raise InputError(f"images range from {low:.3g} to {high:.3g}, {want}.")
        return tensor


def _per_channel(value: float | Sequence[float], channels: int, name: str) -> tuple[float, ...]:
    values = np.asarray(value, dtype=float).reshape(-1)
    if values.size not in (1, channels):
        raise InputError(f"{name} has {values.size} values for {channels} input channels; give 1 or {channels}.")
    if not np.isfinite(values).all() or (name == "std" and (values == 0).any()):
        raise InputError(f"{name} is {value}; expected finite numbers{', none of them 0' if name == 'std' else ''}.")
    return tuple(np.broadcast_to(values, (channels,)).tolist())


def wrap(
    module: nn.Module,
    *,
    size: int | tuple[int, int] = 224,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    labels: Sequence[str] | None = None,
    channels: int | None = None,
    output: Output = None,
    name: str | None = None,
    default_layer: str | None = None,
    source: Mapping[str, Any] | None = None,
) -> Model:
    """A `Model` around any module; the module itself is not changed.

    Args:
        module: takes [n, channels, height, width].
        size: height and width of its usual input, px.
        mean, std: preprocessing of sRGB values in [0, 1]: (value − mean) / std; one number, or one per channel.
        labels: names of the outputs, in order.
        channels: input channels; by default those of the first convolution, or 3.
        output: where the module returns more than a tensor, which part are the logits: an index, a key, an attribute
            or a function.
        name: for messages and provenance; by default the class of the module.
        default_layer: the layer that is shown where none is asked for.
        source: for provenance: where the weights came from.

    Raises:
        InputError: a setting does not fit.
        ModelError: a parameter is not finite.

    Example:
        >>> model = wrap(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), size=28)
        >>> model.layers["1"].channels, model.input_channels
        (4, 1)
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"wrap needs a torch.nn.Module, not {type(module).__name__}.")
    if channels is None:
        first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
        channels = first.in_channels if first is not None else 3
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise InputError(f"size is {size}; expected a positive number of pixels, or (height, width).")
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelError(f"{key} of {name or type(module).__name__} contains values that are not finite.")
    return Model(
        module=module,
        name=name or type(module).__name__,
        size=(height, width),
        input_channels=channels,
        mean=_per_channel(mean, channels, "mean"),
        std=_per_channel(std, channels, "std"),
        labels=tuple(labels) if labels is not None else None,
        output=output,
        default_layer=default_layer,
        source=dict(source or {}),
    )
