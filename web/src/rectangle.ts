/** Cells of a grid, all edges included. */
export interface Rectangle {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/** The smallest rectangle that holds two cells. */
export function between(one: { row: number; column: number }, other: { row: number; column: number }): Rectangle {
  return {
    top: Math.min(one.row, other.row),
    left: Math.min(one.column, other.column),
    bottom: Math.max(one.row, other.row),
    right: Math.max(one.column, other.column),
  };
}

/** The rectangle within a grid, of one cell at least. */
export function tidy({ top, left, bottom, right }: Rectangle, rows: number, columns: number): Rectangle {
  return {
    top,
    left,
    bottom: Math.min(rows - 1, Math.max(top, bottom)),
    right: Math.min(columns - 1, Math.max(left, right)),
  };
}

/** The rectangle moved as far as the grid allows. */
export function moved(from: Rectangle, down: number, right: number, rows: number, columns: number): Rectangle {
  const y = Math.min(rows - 1 - from.bottom, Math.max(-from.top, down));
  const x = Math.min(columns - 1 - from.right, Math.max(-from.left, right));
  return { top: from.top + y, left: from.left + x, bottom: from.bottom + y, right: from.right + x };
}

/** Whether the second lies within the first. */
export function contains(outer: Rectangle, inner: Rectangle): boolean {
  const vertical = outer.top <= inner.top && outer.bottom >= inner.bottom;
  return vertical && outer.left <= inner.left && outer.right >= inner.right;
}

/** Where it lies in a box that the grid fills, as CSS. */
export function rectangleStyle({ top, left, bottom, right }: Rectangle, rows: number, columns: number): string {
  const share = (cells: number, of: number): string => `${(100 * cells) / of}%`;
  return (
    `top:${share(top, rows)};left:${share(left, columns)};` +
    `height:${share(bottom - top + 1, rows)};width:${share(right - left + 1, columns)}`
  );
}
