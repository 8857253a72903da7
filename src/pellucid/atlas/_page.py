"""An atlas as a bundle for the page."""

import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import torch
from PIL import Image

from .. import __version__
from ..bundle import (
    AtlasBody,
    AtlasLayer,
    AtlasManifest,
    Bundle,
    CellChannels,
    CellMap,
    ClassAtlas,
    ModelCard,
    PatchTrial,
    Photo,
    PlacedPhoto,
    Provenance,
    Share,
    TwoClassMap,
    pack_numbers,
)
from ..events import Event, Progress, silent
from ..models import Model
from ._atlas import Atlas
from ._cells import Cells
from ._classes import CLASS_STAGE, PAIR_STAGE, ClassMap, class_maps
from ._patches import Trial, kept_trials
from ._pictures import as_webp, draw_pieces, draw_tiles
from ._place import Placed, placed_photos
from .sources import Images

_TOP = 5
# Channels that a cell's card tells of, and cells that a search for a channel leads to.
_TOP_CHANNELS, _TOP_CELLS = 6, 8
# So many numbers of attribution a map are kept, 2 bytes each; of larger ones, the classes that most cells argue for.
_MOST_NUMBERS = 2_000_000


def to_bundle(atlas: Atlas, model: Model, *, photos: bool = True, progress: Progress = silent) -> Bundle:
    """What the page shows: every map of every layer, as tiles, with real pieces of images; class atlases, maps of two
    classes, trials of patches and photos that the atlas keeps.

    Args:
        model: the network that the atlas is of.
        photos: whether real images may be shown; without, the page holds no piece of any, and can be given away where
            the images may not.
        progress: receives an event for each grid.

    Example:
        >>> bundle = pellucid.atlas.to_bundle(atlas, model, photos=False)  # doctest: +SKIP
        >>> pellucid.app.export_html(bundle, "atlas.html")  # doctest: +SKIP
    """
    manifest = atlas.manifest
    files: dict[str, bytes] = {}
    sources = atlas.sources if photos else []
    layers = []
    for name in atlas.layers:
        place = model.layer(name)
        maps = []
        for number, grid in enumerate(atlas.grids):
            progress(Event(f"drawing the map of {name}", number, len(atlas.grids), "grid"))
            cells, images = atlas.cells(name, grid), atlas.icons(name, grid).images
            made, new = map_of(cells, images, f"{_safe(name)}/{grid}", atlas, model, name, sources)
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

    def class_map(entry: ClassMap, prefix: str) -> CellMap:
        made, new = map_of(entry.cells, entry.icons.images, prefix, atlas, model, entry.layer, sources)
        files.update(new)
        return made

    def picture(name: str, pixels: np.ndarray) -> str:
        files[name] = as_webp(Image.fromarray(pixels))
        return name

    body = AtlasBody(
        title=manifest.title,
        model=ModelCard(name=manifest.model, input_rows=manifest.size[0], input_columns=manifest.size[1]),
        labels=manifest.labels,
        images=atlas.images,
        layers=layers,
        class_atlases=[
            ClassAtlas(layer=entry.layer, class_index=entry.classes[0], map=class_map(entry, f"classes/{number}"))
            for number, entry in enumerate(class_maps(atlas, CLASS_STAGE))
        ],
        two_class_maps=[
            TwoClassMap(
                layer=entry.layer,
                first=entry.classes[0],
                second=entry.classes[1],
                reach=entry.reach,
                map=class_map(entry, f"pairs/{number}"),
            )
            for number, entry in enumerate(class_maps(atlas, PAIR_STAGE))
        ],
        trials=[_trial(number, trial, picture, photos) for number, trial in enumerate(kept_trials(atlas))],
        photos=[
            _placed(number, placed, picture) for number, placed in enumerate(placed_photos(atlas) if photos else [])
        ],
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
        channels=_channels(cells.means),
    )
    return made, files | more


def _channels(means: np.ndarray) -> CellChannels:
    """What the means of cells [cells, channels] have most of, and where each channel is highest."""

    def highest(values: np.ndarray, count: int) -> tuple[list[list[int]], np.ndarray]:
        order = np.argsort(-values, axis=1, kind="stable")[:, :count]
        found = np.maximum(np.take_along_axis(values, order, 1), 0)
        lists = [
            [int(number) for number, value in zip(row, heights, strict=True) if value > 0]
            for row, heights in zip(order, found, strict=True)
        ]
        return lists, found[:, : max(map(len, lists), default=0)]

    top, values = highest(means, _TOP_CHANNELS)
    cells, peaks = highest(means.T, _TOP_CELLS)
    return CellChannels(top=top, values=pack_numbers(values), cells=cells, peaks=pack_numbers(peaks))


def _trial(number: int, trial: Trial, picture: Callable[[str, np.ndarray], str], photos: bool) -> PatchTrial:
    return PatchTrial(
        layer=trial.layer,
        source=trial.source,
        aim=trial.aim,
        place=trial.place,
        columns=trial.columns,
        file=picture(f"trials/{number}/patch.webp", trial.patch),
        side=len(trial.patch),
        shares=[Share(**vars(share)) for share in trial.shares],
        found=trial.found,
        examples=[
            _photo(picture(f"trials/{number}/{place}.webp", pixels), pixels)
            for place, pixels in enumerate(trial.examples if photos else ())
        ],
        sentence=trial.sentence,
    )


def _placed(number: int, placed: Placed, picture: Callable[[str, np.ndarray], str]) -> PlacedPhoto:
    return PlacedPhoto(
        title=placed.title,
        photo=_photo(picture(f"photos/{number}.webp", placed.photo), placed.photo),
        layer=placed.layer,
        positions=pack_numbers(placed.positions),
    )


def _photo(name: str, pixels: np.ndarray) -> Photo:
    return Photo(file=name, width=pixels.shape[1], height=pixels.shape[0])


def _safe(name: str) -> str:
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
