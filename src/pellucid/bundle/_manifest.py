"""The manifest of a bundle: schema, kind, provenance and the kind's body."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ._atlas import AtlasBody
from ._explanation import ExplanationBody, Name, Seconds
from ._report import ReportBody

SCHEMA = 2
"""The one schema that this version of Pellucid writes and reads."""

MANIFEST = "manifest.json"
"""Name of the manifest's file in every bundle."""


class Provenance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the numbers of a bundle come from; enough to compute them again."""

    model: Name
    """Name of the network."""
    weights: Name
    """Digest of its weights, such as `sha256:9f86…`."""
    settings: dict[str, Any] = {}
    """Every setting of the computation by name; values are plain JSON."""
    seed: int | None = None
    """Seed of the random numbers; null when none were drawn."""
    versions: dict[str, str] = {}
    """Version of every package that took part, by package."""
    seconds: Seconds
    """How long the whole computation took, in seconds."""
    created: Annotated[datetime, Meta(tz=True)]
    """When the computation ended, as ISO 8601 with time zone."""


class ExplanationManifest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="explanation"
):
    """The manifest of a bundle that explains one image; its `kind` in JSON is `explanation`."""

    schema: Literal[2] = SCHEMA
    """Number of the schema; it rises when an older page could misread a newer bundle."""
    provenance: Provenance
    """Where the numbers come from."""
    body: ExplanationBody
    """What the page shows."""


class AtlasManifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="atlas"):
    """The manifest of a bundle that maps layers; its `kind` in JSON is `atlas`."""

    schema: Literal[2] = SCHEMA
    """Number of the schema; it rises when an older page could misread a newer bundle."""
    provenance: Provenance
    """Where the numbers come from."""
    body: AtlasBody
    """What the page shows."""


class ReportManifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="report"):
    """The manifest of a bundle that says what to believe of a network; its `kind` in JSON is `report`."""

    schema: Literal[2] = SCHEMA
    """Number of the schema; it rises when an older page could misread a newer bundle."""
    provenance: Provenance
    """Where the numbers come from."""
    body: ReportBody
    """What the page shows."""


Manifest = ExplanationManifest | AtlasManifest | ReportManifest
"""Every manifest there is."""

KINDS = ("explanation", "atlas", "report")
"""Their kinds in JSON."""
