import type { Cells } from "./cells";
import type { TileStore } from "./tiles.svelte";

/** Where a map lies on a canvas, in the canvas's pixels. */
export interface Frame {
  left: number;
  top: number;
  /** Pixels of the map's width. */
  scale: number;
  /** Size of the canvas. */
  width: number;
  height: number;
}

/** A cell is best seen at about this many CSS pixels. */
const BEST_CELL = 74;

/** A grid gives way only to one that is better by so much: no flicker where two are equally good. */
const INERTIA = 1.12;

/** Number of the grid whose cells have the best size where the map is `scale` CSS pixels wide. */
export function bestGrid(grids: readonly Cells[], scale: number, now: number): number {
  const off = (place: number): number => Math.abs(Math.log(scale / grids[place]!.columns / BEST_CELL));
  let best = 0;
  grids.forEach((_, place) => {
    if (off(place) < off(best)) best = place;
  });
  const kept = grids[now] !== undefined && off(now) < off(best) + Math.log(INERTIA);
  return kept ? now : best;
}

interface Tile {
  file: string;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The tiles of a grid that lie on the canvas, and where. */
export function visibleTiles(cells: Cells, frame: Frame): Tile[] {
  const { width, height, side, files } = cells.map.tiles;
  const pixel = frame.scale / width;
  const across = Math.ceil(width / side);
  const step = side * pixel;
  const first = (from: number): number => Math.max(0, Math.floor(-from / step));
  const last = (from: number, room: number, count: number): number =>
    Math.min(count - 1, Math.floor((room - from) / step));
  const found: Tile[] = [];
  for (let row = first(frame.top); row <= last(frame.top, frame.height, Math.ceil(height / side)); row++) {
    for (let column = first(frame.left); column <= last(frame.left, frame.width, across); column++) {
      const file = files[row * across + column];
      if (!file) continue;
      // Whole pixels: two tiles then share an edge, and no seam shows.
      found.push({
        file,
        left: Math.round(frame.left + column * step),
        top: Math.round(frame.top + row * step),
        right: Math.round(frame.left + Math.min(width, (column + 1) * side) * pixel),
        bottom: Math.round(frame.top + Math.min(height, (row + 1) * side) * pixel),
      });
    }
  }
  return found;
}

/** Whether the overview of a grid is as sharp as the canvas, and so takes the place of many tiles. */
function overviewFor(cells: Cells, store: TileStore, scale: number): HTMLCanvasElement | null {
  const sharp = Math.min(1024, cells.map.tiles.width);
  if (scale > 1.1 * sharp) return null;
  return store.overview(cells);
}

/** Whether a grid can be drawn without holes; what is missing is on its way then. */
export function gridReady(cells: Cells, store: TileStore, frame: Frame): boolean {
  if (overviewFor(cells, store, frame.scale)) return true;
  let ready = true;
  for (const { file } of visibleTiles(cells, frame)) {
    if (store.settled(file)) continue;
    store.get(file);
    ready = false;
  }
  return ready;
}

/** Draws the icons of a grid; gives how many tiles that took. */
export function drawGrid(context: CanvasRenderingContext2D, cells: Cells, store: TileStore, frame: Frame): number {
  const overview = overviewFor(cells, store, frame.scale);
  if (overview) {
    const down = (frame.scale * cells.map.tiles.height) / cells.map.tiles.width;
    context.drawImage(overview, frame.left, frame.top, frame.scale, down);
    return 0;
  }
  const tiles = visibleTiles(cells, frame);
  for (const { file, left, top, right, bottom } of tiles) {
    const picture = store.get(file);
    if (picture) context.drawImage(picture, left, top, right - left, bottom - top);
  }
  return tiles.length;
}

/** Draws one icon alone, as large as the canvas. */
export function drawCell(context: CanvasRenderingContext2D, cells: Cells, store: TileStore, cell: number): void {
  const { width, height } = context.canvas;
  const scale = width * cells.columns;
  context.clearRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const frame = { left: -cells.column[cell]! * width, top: -cells.row[cell]! * width, scale, width, height };
  // Drawn from the tiles, whatever is ready of them: an overview would be too coarse.
  for (const { file, left, top, right, bottom } of visibleTiles(cells, frame)) {
    const picture = store.get(file);
    if (picture) context.drawImage(picture, left, top, right - left, bottom - top);
  }
}

/** One pixel a cell, to be enlarged without smoothing over the icons. */
export function cellOverlay(
  cells: Cells,
  [red, green, blue]: readonly [number, number, number],
  opacity: (cell: number) => number,
): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = cells.columns;
  canvas.height = cells.rows;
  const context = canvas.getContext("2d")!;
  const pixels = context.createImageData(cells.columns, cells.rows);
  for (let cell = 0; cell < cells.count; cell++) {
    const at = 4 * (cells.row[cell]! * cells.columns + cells.column[cell]!);
    pixels.data[at] = red;
    pixels.data[at + 1] = green;
    pixels.data[at + 2] = blue;
    pixels.data[at + 3] = 255 * opacity(cell);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

export function drawOverlay(context: CanvasRenderingContext2D, overlay: HTMLCanvasElement, frame: Frame): void {
  const smoothed = context.imageSmoothingEnabled;
  context.imageSmoothingEnabled = false;
  context.drawImage(overlay, frame.left, frame.top, frame.scale, (frame.scale * overlay.height) / overlay.width);
  context.imageSmoothingEnabled = smoothed;
}

/** Red, green and blue of a CSS colour such as `rgb(28, 29, 32)`. */
export function channels(color: string): [number, number, number] {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+(\.\d+)?/g) ?? []).map(Number);
  return [red, green, blue];
}
