import type { PlacedPhoto } from "../bundle";
import { part } from "../numbers";
import type { Frame } from "./draw";
import type { Point } from "./lasso";
import type { CellOf } from "./view.svelte";

/** What marks are drawn on; `dense` is how many pixels of the canvas make one of the style sheet. */
export interface Marks {
  context: CanvasRenderingContext2D;
  frame: Frame;
  dense: number;
}

const DARK = "rgb(0 0 0 / 0.72)";
const WHITE = "#fff";
/** Positions of a photo. */
const SPOT = "#2f5fd0";

/** Strokes what `stroke` strokes, first wide in one colour, then narrow in another: seen on any ground. */
function twice(
  context: CanvasRenderingContext2D,
  dense: number,
  below: readonly [width: number, color: string],
  above: readonly [width: number, color: string],
  stroke: () => void,
): void {
  for (const [width, color] of [below, above]) {
    context.lineWidth = width * dense;
    context.strokeStyle = color;
    stroke();
  }
}

/** The frame of a cell: white within dark, seen on any icon. */
export function drawBox(
  { context, frame, dense }: Marks,
  { grid, cell }: CellOf,
  kind: "hovered" | "found" | "pinned",
): void {
  const side = frame.scale / grid.columns;
  const left = frame.left + grid.column[cell]! * side;
  const top = frame.top + grid.row[cell]! * side;
  const [below, above] = kind === "pinned" ? [6, 3] : [3.5, 1.5];
  twice(context, dense, [below, DARK], [above, WHITE], () => context.strokeRect(left, top, side, side));
}

export function drawLoop({ context, frame, dense }: Marks, loop: readonly Point[]): void {
  context.beginPath();
  for (const { x, y } of loop) context.lineTo(frame.left + x * frame.scale, frame.top + y * frame.scale);
  context.fillStyle = "rgb(47 95 208 / 0.18)";
  context.fill();
  context.lineJoin = "round";
  twice(context, dense, [4, DARK], [2, WHITE], () => context.stroke());
}

/** A dot for each position of a photo; the one that is pointed at is large and joined to its neighbours. */
export function drawPhoto(
  { context, frame, dense }: Marks,
  { positions }: PlacedPhoto,
  at: { row: number; column: number } | null,
): void {
  const [rows = 0, columns = 0] = positions.shape;
  const spot = (row: number, column: number): Point => {
    const [x = 0, y = 0] = part(positions, row, column);
    return { x: frame.left + x * frame.scale, y: frame.top + y * frame.scale };
  };
  const dot = ({ x, y }: Point, radius: number, color: string): void => {
    context.beginPath();
    context.arc(x, y, radius * dense, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
    context.lineWidth = 1.5 * dense;
    context.strokeStyle = WHITE;
    context.stroke();
  };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) dot(spot(row, column), 4, SPOT);
  }
  if (!at || at.row >= rows || at.column >= columns) return;
  const here = spot(at.row, at.column);
  for (const [row, column] of neighbours(at)) {
    if (row < 0 || column < 0 || row >= rows || column >= columns) continue;
    const there = spot(row, column);
    context.beginPath();
    context.moveTo(here.x, here.y);
    context.lineTo(there.x, there.y);
    twice(context, dense, [4.5, WHITE], [2, SPOT], () => context.stroke());
    dot(there, 4.5, SPOT);
  }
  dot(here, 8, "#111214");
}

function neighbours({ row, column }: { row: number; column: number }): [row: number, column: number][] {
  return [
    [row - 1, column],
    [row + 1, column],
    [row, column - 1],
    [row, column + 1],
  ];
}
