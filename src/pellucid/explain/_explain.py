"""The building blocks put together for one image."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..attribution import Attribution, attribute_classes
from ..errors import InputError, TargetError
from ..events import Event, Progress, silent
from ..features import Rendering
from ..models import Layer, Model
from ..pictures import opaque, open_picture, to_array, to_picture
from ..record import Activations, record
from ..store import SHIPPED, RenderCache
from ..targets import LOGITS
from ..trust import Evidence, compare_with_removals, measure_removals
from ._icons import ICON_SIZE, ICON_STEPS, channel_icon, render_icons

# A semantic dictionary shows this many channels at a position, as the article did.
_TOP_CHANNELS = 4
_TOP_CLASSES = 5


@dataclass(frozen=True)
class ClassScore:
    """One of the model's answers."""

    index: int
    label: str
    logit: float
    probability: float


@dataclass(frozen=True, eq=False)
class SemanticDictionary:
    """The strongest channels at each position of a layer, and what they look for.

    Args:
        activations: [rows, columns, channels].
        top: [rows, columns, k] channel numbers, the strongest first.
        channels: every channel that occurs in `top`, rising.
        icons: an image for each of `channels`, with opacity: what excites it at the centre of the picture.
    """

    layer: Layer
    activations: np.ndarray
    top: np.ndarray
    channels: tuple[int, ...]
    icons: Rendering

    def at(self, row: int, column: int) -> list[tuple[int, float]]:
        """The (channel, activation) pairs at a position, the strongest first."""
        return [(int(c), float(self.activations[row, column, c])) for c in self.top[row, column]]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model made of one image; `save` writes the page, `to_json` the numbers.

    Args:
        photo: the picture, cut to what the model saw.
        image: the model's view: float32 [channels, height, width], sRGB in [0, 1].
        classes: the strongest answers first.
        dictionaries: by layer.
        spatial: by layer, then by class number.
        evidence: what was measured about the above.
        seconds: spent on each panel.
    """

    title: str
    model: Model
    photo: Image.Image
    image: Tensor
    classes: tuple[ClassScore, ...]
    dictionaries: Mapping[str, SemanticDictionary]
    spatial_maps: Mapping[str, Mapping[int, Attribution]]
    evidence: tuple[Evidence, ...]
    seconds: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        first = self.classes[0]
        return f"<Explanation of {self.title}: {first.label} {first.probability:.0%}, {', '.join(self.dictionaries)}>"

    def semantic_dictionary(self, layer: str) -> SemanticDictionary:
        """The strongest channels at each position of a layer."""
        return self.dictionaries[self._explained(layer)]

    def spatial(self, layer: str, label: int | str) -> Attribution:
        """How much each unit of a layer adds to a class."""
        index = self.model.class_index(label)
        maps = self.spatial_maps[self._explained(layer)]
        if index not in maps:
            shown = ", ".join(score.label for score in self.classes)
            raise TargetError(
                f"this explanation is about {shown}; ask for {label!r} with explain(…, classes=[{label!r}])."
            )
        return maps[index]

    def _explained(self, layer: str) -> str:
        name = self.model.layer(layer).name
        if name not in self.dictionaries:
            raise TargetError(
                f"this explanation is about {', '.join(self.dictionaries)}; "
                f"ask for {name!r} with explain(…, layers=[{name!r}])."
            )
        return name

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the explanation; returns the path.

        Args:
            path: `.html` for a page that opens from the disk, `.zip` or a folder for the bundle behind it.

        Raises:
            ResourceError: the disk is full.
        """
        from ._bundle import save

        return save(self, Path(path))

    def to_json(self) -> dict[str, Any]:
        """Every number of the explanation, without pictures."""
        return {
            "title": self.title,
            "model": {"name": self.model.name, "weights": self.model.digest},
            "classes": [vars(score) for score in self.classes],
            "layers": {
                name: {
                    "channels": entry.top.tolist(),
                    "activations": np.take_along_axis(entry.activations, entry.top, 2).round(4).tolist(),
                    "spatial": {str(i): m.positions().round(5).tolist() for i, m in self.spatial_maps[name].items()},
                }
                for name, entry in self.dictionaries.items()
            },
            "evidence": [vars(entry) for entry in self.evidence],
            "settings": dict(self.settings),
            "seconds": dict(self.seconds),
        }


def explain(
    model: Model,
    image: str | os.PathLike[str] | Image.Image | Tensor | np.ndarray,
    *,
    layers: str | Sequence[str] | None = None,
    classes: Sequence[int | str] | None = None,
    icon_size: int = ICON_SIZE,
    icon_steps: int = ICON_STEPS,
    seed: int = 0,
    cache: RenderCache | None = SHIPPED,
    progress: Progress = silent,
) -> Explanation:
    """What a model sees in an image, and which places argue for which class.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        image: a file, a Pillow image, or an array [channels, height, width] in [0, 1].
        layers: one or more layers with positions; by default one from the upper middle of the network.
        classes: numbers or labels to explain; by default the five most probable.
        icon_size, icon_steps: of the rendered channels, px and optimizer steps.
        seed: of the renderings.
        cache: where icons are looked for, and kept once rendered. By default those that come with the package are taken
            and none are kept; `RenderCache()` keeps them too, `None` renders every one anew.
        progress: receives events.

    Raises:
        InputError: the image cannot be read or does not fit.
        TargetError: no such layer or class, or a layer without positions.

    Example:
        >>> explanation = pellucid.explain(model, "photo.jpg", layers=["mixed4d"])   # doctest: +SKIP
        >>> explanation.save("report.html")                                          # doctest: +SKIP
        PosixPath('report.html')
    """
    seconds: dict[str, float] = {}
    photo, view, title = _view(model, image)
    names = [layers] if isinstance(layers, str) else list(layers or [_usual_layer(model)])
    for name in names:
        if model.layer(name).kind == "vector":
            raise TargetError(
                f"{name} has no positions; choose a layer that `pellucid layers` lists as grid or tokens."
            )
    names = list(dict.fromkeys(model.layer(name).name for name in names))
    began = time.perf_counter()
    recorded = record(model, view[None], [*names, LOGITS])
    logits = torch.from_numpy(recorded[LOGITS].values[0])
    probabilities = torch.softmax(logits, 0)
    chosen = list(dict.fromkeys(model.class_index(label) for label in classes or ()))
    top = chosen or probabilities.topk(min(_TOP_CLASSES, len(logits))).indices.tolist()
    scores = tuple(ClassScore(i, model.label(i), float(logits[i]), float(probabilities[i])) for i in top)
    seconds["decision"] = time.perf_counter() - began

    dictionaries, spatial, evidence = {}, {}, []
    for name in names:
        began = time.perf_counter()
        progress(Event(f"attributing classes to {name}", 0, 2, "pass"))
        maps = {map_.class_index: map_ for map_ in attribute_classes(model, view, name, top)}
        progress(Event(f"attributing classes to {name}", 1, 2, "pass"))
        changes = measure_removals(model, view, name)
        strength = np.linalg.norm(recorded[name].values[0], axis=2)
        for index, map_ in maps.items():
            about = f"spatial:{name}:{index}"
            evidence.append(compare_with_removals(map_.positions(), strength, changes[:, :, index], about))
        progress(Event(f"attributing classes to {name}", 2, 2, "pass"))
        spatial[name] = maps
        seconds[f"spatial:{name}"] = time.perf_counter() - began
        began = time.perf_counter()
        dictionaries[name] = _dictionary(model, recorded[name], icon_size, icon_steps, seed, cache, progress)
        seconds[f"dictionary:{name}"] = time.perf_counter() - began
    return Explanation(
        title=title,
        model=model,
        photo=photo,
        image=view,
        classes=scores,
        dictionaries=dictionaries,
        spatial_maps=spatial,
        evidence=tuple(evidence),
        seconds={key: round(value, 3) for key, value in seconds.items()},
        settings={"layers": names, "icon_size": icon_size, "icon_steps": icon_steps, "seed": seed, "method": "linear"},
    )


def _view(
    model: Model, image: str | os.PathLike[str] | Image.Image | Tensor | np.ndarray
) -> tuple[Image.Image, Tensor, str]:
    """The photo to show, cut to the model's aspect and at most 4 times its size; the model's view; and a title."""
    height, width = model.size
    if isinstance(image, str | os.PathLike):
        shown = open_picture(image, size=(2 * height, 2 * width))
        return shown, _as_input(shown, model), Path(image).stem
    if isinstance(image, Image.Image):
        from PIL import ImageOps

        shown = ImageOps.fit(opaque(image), (2 * width, 2 * height), Image.Resampling.LANCZOS)
        return shown, _as_input(shown, model), "picture"
    array = torch.as_tensor(image)
    if array.ndim != 3:
        raise InputError(f"image has shape {list(array.shape)}, expected [channels, height, width].")
    tensor = model.check_images(array[None])[0].float()
    return to_picture(tensor.permute(1, 2, 0).cpu().numpy()).convert("RGB"), tensor, "picture"


def _as_input(picture: Image.Image, model: Model) -> Tensor:
    height, width = model.size
    smaller = picture.resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(to_array(smaller, model.input_channels))


def _usual_layer(model: Model) -> str:
    """The model's own favourite; else the deepest of the coarse-grained modules that still has 10 × 10 positions."""
    if model.default_layer is not None:
        return model.layer(model.default_layer).name
    placed = [layer for layer in model.layers.values() if layer.kind != "vector" and min(layer.rows, layer.columns) > 1]
    if not placed:
        raise TargetError(f"{model.name} has no layer with positions to explain.")
    fine = [layer for layer in placed if min(layer.rows, layer.columns) >= 10] or placed
    depth = min(layer.name.count(".") for layer in fine)
    return [layer for layer in fine if layer.name.count(".") == depth][-1].name


def _dictionary(
    model: Model,
    recorded: Activations,
    icon_size: int,
    icon_steps: int,
    seed: int,
    cache: RenderCache | None,
    progress: Progress,
) -> SemanticDictionary:
    values = recorded.values[0]
    top = np.argsort(-values, axis=2, kind="stable")[:, :, :_TOP_CHANNELS]
    channels = tuple(int(channel) for channel in np.unique(top))
    icons = render_icons(
        model,
        [channel_icon(recorded.layer.name, channel) for channel in channels],
        size=icon_size,
        steps=icon_steps,
        seed=seed,
        cache=cache,
        progress=progress,
    )
    return SemanticDictionary(recorded.layer, values, top, channels, icons)
