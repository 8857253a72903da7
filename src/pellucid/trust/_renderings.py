"""Whether renderings show what makes their units fire on natural images: measures, each beside a control."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ..models import Layer, Model
from ..record import record
from ..targets import Channel, Direction, Logit, Target, parse_target
from ._evidence import Evidence, as_said
from ._exemplars import Feature, Survey, as_feature, survey_images
from ._likeness import Likeness, directions, kinds, likeness
from ._routes import Routes, at_own_size, layers_before, read_routes

if TYPE_CHECKING:
    from ..features import Rendering

SAME_CAUSE = "same cause as on photos"
ACTIVATION = "activation beside photos"
IDENTIFICATION = "self-identification"
_EXEMPLARS = 16
_CONTROLS = 16
_FEWEST_IMAGES = 24
# Chosen on mixed4b of the embedded network; benchmarks/known_truth.py gives the rates on other layers and networks.
_ALIKE = 0.5
# All other comparisons scatter more, and speak against a picture only where they leave no doubt.
_UNLIKE = 0.25
_HIGH, _LOW = 0.95, 0.5


@dataclass(frozen=True)
class RenderingEvidence(Evidence):
    """One measure of how far a rendering can be trusted.

    Args:
        says: `for` the picture, `against` it, or `nothing`: the measure does not tell the real thing from its control.
    """

    says: Literal["for", "against", "nothing"]


def misleading(evidence: Iterable[Evidence]) -> list[str]:
    """What the evidence warns of: each `about` whose picture does not show what fires the unit on photos.

    Either it fires the unit through other channels than photos do, or less than half of the photos do.

    Args:
        evidence: from `judge_renderings`.

    Example:
        >>> misleading(judge_renderings(model, rendering, "photos/"))  # doctest: +SKIP
    """
    against = [each for each in evidence if isinstance(each, RenderingEvidence) and each.says == "against"]
    return list(dict.fromkeys(each.about for each in against if each.name in (SAME_CAUSE, ACTIVATION)))


def holding(evidence: Iterable[Evidence]) -> list[str]:
    """What the evidence speaks for: each `about` whose picture shows what fires the unit on photos.

    It fires the unit more than nearly all photos do, raises it more than nearly all others of the layer, and does so
    through the same channels as photos. The third alone would let many pictures of other units pass: what fires an
    honest unit at all, does so through the channels that it is wired to.

    Args:
        evidence: from `judge_renderings`.

    Example:
        >>> holding(judge_renderings(model, rendering, "photos/"))  # doctest: +SKIP
    """
    kept: dict[str, set[str]] = {}
    for each in evidence:
        if isinstance(each, RenderingEvidence) and each.says == "for":
            kept.setdefault(each.about, set()).add(each.name)
    return [about for about, names in kept.items() if {SAME_CAUSE, ACTIVATION, IDENTIFICATION} <= names]


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
        wanted = [_as_target(unit) for unit in dict.fromkeys(_units_of(model, rendering)[1])]
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
    texts, units = _units_of(model, rendering)
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
            found.append(_activation(about, float(values[place]), float(shares[place]), control, natural, others_are))
            if unit.index >= 0 and self.layer.channels > 1:
                control = float(raised[controls].mean())
                found.append(_identification(about, float(raised[place]), control, self.layer, others_are))
            if not others:
                continue
            for name in self.layers:
                for what in ("path", "route"):
                    like = _compare(what, name, seen[[place]], own, others)
                    last = what == "route" and name == self.layers[-1]
                    found.append(_likeness_evidence(about, what, name, like, last))
        if others and self.layers:
            about = f"rendering:{re.sub('~[0-9]+$', '', next(iter(texts.values())))}"
            if len(texts) > 1:
                found.append(_spread(about, self.layers[-1], seen, own, others))
            found.append(_meanings(about, self.layers[-1], seen, own, others))
        return found


def _activation(
    about: str, value: float, share: float, control: float, natural: np.ndarray, others_are: str
) -> RenderingEvidence:
    strongest = float(natural.max())
    times = f", {value / strongest:.1f} times as strongly as on the strongest" if strongest > 0 and value > 0 else ""
    said = (
        f"The unit fires more on this picture than on {_percent(share)} of {len(natural):,} photos{times}; "
        f"{others_are}, it beats {_percent(control)} of them."
    )
    return _beside(about, ACTIVATION, share, control, said)


def _identification(about: str, share: float, control: float, layer: Layer, others_are: str) -> RenderingEvidence:
    more = round((1 - share) * (layer.channels - 1))
    what = (
        f"this picture raises its own unit most of all {layer.channels}"
        if more == 0
        else f"this picture raises {more} of the other {layer.channels - 1} units more than its own"
    )
    said = (
        f"In {layer.name}, {what}, each measured against what photos do to it: it beats {_percent(share)} of them; "
        f"{others_are}, {_percent(control)}."
    )
    return _beside(about, IDENTIFICATION, share, control, said)


def _beside(about: str, name: str, share: float, control: float, said: str) -> RenderingEvidence:
    """What beating a share of others means, where other pictures beat `control` of them."""
    says = "against" if share < _LOW else "for" if share >= _HIGH and share > control else "nothing"
    return RenderingEvidence(
        about, name, round(share, 4), round(control, 4), sentence=_ending(said, says == "nothing"), says=says
    )


def _likeness_evidence(about: str, what: str, layer: str, like: Likeness, headline: bool) -> RenderingEvidence:
    numbers = (
        f"likeness {as_said(like.cosine)}, of those photos to one another {as_said(like.own)}, to other units' photos "
        f"{as_said(like.others)}"
    )
    alike, unlike = like.value >= _ALIKE, like.value < (_ALIKE if headline else _UNLIKE)
    if not like.tells:
        said = (
            f"This says nothing here: in {layer}, the photos that fire the unit are no more like one another "
            f"({as_said(like.own)}) than like some other unit's ({as_said(like.apart)} on average)."
        )
    elif not alike and not unlike:
        said = f"In {layer}, the picture is neither like nor unlike the photos that fire the unit: {numbers}."
        said = _ending(said, True)
    elif what == "path":
        said = (
            f"In {layer}, the picture looks {'like' if alike else 'unlike'} the photos that fire the unit: {numbers}."
        )
    elif alike:
        said = f"The picture fires the unit through the same channels of {layer} as photos do: {numbers}."
    elif like.cosine == like.others == 0:
        said = f"The unit does not fire on this picture, while on photos it does so through channels of {layer}."
    else:
        said = f"The picture fires the unit through other channels of {layer} than photos do: {numbers}."
    if headline and like.tells and unlike:
        said += " Do not take it for what the unit responds to."
    return RenderingEvidence(
        about=about,
        name=SAME_CAUSE if headline else f"{what} through {layer}" if what == "route" else f"{what} at {layer}",
        value=round(like.value, 4),
        control=round(like.control, 4),
        says="nothing" if not like.tells else "for" if alike else "against" if unlike else "nothing",
        sentence=said,
    )


def _spread(about: str, layer: str, seen: Routes, own: Routes, others: Sequence[Routes]) -> RenderingEvidence:
    """Whether pictures of one unit agree with one another, on the scale of its exemplars."""
    routes = directions(seen.routes[layer])
    among = routes @ routes.T
    mean = float(among[np.triu_indices(len(among), 1)].mean())
    like = _compare("route", layer, seen, own, others)
    value = (mean - like.others) / (like.own - like.apart) if like.tells else 0.0
    alike = value >= _ALIKE
    return RenderingEvidence(
        about=about,
        name="agreement of its pictures",
        value=round(value, 4),
        control=round(like.control, 4),
        says="nothing" if not like.tells else "for" if alike else "against",
        sentence=_ending(
            f"The {len(routes)} pictures of this unit fire it through {'the same' if alike else 'different'} channels "
            f"of {layer}: likeness {as_said(mean)} to one another, to other units' photos {as_said(like.others)}.",
            not like.tells,
        ),
    )


def _meanings(about: str, layer: str, seen: Routes, own: Routes, others: Sequence[Routes]) -> RenderingEvidence:
    """Into how many kinds a unit's exemplars fall by what fires it, and which of them the pictures show.

    The control mixes in the exemplars of other units, half and half: that should make one kind more.
    """
    groups = kinds(own.routes[layer])
    half = len(own.values) // 2
    mixtures = [
        len(kinds(np.concatenate([own.routes[layer][:half], each.routes[layer][: len(own.values) - half]])))
        for each in others
    ]
    control = float(np.mean(mixtures))
    count = len(groups)
    shown = _kinds_shown(directions(seen.routes[layer]), directions(own.routes[layer]), groups)
    pictures = "picture shows" if len(seen.values) == 1 else f"{len(seen.values)} pictures show"
    if count == 0:
        said = f"Each of the {len(own.values)} photos that fire the unit most does so for a reason of its own."
    elif count == 1:
        said = f"This unit has one meaning: the photos that fire it do so through the same channels of {layer}."
    else:
        sizes = ", ".join(str(len(group)) for group in groups)
        said = (
            f"This unit has about {count} meanings: the photos that fire it are of {count} kinds ({sizes} of "
            f"{len(own.values)}) that do so through different channels of {layer}; the {pictures} {len(shown)} of them."
        )
    tells = count > 0 and control > count
    return RenderingEvidence(
        about=about,
        name="meanings",
        value=float(count),
        control=round(control, 2),
        says="nothing" if not tells else "for" if len(shown) >= count else "against",
        sentence=_ending(f"{said} With half of them exchanged for another unit's: {control:.1f} kinds.", not tells),
    )


def _kinds_shown(pictures: np.ndarray, exemplars: np.ndarray, groups: Sequence[np.ndarray]) -> set[int]:
    """Which kinds some picture is more like than any other, and at all."""
    if not groups:
        return set()
    alike = np.stack([(pictures @ exemplars[group].T).mean(1) for group in groups], 1)
    own = [_among(exemplars[group]) for group in groups]
    return {int(best) for row in alike if row[best := row.argmax()] >= _ALIKE * own[best]}


def _among(vectors: np.ndarray) -> float:
    return float((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())


def _compare(what: str, layer: str, seen: Routes, own: Routes, others: Sequence[Routes]) -> Likeness:
    if what == "route":
        return likeness(seen.routes[layer], own.routes[layer], [each.routes[layer] for each in others])
    # What all photos share says nothing: states are told apart by how they differ from the mean photo.
    photos = np.concatenate([each.states[layer] for each in others])
    mean, deviation = photos.mean(0), np.maximum(photos.std(0), 1e-6)
    first, second, *rest = ((each.states[layer] - mean) / deviation for each in (seen, own, *others))
    return likeness(first, second, rest)


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
    texts, units = _units_of(model, rendering)
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
                sentence=_ending(
                    f"The unit's largest activation on this picture lies {as_said(value, 1)} standard deviations above "
                    f"its mean over 2,000 photos; with the picture's parts scattered, {as_said(control, 1)}.",
                    value <= control,
                ),
            )
        )
        shares = [_raised(each, np.zeros(1), np.ones(1), unit.index) for each in (firing, idle)]
        found.append(_identification(about, shares[0], shares[1], layer, "with its parts scattered"))
    return found


def pictures_of(renderings: np.ndarray, model: Model) -> Tensor:
    """float32 [n, channels, height, width]: what the model is shown; transparency becomes mid-grey.

    Args:
        renderings: [n, height, width, channels], with opacity as one channel more or without.
    """
    images = torch.from_numpy(np.ascontiguousarray(renderings)).permute(0, 3, 1, 2).float()
    if images.shape[1] == model.input_channels + 1:
        opacity = images[:, -1:]
        images = images[:, :-1] * opacity + 0.5 * (1 - opacity)
    return model.check_images(images.clamp(0, 1))


def scramble(images: Tensor, seed: int) -> Tensor:
    """The images with their parts scattered: the same amplitude at every frequency and the same mean, phases by chance.

    Colours of a frequency stay together, since all channels are turned by the same phase.

    Args:
        images: [n, channels, height, width] in [0, 1]; so is what comes back, cut to that range.
        seed: of the phases, which all images share.
    """
    noise = np.random.default_rng(seed).standard_normal(tuple(images.shape[2:])).astype(np.float32)
    phase = torch.fft.rfft2(torch.from_numpy(noise))
    turn = phase / phase.abs().clamp(min=1e-12)
    turn[0, 0] = 1
    return torch.fft.irfft2(torch.fft.rfft2(images) * turn, s=tuple(images.shape[2:])).clamp(0, 1)


def _grids(model: Model, images: Tensor, layer: Layer) -> np.ndarray:
    """What a layer does: [n, positions, channels]."""
    values = record(model, images, layer.name)[layer.name].values
    return values.reshape(len(values), -1, values.shape[-1])


def _raised(peaks: np.ndarray, mean: np.ndarray, deviation: np.ndarray, index: int) -> float:
    """Share of the other channels that are raised less than this one."""
    raised = (peaks - mean) / deviation
    return float((raised < raised[index]).sum() / (len(raised) - 1))


def _units_of(model: Model, rendering: "Rendering") -> tuple[list[str], list[Feature]]:
    """The text and the unit of each picture."""
    from ..features.objectives import from_json

    made_for = rendering.provenance.get("weights")
    if made_for is not None and made_for != model.digest:
        raise InputError(
            f"the rendering is of {rendering.provenance.get('model')} with weights {made_for}, not of {model!r}."
        )
    if not len(rendering):
        raise InputError("the rendering has no pictures.")
    objectives = rendering.provenance.get("objectives")
    if objectives:
        copies = len(rendering) // len(objectives)
        targets = [
            _target_of(from_json(each), text)
            for each, text in zip(objectives, rendering.targets[::copies], strict=True)
        ]
        return list(rendering.targets), [as_feature(model, target) for target in targets for _ in range(copies)]
    plain = [re.sub(r"~\d+$", "", text) for text in rendering.targets]
    return list(rendering.targets), [as_feature(model, parse_target(text)) for text in plain]


def _target_of(objective: Any, text: str) -> Target:
    """The one target that an objective wants to fire; what regularizes or diversifies beside it does not count."""
    found = list(_wanted(objective, 1.0))
    if len(found) != 1:
        raise InputError(f"{text} is not about one unit that shall fire, and cannot be judged as one.")
    return found[0]


def _wanted(objective: Any, factor: float) -> Iterable[Target]:
    from ..features.objectives import Activation, Constant, Product, Revealed, Sum

    match objective:
        case Activation(target):
            if factor <= 0:
                raise InputError(f"{target} is suppressed, and only what fires a unit can be compared with photos.")
            yield target
        case Sum(parts):
            for part in parts:
                yield from _wanted(part, factor)
        case Product(parts):
            amount = factor * float(np.prod([part.amount for part in parts if isinstance(part, Constant)]))
            for part in parts:
                yield from _wanted(part, amount)
        case Revealed(of):
            yield from _wanted(of, factor)


def _as_target(unit: Feature) -> Target:
    if unit.vector:
        return Direction(unit.layer, unit.vector)
    return Logit(unit.index) if unit.layer == "logits" else Channel(unit.layer, unit.index)


def _percent(share: float) -> str:
    """A share of three digits, so that nearly all is not said to be all."""
    return f"{100 * share:.3g}%"


def _ending(sentence: str, nothing: bool) -> str:
    return f"{sentence} This says nothing here." if nothing else sentence
