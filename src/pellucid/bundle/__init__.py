"""The one data contract between Python and the web pages: a manifest and its pictures, in a folder or a zip."""

from ._check import check_manifest as check_manifest, check_pictures as check_pictures, pictures as pictures
from ._explanation import (
    ClassMap as ClassMap,
    ClassScore as ClassScore,
    DictionaryPanel as DictionaryPanel,
    EvidenceEntry as EvidenceEntry,
    ExplanationBody as ExplanationBody,
    IconSheet as IconSheet,
    ModelCard as ModelCard,
    Photo as Photo,
    SpatialPanel as SpatialPanel,
)
from ._manifest import (
    SCHEMA as SCHEMA,
    ExplanationManifest as ExplanationManifest,
    Manifest as Manifest,
    Provenance as Provenance,
)
from ._read import Bundle as Bundle, decode_manifest as decode_manifest, read_bundle as read_bundle
from ._typescript import typescript as typescript
from ._write import encode_manifest as encode_manifest, write_bundle as write_bundle
