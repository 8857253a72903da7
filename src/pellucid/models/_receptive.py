"""How much of the picture a unit can see, measured by what a single pixel can reach."""

import torch
from torch import Tensor, nn

from ._model import Model, borrowed

_BATCH = 8
# Sizes tried for the probe: a field that reaches from edge to edge of the largest counts as the whole picture.
_STRIDE = 32


def receptive_fields(model: Model) -> dict[str, int | None]:
    """The width in px that one position of each layer depends on; `None` where it is (nearly) the whole picture.

    One column of the input is set to NaN, which spreads to exactly the outputs that are computed from it, whatever
    their weights. As many output columns see an input column as input columns are seen by an output column, for each
    step of the stride: so the counts for as many neighbouring columns as a stride add up to the field.

    Args:
        model: it comes back as it was.

    Example:
        >>> receptive_fields(pellucid.wrap(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5)), size=32))
        {'0': 5}
    """
    height, width = model.size
    middle = width // 2 // _STRIDE * _STRIDE
    columns = range(max(0, middle - _STRIDE // 2), min(width, max(0, middle - _STRIDE // 2) + _STRIDE))
    placed = {name: layer for name, layer in model.layers.items() if layer.kind != "vector" and layer.path}
    seen: dict[str, list[tuple[int, bool]]] = {name: [] for name in placed}

    def hook_for(name: str):
        layer = placed[name]

        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            reached = torch.isnan(layer.to_grid(output, (height, width))).flatten(1, 2).any(1)
            # Touching either edge means that the count may have been cut short there.
            seen[name] += [(int(row.sum()), bool(row[0] | row[-1])) for row in reached]

        return hook

    handles = [model.module.get_submodule(name).register_forward_hook(hook_for(name)) for name in placed]
    try:
        with borrowed(model.module), torch.no_grad():
            for start in range(0, len(columns), _BATCH):
                part = columns[start : start + _BATCH]
                images = torch.full((len(part), model.input_channels, height, width), 0.5)
                for index, column in enumerate(part):
                    images[index, :, :, column] = torch.nan
                model.module(model.preprocess(images))
    finally:
        for handle in handles:
            handle.remove()
    fields: dict[str, int | None] = {}
    for name, layer in placed.items():
        stride = max(1, round(width / layer.columns))
        counts = seen[name][-len(columns) :][:stride]
        fields[name] = None if stride > len(counts) or any(cut for _, cut in counts) else sum(n for n, _ in counts)
    return fields
