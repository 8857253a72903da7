"""Running a network no further than it is needed, reading layers and replacing them on the way."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError, PellucidError
from ..models import Layer, Model
from ..models._model import first_line

Edit = Callable[[Tensor], Tensor]


class _Reached(BaseException):  # not an error, and must pass through a user's `except Exception`
    """Every layer that was asked for has been computed."""


def run(
    model: Model, images: Tensor, layers: Iterable[str], *, edits: Mapping[str, Edit] | None = None
) -> dict[str, Tensor]:
    """The outputs of `layers` as grids [n, channels, rows, columns], the run ending at the deepest of them.

    The caller decides about gradients and about `borrowed`; the module's own hooks run as always.

    Args:
        images: [n, channels, height, width], sRGB in [0, 1].
        layers: names; `logits` is the model's output.
        edits: for a layer, a function from its grid to the grid that the rest of the network sees (and that is read).

    Raises:
        TargetError: no such layer.
        ModelError: a layer is never computed on this input, or its output has another form than at the usual size.

    Example:
        >>> run(model, image[None], ["8"])["8"].shape
        torch.Size([1, 10, 10, 10])
    """
    edits = edits or {}
    wanted = {model.layer(name).name: model.layer(name) for name in [*layers, *edits]}
    read = {model.layer(name).name for name in layers}
    edit_of = {model.layer(name).name: edit for name, edit in edits.items()}
    size = (images.shape[2], images.shape[3])
    outputs: dict[str, Tensor] = {}
    pending = {name for name in wanted if wanted[name].path}
    to_the_end = len(pending) < len(wanted)

    def reach(layer: Layer, output: Any) -> Any:
        if not isinstance(output, Tensor):
            raise ModelError(
                f"{layer.name} of {model.name} gives {type(output).__name__}, not a tensor, on this input."
            )
        grid = layer.to_grid(output, size)
        if layer.name in edit_of:
            grid = edit_of[layer.name](grid)
            output = layer.from_grid(grid, output)
        if layer.name in read:
            # A later layer may work in place (ReLU often does), and would change what was read.
            outputs[layer.name] = grid if layer.name in last else grid.clone()
        return output

    last: set[str] = set()
    calls = dict.fromkeys(pending, 0)

    def hook_for(layer: Layer):
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            calls[layer.name] += 1
            if calls[layer.name] < layer.calls:
                return None
            pending.discard(layer.name)
            if not pending and not to_the_end:
                last.add(layer.name)
            output = reach(layer, output)
            if last:
                raise _Reached
            return output if layer.name in edit_of else None

        return hook

    handles = []
    try:
        for layer in (layer for layer in wanted.values() if layer.path):
            handle = model.module.get_submodule(layer.path).register_forward_hook(hook_for(layer))
            handles.append(handle)
        output = model.module(model.preprocess(images))
        for layer in wanted.values():
            if not layer.path:
                last.add(layer.name)
                reach(layer, model.logits_of(output))
    except _Reached:
        pass
    except (RuntimeError, AssertionError) as error:
        # At its usual size the network has run before: what fails there is another fault, such as a lack of memory.
        if size == model.size or isinstance(error, PellucidError | torch.OutOfMemoryError):
            raise
        raise ModelError(
            f"{model.name} cannot run on an input of {size[0]}×{size[1]} px: {first_line(error)}."
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    if pending:
        raise ModelError(f"{model.name} does not compute {sorted(pending)[0]} on an input of {size[0]}×{size[1]} px.")
    return outputs
