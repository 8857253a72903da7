"""What is measured of a rendering, in numbers and in a sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..models import Layer
from ._evidence import Evidence, as_said
from ._exemplars import Feature
from ._likeness import Likeness, directions, kinds, likeness
from ._routes import Routes

SAME_CAUSE = "same cause as on photos"
ACTIVATION = "activation beside photos"
IDENTIFICATION = "self-identification"
# Chosen on mixed4b of the embedded network; benchmarks/known_truth.py gives the rates on other layers and networks.
_ALIKE = 0.5
# All other comparisons scatter more, and speak against a picture only where they leave no doubt.
_UNLIKE = 0.25
_HIGH, _LOW = 0.95, 0.5
# Photos by chance are compared in so many sets: one alone may happen to be of what the unit detects.
_SETS = 8
# A unit's own channel in the layer before has more than this of the route's length only where that is passed on: in a
# residual stream .79 and more, elsewhere .05 and less (DeiT-Tiny, InceptionV1, the embedded network).
_PASSED_ON = 0.5


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


def activation_evidence(
    about: str, value: float, share: float, control: float, natural: np.ndarray, others_are: str
) -> RenderingEvidence:
    strongest = float(natural.max())
    times = f", {value / strongest:.1f} times as strongly as on the strongest" if strongest > 0 and value > 0 else ""
    said = (
        f"The unit fires more on this picture than on {_percent(share)} of {len(natural):,} photos{times}; "
        f"{others_are}, it beats {_percent(control)} of them."
    )
    return _beside(about, ACTIVATION, share, control, said)


def identification_evidence(
    about: str, share: float, control: float, layer: Layer, others_are: str
) -> RenderingEvidence:
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


def likeness_evidence(
    about: str, what: Literal["path", "route"], layer: str, like: Likeness, headline: bool, silent: bool, beyond: bool
) -> RenderingEvidence:
    """What a likeness says.

    Args:
        headline: whether it speaks against the picture, too, where this is neither like nor unlike; not if `beyond`.
        silent: whether the unit does not fire on the picture.
        beyond: whether compared is what goes beyond photos by chance, see `compare_routes`.
    """
    others, says_so = ("photos by chance", "beyond what any photo does, ") if beyond else ("other units' photos", "")
    numbers = (
        f"{says_so}likeness {as_said(like.cosine)}, of those photos to one another {as_said(like.own)}, to {others} "
        f"{as_said(like.others)}"
    )
    alike, unlike = like.value >= _ALIKE, like.value < (_ALIKE if headline and not beyond else _UNLIKE)
    if not like.tells:
        said = (
            f"This says nothing here: in {layer}, the photos that fire the unit are no more like one another "
            f"({as_said(like.own)}) than like some of {others} "
            f"({as_said(like.apart)} on average)."
        )
    elif not alike and not unlike:
        said = f"In {layer}, the picture is neither like nor unlike the photos that fire the unit: {numbers}."
        said = ending(said, True)
    elif what == "path":
        said = (
            f"In {layer}, the picture looks {'like' if alike else 'unlike'} the photos that fire the unit: {numbers}."
        )
    elif alike:
        said = f"The picture fires the unit through the same channels of {layer} as photos do: {numbers}."
    elif silent:
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


def spread_evidence(
    about: str, layer: str, seen: Routes, own: Routes, others: Sequence[Routes], usual: Routes | None
) -> RenderingEvidence:
    """Whether pictures of one unit agree with one another, on the scale of its exemplars (see `compare_routes`)."""
    routes = directions(seen.routes[layer] - (0 if usual is None else usual.routes[layer].mean(0)))
    mean = _among(routes)
    like = compare_routes(layer, seen, own, others, usual)
    beyond, theirs = (
        ("", "other units' photos") if usual is None else ("beyond what any photo does, ", "photos by chance")
    )
    value = (mean - like.others) / (like.own - like.apart) if like.tells else 0.0
    alike = value >= _ALIKE
    return RenderingEvidence(
        about=about,
        name="agreement of its pictures",
        value=round(value, 4),
        control=round(like.control, 4),
        says="nothing" if not like.tells else "for" if alike else "against",
        sentence=ending(
            f"The {len(routes)} pictures of this unit fire it through {'the same' if alike else 'different'} channels "
            f"of {layer}: {beyond}likeness {as_said(mean)} to one another, to {theirs} {as_said(like.others)}.",
            not like.tells,
        ),
    )


def meanings_evidence(about: str, layer: str, seen: Routes, own: Routes, others: Sequence[Routes]) -> RenderingEvidence:
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
        sentence=ending(f"{said} With half of them exchanged for another unit's: {control:.1f} kinds.", not tells),
    )


def is_passed_on(unit: Feature, routes: np.ndarray, channels: int) -> bool:
    """Whether a layer adds to what an earlier one has in the same channel, so that most of the route runs there.

    Args:
        unit: a channel, or else never.
        routes: of its exemplars, [n, channels of the earlier layer].
        channels: of the unit's own layer.
    """
    if unit.index < 0 or routes.shape[1] != channels:
        return False
    return bool(np.median(np.abs(directions(routes)[:, unit.index])) > _PASSED_ON)


def compare_routes(layer: str, seen: Routes, own: Routes, others: Sequence[Routes], usual: Routes | None) -> Likeness:
    """How like the exemplars' routes are.

    Args:
        others: other units on their own exemplars: what 0 is on the scale.
        usual: the same unit on photos by chance, where what it does on any photo drowns the rest: that, on average, is
            taken away, and what 0 is on the scale are they.
    """
    if usual is None:
        return likeness(seen.routes[layer], own.routes[layer], [each.routes[layer] for each in others])
    mean = usual.routes[layer].mean(0)
    first, second, rest = (each.routes[layer] - mean for each in (seen, own, usual))
    return likeness(first, second, np.array_split(rest, _SETS))


def compare_states(layer: str, seen: Routes, own: Routes, others: Sequence[Routes]) -> Likeness:
    """How like the exemplars' activations are, beyond what the photos of all units share.

    Args:
        others: other units on their own exemplars.
    """
    photos = np.concatenate([each.states[layer] for each in others])
    mean, deviation = photos.mean(0), np.maximum(photos.std(0), 1e-6)
    first, second, *rest = ((each.states[layer] - mean) / deviation for each in (seen, own, *others))
    return likeness(first, second, rest)


def _beside(about: str, name: str, share: float, control: float, said: str) -> RenderingEvidence:
    """What beating a share of others means, where other pictures beat `control` of them."""
    says = "against" if share < _LOW else "for" if share >= _HIGH and share > control else "nothing"
    return RenderingEvidence(
        about, name, round(share, 4), round(control, 4), sentence=ending(said, says == "nothing"), says=says
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


def _percent(share: float) -> str:
    """A share of three digits, so that nearly all is not said to be all."""
    return f"{100 * share:.3g}%"


def ending(sentence: str, nothing: bool) -> str:
    return f"{sentence} This says nothing here." if nothing else sentence
