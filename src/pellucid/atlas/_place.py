"""One's own photo on the map."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from ..events import Progress, silent
from ..models import Model
from ..models._view import Picture, view
from ..record import record
from ._atlas import Atlas
from ._cells import cell_of
from ._folder import key_of

STAGE = "photos"


@dataclass(frozen=True, eq=False)
class Placed:
    """Where a photo's positions lie on the map of one layer.

    Args:
        title: name of the photo.
        layer: of the atlas.
        photo: uint8 [height, width, 3], as the network saw it.
        positions: float32 [rows, columns, 2]: x to the right, y down; the map is [0, 1].
        visits: cells of the coarsest grid that it visits, as (column, row, how many of its positions), most first.
    """

    title: str
    layer: str
    photo: np.ndarray
    positions: np.ndarray
    visits: tuple[tuple[int, int, int], ...]


def place_photo(
    atlas: Atlas, model: Model, photo: Picture, *, keep: bool = True, progress: Progress = silent
) -> list[Placed]:
    """Which cells a photo visits, layer by layer.

    Args:
        atlas, model: the atlas and its network.
        photo: a file, a Pillow image, or an array [channels, height, width] in [0, 1].
        keep: whether to keep it in the atlas and show it on its page.
        progress: receives events.

    Raises:
        InputError: the photo cannot be read.

    Example:
        >>> pellucid.atlas.place_photo(atlas, model, "photo.jpg")[0].visits[:2]  # doctest: +SKIP
        ((3, 5, 21), (4, 5, 17))
    """
    seen = view(model, photo)
    recorded = record(model, seen.image[None], atlas.layers, progress=progress)
    pixels = np.asarray(seen.photo)
    found = []
    for layer in atlas.layers:
        values = recorded[layer].values[0]
        rows, columns, channels = values.shape
        flat = atlas.layout(layer).place(values.reshape(-1, channels)).clip(0, 1)
        coarse = atlas.grids[0]
        cells, counts = np.unique(cell_of(np.minimum(flat, 1 - 1e-6), coarse, coarse), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        visits = tuple((int(cells[i] % coarse), int(cells[i] // coarse), int(counts[i])) for i in order)
        placed = Placed(seen.title, layer, pixels, flat.reshape(rows, columns, 2), visits)
        found.append(placed)
        if keep:
            key = key_of(
                layout=atlas.key("layouts", layer), photo=sha256(pixels.tobytes()).hexdigest(), title=seen.title
            )
            arrays = {"photo": placed.photo, "positions": placed.positions}
            atlas.folder.write(STAGE, key, arrays, {"title": seen.title, "layer": layer, "visits": visits})
    return found


def placed_photos(atlas: Atlas) -> list[Placed]:
    """Every photo that the atlas keeps, for the layout that it has now."""
    found = []
    for key in atlas.folder.keys(STAGE):
        notes, arrays = atlas.folder.notes(STAGE, key), atlas.folder.read(STAGE, key)
        if notes["layer"] in atlas.layers:
            visits = tuple(tuple(visit) for visit in notes["visits"])
            found.append(Placed(notes["title"], notes["layer"], arrays["photo"], arrays["positions"], visits))
    return sorted(found, key=lambda placed: (placed.title, atlas.layers.index(placed.layer)))
