"""The page of an atlas as a widget."""

from typing import TYPE_CHECKING

import numpy as np
from traitlets import Int, List

from ..atlas._page import to_bundle
from ..errors import InputError
from ._page_widget import PageWidget, whole

if TYPE_CHECKING:
    from ..atlas import Atlas


class AtlasWidget(PageWidget):
    """The page of an atlas; the cells within the loop that a person draws there can be observed.

    Args:
        atlas: from `pellucid.build_atlas` or `pellucid.open_atlas`.

    Traits, all but `hash` and `height` written by the page:
        cells: `[column, row]` of each cell within the loop, in `grid` of `layer`; `None` while there is no loop.
        grid: cells a side of the grid that is shown; 0 before the page is.
        hash, layer, height: as for `PageWidget`.

    Example:
        >>> widget = atlas.widget()                                                                 # doctest: +SKIP
        >>> widget                             # draw a loop                                        # doctest: +SKIP
        >>> atlas.origins(widget.layer, widget.selected())                                          # doctest: +SKIP
    """

    cells = List(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    grid = Int(0, read_only=True).tag(sync=True)

    def __init__(self, atlas: "Atlas") -> None:
        self.atlas, self._model = atlas, atlas._network(atlas.model)
        super().__init__(to_bundle(atlas, self._model))

    def selected(self) -> np.ndarray:
        """Numbers of the vectors of `layer` within the loop, int64, rising; none while there is no loop.

        Example:
            >>> atlas.vectors(widget.layer).take(widget.selected())                       # doctest: +SKIP
        """
        if not self.cells:
            return np.zeros(0, np.int64)
        return self.atlas.select(self.layer, grid=self.grid, cells=[(column, row) for column, row in self.cells])

    def select(
        self,
        layer: str | None = None,
        *,
        cell: tuple[int, int, int] | None = None,
        label: int | str | None = None,
    ) -> None:
        """Show something on the page; what is not named stays as it is.

        Args:
            layer: to look at; by default the one that is looked at.
            cell: cells a side of a grid, column and row: of the cell to go to.
            label: name or number of the class whose cells are to stand out.

        Raises:
            TargetError: the atlas has no such layer or class.
            InputError: it has no such grid, or the cell is empty.

        Example:
            >>> widget.select("mixed4d", cell=(20, 3, 4), label="Labrador retriever")               # doctest: +SKIP
        """
        atlas = self.atlas
        name = layer or self.layer or atlas.layers[-1]
        atlas.layer_place(name)
        words: dict[str, str | None] = {"layer": name}
        if layer is not None and layer != self.layer:
            words["cell"] = None
        if cell is not None:
            grid, column, row = cell
            places = atlas.cells(name, grid).places
            column, row = whole(column, grid, "column"), whole(row, grid, "row")
            if not (places == (column, row)).all(1).any():
                raise InputError(f"the cell of column {column} and row {row} of the grid of {grid} is empty.")
            zoom = grid / atlas.grids[0]
            words["view"] = f"{(column + 0.5) / grid:.4f},{(row + 0.5) / grid:.4f},{zoom:.2f}"
            words["cell"] = f"{grid}:{column},{row}"
        if label is not None:
            words["class"] = str(self._model.class_index(label))
        self._show(words)
