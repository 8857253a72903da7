"""What a page asks a server or a notebook's kernel, and what it is told."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ._explanation import Index, Name, Probability, Seconds

Factor = Annotated[float, Meta(ge=0, le=8)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class ChannelChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="unit", tag="channel"):
    """A whole channel, multiplied."""

    channel: Index
    """Number of the channel."""
    factor: Factor
    """What it is multiplied with; 0 removes it."""


class GroupChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="unit", tag="group"):
    """A group of neurons, multiplied."""

    groups: Index
    """How many groups the layer is divided in."""
    group: Index
    """Which of them."""
    factor: Factor
    """What it is multiplied with; 0 removes it."""


class RegionChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="unit", tag="region"):
    """A rectangle of positions, all channels of them, multiplied."""

    rows: tuple[Index, Index]
    """First and last row."""
    columns: tuple[Index, Index]
    """First and last column."""
    factor: Factor
    """What it is multiplied with; 0 removes it."""


class ExperimentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several parts of one layer, changed together."""

    layer: Name
    """Name of the layer."""
    changes: Annotated[list[ChannelChange | GroupChange | RegionChange], Meta(min_length=1, max_length=64)]
    """What is changed."""


class Outcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One class before and after an experiment."""

    index: Index
    """Number of the class."""
    label: str
    """Its name in plain words."""
    logit_before: float
    """Output before the softmax, with nothing changed."""
    logit_after: float
    """The same after the change."""
    probability_before: Probability
    """Output after the softmax, with nothing changed."""
    probability_after: Probability
    """The same after the change."""


class ExperimentAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rest of the network made of an experiment."""

    layer: Name
    """Name of the layer."""
    classes: list[Outcome]
    """The classes that the explanation is about, in its order."""
    top: list[Outcome]
    """The five most probable classes afterwards."""
    seconds: Seconds
    """How long the network took."""


class RegionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rectangle of the photo."""

    top: Fraction
    """Its upper edge, as a share of the photo's height."""
    left: Fraction
    """Its left edge, as a share of the photo's width."""
    bottom: Fraction
    """Its lower edge."""
    right: Fraction
    """Its right edge."""


class RegionChannel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel that stands out in a rectangle of the photo."""

    channel: Index
    """Number of the channel."""
    label: str
    """A person's name for it; empty when nobody named it."""
    inside: float
    """Its mean activation in the rectangle, in the layer's own unit."""
    outside: float
    """Its mean activation in the rest of the photo."""
    icon: str
    """Address of its icon, which a server renders when it is first asked for it; empty where there is none."""


class RegionLayer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one layer sees in a rectangle of the photo."""

    layer: Name
    """Name of the layer."""
    rows: tuple[Index, Index]
    """First and last row of the layer's grid that the rectangle touches."""
    columns: tuple[Index, Index]
    """First and last column."""
    covers: Fraction
    """Share of the grid's positions that these are."""
    channels: list[RegionChannel]
    """The channels whose mean activation inside exceeds that outside most."""


class RegionAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the network sees in a rectangle of the photo, layer by layer."""

    layers: list[RegionLayer]
    """From the first to the last."""
    seconds: Seconds
    """How long that took."""


class ServedModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network that a server can ask."""

    name: Name
    """Name of the network."""
    rows: Index
    """Height of its input in pixels."""
    columns: Index
    """Width of its input in pixels."""
    layers: list[str]
    """Layers with positions that can be explained, from the first to the last."""
    usual: list[str]
    """Those that are explained when none are named."""


class ServerStatus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server offers, and its limits."""

    version: str
    """Version of Pellucid."""
    models: list[ServedModel]
    """The networks that it can ask."""
    accepts: list[str]
    """Media types of pictures that it reads."""
    most_bytes: Index
    """Largest file that it takes."""
    most_pixels: Index
    """Most pixels of a picture."""
    most_layers: Index
    """Most layers of one explanation."""
    retention_seconds: Seconds
    """How long results are kept."""


class Result(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page of a server: an explanation that is made, or a bundle that it was given."""

    id: Name
    """Part of its address."""
    kind: Literal["explanation", "atlas", "report"]
    """What it shows."""
    title: str
    """Its heading."""
    model: str
    """The network that was asked."""
    layers: list[str]
    """The layers that it is about."""
    quick: bool
    """Whether it is a first look with coarse pictures."""
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    """How far it is."""
    ahead: Index
    """How many others are made before it."""
    problem: str
    """Why it failed, in one sentence."""
    answer: str
    """The most probable class; empty before it is known."""
    probability: Probability | None
    """Its probability."""
    thumb: str
    """Address of a small picture; empty before there is one."""
    revision: Index
    """Number of the newest manifest; 0 before the first."""
    created: Annotated[datetime, Meta(tz=True)]
    """When it was asked for."""
    expires: Annotated[datetime, Meta(tz=True)] | None
    """When it will be removed; null for bundles that the server was given."""
    live: bool
    """Whether experiments and regions can be asked."""


LIVE = (ExperimentRequest, ExperimentAnswer, RegionRequest, RegionAnswer, ServerStatus, Result)
"""The structs from which all others of this module are reached."""
