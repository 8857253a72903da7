import type { Cells } from "./cells";

export interface Point {
  x: number;
  y: number;
}

/** The cells whose centre lies within a loop, both in units of the map's width. */
export function loopCells(grid: Cells, loop: readonly Point[]): number[] {
  const found: number[] = [];
  for (let cell = 0; cell < grid.count; cell++) {
    const x = (grid.column[cell]! + 0.5) / grid.columns;
    const y = (grid.row[cell]! + 0.5) / grid.columns;
    if (inside(loop, x, y)) found.push(cell);
  }
  return found;
}

/** Whether a ray to the right crosses the loop an odd number of times. */
function inside(loop: readonly Point[], x: number, y: number): boolean {
  let within = false;
  let last = loop[loop.length - 1]!;
  for (const point of loop) {
    if (point.y > y !== last.y > y) {
      const cross = point.x + ((y - point.y) / (last.y - point.y)) * (last.x - point.x);
      if (x < cross) within = !within;
    }
    last = point;
  }
  return within;
}

/** What a selection of cells holds. */
export interface Summary {
  activations: number;
  /** The classes that its activations speak for most, and their mean attribution. */
  classes: { index: number; mean: number }[];
}

export function summary(grid: Cells, cells: readonly number[], most = 5): Summary {
  const { counts, classes } = grid.map;
  let activations = 0;
  for (const cell of cells) activations += counts[cell]!;
  const means = classes.map((index) => {
    const values = grid.attribution(index)!;
    let sum = 0;
    for (const cell of cells) sum += counts[cell]! * values[cell]!;
    return { index, mean: activations ? sum / activations : 0 };
  });
  means.sort((a, b) => b.mean - a.mean);
  return { activations, classes: means.filter(({ mean }) => mean > 0).slice(0, most) };
}

/** The same selection in Python. */
export function forPython(layer: string, grid: Cells, cells: readonly number[]): string {
  const places = cells.map((cell) => `(${grid.column[cell]}, ${grid.row[cell]})`);
  return `atlas.select(${JSON.stringify(layer)}, grid=${grid.columns}, cells=[${places.join(", ")}])`;
}
