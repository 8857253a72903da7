import type { Cells } from "./cells";

/** Which cells are asked for: those that speak for a class, or against it, at least so strongly. */
export interface Filter {
  classIndex: number;
  sign: "for" | "against";
  /** Share of the strongest cell, 0–1, that a cell must reach. */
  least: number;
}

/** Opacity of the cover over a cell that says nothing of the class. */
const COVER = 0.93;

/** What a filter finds in a grid. */
export interface Found {
  /** The cells that speak, the strongest first. */
  cells: number[];
  /** Attribution of each cell; null where it was not kept for the class. */
  values: Float32Array | null;
  /** How strongly each cell is covered, 0–1. */
  cover: (cell: number) => number;
}

/** The cells of a grid that a filter asks for. */
export function find(grid: Cells, { classIndex, sign, least }: Filter): Found {
  const values = grid.attribution(classIndex);
  if (!values) return { cells: [], values, cover: () => COVER };
  const turn = sign === "for" ? 1 : -1;
  let largest = 0;
  for (const value of values) largest = Math.max(largest, turn * value);
  const limit = least * largest;
  const cells: number[] = [];
  for (let cell = 0; cell < values.length; cell++) {
    const value = turn * values[cell]!;
    if (value > 0 && value >= limit) cells.push(cell);
  }
  cells.sort((a, b) => turn * (values[b]! - values[a]!));
  const cover = (cell: number): number => {
    const value = turn * values[cell]!;
    if (value <= 0) return COVER;
    // What nearly speaks is nearly seen, so that the edge of a region can be judged.
    return value >= limit ? 0 : COVER - 0.3 * (value / limit);
  };
  return { cells, values, cover };
}
