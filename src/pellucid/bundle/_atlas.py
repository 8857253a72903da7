"""The body of a bundle of kind `atlas`: maps of everything that some layers saw in many images."""

from typing import Annotated

from msgspec import Meta, Struct

from ._explanation import Count, EvidenceEntry, Index, ModelCard, Name, Numbers, Photo, Probability, Seconds


class Tiles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One large picture cut into square tiles; where it is empty there is none."""

    width: Count
    """Width of the whole picture in pixels."""
    height: Count
    """Height of the whole picture in pixels."""
    side: Count
    """Side of a tile in pixels; those at the right and lower edge may be smaller."""
    files: list[str]
    """Name of each tile's WebP file, row by row; empty where nothing is drawn."""


class PatchSheets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Real pieces of images for each cell: what the layer looked at when it answered like this."""

    files: list[Name]
    """WebP files, each of `cells` rows, one a cell in their order, the last one perhaps fewer."""
    side: Count
    """Side of a piece in pixels."""
    columns: Count
    """Pieces in a row: the most that a cell has."""
    cells: Count
    """Cells in a file."""
    counts: list[Index]
    """How many pieces each cell has; the rest of its row is empty."""


class CellChannels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which channels the means of cells have, and where on the map each channel is strongest."""

    top: list[list[Index]]
    """[cells][k]: numbers of the channels that are highest in a cell's mean, strongest first; only those above 0."""
    values: Numbers
    """[cells, k]: how high they are, in the layer's own unit; 0 where a cell has fewer."""
    cells: list[list[Index]]
    """[channels][m]: for each channel of the layer the cells whose mean has it highest, strongest first, as places in
    the lists of the map; only those where it is above 0."""
    peaks: Numbers
    """[channels, m]: how high it is there; 0 where there are fewer."""


class CellMap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A map as a grid of cells, each with the mean of the activations that fall into it, as an icon."""

    columns: Count
    """Cells side by side."""
    rows: Count
    """Cells one above the other."""
    places: Numbers
    """[cells, 2]: column and row of each cell that has an icon; row 0 is at the top."""
    counts: list[Count]
    """How many activations each cell holds."""
    top: list[list[Index]]
    """[cells][k]: numbers of the classes that a cell argues for most, strongest first; empty where none is known."""
    attribution: Numbers
    """[cells, kept classes]: mean attribution of the cell's activations to the logit of each class of `classes`."""
    classes: list[Index]
    """The classes whose attribution is kept, rising: all of them, or those that any cell argues for."""
    tiles: Tiles
    """The icons, each centred in its cell, its side growing with the number of activations."""
    patches: PatchSheets | None = None
    """Real pieces for each cell."""
    channels: CellChannels | None = None
    """The channels of the cells' means; null in bundles of older versions."""


class AtlasLayer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The maps of one layer, from the coarsest grid to the finest; all show the same square."""

    name: Name
    """Name of the layer, such as `mixed4d`."""
    rows: Count
    """Rows of the layer's grid on the images."""
    columns: Count
    """Columns of it."""
    channels: Count
    """How many channels the layer has."""
    activations: Count
    """How many activation vectors the map is made of."""
    maps: Annotated[list[CellMap], Meta(min_length=1)]
    """Coarse to fine."""


class ClassAtlas(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The map of only those activations that argue for one class."""

    layer: Name
    """One of the atlas's layers."""
    class_index: Index
    """Number of the class."""
    map: CellMap
    """Its map."""


class TwoClassMap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Activations laid out by which of two classes they argue for: left the first, right the second."""

    layer: Name
    """One of the atlas's layers."""
    first: Index
    """Number of the class at the left."""
    second: Index
    """Number of the class at the right."""
    reach: Annotated[float, Meta(gt=0)]
    """Attribution to the second class minus attribution to the first, at the right edge; its negative at the left."""
    map: CellMap
    """Its map."""


class Share(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many of some photos were misread as the class that was aimed at."""

    name: Name
    """What was pasted: `patch`, `noise`, `random cells`, `real photo`, or `nothing`."""
    setting: str
    """Size and corner, such as `40 %, lower left`; `any` counts photos that some setting flipped."""
    flipped: Index
    """Photos that were then read as the class aimed at."""
    total: Count
    """Photos that were tried; of controls that are drawn several times, in all draws."""
    low: Probability
    """Lower end of the 95 % interval of the share."""
    high: Probability
    """Upper end."""


class PatchTrial(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rendering of one cell pasted on real photos of a class, to see whether it makes the network see another."""

    layer: Name
    """One of the atlas's layers."""
    source: Index
    """Number of the class of the photos."""
    aim: Index
    """Number of the class that the patch argues for."""
    place: tuple[Index, Index]
    """Column and row of the cell on the grid of `columns` cells a side."""
    columns: Count
    """Cells a side of that grid."""
    file: Name
    """WebP file: the patch."""
    side: Count
    """Its side in pixels."""
    shares: list[Share]
    """The patch and its controls."""
    found: bool
    """Whether the patch beat every control by more than chance."""
    examples: list[Photo]
    """Photos with the patch that were read as the class aimed at."""
    sentence: str
    """What came out, in plain words."""


class PlacedPhoto(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one photo's activations lie on the maps."""

    title: str
    """Name of the photo."""
    photo: Photo
    """The photo as the network saw it."""
    layer: Name
    """One of the atlas's layers."""
    positions: Numbers
    """[rows, columns, 2] in [0, 1]: where each position of the photo lies on the map, x to the right, y down."""


class AtlasBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the page of an atlas shows."""

    title: str
    """Heading of the page."""
    model: ModelCard
    """The network whose layers are mapped."""
    labels: Annotated[list[str], Meta(min_length=1)]
    """Name of each class in plain words, by its number."""
    images: Count
    """How many images were looked at."""
    layers: Annotated[list[AtlasLayer], Meta(min_length=1)]
    """From the first to the last."""
    class_atlases: list[ClassAtlas] = []
    """Maps of single classes."""
    two_class_maps: list[TwoClassMap] = []
    """Maps of two classes against each other."""
    trials: list[PatchTrial] = []
    """What the patch laboratory found, the strongest first."""
    photos: list[PlacedPhoto] = []
    """Photos on the maps."""
    evidence: list[EvidenceEntry] = []
    """What was measured, `about` being `atlas:LAYER`."""
    seconds: dict[str, Seconds] = {}
    """How long each stage took, in seconds."""
