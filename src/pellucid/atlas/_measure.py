"""How far a map can be trusted: three measures, each beside a control."""

import numpy as np

from ..bundle import EvidenceEntry
from ._atlas import Atlas
from ._cells import cell_of

_SAMPLE = 4000
_NEIGHBOURS = 15


def measure_atlas(atlas: Atlas, layer: str) -> list[EvidenceEntry]:
    """Whether icons are of their cells, whether the layout keeps neighbours, and whether cells are about classes.

    Args:
        atlas: one that was built.
        layer: one of its layers.
    """
    return [entry for entry in (_icons(atlas, layer), _neighbours(atlas, layer), _coherence(atlas, layer)) if entry]


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
    return EvidenceEntry(
        about=f"atlas:{layer}",
        name="icons in their own cell",
        value=round(float(hits / total), 3),
        control=round(float(chance / total), 3),
        sentence=f"{hits / total:.0%} of the icons, shown to the network again, lie in their own cell of the coarsest "
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
    return EvidenceEntry(
        about=f"atlas:{layer}",
        name="trustworthiness of the layout",
        value=round(float(value), 3),
        control=round(float(control), 3),
        sentence=f"Of activations that lie close together on the map, {value:.0%} are close in the layer as well "
        f"(1 is perfect, one half is chance); two principal components reach {control:.0%}.",
    )


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
    return EvidenceEntry(
        about=f"atlas:{layer}",
        name="class coherence of cells",
        value=round(float(agree / pairs), 3),
        control=round(float(control), 3),
        sentence=f"Two activations of the same cell of the {grid} × {grid} grid argue most for the same class in "
        f"{_percent(agree / pairs)} of cases; two of any cells in {_percent(control)}.",
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _agreeing_pairs(cells: np.ndarray, classes: np.ndarray) -> tuple[int, int]:
    """Pairs within a cell that are of one class, and pairs within a cell."""
    _, sizes = np.unique(cells, return_counts=True)
    _, same = np.unique(np.stack([cells, classes], 1), axis=0, return_counts=True)
    return int((same * (same - 1) // 2).sum()), int((sizes * (sizes - 1) // 2).sum())
