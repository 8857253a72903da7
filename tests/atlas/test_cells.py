"""Cells of a grid against counting by hand."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pellucid.atlas import Atlas
from pellucid.atlas._cells import cell_of


@given(
    st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)), min_size=1), st.integers(1, 12), st.integers(1, 12)
)
def test_each_position_lies_in_the_one_cell_whose_half_open_box_holds_it(points, columns, rows):
    found = cell_of(np.asarray(points), columns, rows)
    for (x, y), cell in zip(points, found.tolist(), strict=True):
        x, y = x * columns, y * rows
        holding = [
            row * columns + column
            for row in range(rows)
            for column in range(columns)
            if column <= x < column + 1 and row <= y < row + 1
        ]
        assert ([] if cell < 0 else [cell]) == holding


def test_positions_on_an_edge_belong_to_the_cell_right_of_and_below_it():
    edges = np.array([[0.0, 0.0], [1 / 3, 0.0], [0.0, 2 / 3], [1.0, 0.5], [0.5, 1.0]])
    assert cell_of(edges, 3, 3).tolist() == [0, 1, 6, -1, -1]


@pytest.mark.parametrize("grid", [3, 6])
def test_counts_means_and_attribution_are_those_of_the_vectors_in_each_cell(built: Atlas, grid):
    vectors, positions = built.vectors("mixed4d"), built.positions("mixed4d")
    values = np.concatenate([part for _, part in vectors.parts()]).astype(np.float64)
    known, attribution = (np.concatenate(parts) for parts in zip(*vectors.attributions(), strict=True))
    assert known.tolist() == list(range(len(values)))  # one position an image, each attributed
    where = cell_of(positions, grid, grid)
    cells = built.cells("mixed4d", grid)
    full = [cell for cell in range(grid * grid) if (where == cell).sum() >= 2]
    assert (cells.places[:, 1] * grid + cells.places[:, 0]).tolist() == full
    for number, cell in enumerate(full):
        mine = np.flatnonzero(where == cell)
        assert cells.counts[number] == cells.attributed[number] == len(mine)
        np.testing.assert_allclose(cells.means[number], values[mine].mean(0), rtol=1e-4, atol=1e-5)
        expected = attribution[mine].astype(np.float64).mean(0)
        np.testing.assert_allclose(cells.attribution[number], expected, rtol=1e-3, atol=1e-5)


def test_exemplars_are_the_most_alike_vectors_of_the_cell_and_of_different_images(built: Atlas):
    cells, vectors = built.cells("mixed4d", 3), built.vectors("mixed4d")
    where = cell_of(built.positions("mixed4d"), 3, 3)
    values = np.concatenate([part for _, part in vectors.parts()]).astype(np.float64)
    images = vectors.take(np.arange(len(values)), "image")
    for number, (column, row) in enumerate(cells.places.tolist()):
        mine = np.flatnonzero(where == row * 3 + column)
        mean = cells.means[number].astype(np.float64)
        likeness = values[mine] @ mean / np.linalg.norm(values[mine], axis=1) / np.linalg.norm(mean)
        best = mine[np.argsort(-likeness, kind="stable")][:9]
        chosen = cells.exemplars[number]
        assert len(set(images[chosen[chosen >= 0]].tolist())) == (chosen >= 0).sum() == min(9, len(mine))
        assert set(chosen[chosen >= 0].tolist()) == set(best.tolist())


def test_a_selection_holds_the_vectors_of_its_cells(built: Atlas):
    cells = built.cells("mixed4d", 6)
    chosen = [tuple(place) for place in cells.places[:3].tolist()]
    numbers = built.select("mixed4d", grid=6, cells=chosen)
    assert len(numbers) == cells.counts[:3].sum()
    values = built.vectors("mixed4d").take(numbers).astype(np.float64)
    expected = (cells.means[:3] * cells.counts[:3, None]).sum(0)
    np.testing.assert_allclose(values.sum(0), expected, rtol=1e-3, atol=1e-3)
