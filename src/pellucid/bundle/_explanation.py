"""The body of a bundle of kind `explanation`: what one image says about one network, panel by panel."""

from typing import Annotated, Literal

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


class Numbers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An array of numbers, packed: entry i is the i-th integer times `scale`."""

    shape: Annotated[list[Index], Meta(min_length=1, max_length=5)]
    """Length of each axis; the last one varies fastest."""
    scale: Annotated[float, Meta(ge=0)]
    """What an integer is multiplied with."""
    data: str
    """Base64 of signed 16-bit integers, low byte first."""


class LayerCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A layer that some panel is about, its grid and the icons of its channels."""

    name: Name
    """Name of the layer, such as `mixed4d`."""
    rows: Count
    """Rows of the layer's grid."""
    columns: Count
    """Columns of the layer's grid."""
    channels: Count
    """How many channels the layer has."""
    icons: IconSheet
    """One icon for every channel that a panel names."""


class DictionaryPanel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The semantic dictionary of one layer: which channels are strongest at each position of its grid."""

    layer: Name
    """One of the explanation's layers."""
    top: list[list[list[Index]]]
    """[rows][columns][k]: the strongest channels at each position, strongest first."""
    values: list[list[list[float]]]
    """[rows][columns][k]: the activation of each of them, in the layer's own unit."""
    caption: str = ""
    """What is shown and how it was computed, in plain words; empty for the page's own caption."""


class GridPanel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The activation grid of one layer: the photo as the layer sees it, one rendering for each position."""

    layer: Name
    """One of the explanation's layers."""
    file: Name
    """Name of a WebP file in the bundle, `columns` × `side` wide and `rows` × `side` high: the cells without gaps."""
    side: Count
    """Side of one cell in pixels."""
    strength: Numbers
    """[rows, columns] in [0, 1]: how strongly the layer fires at each position, the side of the cell as a share."""
    optimized: bool
    """Whether the cells were rendered for the photo, or put together from the icons of their strongest channels."""
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
    """One of the explanation's layers."""
    method: Name
    """How the maps were computed, such as `linear`."""
    maps: Annotated[list[ClassMap], Meta(min_length=1)]
    """One map for each class that was asked about."""
    removal: list[ClassMap] = []
    """For the same classes, maps that agree with what removing positions does; empty where that was not measured."""
    caption: str = ""
    """What is shown and how it was computed, in plain words; empty for the page's own caption."""


class Influence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which positions of an earlier layer make up the activation at each position of a later one."""

    lower: Name
    """The earlier layer."""
    upper: Name
    """The later layer."""
    values: Numbers
    """[rows of upper, columns of upper, rows of lower, columns of lower]: attribution of the length of the activation
    vector at a position of `upper` to each position of `lower`, in the unit of `upper`."""


class ChannelPanel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Channel attribution of one layer: the channels that most support or inhibit any class, or one against another."""

    layer: Name
    """One of the explanation's layers."""
    channels: Annotated[list[Index], Meta(min_length=1)]
    """The channels that are told of, rising."""
    attribution: Numbers
    """[classes, channels]: what each channel adds to the logit of each of the explanation's classes, in its unit."""
    firing: Numbers
    """[channels, rows, columns]: where each channel fired on the photo, in the layer's own unit."""
    caption: str = ""
    """What is shown and how it was computed, in plain words; empty for the page's own caption."""


class ChannelLinks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which channels of an earlier layer made the channels of a later one, on this photo."""

    lower: Name
    """The earlier layer; its channels are those of its channel panel."""
    upper: Name
    """The later layer; its channels are those of its channel panel."""
    values: Numbers
    """[channels of upper's panel, channels of lower's panel]: attribution of the sum of a channel of `upper` over all
    positions to each channel of `lower`, in the unit of `upper`."""


class Grouping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The activations of one layer divided into a number of groups."""

    spatial: Numbers
    """[groups, rows, columns] from 0 up: where each group is, in the layer's own unit."""
    icons: Annotated[list[Index], Meta(min_length=1)]
    """Place of each group's icon in the icon sheet of the panel; similar groups share one."""
    channels: list[list[Index]]
    """[groups][k]: the channels that weigh most in each group, heaviest first."""
    attribution: Numbers
    """[classes, groups]: what each group adds to the logit of each of the explanation's classes."""
    error: Annotated[float, Meta(ge=0)]
    """What the groups leave unexplained, as a share of the length of the activations."""


class GroupPanel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Neuron groups of one layer, for several numbers of groups."""

    layer: Name
    """One of the explanation's layers."""
    icons: IconSheet
    """One icon for each group; `channels` are running numbers here."""
    groupings: Annotated[list[Grouping], Meta(min_length=1)]
    """One for each number of groups, rising."""
    usual: Count
    """The number of groups that the page shows first."""
    caption: str = ""
    """What is shown and how it was computed, in plain words; empty for the page's own caption."""


class Flow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the groups of one layer feed those of a later one; those of the latest feed the classes."""

    lower: Name
    """The earlier layer."""
    upper: Name
    """The later layer."""
    links: list[list[Numbers]]
    """[groupings of upper][groupings of lower] of [groups of upper, groups of lower]: attribution of each group's
    strength in `upper` to each group of `lower`, in the unit of `upper`."""
    aligned: list[Grouping]
    """For each grouping of `upper`, the groups of `lower` that were made to match it, one for each; empty when there
    are none. Their `icons` are places in the sheet of `lower`'s group panel."""
    aligned_links: list[Numbers]
    """For each entry of `aligned`: [groups of upper, groups of lower]."""


class Effects(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the network answered when single parts of one layer were removed or scaled, each on its own."""

    layer: Name
    """One of the explanation's layers."""
    unit: Literal["channel", "group", "position", "square"]
    """What was changed: a channel of the layer's channel panel, a group of one of its groupings, a position, or a
    square of 3 × 3 positions around one."""
    groups: Index = 0
    """For groups: how many the grouping has; else 0."""
    factor: Annotated[float, Meta(ge=0)]
    """What the part was multiplied with: 0 removes it, 0.5 dampens, 2 amplifies."""
    logits: Numbers
    """[units, classes]: measured change of the logit of each of the explanation's classes; positions row by row."""
    predicted: Numbers
    """[units, classes]: the change that attribution had predicted."""
    probabilities: Numbers
    """[units, classes]: the probability of each of the explanation's classes afterwards."""
    winners: list[Index]
    """[units]: the most probable class afterwards, as a place in `names`."""
    names: list[str]
    """Labels of the classes that ever won."""


class EvidenceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measure of how far a panel can be trusted."""

    about: Name
    """What was measured: `explanation`, or a panel and its layer, and where it is about one class its number:
    `spatial:LAYER`, `spatial:LAYER:CLASS_INDEX`, `channels:LAYER:CLASS_INDEX`, `groups:LAYER`, `experiments:LAYER` …"""
    name: Name
    """Name of the measure, such as `deletion agreement`."""
    value: float
    """What was measured."""
    control: float | None = None
    """The same measure where the panel should fail, such as a shuffled map; null when there is no control."""
    sentence: str
    """What the numbers mean, in words that a non-specialist can read."""
    low: float | None = None
    """Where the 95 % interval of `value` begins; null where none was computed."""
    high: float | None = None
    """Where it ends; null where none was computed."""
    says: Literal["for", "against", "nothing"] | None = None
    """Whether it speaks for the picture, against it, or says nothing; null where value and control decide."""


class RemovalCurves(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logit while the positions that a map names are removed one after another, or put into an empty layer."""

    layer: Name
    """One of the explanation's layers."""
    class_index: Index
    """Number of the class; one of the explanation's classes."""
    shares: Annotated[list[Probability], Meta(min_length=2)]
    """How many of the positions were touched, from none (0) to all (1), rising."""
    deletion: list[float]
    """The logit after so many were removed, those first that the map says add most."""
    insertion: list[float]
    """The logit of a layer that holds only so many, those first that the map says add most."""
    random_deletion: list[list[float]]
    """The same as `deletion` for each of several random orders."""
    random_insertion: list[list[float]]
    """The same as `insertion` for each of the random orders."""


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
    versus: tuple[Index, Index] | None = None
    """Two classes of `classes`, by their numbers, that the page sets against each other at first; null for none."""
    layers: list[LayerCard] = []
    """The layers that panels are about, from the first to the last; every list of panels below has this order."""
    dictionaries: list[DictionaryPanel] = []
    """Semantic dictionaries, one a layer."""
    grids: list[GridPanel] = []
    """Activation grids, one a layer."""
    spatial: list[SpatialPanel] = []
    """Spatial attribution, one a layer."""
    influences: list[Influence] = []
    """Influence between positions of two layers, for neighbours in `layers`."""
    channels: list[ChannelPanel] = []
    """Channel attribution, one a layer."""
    channel_links: list[ChannelLinks] = []
    """Influence between channels of two layers, for neighbours in `layers`."""
    groups: list[GroupPanel] = []
    """Neuron groups, one a layer."""
    flows: list[Flow] = []
    """Group flow, for neighbours in `layers`; the groups of the last layer feed the classes by their attribution."""
    effects: list[Effects] = []
    """Single experiments that were made beforehand."""
    evidence: list[EvidenceEntry] = []
    """What was measured about any of the panels."""
    curves: list[RemovalCurves] = []
    """Deletion and insertion curves of spatial attribution, for some of the classes."""
    seconds: dict[str, Seconds] = {}
    """How long each panel took to compute, in seconds, by the panel's id, such as `dictionary:mixed4d`."""
