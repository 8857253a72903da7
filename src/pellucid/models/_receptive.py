"""How much of the picture a unit can see, measured by what a single pixel can reach."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ._model import Model, borrowed

# Columns probed at a time, and at most: a layer of a longer stride sees (nearly) the whole of any usual picture.
_BATCH = 4
_MOST = 64


@dataclass(frozen=True)
class _Probe:
    """What a cut of the picture left of `column` tells about a layer.

    Args:
        column: the first column on the right of the cut.
        crossing: how many of the layer's columns see pixels on both sides.
        first: the first of the layer's columns that sees the right side.
        at_edge: whether the first or last of the layer's columns crosses, so that `crossing` may have been cut short.
    """

    column: int
    crossing: int
    first: int
    at_edge: bool


def receptive_fields(model: Model) -> dict[str, int | None]:
    """The width in px that one position of each layer looks at; `None` where it is (nearly) the whole picture.

    Setting one side of the picture to NaN shows which positions of a layer see that side, whatever the weights. A
    position whose field spans n columns is seen to cross n − 1 of the cuts between two columns; so the positions that
    cross, added up over as many neighbouring cuts as the layer's stride, are n − 1.

    Args:
        model: it comes back as it was.

    Example:
        >>> receptive_fields(pellucid.wrap(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5)), size=32))
        {'0': 5}
    """
    height, width = model.size
    places = {name: layer for name, layer in model.layers.items() if layer.kind != "vector" and layer.path}
    outputs: dict[str, Tensor] = {}
    probes: dict[str, list[_Probe]] = {name: [] for name in places}
    fields: dict[str, int | None] = {}
    # From the centre outwards, so that the first few are always neighbours, far from both edges.
    columns = sorted(range(1, width), key=lambda column: abs(column - width // 2))[:_MOST]
    handles: list[RemovableHandle] = []
    try:
        for name in places:
            # A module that is called several times leaves its last output here.
            keep = lambda _module, _inputs, output, name=name: outputs.__setitem__(name, output)  # noqa: E731
            handles.append(model.module.get_submodule(name).register_forward_hook(keep))
        with borrowed(model.module), torch.no_grad():
            for start in range(0, len(columns), _BATCH):
                part = columns[start : start + _BATCH]
                images = torch.full((2 * len(part), model.input_channels, height, width), 0.5)
                for index, column in enumerate(part):
                    images[index, :, :, :column] = torch.nan
                    images[len(part) + index, :, :, column:] = torch.nan
                model.module(model.preprocess(images))
                for name in [name for name in places if name not in fields]:
                    seen = torch.isnan(places[name].to_grid(outputs[name], (height, width))).flatten(1, 2).any(1)
                    probes[name] += [_probe(*given) for given in zip(part, *seen.chunk(2), strict=True)]
                    stride = _stride(probes[name], width, places[name].columns)
                    near = probes[name][:stride]
                    if any(probe.at_edge for probe in near):
                        fields[name] = None
                    elif len(near) == stride:
                        fields[name] = 1 + sum(probe.crossing for probe in near)
                if len(fields) == len(places):
                    break
    finally:
        for handle in handles:
            handle.remove()
    return {name: fields.get(name) for name in places}


def _probe(column: int, left: Tensor, right: Tensor) -> _Probe:
    both = left & right
    return _Probe(column, int(both.sum()), int((~right).sum()), bool(both[0] | both[-1]))


def _stride(probes: list[_Probe], width: int, columns: int) -> int | None:
    """Input columns per column of a layer, as its size says or from one step of `first` to the next."""
    if width % columns == 0:
        return width // columns
    ordered = sorted(probes, key=lambda probe: probe.column)
    steps = [probe.column for before, probe in pairwise(ordered) if probe.first != before.first]
    return steps[1] - steps[0] if len(steps) > 1 else None
