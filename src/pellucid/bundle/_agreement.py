"""Where the parts of an explanation disagree: one generator of sentences for each kind of panel."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ._explanation import (
    ChannelPanel,
    DictionaryPanel,
    Effects,
    EvidenceEntry,
    ExplanationBody,
    Flow,
    Grouping,
    GroupPanel,
    IconSheet,
    LayerCard,
    Numbers,
    RemovalCurves,
    SpatialPanel,
)
from ._numbers import numbers_problem, unpack_numbers

# One alphabet for every platform's file system; a leading letter or digit also rules out `..`, `/etc` and hidden files.
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

# The panels of which there is at most one a layer, with the words a sentence calls them by.
_SINGLE = {
    "dictionaries": "the dictionary",
    "grids": "the activation grid",
    "spatial": "the spatial attribution",
    "channels": "the channel attribution",
    "groups": "the groups",
}
_PAIRS = {"influences": "the influence", "channel_links": "the links of channels", "flows": "the flow"}


def problems(body: ExplanationBody) -> Iterator[str]:
    """Disagreements between parts of `body`, as clauses that name the place; none when all agree.

    Where layers are missing or in another order nothing else is looked at.

    Args:
        body: one whose fields have the right types.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> list(problems(read_bundle("labrador.zip").manifest.body))  # doctest: +SKIP
        []
    """
    yield from _file_problems(body)
    yield from repeats("class", [entry.index for entry in body.classes])
    known = {entry.index for entry in body.classes}
    if body.versus is not None and not (set(body.versus) <= known and len(set(body.versus)) == 2):
        yield f"`versus` is {body.versus}, not two of the classes"
    yield from repeats("layer", [card.name for card in body.layers])
    misplaced = list(_order_problems(body))
    if misplaced:
        yield from misplaced
        return
    cards = {card.name: card for card in body.layers}
    for card in body.layers:
        yield from sheet_problems(f"the icons of {card.name!r}", card.icons, card.channels)
    for panel in body.dictionaries:
        yield from _dictionary_problems(panel, cards[panel.layer])
    for panel in body.grids:
        card = cards[panel.layer]
        what = f"`strength` of the activation grid of {panel.layer!r}"
        yield from array_problems(what, panel.strength, (card.rows, card.columns), low=0, high=1)
    for panel in body.spatial:
        yield from _spatial_problems(panel, cards[panel.layer], known)
    for entry in body.influences:
        upper, lower = cards[entry.upper], cards[entry.lower]
        shape = (upper.rows, upper.columns, lower.rows, lower.columns)
        yield from array_problems(f"the influence of {entry.lower!r} on {entry.upper!r}", entry.values, shape)
    for panel in body.channels:
        yield from _channel_problems(panel, cards[panel.layer], len(body.classes))
    told = {panel.layer: len(panel.channels) for panel in body.channels}
    for entry in body.channel_links:
        what = f"the links of channels of {entry.lower!r} and {entry.upper!r}"
        if entry.lower not in told or entry.upper not in told:
            yield f"{what} need the channel attribution of both layers"
        else:
            yield from array_problems(what, entry.values, (told[entry.upper], told[entry.lower]))
    for panel in body.groups:
        yield from _group_problems(panel, cards[panel.layer], len(body.classes))
    grouped = {panel.layer: panel for panel in body.groups}
    for flow in body.flows:
        yield from _flow_problems(flow, cards, grouped, len(body.classes))
    yield from repeats("the experiment", [(e.layer, e.unit, e.groups, e.factor) for e in body.effects])
    for effects in body.effects:
        yield from _effect_problems(effects, body, cards, grouped)
    for entry in body.evidence:
        yield from interval_problems(entry)
    yield from repeats("a curve", [(entry.layer, entry.class_index) for entry in body.curves])
    for entry in body.curves:
        yield from _curve_problems(entry, known)


def _file_problems(body: ExplanationBody) -> Iterator[str]:
    names = [body.photo.file, *(card.icons.file for card in body.layers)]
    names += [panel.file for panel in body.grids] + [panel.icons.file for panel in body.groups]
    for name in names:
        if not FILE_NAME.fullmatch(name) or name == "manifest.json":
            yield f"{name!r} is not a file name a bundle may hold; use letters, digits, '_', '-', '.' and '/'"
    yield from repeats("a picture", names)


def _order_problems(body: ExplanationBody) -> Iterator[str]:
    """Layers that are not among the explanation's, panels that are there twice, and lists in another order."""
    place = {card.name: number for number, card in enumerate(body.layers)}
    for field, what in _SINGLE.items():
        layers = [panel.layer for panel in getattr(body, field)]
        yield from _unknown(what, layers, place)
        yield from repeats(f"{what} of layer", layers)
        yield from unsorted(f"`{field}`", [place[layer] for layer in layers if layer in place])
    for field, what in _PAIRS.items():
        pairs = [(entry.lower, entry.upper) for entry in getattr(body, field)]
        yield from _unknown(what, [layer for pair in pairs for layer in pair], place)
        pairs = [(lower, upper) for lower, upper in pairs if lower in place and upper in place]
        for lower, upper in pairs:
            if place[upper] != place[lower] + 1:
                yield f"{what} leads from {lower!r} to {upper!r}, which are not neighbours in `layers`"
        yield from repeats(f"{what} from layer", [lower for lower, _ in pairs])
        yield from unsorted(f"`{field}`", [place[lower] for lower, _ in pairs])
    yield from _unknown("an experiment", [effects.layer for effects in body.effects], place)
    curved = [entry.layer for entry in body.curves]
    yield from _unknown("a curve", curved, place)
    yield from unsorted("`curves`", [place[layer] for layer in curved if layer in place])


def sheet_problems(what: str, icons: IconSheet, limit: int | None = None) -> Iterator[str]:
    yield from repeats(f"in {what}, channel", icons.channels)
    if limit is not None:
        yield from beyond(what, icons.channels, limit)
    if icons.labels and len(icons.labels) != len(icons.channels):
        yield f"{what} have {len(icons.labels)} labels for {len(icons.channels)} channels"


def _dictionary_problems(panel: DictionaryPanel, card: LayerCard) -> Iterator[str]:
    where = f"the dictionary of {panel.layer!r}"
    yield from _grid_problems(f"`top` of {where}", panel.top, card)
    yield from _grid_problems(f"`values` of {where}", panel.values, card)
    depths = {len(cell) for grid in (panel.top, panel.values) for row in grid for cell in row}
    if len(depths) != 1 or 0 in depths:
        yield f"{where} must list the same number of channels, at least one, at every position; it lists {depths}"
    yield from _named_problems(where, {channel for row in panel.top for cell in row for channel in cell}, card)


def _spatial_problems(panel: SpatialPanel, card: LayerCard, known: set[int]) -> Iterator[str]:
    where = f"the spatial attribution of {panel.layer!r}"
    for maps in (panel.maps, panel.removal):
        yield from repeats(f"in {where}, class", [entry.class_index for entry in maps])
    for entry in (*panel.maps, *panel.removal):
        if entry.class_index not in known:
            yield f"{where} has a map for class {entry.class_index}, which is not among the classes"
        yield from _grid_problems(f"the map of class {entry.class_index} in {where}", entry.values, card)


def _channel_problems(panel: ChannelPanel, card: LayerCard, classes: int) -> Iterator[str]:
    where, count = f"the channel attribution of {panel.layer!r}", len(panel.channels)
    yield from repeats(f"in {where}, channel", panel.channels)
    yield from unsorted(f"`channels` of {where}", panel.channels)
    yield from _named_problems(where, set(panel.channels), card)
    yield from array_problems(where, panel.attribution, (classes, count))
    yield from array_problems(f"`firing` of {where}", panel.firing, (count, card.rows, card.columns))


def _group_problems(panel: GroupPanel, card: LayerCard, classes: int) -> Iterator[str]:
    where = f"the groups of {panel.layer!r}"
    yield from sheet_problems(f"the icons of {where}", panel.icons)
    if panel.icons.channels != list(range(len(panel.icons.channels))):
        yield f"the icons of {where} are not numbered from 0 up"
    counts = [len(grouping.icons) for grouping in panel.groupings]
    yield from repeats(f"in {where}, the grouping of", counts)
    yield from unsorted(f"`groupings` of {where}", counts)
    if panel.usual not in counts:
        yield f"{where} are usually {panel.usual}, but there is no such grouping"
    for grouping in panel.groupings:
        yield from _grouping_problems(f"the {len(grouping.icons)} groups of {panel.layer!r}", grouping, card, classes)
        yield from beyond(f"the icons of {where}", grouping.icons, len(panel.icons.channels), "icon", "the sheet")


def _grouping_problems(where: str, grouping: Grouping, card: LayerCard, classes: int) -> Iterator[str]:
    count = len(grouping.icons)
    yield from array_problems(f"`spatial` of {where}", grouping.spatial, (count, card.rows, card.columns), low=0)
    yield from array_problems(f"`attribution` of {where}", grouping.attribution, (classes, count))
    if len(grouping.channels) != count:
        yield f"`channels` of {where} tell of {len(grouping.channels)} groups, not of {count}"
    yield from _named_problems(where, {channel for group in grouping.channels for channel in group}, card)


def _flow_problems(
    flow: Flow, cards: dict[str, LayerCard], grouped: dict[str, GroupPanel], classes: int
) -> Iterator[str]:
    where = f"the flow from {flow.lower!r} to {flow.upper!r}"
    if flow.lower not in grouped or flow.upper not in grouped:
        yield f"{where} needs the groups of both layers"
        return
    lower, upper = grouped[flow.lower], grouped[flow.upper]
    if len(flow.links) != len(upper.groupings) or {len(row) for row in flow.links} != {len(lower.groupings)}:
        yield f"`links` of {where} must have a row for each grouping of {flow.upper!r}, a column for each of the other"
        return
    for row, above in zip(flow.links, upper.groupings, strict=True):
        for links, below in zip(row, lower.groupings, strict=True):
            shape = (len(above.icons), len(below.icons))
            yield from array_problems(f"`links` of {where}", links, shape)
    if len(flow.aligned) not in (0, len(upper.groupings)):
        yield f"`aligned` of {where} has {len(flow.aligned)} entries, not one for each grouping of {flow.upper!r}"
        return
    if len(flow.aligned_links) != len(flow.aligned):
        yield f"`aligned_links` of {where} has {len(flow.aligned_links)} entries for {len(flow.aligned)} of `aligned`"
        return
    for grouping, links, above in zip(flow.aligned, flow.aligned_links, upper.groupings, strict=False):
        count = len(above.icons)
        if len(grouping.icons) != count:
            yield f"{where} aligns {len(grouping.icons)} groups with {count}"
        yield from _grouping_problems(f"the {count} aligned groups of {where}", grouping, cards[flow.lower], classes)
        yield from beyond(f"{where}", grouping.icons, len(lower.icons.channels), "icon", "the sheet")
        yield from array_problems(f"`aligned_links` of {where}", links, (count, count))


def _effect_problems(
    effects: Effects, body: ExplanationBody, cards: dict[str, LayerCard], grouped: dict[str, GroupPanel]
) -> Iterator[str]:
    where = f"the experiment on each {effects.unit} of {effects.layer!r} at {effects.factor:g}"
    card = cards[effects.layer]
    counts = {len(grouping.icons) for panel in [grouped.get(effects.layer)] if panel for grouping in panel.groupings}
    if (effects.unit == "group") != (effects.groups > 0):
        yield f"{where} says {effects.groups} groups"
        return
    if effects.unit == "group":
        if effects.groups not in counts:
            yield f"{where} is about {effects.groups} groups, but there is no such grouping"
        units = effects.groups
    elif effects.unit == "channel":
        told = [panel.channels for panel in body.channels if panel.layer == effects.layer]
        if not told:
            yield f"{where} needs the channel attribution of that layer"
            return
        units = len(told[0])
    else:
        units = card.rows * card.columns
    shape = (units, len(body.classes))
    yield from array_problems(f"`logits` of {where}", effects.logits, shape)
    yield from array_problems(f"`predicted` of {where}", effects.predicted, shape)
    yield from array_problems(f"`probabilities` of {where}", effects.probabilities, shape, low=0, high=1)
    if len(effects.winners) != units:
        yield f"`winners` of {where} has {len(effects.winners)} entries, not {units}"
    yield from beyond(f"`winners` of {where}", effects.winners, len(effects.names), "name", "`names`")


def _curve_problems(entry: RemovalCurves, known: set[int]) -> Iterator[str]:
    where = f"the curves of class {entry.class_index} in {entry.layer!r}"
    if entry.class_index not in known:
        yield f"{where} are of no class of the explanation"
    yield from unsorted(f"`shares` of {where}", entry.shares)
    if entry.shares[0] != 0 or entry.shares[-1] != 1:
        yield f"{where} reach from {entry.shares[0]:g} to {entry.shares[-1]:g} of the positions, not from 0 to 1"
    every = (entry.deletion, entry.insertion, *entry.random_deletion, *entry.random_insertion)
    lengths = {len(curve) for curve in every}
    if lengths != {len(entry.shares)}:
        yield f"{where} have {'/'.join(map(str, sorted(lengths)))} points for {len(entry.shares)} shares"
    if len(entry.random_deletion) != len(entry.random_insertion):
        yield f"{where} have {len(entry.random_deletion)} and {len(entry.random_insertion)} random orders"


def interval_problems(entry: EvidenceEntry) -> Iterator[str]:
    """Whether a measure lies in its interval, where it has one."""
    where = f"the interval of {entry.name!r} of {entry.about!r}"
    if entry.low is None or entry.high is None:
        if entry.low is not entry.high:
            yield f"{where} has only one end"
    elif not entry.low <= entry.value <= entry.high:
        yield f"{where} reaches from {entry.low:g} to {entry.high:g}, beside the value {entry.value:g}"


def array_problems(
    what: str, numbers: Numbers, shape: tuple[int, ...], *, low: float | None = None, high: float | None = None
) -> Iterator[str]:
    if tuple(numbers.shape) != shape:
        yield f"{what} is {_shape(numbers.shape)}, not {_shape(shape)}"
        return
    problem = numbers_problem(numbers)
    if problem:
        yield f"the numbers of {what} {problem}"
        return
    if low is None and high is None:
        return
    values, slack = unpack_numbers(numbers), numbers.scale
    if values.size and ((low is not None and values.min() < low) or (high is not None and values.max() > high + slack)):
        yield f"{what} reaches from {values.min():g} to {values.max():g}, beyond {low} and {high}"


def _grid_problems(what: str, grid: Sequence[Sequence[object]], card: LayerCard) -> Iterator[str]:
    widths = {len(row) for row in grid}
    if len(grid) != card.rows or widths != {card.columns}:
        found = f"{len(grid)} × {'/'.join(str(width) for width in sorted(widths)) or 0}"
        yield f"{what} is {found}, not {card.rows} × {card.columns}"


def _named_problems(where: str, channels: set[int], card: LayerCard) -> Iterator[str]:
    yield from beyond(where, sorted(channels), card.channels)
    for channel in sorted(channels - set(card.icons.channels)):
        yield f"{where} names channel {channel} but the icons of the layer do not show it"


def beyond(
    where: str, items: Iterable[int], limit: int, what: str = "channel", whole: str = "the layer"
) -> Iterator[str]:
    for item in items:
        if item >= limit:
            yield f"{where} names {what} {item} but {whole} has {limit}"


def _unknown(what: str, layers: Sequence[str], known: Iterable[str]) -> Iterator[str]:
    for layer in layers:
        if layer not in known:
            yield f"{what} is of layer {layer!r}, which is not among `layers`"


def unsorted(what: str, items: Sequence[float]) -> Iterator[str]:
    if list(items) != sorted(items):
        yield f"{what} is not in rising order"


def repeats(what: str, items: Sequence[Any]) -> Iterator[str]:
    seen = set()
    for item in items:
        if item in seen:
            yield f"{what} {item!r} is there twice"
        seen.add(item)


def _shape(lengths: Iterable[int]) -> str:
    return " × ".join(str(length) for length in lengths)


def sheet_size(icons: IconSheet) -> tuple[int, int]:
    """Width and height of a sheet's picture in pixels."""
    rows = -(-len(icons.channels) // icons.columns)
    return icons.columns * icons.side, rows * icons.side
