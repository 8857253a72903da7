"""Measures of a map, against the same computed in another way."""

import numpy as np
import pytest

import pellucid
from pellucid.atlas import Atlas, build_atlas
from pellucid.atlas._cells import cell_of
from pellucid.atlas._measure import measure_atlas


@pytest.fixture(scope="module")
def evidence(built: Atlas) -> dict:
    return {entry.name: entry for entry in measure_atlas(built, "mixed4d")}


def in_cells(atlas: Atlas, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the vectors that lie in a drawn cell of the finest grid, and which."""
    grid = atlas.grids[-1]
    cells = atlas.cells(layer, grid)
    where = cell_of(atlas.positions(layer), grid, grid)
    drawn = cells.places[:, 1] * grid + cells.places[:, 0]
    numbers = np.flatnonzero(np.isin(where, drawn))
    return numbers, where[numbers]


def between(values: np.ndarray, cells: np.ndarray) -> float:
    """Share of variance between groups: an analysis of variance by hand."""
    means = np.stack([values[cells == cell].mean(0) for cell in cells])
    return float(((means - values.mean(0)) ** 2).sum() / ((values - values.mean(0)) ** 2).sum())


def test_variance_between_cells(built: Atlas, evidence: dict) -> None:
    numbers, cells = in_cells(built, "mixed4d")
    values = built.vectors("mixed4d").take(numbers).astype(np.float64)
    entry = evidence["variance kept by the map"]
    assert entry.value == pytest.approx(between(values, cells), abs=2e-3)
    shuffled = [between(values, np.random.default_rng(seed).permutation(cells)) for seed in range(30)]
    assert entry.control == pytest.approx(np.mean(shuffled), abs=0.03)
    assert entry.value > entry.control + 0.1


def test_class_evidence_between_cells(built: Atlas, evidence: dict) -> None:
    numbers, cells = in_cells(built, "mixed4d")
    attribution = np.concatenate([part for _, part in built.vectors("mixed4d").attributions()]).astype(np.float64)
    entry = evidence["class evidence kept by the map"]
    assert entry.value == pytest.approx(between(attribution[numbers], cells), abs=2e-3)
    assert f"{len(np.unique(cells))} finest cells" in entry.sentence


def test_a_layout_without_chance_has_no_stability_to_measure(evidence: dict) -> None:
    assert "stability of the layout" not in evidence


def test_stability_of_a_layout(drawings, embedded_model: pellucid.Model, tmp_path) -> None:
    settings = {"layers": "mixed4d", "grids": (2,), "icon_size": 32, "icon_steps": 1, "projection": "tsne"}
    atlas = build_atlas(embedded_model, drawings, tmp_path / "atlas", **settings)
    (entry,) = (entry for entry in atlas.evidence if entry.name == "stability of the layout")
    assert entry.control < 0.5 < entry.value <= 1
