"""The one data contract between Python and the web pages: a manifest and its pictures, in a folder or a zip."""

from ._check import check_manifest as check_manifest
from ._check import check_pictures as check_pictures
from ._check import pictures as pictures
from ._explanation import ClassMap as ClassMap
from ._explanation import ClassScore as ClassScore
from ._explanation import DictionaryPanel as DictionaryPanel
from ._explanation import EvidenceEntry as EvidenceEntry
from ._explanation import ExplanationBody as ExplanationBody
from ._explanation import IconSheet as IconSheet
from ._explanation import ModelCard as ModelCard
from ._explanation import Photo as Photo
from ._explanation import SpatialPanel as SpatialPanel
from ._manifest import SCHEMA as SCHEMA
from ._manifest import ExplanationManifest as ExplanationManifest
from ._manifest import Manifest as Manifest
from ._manifest import Provenance as Provenance
from ._read import Bundle as Bundle
from ._read import decode_manifest as decode_manifest
from ._read import read_bundle as read_bundle
from ._typescript import typescript as typescript
from ._write import encode_manifest as encode_manifest
from ._write import write_bundle as write_bundle
