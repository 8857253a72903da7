"""The body of a bundle of kind `explanation`: what one image says about one network, panel by panel."""

from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
Index = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]


class Photo(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The picture as the network saw it: resized and cropped, so that every layer's grid covers it exactly."""

    file: Name
    """Name of a WebP file in the bundle; it may be larger than the network's input."""
    width: Count
    """Width of the file in pixels."""
    height: Count
    """Height of the file in pixels."""


class ModelCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The network that was asked."""

    name: Name
    """Name of the network, such as `inception_v1`."""
    input_rows: Count
    """Height of the network's input in pixels."""
    input_columns: Count
    """Width of the network's input in pixels."""


class ClassScore(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the network answered about one class."""

    index: Index
    """Number of the class among the network's outputs."""
    label: str
    """Name of the class in plain words."""
    logit: float
    """Output before the softmax."""
    probability: Probability
    """Output after the softmax, in [0, 1]."""


class IconSheet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Square icons of channels, packed row by row in one picture without gaps."""

    file: Name
    """Name of a WebP file in the bundle: `columns` × `side` wide, as high as the rows of icons that it holds."""
    side: Count
    """Side of one icon in pixels."""
    columns: Count
    """How many icons stand in one row of the sheet."""
    channels: Annotated[list[Index], Meta(min_length=1)]
    """The channel that each icon stands for, in the order of the sheet, left to right, then down."""
    labels: list[str] = []
    """A person's name for each icon, such as `floppy ear`, in the same order; empty when nobody named them."""


class DictionaryPanel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The semantic dictionary of one layer: which channels are strongest at each position of its grid."""

    layer: Name
    """Name of the layer, such as `mixed4d`."""
    rows: Count
    """Rows of the layer's grid."""
    columns: Count
    """Columns of the layer's grid."""
    channels: Count
    """How many channels the layer has."""
    top: list[list[list[Index]]]
    """[rows][columns][k]: the strongest channels at each position, strongest first."""
    values: list[list[list[float]]]
    """[rows][columns][k]: the activation of each of them, in the layer's own unit."""
    icons: IconSheet
    """One icon for every channel that `top` names."""
    caption: str = ""
    """What is shown and how it was computed, in plain words; empty for the page's own caption."""


class ClassMap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much each position of a layer adds to the logit of one class."""

    class_index: Index
    """Number of the class; one of the explanation's classes."""
    values: list[list[float]]
    """[rows][columns]: attribution in units of the logit; above 0 supports the class, below 0 inhibits it."""


class SpatialPanel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Spatial attribution of one layer, for one or more classes."""

    layer: Name
    """Name of the layer, such as `mixed4d`."""
    rows: Count
    """Rows of the layer's grid."""
    columns: Count
    """Columns of the layer's grid."""
    maps: Annotated[list[ClassMap], Meta(min_length=1)]
    """One map for each class that was asked about."""
    caption: str = ""
    """What is shown and how it was computed, in plain words; empty for the page's own caption."""


class EvidenceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measure of how far a panel can be trusted."""

    about: Name
    """What was measured: `explanation`, `dictionary:LAYER`, `spatial:LAYER` or `spatial:LAYER:CLASS_INDEX`."""
    name: Name
    """Name of the measure, such as `deletion agreement`."""
    value: float
    """What was measured."""
    control: float | None = None
    """The same measure where the panel should fail, such as a shuffled map; null when there is no control."""
    sentence: str
    """What the numbers mean, in words that a non-specialist can read."""


class ExplanationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the page of one image shows; a panel that was not computed is an empty list."""

    title: str
    """Heading of the page."""
    photo: Photo
    """The picture that was explained."""
    model: ModelCard
    """The network that was asked."""
    classes: Annotated[list[ClassScore], Meta(min_length=1)]
    """The top classes, most probable first."""
    dictionaries: list[DictionaryPanel] = []
    """Semantic dictionaries, one a layer, from the first layer to the last."""
    spatial: list[SpatialPanel] = []
    """Spatial attribution, one a layer, from the first layer to the last."""
    evidence: list[EvidenceEntry] = []
    """What was measured about any of the panels."""
    seconds: dict[str, Seconds] = {}
    """How long each panel took to compute, in seconds, by the panel's id, such as `dictionary:mixed4d`."""
