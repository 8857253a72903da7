import type { Camera } from "./camera.svelte";
import type { Cells } from "./cells";

/** The name of a class at its place on the map. */
export interface MapLabel {
  text: string;
  x: number;
  y: number;
}

/** Room of the figure, in square CSS pixels, that one label has for itself. */
const ROOM = 34_000;

/** The same class is not named again so near, in CSS pixels. */
const APART = 280;

const HIGH = 20;
const GAP = 10;

/** Names for the most populous cells that are seen: few, none over another. `wide` measures a text in CSS pixels. */
export function chooseLabels(
  cells: Cells,
  camera: Camera,
  names: readonly string[],
  wide: (text: string) => number,
): MapLabel[] {
  const look = camera.target;
  const scale = camera.fit / look.span;
  const most = Math.max(3, Math.round((camera.width * camera.height) / ROOM));
  const labels: MapLabel[] = [];
  const taken: { x: number; y: number; wide: number; text: string }[] = [];
  for (const cell of cells.order) {
    if (labels.length >= most) break;
    const best = cells.map.top[cell]![0];
    if (best === undefined) continue;
    const x = (cells.column[cell]! + 0.5) / cells.columns;
    const y = (cells.row[cell]! + 0.5) / cells.columns;
    const px = camera.width / 2 + (x - look.x) * scale;
    const py = camera.height / 2 + (y - look.y) * scale;
    const text = names[best] ?? "";
    const half = wide(text) / 2 + 4;
    if (!text || px < half || py < HIGH || px > camera.width - half || py > camera.height - HIGH) continue;
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
