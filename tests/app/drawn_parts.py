"""Channels, groups, flow and experiments of the drawn bundle: one small model of the barn that all of them share.

Everything follows from `contributions`: what a part adds to a logit is the sum over its things, whether the parts are
channels, groups or places, so the panels of the page must agree with each other.
"""

import drawn_bundle as drawn
import numpy

from pellucid.bundle import (
    ChannelLinks,
    ChannelPanel,
    Effects,
    Flow,
    Grouping,
    GroupPanel,
    IconSheet,
    Influence,
    Numbers,
    pack_numbers,
)

# For each number of groups, the group of every thing in the order of `drawn_bundle.THINGS`.
DIVISIONS = {
    2: [0, 1, 1, 0, 0, 0, 1, 1, 1, 1],
    3: [0, 1, 2, 2, 0, 0, 2, 1, 2, 1],
    4: [0, 1, 2, 3, 0, 0, 2, 1, 2, 1],
    6: [0, 1, 2, 3, 4, 4, 5, 1, 5, 1],
}
USUAL = {"mixed4d": 4, "mixed5a": 3}
# What the channels of a layer do to those of the next: mostly themselves, some help and some hinder their neighbours.
_HELP = numpy.eye(10) + 0.35 * numpy.eye(10, k=1) - 0.25 * numpy.eye(10, k=-2)
_HELP += 0.12 * numpy.eye(10, k=3) - 0.18 * numpy.eye(10, k=5) + 0.08 * numpy.eye(10, k=-4)
# The classes that are not told of, as shares of the probability.
_REST = 0.071
_OTHER = ("tent", 0.05)


def parts() -> dict[str, object]:
    """Every field of the body that tells of channels, groups, flow or experiments."""
    effects = [effect for layer in drawn.UPPER for factor in (0.0, 0.5, 2.0) for effect in _effects(layer, factor)]
    return {
        "influences": [_influence("mixed3b", "mixed4d"), _influence("mixed4d", "mixed5a")],
        "channels": [_channels(layer) for layer in drawn.UPPER],
        "channel_links": [ChannelLinks(lower="mixed4d", upper="mixed5a", values=pack_numbers(_links()))],
        "groups": [_groups(layer) for layer in drawn.UPPER],
        "flows": [_flow()],
        "effects": effects,
    }


def order() -> numpy.ndarray:
    """Places in THINGS by rising channel, the order in which a channel panel tells of them."""
    return numpy.argsort(drawn.CHANNELS)


def channel_attribution(layer: str) -> numpy.ndarray:
    """[classes, things]: what each thing's channel adds to each logit."""
    return drawn.contributions(layer).sum((0, 1)).T


def _links() -> numpy.ndarray:
    total = drawn.strengths("mixed5a").sum((0, 1))
    return (total[:, None] * _HELP)[numpy.ix_(order(), order())]


def _channels(layer: str) -> ChannelPanel:
    return ChannelPanel(
        layer=layer,
        channels=drawn.CHANNELS[order()].tolist(),
        attribution=pack_numbers(channel_attribution(layer)[:, order()]),
        firing=pack_numbers(drawn.strengths(layer).transpose(2, 0, 1)[order()]),
    )


def _influence(lower: str, upper: str) -> Influence:
    """Each position is made of what lies below it, and hindered a little by what lies around."""
    rows, columns, _ = drawn.LAYERS[upper]
    below, across, _ = drawn.LAYERS[lower]
    strength = numpy.linalg.norm(drawn.strengths(upper), axis=-1)

    def near(count: int, other: int) -> numpy.ndarray:
        distance = ((numpy.arange(count) + 0.5) / count)[:, None] - (numpy.arange(other) + 0.5) / other
        return distance**2

    square = near(rows, below)[:, None, :, None] + near(columns, across)[None, :, None, :]
    values = numpy.exp(-square / (2 * 0.07**2)) - 0.25 * numpy.exp(-square / (2 * 0.14**2))
    return Influence(lower=lower, upper=upper, values=pack_numbers(strength[..., None, None] * values * 14 / below))


def _grouping(layer: str, count: int) -> Grouping:
    member = _members(count)
    found = drawn.strengths(layer)
    heaviest = [sorted(numpy.flatnonzero(row), key=lambda thing: -drawn.THINGS[thing][4]) for row in member]
    return Grouping(
        spatial=pack_numbers(numpy.einsum("gt,hwt->ghw", member, found)),
        icons=[int(things[0]) for things in heaviest],
        channels=[drawn.CHANNELS[things].tolist() for things in heaviest],
        attribution=pack_numbers(channel_attribution(layer) @ member.T),
        error=round(0.5 / count, 3),
    )


def _members(count: int) -> numpy.ndarray:
    return (numpy.arange(count)[:, None] == numpy.array(DIVISIONS[count])).astype(float)


def _groups(layer: str) -> GroupPanel:
    return GroupPanel(
        layer=layer,
        icons=IconSheet(file=f"groups/{layer}.webp", side=drawn.ICON, columns=4, channels=list(range(10))),
        groupings=[_grouping(layer, count) for count in DIVISIONS],
        usual=USUAL[layer],
    )


def _flow() -> Flow:
    flow = drawn.strengths("mixed5a").sum((0, 1))[:, None] * _HELP

    def link(upper: int, lower: int) -> Numbers:
        return pack_numbers(_members(upper) @ flow @ _members(lower).T)

    return Flow(
        lower="mixed4d",
        upper="mixed5a",
        links=[[link(upper, lower) for lower in DIVISIONS] for upper in DIVISIONS],
        aligned=[_grouping("mixed4d", count) for count in DIVISIONS],
        aligned_links=[link(count, count) for count in DIVISIONS],
    )


def _effects(layer: str, factor: float) -> list[Effects]:
    contributions = drawn.contributions(layer)
    rows, columns, _ = drawn.LAYERS[layer]
    by_place = contributions.sum(2)
    around = numpy.pad(by_place, ((1, 1), (1, 1), (0, 0)))
    squares = sum(around[down : down + rows, right : right + columns] for down in range(3) for right in range(3))
    channels = channel_attribution(layer)
    found = [
        _effect(layer, "channel", 0, factor, channels.T[order()]),
        _effect(layer, "position", 0, factor, by_place.reshape(rows * columns, -1)),
        _effect(layer, "square", 0, factor, numpy.asarray(squares).reshape(rows * columns, -1)),
    ]
    return found + [_effect(layer, "group", count, factor, (channels @ _members(count).T).T) for count in DIVISIONS]


def _effect(layer: str, unit: str, groups: int, factor: float, attribution: numpy.ndarray) -> Effects:
    """The network does nine tenths of what attribution predicts, and large changes saturate."""
    predicted = (factor - 1) * attribution
    logits = 6 * numpy.tanh(0.9 * predicted / 6)
    probability = numpy.array([entry[3] for entry in drawn.CLASSES])
    raised = probability * numpy.exp(logits)
    whole = raised.sum(-1, keepdims=True) + _REST
    names = [entry[1] for entry in drawn.CLASSES] + [_OTHER[0]]
    winners = numpy.concatenate([raised, numpy.full((len(raised), 1), _OTHER[1])], axis=-1).argmax(-1)
    return Effects(
        layer=layer,
        unit=unit,  # pyright: ignore[reportArgumentType]
        groups=groups,
        factor=factor,
        logits=pack_numbers(logits),
        predicted=pack_numbers(predicted),
        probabilities=pack_numbers(raised / whole),
        winners=winners.tolist(),
        names=names,
    )
