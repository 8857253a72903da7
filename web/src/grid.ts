/** The size of a layer's grid. */
export interface Grid {
  rows: number;
  columns: number;
}

/** One cell of a grid, counted from 0 at the top left. */
export interface Position {
  row: number;
  column: number;
}

/** A cell together with the grid it belongs to, so that it can be found again in another layer's grid. */
export interface Place extends Position, Grid {}

/** The cell of `grid` that holds the centre of `place`. */
export function placeIn(place: Place, grid: Grid): Position {
  return {
    row: cell((place.row + 0.5) / place.rows, grid.rows),
    column: cell((place.column + 0.5) / place.columns, grid.columns),
  };
}

/** The cell at a fraction of the picture's height and width. */
export function cellAt(y: number, x: number, grid: Grid): Position {
  return { row: cell(y, grid.rows), column: cell(x, grid.columns) };
}

export function same(a: Position | null, b: Position | null): boolean {
  return a?.row === b?.row && a?.column === b?.column;
}

/** Where a cell lies over a picture, as CSS. */
export function box(position: Position, grid: Grid): string {
  const { row, column } = position;
  return (
    `top:${(100 * row) / grid.rows}%;left:${(100 * column) / grid.columns}%;` +
    `height:${100 / grid.rows}%;width:${100 / grid.columns}%`
  );
}

function cell(fraction: number, count: number): number {
  return Math.min(count - 1, Math.max(0, Math.floor(fraction * count)));
}
