"""An atlas as a bundle for the page."""

import dataclasses
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import torch

from .. import __version__
from ..bundle import (
    AtlasBody,
    AtlasLayer,
    AtlasManifest,
    Bundle,
    CellMap,
    ModelCard,
    Provenance,
    pack_numbers,
)
from ..errors import InputError
from ..events import Event, Progress, silent
from ..models import Model
from ._atlas import Atlas
from ._cells import Cells
from ._pictures import draw_pieces, draw_tiles
from ._sources import Images, open_images

_TOP = 5
# So many numbers of attribution a map are kept, 2 bytes each; of larger ones, the classes that most cells argue for.
_MOST_NUMBERS = 2_000_000


@dataclasses.dataclass
class Extras:
    """What is on the page beside the maps of the layers: see the kinds of `pellucid.bundle`."""

    class_atlases: list = dataclasses.field(default_factory=list)
    two_class_maps: list = dataclasses.field(default_factory=list)
    trials: list = dataclasses.field(default_factory=list)
    photos: list = dataclasses.field(default_factory=list)
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)


def to_bundle(
    atlas: Atlas, model: Model, *, extras: Extras | None = None, pieces: bool = True, progress: Progress = silent
) -> Bundle:
    """What the page shows: every map of every layer, as tiles, with real pieces of images.

    Args:
        model: the network that the atlas is of.
        extras: class atlases, maps of two classes, trials and photos.
        pieces: whether to read the images again for pieces of them.
    """
    manifest, extras = atlas.manifest, extras or Extras()
    files: dict[str, bytes] = dict(extras.files)
    sources = reopened(atlas) if pieces else []
    layers = []
    for name in atlas.layers:
        place = model.layer(name)
        maps = []
        for number, grid in enumerate(atlas.grids):
            progress(Event(f"drawing the map of {name}", number, len(atlas.grids), "grid"))
            cells, images = atlas.cells(name, grid), atlas.icons(name, grid).images
            made, new = map_of(cells, images, f"{safe(name)}/{grid}", atlas, model, name, sources)
            maps.append(made)
            files |= new
        layers.append(
            AtlasLayer(
                name=name,
                rows=place.rows,
                columns=place.columns,
                channels=place.channels,
                activations=len(atlas.vectors(name)),
                maps=maps,
            )
        )
    body = AtlasBody(
        title=manifest.title,
        model=ModelCard(name=manifest.model, input_rows=manifest.size[0], input_columns=manifest.size[1]),
        labels=manifest.labels,
        images=atlas.images,
        layers=layers,
        class_atlases=extras.class_atlases,
        two_class_maps=extras.two_class_maps,
        trials=extras.trials,
        photos=extras.photos,
        evidence=atlas.evidence,
        seconds=manifest.seconds,
    )
    provenance = Provenance(
        model=manifest.model,
        weights=manifest.digest,
        settings={
            **{name: getattr(manifest.settings, name) for name in manifest.settings.__struct_fields__},
            "images": [source.where.rpartition("/")[2] for source in manifest.sources],
            "skipped": len(atlas.skipped),
            "remarks": atlas.remarks,
        },
        seed=manifest.settings.seed,
        versions={"pellucid": __version__, "torch": str(torch.__version__), "python": platform.python_version()},
        seconds=round(sum(manifest.seconds.values()), 2),
        created=datetime.now(UTC),
    )
    return Bundle(AtlasManifest(provenance=provenance, body=body), files)


def map_of(
    cells: Cells,
    images: np.ndarray,
    prefix: str,
    atlas: Atlas,
    model: Model,
    layer: str,
    sources: Sequence[Images | None],
) -> tuple[CellMap, dict[str, bytes]]:
    """One map, and its pictures by name."""
    tiles, files = draw_tiles(cells, images, f"{prefix}/tiles")
    patches, more = draw_pieces(
        cells, model, model.layer(layer), sources, lambda numbers: atlas.origins(layer, numbers), f"{prefix}/pieces"
    )
    top = [
        [int(number) for number in best if known and values[number] > 0]
        for best, values, known in zip(
            np.argsort(-cells.attribution, axis=1)[:, :_TOP], cells.attribution, cells.attributed, strict=True
        )
    ]
    classes = _kept_classes(cells, top)
    made = CellMap(
        columns=cells.columns,
        rows=cells.rows,
        places=pack_numbers(cells.places),
        counts=cells.counts.tolist(),
        top=top,
        attribution=pack_numbers(cells.attribution[:, classes]),
        classes=classes,
        tiles=tiles,
        patches=patches,
    )
    return made, files | more


def reopened(atlas: Atlas) -> list[Images | None]:
    """The atlas's images, opened again where they are still the same."""
    found: list[Images | None] = []
    for source in atlas.manifest.sources:
        try:
            images = open_images(source.path) if source.path is not None else None
        except InputError:
            images = None
        found.append(images if images is not None and images.digest == source.digest else None)
    return found


def safe(name: str) -> str:
    """A layer's name as part of a file's."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in name)
    return kept if kept[:1].isalnum() else f"l{kept}"


def _kept_classes(cells: Cells, top: Sequence[Sequence[int]]) -> list[int]:
    count = cells.attribution.shape[1]
    if not cells.attributed.any():
        return []
    if len(cells) * count <= _MOST_NUMBERS:
        return list(range(count))
    wanted, how_often = np.unique([number for best in top for number in best], return_counts=True)
    most = max(1, _MOST_NUMBERS // max(1, len(cells)))
    return sorted(wanted[np.argsort(-how_often, kind="stable")][:most].tolist())
