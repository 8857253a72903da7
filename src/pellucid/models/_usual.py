"""The layers to look at where none is named."""

from torch import nn

from ..errors import TargetError
from ..targets import LOGITS
from ._layers import Layer
from ._model import Model

# A map of fewer positions a side says little about where.
_FINE = 10
# Where fewer modules of a kind stand highest, they are containers, and their parts say more.
_FEW = 3
_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.modules.batchnorm._NormBase)
_IDLE = (nn.Dropout, nn.Dropout2d, nn.Identity)


def stages(model: Model) -> list[str]:
    """The layers with positions at the depth of names where a network's modules are, from the first to the last.

    A stage is a module that has weights, with the norm and the activation function after it; the one that makes the
    logits does not count. Where fewer than three modules stand highest, they are containers, and their parts are meant.

    Raises:
        TargetError: no layer has positions.

    Example:
        >>> stages(pellucid.load())[:4]
        ['conv2d0', 'conv2d1', 'mixed3a', 'mixed3b']
    """
    return [stage.name for stage in _stages(model)]


def usual_layers(model: Model) -> list[str]:
    """One or two layers that tell most of a network: an earlier one, and one from its upper middle.

    The later is the model's own favourite; else the last stage that still has 10 × 10 positions (fewer for inputs below
    40 px), and of a transformer's blocks the one three quarters up. The earlier is the first stage of as many
    positions, else the last of more; of a transformer's blocks the one a quarter up. See `stages`.

    Raises:
        TargetError: no layer has positions.

    Example:
        >>> usual_layers(pellucid.load())
        ['mixed4a', 'mixed4d']
    """
    found = _stages(model)
    if model.default_layer is not None:
        favourite = model.layer(model.default_layer)
        return [*_earlier(model, found, favourite), favourite.name]
    tokens = [stage for stage in found if stage.kind == "tokens"]
    if len(tokens) > len(found) / 2:
        return list(dict.fromkeys(tokens[(len(tokens) - 1) * quarter // 4].name for quarter in (1, 3)))
    fine = min(_FINE, min(model.size) // 4)
    favourite = [stage for stage in found if min(stage.rows, stage.columns) >= fine or stage is found[0]][-1]
    return [*_earlier(model, found, favourite), favourite.name]


def _stages(model: Model) -> list[Layer]:
    placed = [layer for layer in model.layers.values() if layer.kind != "vector" and min(layer.rows, layer.columns) > 1]
    if not placed:
        raise TargetError(f"{model.name} has no layer with positions.")
    if model.default_layer is not None:
        return _stages_at(model, model.layer(model.default_layer).name.count("."))
    by_depth = [_stages_at(model, depth) for depth in sorted({layer.name.count(".") for layer in placed})]
    return next((some for some in by_depth if len(some) >= _FEW), max(by_depth, key=len)) or placed


def _stages_at(model: Model, depth: int) -> list[Layer]:
    """The stages at a depth of names."""
    parts = {layer.path: model.module.get_submodule(layer.path) for layer in model.layers.values() if layer.path}
    weighted = {path for path, part in parts.items() if any(True for _ in part.parameters())}
    leaves = [path for path in parts if path in weighted and not any(p.startswith(f"{path}.") for p in weighted)]
    deciding = leaves[-1] if leaves and LOGITS in model.layers else None
    found: list[Layer] = []
    for layer in model.layers.values():
        part = parts.get(layer.path)
        if layer.path == deciding:
            break
        if part is None or layer.name.count(".") != depth or layer.kind == "vector":
            continue
        if min(layer.rows, layer.columns) < 2 or isinstance(part, _IDLE):
            continue
        same = bool(found) and (layer.rows, layer.columns, layer.channels) == (
            found[-1].rows,
            found[-1].columns,
            found[-1].channels,
        )
        if layer.path in weighted and not isinstance(part, _NORMS):
            found.append(layer)
        elif same:
            found[-1] = layer
    return found


def _earlier(model: Model, stages: list[Layer], favourite: Layer) -> list[str]:
    order = list(model.layers)
    before = [stage for stage in stages if order.index(stage.name) < order.index(favourite.name)]
    alike = [stage for stage in before if (stage.rows, stage.columns) == (favourite.rows, favourite.columns)]
    return [stage.name for stage in alike[:1] or before[-1:]]
