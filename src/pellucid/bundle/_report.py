"""The body of a bundle of kind `report`: which layers, units and methods of a network can be believed."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ._atlas import PatchSheets
from ._explanation import Count, EvidenceEntry, IconSheet, Index, ModelCard, Name, Seconds

Share = Annotated[float, Meta(ge=0, le=1)]


class ReportUnit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel: its picture is in the icon sheet of the layer, what fires it on photos in the sheet of exemplars."""

    channel: Index
    """Number of the channel."""
    says: Literal["for", "against", "nothing"]
    """`for`: its picture fires it as nothing else does and for the same cause as photos; `against`: it misleads."""
    evidence: list[EvidenceEntry]
    """What was measured about its picture, the headline first; `about` is `rendering:` and the
    target that was rendered."""


class MethodScore(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How well an attribution method predicts what removing parts of a layer does, over several photos."""

    method: Name
    """Name of the method, such as `linear`."""
    unit: Literal["set", "channel", "group"]
    """What was removed: random sets of positions, single channels, or single groups."""
    value: float
    """Median over the photos of the correlation of predicted and measured changes of the top class's logit."""
    low: float
    """Lower quartile over the photos."""
    high: float
    """Upper quartile over the photos."""
    control: float
    """The median for mere strength of activation."""
    says: Literal["for", "nothing"]
    """`for`: on nearly all photos it is above its control; `nothing`: it is not."""
    seconds: Seconds
    """Median time for one photo and one class, in seconds, what all methods share left out."""


class ReportLayer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be believed about one layer."""

    name: Name
    """Name of the layer, such as `mixed4d`."""
    rows: Count
    """Rows of the layer's grid on an input of the usual size."""
    columns: Count
    """Columns of the layer's grid."""
    channels: Count
    """How many channels the layer has."""
    icons: IconSheet
    """The picture of each of `units`, in their order."""
    exemplars: PatchSheets
    """Pieces of photos that fire each of `units` most, the strongest first, in their order."""
    units: Annotated[list[ReportUnit], Meta(min_length=1)]
    """Channels that were drawn by chance."""
    methods: list[MethodScore]
    """Attribution methods, those of one kind of part together, the best first."""
    evidence: list[EvidenceEntry]
    """What was measured about the layer as a whole: `renderings:LAYER`, `spatial:LAYER`, `groups:LAYER`."""


class ReportBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the page of a report shows."""

    title: str
    """Heading of the page."""
    model: ModelCard
    """The network that was asked."""
    images: Count
    """How many natural images were looked at for exemplars."""
    photos: Index
    """On how many of them attribution was compared with removals."""
    layers: Annotated[list[ReportLayer], Meta(min_length=1)]
    """From the first to the last."""
    remarks: list[str] = []
    """What was left out, and why, each a sentence."""
    seconds: dict[str, Seconds] = {}
    """How long each part took to compute, in seconds: `photos`, and by layer `renderings:LAYER`, `methods:LAYER`."""
