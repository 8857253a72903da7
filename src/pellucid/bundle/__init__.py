"""The one data contract between Python and the web pages: a manifest and its pictures, in a folder or a zip."""

from ._atlas import (
    AtlasBody as AtlasBody,
    AtlasLayer as AtlasLayer,
    CellChannels as CellChannels,
    CellMap as CellMap,
    ClassAtlas as ClassAtlas,
    PatchSheets as PatchSheets,
    PatchTrial as PatchTrial,
    PlacedPhoto as PlacedPhoto,
    Share as Share,
    Tiles as Tiles,
    TwoClassMap as TwoClassMap,
)
from ._check import check_manifest as check_manifest, check_pictures as check_pictures, pictures as pictures
from ._explanation import (
    ChannelLinks as ChannelLinks,
    ChannelPanel as ChannelPanel,
    ClassMap as ClassMap,
    ClassScore as ClassScore,
    DictionaryPanel as DictionaryPanel,
    Effects as Effects,
    EvidenceEntry as EvidenceEntry,
    ExplanationBody as ExplanationBody,
    Flow as Flow,
    GridPanel as GridPanel,
    Grouping as Grouping,
    GroupPanel as GroupPanel,
    IconSheet as IconSheet,
    Influence as Influence,
    LayerCard as LayerCard,
    ModelCard as ModelCard,
    Numbers as Numbers,
    Photo as Photo,
    RemovalCurves as RemovalCurves,
    SpatialPanel as SpatialPanel,
)
from ._live import (
    ChannelChange as ChannelChange,
    ExperimentAnswer as ExperimentAnswer,
    ExperimentRequest as ExperimentRequest,
    GroupChange as GroupChange,
    Outcome as Outcome,
    RegionAnswer as RegionAnswer,
    RegionChange as RegionChange,
    RegionChannel as RegionChannel,
    RegionLayer as RegionLayer,
    RegionRequest as RegionRequest,
    Result as Result,
    ServedModel as ServedModel,
    ServerStatus as ServerStatus,
)
from ._manifest import (
    SCHEMA as SCHEMA,
    AtlasManifest as AtlasManifest,
    ExplanationManifest as ExplanationManifest,
    Manifest as Manifest,
    Provenance as Provenance,
    ReportManifest as ReportManifest,
)
from ._numbers import pack_numbers as pack_numbers, unpack_numbers as unpack_numbers
from ._read import Bundle as Bundle, decode_manifest as decode_manifest, read_bundle as read_bundle
from ._report import (
    MethodScore as MethodScore,
    ReportBody as ReportBody,
    ReportLayer as ReportLayer,
    ReportUnit as ReportUnit,
)
from ._typescript import typescript as typescript
from ._write import encode_manifest as encode_manifest, write_bundle as write_bundle
