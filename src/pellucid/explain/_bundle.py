"""An explanation as a bundle, and from there as a page."""

import platform
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..app import export_html
from ..bundle import (
    Bundle,
    ClassMap,
    ClassScore,
    DictionaryPanel,
    EvidenceEntry,
    ExplanationBody,
    ExplanationManifest,
    IconSheet,
    ModelCard,
    Photo,
    Provenance,
    SpatialPanel,
    write_bundle,
)
from ..features import Rendering
from ..pictures import to_picture
from ._explain import Explanation, SemanticDictionary

_SHEET_COLUMNS = 12
# What transparent icons stand on: a light paper that neither a light nor a dark page fights with.
_GROUND = 0.95


def to_bundle(explanation: Explanation) -> Bundle:
    """The bundle of an explanation: what the page reads."""
    from .. import __version__

    files = {"photo.webp": _webp(explanation.photo)}
    dictionaries = []
    for name, entry in explanation.dictionaries.items():
        file = f"icons-{len(dictionaries)}.webp"
        files[file] = _webp(_sprite(entry.icons))
        dictionaries.append(_dictionary_panel(name, entry, file))
    model = explanation.model
    manifest = ExplanationManifest(
        provenance=Provenance(
            model=model.name,
            weights=model.digest,
            settings=dict(explanation.settings),
            seed=explanation.settings["seed"],
            versions={"pellucid": __version__, "torch": str(torch.__version__), "python": platform.python_version()},
            seconds=round(sum(explanation.seconds.values()), 3),
            created=datetime.now(UTC),
        ),
        body=ExplanationBody(
            title=explanation.title,
            photo=Photo(file="photo.webp", width=explanation.photo.width, height=explanation.photo.height),
            model=ModelCard(
                name=model.name, input_rows=explanation.image.shape[1], input_columns=explanation.image.shape[2]
            ),
            classes=[ClassScore(**vars(score)) for score in explanation.classes],
            dictionaries=dictionaries,
            spatial=[
                SpatialPanel(
                    layer=name,
                    rows=explanation.dictionaries[name].activations.shape[0],
                    columns=explanation.dictionaries[name].activations.shape[1],
                    maps=[ClassMap(class_index=i, values=_rounded(m.positions(), 6)) for i, m in maps.items()],
                )
                for name, maps in explanation.spatial_maps.items()
            ],
            evidence=[EvidenceEntry(**vars(entry)) for entry in explanation.evidence],
            seconds=dict(explanation.seconds),
        ),
    )
    return Bundle(manifest, files)


def save(explanation: Explanation, path: Path) -> Path:
    """Write a page (`.html`) or a bundle (`.zip`, folder)."""
    bundle = to_bundle(explanation)
    if path.suffix.lower() in (".html", ".htm"):
        return export_html(bundle, path)
    return write_bundle(bundle.manifest, bundle.files, path)


def _dictionary_panel(name: str, entry: SemanticDictionary, file: str) -> DictionaryPanel:
    rows, columns, channels = entry.activations.shape
    return DictionaryPanel(
        layer=name,
        rows=rows,
        columns=columns,
        channels=channels,
        top=entry.top.tolist(),
        values=_rounded(np.take_along_axis(entry.activations, entry.top, 2), 4),
        icons=IconSheet(
            file=file, side=entry.icons.images.shape[1], columns=_SHEET_COLUMNS, channels=list(entry.channels)
        ),
    )


def _rounded(array: np.ndarray, digits: int) -> list:
    return np.round(array.astype(float), digits).tolist()


def _sprite(icons: Rendering) -> Image.Image:
    """The icons packed row by row, without gaps."""
    count, side, _, _ = icons.images.shape
    sheet = Image.new("RGB", (_SHEET_COLUMNS * side, -(-count // _SHEET_COLUMNS) * side), "white")
    for index, image in enumerate(icons.images):
        colours, opacity = image[:, :, :-1], image[:, :, -1:]
        shown = to_picture(colours * opacity + _GROUND * (1 - opacity))
        sheet.paste(shown.convert("RGB"), (index % _SHEET_COLUMNS * side, index // _SHEET_COLUMNS * side))
    return sheet


def _webp(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.convert("RGB").save(buffer, "WEBP", quality=88, method=5)
    return buffer.getvalue()
