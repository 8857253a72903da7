"""The named places of a network, found by running it once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["grid", "tokens", "vector"]

# Class, distillation and register tokens that a transformer puts before its patches: more than this is not a grid.
_MOST_EXTRA_TOKENS = 16


@dataclass(frozen=True)
class Layer:
    """A named place in a network, and its shape at the model's own input size.

    Args:
        name: what a person writes: the module's path, or `logits` for the model's output.
        kind: `grid` (rows × columns × channels), `tokens` (a transformer's patches, laid out as a grid, class token
            apart) or `vector` (channels only).
        channels: size of the activation vector at one position.
        rows, columns: 1 for a vector.
        extra_tokens: tokens before the patches (class, distillation, registers).
        channels_last: whether a grid comes as [n, rows, columns, channels] from its module.
        path: the module whose output this is; empty for the whole model.
        calls: how often one run calls that module; the layer is its last output.
    """

    name: str
    kind: Kind
    channels: int
    rows: int = 1
    columns: int = 1
    extra_tokens: int = 0
    channels_last: bool = False
    path: str = ""
    calls: int = 1

    def to_grid(self, output: Tensor, input_size: tuple[int, int]) -> Tensor:
        """[n, channels, rows, columns] from what the module returned, for an input of any height and width."""
        if self.kind == "vector":
            return output[:, :, None, None]
        if self.kind == "grid":
            return output.permute(0, 3, 1, 2) if self.channels_last else output
        rows, columns, extra = _token_grid(output.shape[1], input_size) or (1, output.shape[1], 0)
        return output[:, extra:].transpose(1, 2).unflatten(2, (rows, columns))

    def from_grid(self, grid: Tensor, like: Tensor) -> Tensor:
        """What the module would have returned, from a grid; extra tokens are taken from `like`."""
        if self.kind == "vector":
            return grid[:, :, 0, 0]
        if self.kind == "grid":
            return grid.permute(0, 2, 3, 1) if self.channels_last else grid
        patches = grid.flatten(2).transpose(1, 2)
        extra = like[:, : like.shape[1] - patches.shape[1]]
        return torch.cat([extra.expand(len(patches), -1, -1), patches], 1)


def _token_grid(tokens: int, size: tuple[int, int]) -> tuple[int, int, int] | None:
    """(rows, columns, extra tokens) of a sequence of patches of an image of this height and width, or `None`."""
    for extra in range(min(_MOST_EXTRA_TOKENS, tokens - 1) + 1):
        rows = round(((tokens - extra) * size[0] / size[1]) ** 0.5)
        if rows and (tokens - extra) % rows == 0 and rows * size[1] == (tokens - extra) // rows * size[0]:
            return rows, (tokens - extra) // rows, extra
    return None


def _like_picture(rows: int, columns: int, size: tuple[int, int]) -> bool:
    """Whether a grid has the picture's aspect, give or take one row or column."""
    return abs(rows * size[1] - columns * size[0]) <= max(size)


def _describe(output: Tensor, size: tuple[int, int]) -> Layer | None:
    """The layer that an output of one image makes, without its name, or `None` where it has no such shape."""
    if not output.is_floating_point() or output.ndim not in (2, 3, 4) or len(output) != 1 or 0 in output.shape:
        return None
    if output.ndim == 2:
        return Layer("", "vector", output.shape[1])
    if output.ndim == 3:
        rows, columns, extra = _token_grid(output.shape[1], size) or (1, output.shape[1], 0)
        return Layer("", "tokens", output.shape[2], rows, columns, extra)
    _, first, second, third = output.shape
    # Swin and its kin keep channels last; a grid has the aspect of the picture, so that tells which axes it lies on.
    if not _like_picture(second, third, size) and _like_picture(first, second, size):
        return Layer("", "grid", third, first, second, channels_last=True)
    return Layer("", "grid", first, second, third)


def discover_layers(
    module: nn.Module, probe: Tensor, pick: Callable[[object], object]
) -> tuple[dict[str, Layer], object]:
    """Every submodule that gives a grid, tokens or a vector, in the order in which they end, and the model's output.

    Args:
        module: in eval mode.
        probe: one preprocessed image, [1, channels, height, width].
        pick: makes the logits of whatever the module returns.

    Returns:
        layers by name, `logits` among them where the output is [1, classes]; and the picked output.
    """
    size = (probe.shape[2], probe.shape[3])
    found: dict[str, Layer] = {}
    calls: dict[str, int] = {}
    outputs: dict[str, object] = {}

    def hook_for(path: str):
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            calls[path] = calls.get(path, 0) + 1
            layer = _describe(output, size) if isinstance(output, Tensor) else None
            found.pop(path, None)
            if layer is not None:
                found[path] = replace(layer, name=path, path=path, calls=calls[path])
                outputs[path] = output

        return hook

    handles = [part.register_forward_hook(hook_for(path)) for path, part in module.named_modules() if path]
    try:
        with torch.no_grad():
            output = pick(module(probe))
    finally:
        for handle in handles:
            handle.remove()
    if isinstance(output, Tensor) and output.ndim == 2 and "logits" not in found:
        found["logits"] = Layer("logits", "vector", output.shape[1])
    return found, output
