"""A model's report as a bundle, and from there as a page."""

import platform
from datetime import UTC, datetime

import numpy as np
import torch
from PIL import Image

from ..atlas._pictures import as_webp
from ..bundle import (
    Bundle,
    EvidenceEntry,
    ModelCard,
    PatchSheets,
    Provenance,
    ReportBody,
    ReportLayer,
    ReportManifest,
    ReportUnit,
)
from ..explain._bundle import sheet_of, sprite
from ..explain._parts import Icons
from ._report import LayerReport, ModelReport


def to_bundle(report: ModelReport) -> Bundle:
    """The bundle of a report: what the page reads."""
    from .. import __version__

    files: dict[str, bytes] = {}
    layers = []
    for number, each in enumerate(report.layers.values()):
        layers.append(_layer(number, each, files))
    rows, columns = report.model.size
    manifest = ReportManifest(
        provenance=Provenance(
            model=report.model.name,
            weights=report.model.digest,
            settings=dict(report.settings),
            seed=report.settings["seed"],
            versions={"pellucid": __version__, "torch": str(torch.__version__), "python": platform.python_version()},
            seconds=round(sum(report.seconds.values()), 3),
            created=datetime.now(UTC),
        ),
        body=ReportBody(
            title=f"What to believe of {report.model.name}",
            model=ModelCard(name=report.model.name, input_rows=rows, input_columns=columns),
            images=report.images,
            photos=len(report.photos),
            layers=layers,
            remarks=list(report.remarks),
            seconds={name: round(value, 3) for name, value in report.seconds.items()},
        ),
    )
    return Bundle(manifest, files)


def _layer(number: int, each: LayerReport, files: dict[str, bytes]) -> ReportLayer:
    icons = Icons(each.rendering.images, each.channels)
    icon_file, piece_file = f"icons-{number}.webp", f"exemplars-{number}.webp"
    files[icon_file] = as_webp(sprite(icons), quality=88)
    side, most = each.pieces[0][0].shape[0], max(map(len, each.pieces))
    sheet = Image.new("RGB", (most * side, len(each.pieces) * side), "white")
    for row, pieces in enumerate(each.pieces):
        for column, piece in enumerate(pieces):
            sheet.paste(Image.fromarray(np.ascontiguousarray(piece)), (column * side, row * side))
    files[piece_file] = as_webp(sheet)
    layer, holding, misleading = each.layer, set(each.holding), set(each.misleading)
    return ReportLayer(
        name=layer.name,
        rows=layer.rows,
        columns=layer.columns,
        channels=layer.channels,
        icons=sheet_of(icons, icon_file),
        exemplars=PatchSheets(
            files=[piece_file],
            side=side,
            columns=most,
            cells=len(each.pieces),
            counts=[len(pieces) for pieces in each.pieces],
        ),
        units=[
            ReportUnit(
                channel=channel,
                says="for" if channel in holding else "against" if channel in misleading else "nothing",
                evidence=[EvidenceEntry(**vars(entry)) for entry in each.of_channel(channel)],
            )
            for channel in each.channels
        ],
        methods=list(each.methods),
        evidence=[EvidenceEntry(**vars(entry)) for entry in each.evidence],
    )
