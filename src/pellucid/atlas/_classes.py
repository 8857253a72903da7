"""Maps of classes: what argues for one, and what tells two apart."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from ..events import Progress, silent
from ..models import Model
from ..store import RenderCache
from ._atlas import Atlas
from ._cells import Cells, cell_of, sum_up
from ._folder import key_of
from ._icons import CellIcons, draw_cells
from ._pictures import draw_map
from ._project import into_square, project, reduce
from ._whiten import whitening

CLASS_STAGE, PAIR_STAGE = "classes", "pairs"
# As in the article: activations that argue for the class more than for any other, and these many of the strongest.
_STRONGEST = 3000
_CELLS_A_SIDE = 10
_NEIGHBOURS = 30


@dataclass(frozen=True, eq=False)
class ClassMap:
    """A map of the activations that are about one class or two.

    Args:
        layer: whose activations they are.
        classes: one class, or the one at the left and the one at the right.
        reach: for two classes, attribution to the right one minus that to the left one at the right edge; else 0.
        cells: the map's cells.
        icons: their pictures.
    """

    layer: str
    classes: tuple[int, ...]
    reach: float
    cells: Cells
    icons: CellIcons

    def picture(self, *, side: int = 64) -> Image.Image:
        """The whole map as one RGB Pillow image on white; the side of an icon grows with its activations.

        Args:
            side: of a cell, px.

        Raises:
            InputError: the side is below 1.

        Example:
            >>> pellucid.atlas.class_atlas(atlas, model, "lemon").picture().save("lemon.png")  # doctest: +SKIP
        """
        return draw_map(self.cells, self.icons.images, side=side)


def class_atlas(
    atlas: Atlas,
    model: Model,
    label: int | str,
    *,
    layer: str | None = None,
    grid: int = _CELLS_A_SIDE,
    progress: Progress = silent,
) -> ClassMap:
    """A map of only those activations that argue for a class; it is kept in the atlas and shown on its page.

    Args:
        atlas, model: the atlas and its network.
        label: the class.
        layer: by default the atlas's last.
        grid: cells a side.

    Raises:
        TargetError: no such class or layer.
        InputError: no attribution is known, or too few activations argue for the class.

    Example:
        >>> pellucid.atlas.class_atlas(atlas, model, "lemon").cells.counts.sum()  # doctest: +SKIP
        3120
    """
    number, layer = model.class_index(label), layer or atlas.layers[-1]
    key = _key(atlas, layer, (number,), grid)
    if atlas.folder.has(CLASS_STAGE, key):
        return _read(atlas, CLASS_STAGE, key)
    known, attribution = _attributions(atlas, layer)
    mine = attribution[:, number].astype(np.float32)
    wanted = attribution.argmax(1) == number
    wanted[np.argsort(-mine, kind="stable")[:_STRONGEST]] = True
    chosen = np.flatnonzero(wanted & (mine > 0))
    if len(chosen) < 2 * atlas.manifest.settings.least:
        raise InputError(f"only {len(chosen)} activations argue for {model.label(number)}; a map needs more of them.")
    positions = into_square(_plane(atlas, layer, known[chosen]))
    return _drawn(atlas, model, layer, (number,), 0.0, known[chosen], positions, grid, CLASS_STAGE, key, progress)


def compare_classes(
    atlas: Atlas,
    model: Model,
    first: int | str,
    second: int | str,
    *,
    layer: str | None = None,
    grid: int = _CELLS_A_SIDE,
    progress: Progress = silent,
) -> ClassMap:
    """A map of what tells two classes apart: the more to the right, the more it argues for the second one.

    From left to right runs attribution to the second class minus attribution to the first, up to its 99th percentile;
    from top to bottom lie activations that are alike close together. It is kept in the atlas and shown on its page.

    Args:
        atlas, model: the atlas and its network.
        first, second: the classes.
        layer: by default the atlas's last.
        grid: cells a side.

    Raises:
        TargetError: no such class or layer.
        InputError: the same class twice, or no attribution is known.

    Example:
        >>> pellucid.atlas.compare_classes(atlas, model, "wok", "frying pan").reach  # doctest: +SKIP
        0.31
    """
    pair, layer = (model.class_index(first), model.class_index(second)), layer or atlas.layers[-1]
    if pair[0] == pair[1]:
        raise InputError(f"{model.label(pair[0])} is named twice; name two classes.")
    key = _key(atlas, layer, pair, grid)
    if atlas.folder.has(PAIR_STAGE, key):
        return _read(atlas, PAIR_STAGE, key)
    known, attribution = _attributions(atlas, layer)
    both = attribution[:, pair].astype(np.float32)
    wanted = np.zeros(len(known), bool)
    for place in (0, 1):
        wanted |= attribution.argmax(1) == pair[place]
        wanted[np.argsort(-both[:, place], kind="stable")[: _STRONGEST // 2]] = True
    chosen = np.flatnonzero(wanted & (both > 0).any(1))
    if len(chosen) < 2 * atlas.manifest.settings.least:
        raise InputError(f"only {len(chosen)} activations argue for either class; a map needs more of them.")
    difference = both[chosen, 1] - both[chosen, 0]
    reach = max(float(np.percentile(np.abs(difference), 99)), 1e-9)
    plane = _plane(atlas, layer, known[chosen])
    centred = plane - plane.mean(0)
    _, _, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    height = np.argsort(np.argsort(centred @ axes[0], kind="stable"), kind="stable") / len(chosen)
    across = np.clip(0.5 + 0.5 * difference / reach, 0, 1 - 1e-6)
    positions = np.stack([across, height], 1).astype(np.float32)
    return _drawn(atlas, model, layer, pair, reach, known[chosen], positions, grid, PAIR_STAGE, key, progress)


def class_maps(atlas: Atlas, stage: str) -> list[ClassMap]:
    """Every map of a stage that the atlas keeps, in the order of their classes."""
    found = [_read(atlas, stage, key) for key in atlas.folder.keys(stage)]
    return sorted((entry for entry in found if entry.layer in atlas.layers), key=lambda entry: entry.classes)


def _key(atlas: Atlas, layer: str, classes: tuple[int, ...], grid: int) -> str:
    return key_of(engine=1, icons=atlas.key("icons", layer, atlas.grids[0]), classes=list(classes), grid=grid)


def _attributions(atlas: Atlas, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the vectors whose attribution is known, and it, float16 [n, classes]."""
    parts = list(atlas.vectors(layer).attributions())
    if not parts:
        raise InputError(f"for {layer} no attribution is known: {'; '.join(atlas.remarks) or 'none was asked for'}.")
    numbers, attribution = zip(*parts, strict=True)
    return np.concatenate(numbers), np.concatenate(attribution)


def _plane(atlas: Atlas, layer: str, numbers: np.ndarray) -> np.ndarray:
    """A few thousand vectors in the plane. Here t-SNE starts at once, where UMAP compiles itself for half a minute."""
    settings = atlas.manifest.settings
    points = reduce(atlas.vectors(layer).take(numbers), atlas.layout(layer).basis)
    method = "pca" if settings.projection == "pca" else "tsne"
    return project(points, method=method, neighbours=_NEIGHBOURS, seed=settings.seed)


def _drawn(
    atlas: Atlas,
    model: Model,
    layer: str,
    classes: tuple[int, ...],
    reach: float,
    numbers: np.ndarray,
    positions: np.ndarray,
    grid: int,
    stage: str,
    key: str,
    progress: Progress,
) -> ClassMap:
    settings, vectors = atlas.manifest.settings, atlas.vectors(layer)
    cells = sum_up(vectors, cell_of(positions, grid, grid), grid, grid, least=settings.least, numbers=numbers)
    names = " and ".join(model.label(number) for number in classes)
    drawn = draw_cells(
        model,
        model.layer(layer),
        cells,
        whitening(atlas.moment(layer)),
        settings,
        parents=None,
        cache=RenderCache(atlas.folder.path / "renders"),
        progress=progress,
        title=f"rendering the map of {names}",
    )
    arrays = {**cells.arrays(), "icons": drawn.images, "answers": drawn.answers}
    atlas.folder.write(stage, key, arrays, {"layer": layer, "classes": list(classes), "reach": reach})
    return ClassMap(layer, classes, reach, cells, drawn)


def _read(atlas: Atlas, stage: str, key: str) -> ClassMap:
    notes: dict[str, Any] = atlas.folder.notes(stage, key)
    arrays = atlas.folder.read(stage, key)
    icons = CellIcons(arrays.pop("icons"), arrays.pop("answers"))
    return ClassMap(notes["layer"], tuple(notes["classes"]), notes["reach"], Cells.from_arrays(arrays), icons)
