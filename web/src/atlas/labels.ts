import type { Camera } from "./camera.svelte";
import type { Cells } from "./cells";

/** The name of a class at its place on the map. */
export interface MapLabel {
  text: string;
  x: number;
  y: number;
}

/** Room of the figure, in square CSS pixels, that one label has for itself. */
const ROOM = 46_000;

/** The same class is not named again so near, in CSS pixels. */
const APART = 280;

const HIGH = 20;
const GAP = 10;

/** The name stands at the foot of its cell, so that the icon is seen above it; a share of the cell's side. */
const FOOT = 0.8;

interface Wanted {
  names: readonly string[];
  /** Measures a text in CSS pixels. */
  wide: (text: string) => number;
  /** Whether a cell is to be named. */
  asked: (cell: number) => boolean;
  /** A class that goes without saying. */
  own: number | null;
  /** Parts of the figure where something else stands, in CSS pixels. */
  covered: readonly { left: number; top: number; right: number; bottom: number }[];
}

/** Names for the most populous cells that are seen: few, none over another. */
export function chooseLabels(cells: Cells, camera: Camera, { names, wide, asked, own, covered }: Wanted): MapLabel[] {
  const look = camera.target;
  const scale = camera.fit / look.span;
  const most = Math.max(3, Math.round((camera.width * camera.height) / ROOM));
  const labels: MapLabel[] = [];
  const taken: { x: number; y: number; wide: number; text: string }[] = [];
  for (const cell of cells.order) {
    if (labels.length >= most) break;
    const best = cells.map.top[cell]!.find((index) => index !== own);
    if (best === undefined || !asked(cell)) continue;
    const x = (cells.column[cell]! + 0.5) / cells.columns;
    const y = (cells.row[cell]! + FOOT) / cells.columns;
    const px = camera.width / 2 + (x - look.x) * scale;
    const py = camera.height / 2 + (y - look.y) * scale;
    const text = names[best] ?? "";
    const half = wide(text) / 2 + 4;
    if (!text || px < half || py < HIGH || px > camera.width - half || py > camera.height - HIGH) continue;
    const hidden = covered.some(
      ({ left, top, right, bottom }) =>
        px + half > left && px - half < right && py + HIGH / 2 > top && py - HIGH / 2 < bottom,
    );
    if (hidden) continue;
    const free = taken.every((other) => {
      if (other.text === text && Math.hypot(px - other.x, py - other.y) < APART) return false;
      return Math.abs(py - other.y) > HIGH + GAP || Math.abs(px - other.x) > half + other.wide + GAP;
    });
    if (!free) continue;
    taken.push({ x: px, y: py, wide: half, text });
    labels.push({ text, x, y });
  }
  return labels;
}
