"""Whether renderings show what makes their units fire on natural images: measures, each beside a control."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ..models import Layer, Model
from ..record import record
from ._evidence import as_said
from ._exemplars import Feature, Survey, survey_images
from ._rendered import as_target, pictures_of, scramble, units_of
from ._rendering_evidence import (
    RenderingEvidence,
    activation_evidence,
    compare_routes,
    compare_states,
    ending,
    identification_evidence,
    is_passed_on,
    likeness_evidence,
    meanings_evidence,
    spread_evidence,
)
from ._routes import Routes, at_own_size, layers_before, read_routes

if TYPE_CHECKING:
    from ..features import Rendering

_EXEMPLARS = 16
_CONTROLS = 16
_FEWEST_IMAGES = 24
_BY_CHANCE = 32


def judge_renderings(
    model: Model,
    rendering: "Rendering",
    images: Any,
    *,
    exemplars: int = _EXEMPLARS,
    controls: int = _CONTROLS,
    layers: Sequence[str] | None = None,
    most: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> list[RenderingEvidence]:
    """Whether each picture shows what makes its unit fire on natural images.

    For each picture: its activation among the photos'; how many units of the layer are raised more; for some earlier
    layers, whether the picture's activations (path) and their contributions to the unit (route) are like those of the
    unit's exemplars. For each unit: whether its pictures agree, where there are several, and how many kinds of photos
    fire it. Controls are pictures of other units of the layer (where there are none, the picture with its phases
    scattered) and other units' exemplars.

    Likeness is a cosine, scaled so that the unit's exemplars among one another give 1 and other units' exemplars 0.
    Where an earlier layer passes the unit's own channel on (a residual stream), nearly all of the route runs there,
    whatever the picture; compared is then what goes beyond the mean of photos by chance, and these give 0.
    The route through the last layer before the unit is the headline, named `same cause as on photos`.

    Args:
        model: that the pictures were rendered for; it comes back as it was.
        rendering: each target one unit (a channel, neuron, class or direction, with whatever regularizes it).
        images: natural images: whatever `pellucid.atlas.sources.open_images` takes, or a `Survey` of the units.
        exemplars: of each unit: the images that fire it most.
        controls: how many other units of a layer, by chance, everything is compared with.
        layers: earlier layers to compare in; by default three.
        most: of more images, so many are taken by chance.
        seed: of all chance.
        progress: receives events.

    Returns:
        for each picture in turn its measures, then those about its unit; `about` is `rendering:` and the target.

    Raises:
        InputError: fewer than 24 images, a rendering of another model, or a target that is not one unit; a layer that
            the unit does not depend on.
        TargetError: the model has no such unit.

    Source: path similarity: Geirhos et al., Don't trust your eyes, 2023 (arXiv 2306.04719).

    Example:
        >>> rendering = pellucid.render(model, "8:1", size=32, steps=4)
        >>> evidence = pellucid.trust.judge_renderings(model, rendering, np.random.rand(30, 3, 32, 32))
        >>> evidence[0].name
        'activation beside photos'
    """
    survey = images
    if not isinstance(images, Survey):
        wanted = [as_target(unit) for unit in dict.fromkeys(units_of(model, rendering)[1])]
        survey = survey_images(model, images, wanted, most=most, seed=seed, progress=progress)
    photos = PhotosOfUnits(model, survey, layers=layers, exemplars=exemplars, controls=controls, seed=seed)
    return judge_beside(photos, rendering, progress)


class PhotosOfUnits:
    """What the photos that fire units most do in a model: what pictures of these units are compared with, read once.

    Args as in `judge_renderings`.

    Raises:
        InputError: fewer than 24 images.
    """

    def __init__(
        self,
        model: Model,
        survey: Survey,
        *,
        layers: Sequence[str] | None = None,
        exemplars: int = _EXEMPLARS,
        controls: int = _CONTROLS,
        seed: int = 0,
    ) -> None:
        if len(survey) < _FEWEST_IMAGES:
            raise InputError(f"{len(survey)} images are too few to judge by; give {_FEWEST_IMAGES} or more.")
        self.model, self.survey, self.controls, self.seed = model, survey, controls, seed
        self._count = max(3, min(exemplars, len(survey) // 4))
        self._layers = layers
        self._before: dict[str, list[str]] = {}
        self._routes: dict[Feature, Routes] = {}
        self._usual: dict[Feature, Routes] = {}
        self._by_chance: Tensor | None = None

    def before(self, layer: Layer) -> list[str]:
        """The earlier layers to compare in."""
        if layer.name not in self._before:
            named = None if self._layers is None else [self.model.layer(each).name for each in self._layers]
            self._before[layer.name] = layers_before(self.model, layer) if named is None else named
        return self._before[layer.name]

    def of(self, unit: Feature) -> Routes:
        """What the photos do that fire a unit most."""
        if unit not in self._routes:
            loaded = self.survey.load(self.survey.exemplars(unit, self._count), self.model)
            layers = self.before(self.model.layer(unit.layer))
            self._routes[unit] = read_routes(self.model, loaded, [unit] * len(loaded), layers)
        return self._routes[unit]

    def usual(self, unit: Feature, layer: str) -> Routes | None:
        """What photos by chance do to the unit, where an earlier layer passes the same channel on to it."""
        if not is_passed_on(unit, self.of(unit).routes[layer], self.model.layer(unit.layer).channels):
            return None
        if self._by_chance is None:
            some = np.random.default_rng(self.seed).permutation(len(self.survey))[:_BY_CHANCE]
            self._by_chance = self.survey.load_numbers(self.survey.numbers[some], self.model)
        if unit not in self._usual:
            units = [unit] * len(self._by_chance)
            self._usual[unit] = read_routes(
                self.model, self._by_chance, units, self.before(self.model.layer(unit.layer))
            )
        return self._usual[unit]

    def of_others(self, unit: Feature) -> list[Routes]:
        """The same for other units of its layer, by chance."""
        return [
            self.of(other)
            for other in drawn_units(self.model, unit.layer, self.controls + 1, self.seed)
            if other != unit
        ]


def drawn_units(model: Model, layer: str, count: int, seed: int) -> list[Feature]:
    """Channels of a layer by chance; of two counts, the smaller gives the first of the larger."""
    chosen = np.random.default_rng(seed).permutation(model.layer(layer).channels)[:count]
    return [Feature(layer, int(index)) for index in chosen]


def judge_beside(photos: PhotosOfUnits, rendering: "Rendering", progress: Progress = silent) -> list[RenderingEvidence]:
    """`judge_renderings` with photos that have been read, and may serve for other renderings too."""
    model = photos.model
    texts, units = units_of(model, rendering)
    pictures = pictures_of(rendering.images, model)
    judged: dict[str, _InLayer] = {}
    found: list[RenderingEvidence] = []
    for done, unit in enumerate(dict.fromkeys(units), 1):
        if unit.layer not in judged:
            judged[unit.layer] = _InLayer(photos, unit.layer, pictures)
        places = [place for place, other in enumerate(units) if other == unit]
        beside = [place for place, other in enumerate(units) if other.layer == unit.layer and other != unit]
        beside = np.random.default_rng(photos.seed).permutation(np.asarray(beside, int))[: photos.controls].tolist()
        found += judged[unit.layer].judge(unit, {place: texts[place] for place in places}, beside)
        progress(Event(f"judging renderings of {model.name}", done, len(set(units)), "unit"))
    order = {f"rendering:{text}": place for place, text in enumerate(texts)}
    return sorted(found, key=lambda each: order.get(each.about, len(order)))


class _InLayer:
    """Judges renderings of units of one layer."""

    def __init__(self, photos: PhotosOfUnits, name: str, pictures: Tensor) -> None:
        self.model, self.photos = photos.model, photos
        self.layer: Layer = photos.model.layer(name)
        self.layers = photos.before(self.layer)
        self.pictures = at_own_size(photos.model, pictures, name)
        self.grids: dict[int, np.ndarray] = {}
        peaks = photos.survey.peaks[name]
        self.mean, self.deviation = peaks.mean(0), np.maximum(peaks.std(0), 1e-6)

    def _firing(self, places: Sequence[int]) -> np.ndarray:
        """What the layer does on some of the pictures, each read once: [n, positions, channels]."""
        missing = [place for place in places if place not in self.grids]
        if missing:
            self.grids.update(zip(missing, _grids(self.model, self.pictures[missing], self.layer), strict=True))
        return np.stack([self.grids[place] for place in places])

    def judge(self, unit: Feature, texts: Mapping[int, str], beside: Sequence[int]) -> list[RenderingEvidence]:
        """The measures of all pictures of one unit.

        Args:
            texts: by place among the pictures: what its target is called.
            beside: places of pictures of other units.
        """
        pictures = self.pictures[list(texts)]
        if beside:
            several = f"on pictures of {len(beside)} other units, on average"
            others_are = several if len(beside) > 1 else "on the picture of another unit"
            compared = self._firing(beside)
        else:
            others_are = "with its parts scattered (same colours, same spectrum)"
            compared = _grids(self.model, scramble(pictures, 0), self.layer)
        natural = self.photos.survey.values(unit)
        own, others = self.photos.of(unit), self.photos.of_others(unit)
        seen = read_routes(self.model, pictures, [unit] * len(pictures), self.layers)
        firing = np.concatenate([self._firing(list(texts)), compared])
        values = (firing @ unit.weights(self.layer.channels)).max(1)
        shares = np.array([(natural < value).mean() for value in values])
        raised = np.array([_raised(grid.max(0), self.mean, self.deviation, unit.index) for grid in firing])
        found: list[RenderingEvidence] = []
        for place, text in enumerate(texts.values()):
            about = f"rendering:{text}"
            # Each picture is compared with itself in pieces, or with all those of other units.
            controls = slice(len(pictures), None) if beside else [len(pictures) + place]
            control = float(shares[controls].mean())
            found.append(
                activation_evidence(about, float(values[place]), float(shares[place]), control, natural, others_are)
            )
            if unit.index >= 0 and self.layer.channels > 1:
                control = float(raised[controls].mean())
                found.append(identification_evidence(about, float(raised[place]), control, self.layer, others_are))
            if not others:
                continue
            silent = values[place] <= 0
            for name in self.layers:
                path = compare_states(name, seen[[place]], own, others)
                found.append(likeness_evidence(about, "path", name, path, False, silent, False))
                usual, headline = self.photos.usual(unit, name), name == self.layers[-1]
                route = compare_routes(name, seen[[place]], own, others, usual)
                found.append(likeness_evidence(about, "route", name, route, headline, silent, usual is not None))
        if others and self.layers:
            last = self.layers[-1]
            about = f"rendering:{re.sub('~[0-9]+$', '', next(iter(texts.values())))}"
            if len(texts) > 1:
                found.append(spread_evidence(about, last, seen, own, others, self.photos.usual(unit, last)))
            # Where the unit's own channel has most of every route, all photos would be of one kind.
            if self.photos.usual(unit, last) is None:
                found.append(meanings_evidence(about, last, seen, own, others))
        return found


def evidence_at_hand(rendering: "Rendering") -> list[RenderingEvidence]:
    """What can be said of renderings of the embedded network without photos, by its channels' statistics.

    Raises:
        InputError: the rendering is of another network.

    Example:
        >>> rendering = pellucid.render(pellucid.load(), "mixed4d:26", size=96, steps=1)
        >>> evidence_at_hand(rendering)[0].name
        'activation beside photos, in deviations'
    """
    from ..models import load, load_channel_statistics

    model = load()
    if rendering.provenance.get("weights") != model.digest:
        raise InputError(
            f"no natural images are known for {rendering.provenance.get('model', 'this model')}; "
            "give some: rendering.judged(model, images).evidence."
        )
    texts, units = units_of(model, rendering)
    statistics = load_channel_statistics()
    pictures = pictures_of(rendering.images, model)
    found = []
    for text, unit, picture in zip(texts, units, pictures, strict=True):
        if unit.index < 0 or unit.layer not in statistics:
            continue
        known, layer = statistics[unit.layer], model.layer(unit.layer)
        deviation = np.maximum(known.peak_deviation, 1e-6)
        both = torch.stack([picture, scramble(picture[None], 0)[0]])
        firing, idle = (_grids(model, both, layer).max(1) - known.peak_mean) / deviation
        value, control = float(firing[unit.index]), float(idle[unit.index])
        about = f"rendering:{text}"
        found.append(
            RenderingEvidence(
                about=about,
                name="activation beside photos, in deviations",
                value=round(value, 2),
                control=round(control, 2),
                says="nothing" if value <= control else "for" if value > 2 else "against",
                sentence=ending(
                    f"The unit's largest activation on this picture lies {as_said(value, 1)} standard deviations above "
                    f"its mean over 2,000 photos; with the picture's parts scattered, {as_said(control, 1)}.",
                    value <= control,
                ),
            )
        )
        shares = [_raised(each, np.zeros(1), np.ones(1), unit.index) for each in (firing, idle)]
        found.append(identification_evidence(about, shares[0], shares[1], layer, "with its parts scattered"))
    return found


def _grids(model: Model, images: Tensor, layer: Layer) -> np.ndarray:
    """What a layer does: [n, positions, channels]."""
    values = record(model, images, layer.name)[layer.name].values
    return values.reshape(len(values), -1, values.shape[-1])


def _raised(peaks: np.ndarray, mean: np.ndarray, deviation: np.ndarray, index: int) -> float:
    """Share of the other channels that are raised less than this one."""
    raised = (peaks - mean) / deviation
    return float((raised < raised[index]).sum() / (len(raised) - 1))
