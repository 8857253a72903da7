"""How far a map can be trusted: measures of it, each beside a control."""

from collections.abc import Iterator

import numpy as np
import torch

from ..bundle import EvidenceEntry
from ._atlas import Atlas
from ._cells import cell_of
from ._project import project

_SAMPLE = 4000
_NEIGHBOURS = 15
# How much of a vector's surroundings another layout should keep.
_SURROUNDINGS, _LAID_OUT_AGAIN = 50, 2000


def measure_atlas(atlas: Atlas, layer: str) -> list[EvidenceEntry]:
    """Whether icons are of their cells, whether the layout keeps neighbours and comes out alike again, whether cells
    are about classes, and how much of the layer they keep.

    Args:
        atlas: one that was built.
        layer: one of its layers.
    """
    measures = (_icons, _neighbours, _stability, _coherence, _variance_kept, _attribution_kept)
    return [entry for measure in measures if (entry := measure(atlas, layer))]


def _icons(atlas: Atlas, layer: str) -> EvidenceEntry | None:
    """Share of icons that the network places in their own cell of the coarsest grid, or in one beside it."""
    coarse, layout = atlas.grids[0], atlas.layout(layer)
    hits, chance, total = 0, 0.0, 0
    counts = np.zeros((coarse, coarse))
    found = atlas.cells(layer, coarse)
    counts[found.places[:, 1], found.places[:, 0]] = found.counts
    for grid in atlas.grids:
        cells = atlas.cells(layer, grid)
        own = np.floor((cells.places + 0.5) / grid * coarse).astype(int)
        seen = cell_of(layout.place(atlas.icons(layer, grid).answers), coarse, coarse)
        placed = np.stack([seen % coarse, seen // coarse], 1)
        hits += int(((np.abs(placed - own).max(1) <= 1) & (seen >= 0)).sum())
        total += len(cells)
        # As likely to be there by chance as activations are.
        chance += sum(counts[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].sum() for x, y in own) / counts.sum()
    if not total:
        return None
    return _entry(
        layer,
        "icons in their own cell",
        hits / total,
        chance / total,
        f"{hits / total:.0%} of the icons, shown to the network again, lie in their own cell of the coarsest "
        f"grid or beside it; a random activation would in {chance / total:.0%} of cases.",
    )


def _neighbours(atlas: Atlas, layer: str) -> EvidenceEntry | None:
    """Trustworthiness of the layout, and of the first two principal components."""
    try:
        from sklearn.manifold import trustworthiness
    except ImportError:
        return None
    layout = atlas.layout(layer)
    random = np.random.default_rng(0)
    chosen = np.sort(random.permutation(len(layout.numbers))[:_SAMPLE])
    count = min(_NEIGHBOURS, len(chosen) // 2 - 1)
    if count < 1:
        return None
    points = layout.anchors[chosen].astype(np.float32)
    value = float(trustworthiness(points, layout.positions[chosen], n_neighbors=count))
    control = float(trustworthiness(points, points[:, :2], n_neighbors=count))
    return _entry(
        layer,
        "trustworthiness of the layout",
        value,
        control,
        f"Of activations that lie close together on the map, {value:.0%} are close in the layer as well "
        f"(1 is perfect, one half is chance); two principal components reach {control:.0%}.",
    )


def _stability(atlas: Atlas, layer: str) -> EvidenceEntry | None:
    """How much of each vector's surroundings a layout of another seed keeps."""
    settings, layout = atlas.manifest.settings, atlas.layout(layer)
    chosen = np.sort(np.random.default_rng(0).permutation(len(layout.numbers))[:_LAID_OUT_AGAIN])
    count = min(_SURROUNDINGS, len(chosen) // 4)
    if settings.projection == "pca" or count < 1:
        return None
    points = layout.anchors[chosen].astype(np.float32)
    seeds = (settings.seed + 1, settings.seed + 2)
    found = [
        _nearest(project(points, method=settings.projection, neighbours=settings.neighbours, seed=seed), count)
        for seed in seeds
    ]
    shared = [len(np.intersect1d(one, other, assume_unique=True)) for one, other in zip(*found, strict=True)]
    value, control = float(np.mean(shared)) / count, count / (len(chosen) - 1)
    return _entry(
        layer,
        "stability of the layout",
        value,
        control,
        f"Laid out twice with other random numbers, {len(chosen):,} of the activations keep "
        f"{_percent(value)} of their {count} nearest neighbours; by chance it would be {_percent(control)}.",
    )


def _nearest(positions: np.ndarray, count: int) -> np.ndarray:
    """[n, count]: which others lie nearest to each point."""
    where = torch.from_numpy(np.ascontiguousarray(positions, np.float32))
    distances = torch.cdist(where, where).fill_diagonal_(float("inf"))
    return distances.topk(count, largest=False).indices.numpy()


def _variance_kept(atlas: Atlas, layer: str) -> EvidenceEntry | None:
    """Share of the variance of activations that lies between cells of the finest grid, not within them."""
    vectors = atlas.vectors(layer)
    parts = ((np.arange(start, start + len(part)), part) for start, part in vectors.parts())
    found = _between(atlas, layer, parts, atlas.cells(layer, atlas.grids[-1]).means)
    if found is None:
        return None
    value, control, cells = found
    return _entry(
        layer,
        "variance kept by the map",
        value,
        control,
        f"The means of the {cells} finest cells keep {_percent(value)} of the variance of the layer's "
        f"activations, the rest is within the cells; cells filled by chance would keep {_percent(control)}.",
    )


def _attribution_kept(atlas: Atlas, layer: str) -> EvidenceEntry | None:
    """The same of what the activations argue for."""
    found = _between(atlas, layer, atlas.vectors(layer).attributions(), atlas.cells(layer, atlas.grids[-1]).attribution)
    if found is None:
        return None
    value, control, cells = found
    return _entry(
        layer,
        "class evidence kept by the map",
        value,
        control,
        f"The labels of the {cells} finest cells keep {_percent(value)} of the variance of what single "
        f"activations speak for; cells filled by chance would keep {_percent(control)}.",
    )


def _between(
    atlas: Atlas, layer: str, parts: Iterator[tuple[np.ndarray, np.ndarray]], means: np.ndarray
) -> tuple[float, float, int] | None:
    """Share of variance between the finest cells, the share that cells of chance would have, and how many they are.

    Args:
        parts: numbers of vectors, and what is summed up of them, [n, k].
        means: [cells, k]: of the same, in each cell.
    """
    grid, positions = atlas.grids[-1], atlas.positions(layer)
    cells = atlas.cells(layer, grid)
    place = np.full(grid * grid + 1, -1, np.int64)
    place[cells.places[:, 1] * grid + cells.places[:, 0]] = np.arange(len(cells))
    mine = place[cell_of(positions, grid, grid)]
    count, within, square = 0, 0.0, 0.0
    total = np.zeros(means.shape[1])
    used: set[int] = set()
    for numbers, values in parts:
        inside = mine[numbers] >= 0
        found = values[inside].astype(np.float64)
        where = mine[numbers][inside]
        within += float(((found - means[where]) ** 2).sum())
        square += float((found**2).sum())
        total += found.sum(0)
        count += len(found)
        used.update(np.unique(where).tolist())
    variance = square - float((total**2).sum()) / max(count, 1)
    if count <= len(used) or variance <= 0:
        return None
    return max(0.0, 1 - within / variance), (len(used) - 1) / (count - 1), len(used)


def _coherence(atlas: Atlas, layer: str) -> EvidenceEntry | None:
    """How often two activations of a cell argue most for the same class, against two of any cell."""
    vectors, positions = atlas.vectors(layer), atlas.positions(layer)
    grid = atlas.grids[-1]
    cells = cell_of(positions, grid, grid)
    kept, best = [], []
    for numbers, attribution in vectors.attributions():
        kept.append(numbers)
        best.append(attribution.argmax(1))
    if not kept:
        return None
    numbers, best_class = np.concatenate(kept), np.concatenate(best)
    mine = cells[numbers]
    inside = mine >= 0
    agree, pairs = _agreeing_pairs(mine[inside], best_class[inside])
    if not pairs:
        return None
    shares = np.bincount(best_class[inside]) / inside.sum()
    control = float((shares**2).sum())
    return _entry(
        layer,
        "class coherence of cells",
        float(agree / pairs),
        control,
        f"Two activations of the same cell of the {grid} × {grid} grid speak most for the same class in "
        f"{_percent(agree / pairs)} of cases; two of any cells in {_percent(control)}.",
    )


def _entry(layer: str, name: str, value: float, control: float, sentence: str) -> EvidenceEntry:
    return EvidenceEntry(
        about=f"atlas:{layer}",
        name=name,
        value=round(float(value), 3),
        control=round(float(control), 3),
        sentence=sentence,
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _agreeing_pairs(cells: np.ndarray, classes: np.ndarray) -> tuple[int, int]:
    """Pairs within a cell that are of one class, and pairs within a cell."""
    _, sizes = np.unique(cells, return_counts=True)
    _, same = np.unique(np.stack([cells, classes], 1), axis=0, return_counts=True)
    return int((same * (same - 1) // 2).sum()), int((sizes * (sizes - 1) // 2).sum())
