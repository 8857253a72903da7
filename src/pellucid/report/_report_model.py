"""A model put to the test: pictures of its channels, attribution methods and groups, on natural images."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..atlas import wilson
from ..atlas._pictures import cut_piece
from ..errors import InputError, TargetError
from ..events import Event, Progress, silent
from ..explain._icons import channel_icon, render_icons
from ..features import Rendering
from ..models import Layer, Model
from ..store import SHIPPED, RenderCache
from ..trust import (
    Evidence,
    Exemplar,
    Survey,
    as_feature,
    holding,
    misleading,
    survey_images,
)
from ..trust._renderings import PhotosOfUnits, drawn_units, judge_beside
from ._evidence import group_evidence, map_evidence
from ._methods import MOST_POSITIONS, measure_agreement, score_methods
from ._report import LayerReport, ModelReport

_LAYERS = 6
_PIECES = 6
_GROUPS = 6
_FEWEST_IMAGES = 24
# Photos on which maps are made anew, for changed photos and random networks.
_STEADY = 3


def report_model(
    model: Model,
    images: Any,
    *,
    layers: str | Sequence[str] | None = None,
    units: int = 16,
    photos: int = 12,
    most: int = 1000,
    seed: int = 0,
    cache: RenderCache | None = SHIPPED,
    progress: Progress = silent,
) -> ModelReport:
    """Which of a model's layers, units and attribution methods can be believed, measured on natural images.

    In each layer some channels are drawn by chance, rendered as `explain` renders them, and judged by
    `pellucid.trust.judge_renderings`; each picture is judged a second time in another channel's place, as a control.
    On some of the images every attribution method predicts what removing sets of positions, channels and groups does to
    the most probable class, and the rest of the network is run without them.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        images: natural images, such as the model was trained on: a folder, a tar, arrays, or whatever else
            `pellucid.atlas.sources.open_images` takes. Labels are not needed.
        layers: with positions; by default up to six, spread evenly, with at most 400 positions.
        units: channels of each layer.
        photos: on how many of the images attribution is measured; 0 leaves it out.
        most: of more images, so many are taken by chance.
        seed: of all chance.
        cache: where pictures are looked for, and kept once rendered, see `explain`.
        progress: receives events.

    Raises:
        InputError: fewer than 24 images; a setting that does not fit.
        TargetError: no such layer, or one without positions.
        ModelError: the model's output is not logits.
        KeyboardInterrupt: the work was ended early; with a `RenderCache`, finished pictures are kept.

    Source: arXiv 2306.04719 (pictures), arXiv 1806.07421 (removals); docs/trust.md has the measures.

    Example:
        >>> report = pellucid.report_model(model, "photos/", layers=["mixed4d"])   # doctest: +SKIP
        >>> report.layers["mixed4d"].misleading                                    # doctest: +SKIP
        (17, 203)
    """
    names = _layer_names(model, layers)
    if units < 2 or photos < 0:
        raise InputError(f"units is {units} and photos {photos}; expected at least 2 units, and 0 or more photos.")
    seconds: dict[str, float] = {}
    with _timed(seconds, "images"):
        survey = survey_images(model, images, names, most=most, seed=seed, progress=progress)
    if len(survey) < _FEWEST_IMAGES:
        raise InputError(f"{len(survey)} images are too few to judge a model by; give {_FEWEST_IMAGES} or more.")
    remarks = list(survey.remarks)
    some = np.sort(np.random.default_rng(seed).permutation(len(survey))[:photos])
    chosen = survey.numbers[some].tolist()
    found = {}
    for name in names:
        layer = model.layer(name)
        changing = survey.peaks[name].max(0) > survey.peaks[name].min(0)
        alive = [unit.index for unit in drawn_units(model, name, layer.channels, seed) if changing[unit.index]]
        if len(alive) < 2:
            remarks.append(f"{name} was left out: fewer than two of its channels change from image to image.")
            continue
        if len(alive) < layer.channels:
            remarks.append(f"{layer.channels - len(alive)} of the {layer.channels} channels of {name} never change.")
        drawn = sorted(alive[:units])
        with _timed(seconds, f"renderings:{name}"):
            rendering, whole = _judged(model, layer, drawn, survey, seed, cache, progress)
        with _timed(seconds, f"methods:{name}"):
            loaded = survey.load_numbers(chosen, model) if chosen else torch.empty(0)
            agreements = []
            for number, image in enumerate(loaded):
                agreements.append(measure_agreement(model, image, name, _GROUPS, seed + number))
                progress(Event(f"comparing methods at {name}", number + 1, len(loaded), "photo"))
            more = [
                *group_evidence(name, _GROUPS, agreements),
                *map_evidence(model, name, list(loaded[:_STEADY]), seed),
            ]
        if layer.rows * layer.columns > MOST_POSITIONS and photos:
            remarks.append(
                f"removal was not tried in {name}: one by one, its {layer.rows * layer.columns} positions take minutes."
            )
        exemplars = [survey.exemplars(as_feature(model, f"{name}:{channel}"), _PIECES) for channel in drawn]
        found[name] = LayerReport(
            layer=layer,
            channels=tuple(drawn),
            rendering=rendering,
            exemplars=tuple(exemplars),
            pieces=tuple(_pieces(survey, model, layer, each) for each in exemplars),
            methods=score_methods(agreements),
            evidence=(whole, *more),
        )
    if not found:
        raise InputError(f"nothing can be said of {model.name}: {' '.join(remarks)}")
    return ModelReport(
        model=model,
        images=len(survey),
        photos=tuple(survey.images.keys[number] for number in chosen),
        layers=found,
        remarks=tuple(remarks),
        settings={
            "layers": list(names),
            "units": units,
            "photos": photos,
            "most": most,
            "groups": _GROUPS,
            "seed": seed,
        },
        seconds=seconds,
    )


def report_layers(model: Model) -> list[str]:
    """The layers that a report is about by default: up to six, spread evenly over those that have weights and 2 × 2 to
    400 positions, of modules that stand highest.
    """
    placed = [
        layer
        for layer in model.layers.values()
        if layer.kind != "vector"
        and min(layer.rows, layer.columns) > 1
        and layer.rows * layer.columns <= MOST_POSITIONS
    ]
    with_weights = [layer for layer in placed if any(True for _ in model.module.get_submodule(layer.path).parameters())]
    if not with_weights:
        raise TargetError(f"{model.name} has no layer of 2 × 2 to {MOST_POSITIONS} positions; name layers yourself.")
    depths = sorted({layer.name.count(".") for layer in with_weights})
    # Where everything sits in a few containers, their parts say more.
    depth = next((d for d in depths if sum(layer.name.count(".") == d for layer in with_weights) >= 3), depths[-1])
    usual = [layer.name for layer in with_weights if layer.name.count(".") == depth]
    at = np.unique(np.linspace(0, len(usual) - 1, min(_LAYERS, len(usual))).round().astype(int))
    return [usual[place] for place in at]


def _layer_names(model: Model, layers: str | Sequence[str] | None) -> list[str]:
    wanted = [layers] if isinstance(layers, str) else list(layers or report_layers(model))
    for name in wanted:
        if model.layer(name).kind == "vector":
            raise TargetError(
                f"{name} has no positions; choose a layer that `pellucid layers` lists as grid or tokens."
            )
    own = {model.layer(name).name for name in wanted}
    return [name for name in model.layers if name in own]


def _judged(
    model: Model,
    layer: Layer,
    channels: Sequence[int],
    survey: Survey,
    seed: int,
    cache: RenderCache | None,
    progress: Progress,
) -> tuple[Rendering, Evidence]:
    """A picture of each channel with its evidence, and what is to be said of the layer's pictures together."""
    targets = [channel_icon(layer.name, channel) for channel in channels]
    rendering = render_icons(model, targets, seed=seed, cache=cache, progress=progress)
    photos = PhotosOfUnits(model, survey, seed=seed)
    judged = replace(rendering, judgement=tuple(judge_beside(photos, rendering, progress)))
    exchanged = replace(rendering, images=np.roll(rendering.images, 1, 0))
    hold, exchanged_hold = len(holding(judged.evidence)), len(holding(judge_beside(photos, exchanged)))
    warned = len(misleading(judged.evidence))
    count = len(channels)
    low, high = wilson(hold, count)
    return judged, Evidence(
        about=f"renderings:{layer.name}",
        name="pictures that hold",
        value=round(hold / count, 4),
        control=round(exchanged_hold / count, 4),
        low=round(low, 4),
        high=round(high, 4),
        sentence=(
            f"Of {count} channels drawn by chance, the pictures of {hold} fire them as nothing else does and for the "
            f"same cause as photos, and those of {warned} mislead. Of the same pictures in another channel's place, "
            f"{exchanged_hold} pass."
        ),
    )


def _pieces(survey: Survey, model: Model, layer: Layer, exemplars: Sequence[Exemplar]) -> tuple[np.ndarray, ...]:
    pixels = (survey.load(exemplars, model) * 255).round().to(torch.uint8).numpy()
    return tuple(
        np.asarray(cut_piece(model, layer, picture, each.row, each.column))
        for picture, each in zip(pixels, exemplars, strict=True)
    )


@contextmanager
def _timed(seconds: dict[str, float], key: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[key] = seconds.get(key, 0.0) + time.perf_counter() - started
