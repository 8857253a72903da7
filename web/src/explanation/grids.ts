import type { LayerCard } from "../bundle";
import type { Place } from "../grid";
import { frame } from "../picture";
import { diverging } from "../scale";

/** What part of the picture every figure shows; linked between them. */
export interface Window {
  /** 1 shows all of it. */
  zoom: number;
  /** Centre, as a share of the picture's width and height. */
  x: number;
  y: number;
}

/** A picture in canvas form, of any size; it covers the whole photo. */
export type Source = HTMLImageElement | HTMLCanvasElement;

export const LARGEST_ZOOM = 8;

/** How much larger things are below the magnifier. */
const MAGNIFIED = 2.6;

/** Top left corner and size of the part that a window shows, as shares of the picture. */
export function shownPart({ zoom, x, y }: Window): { left: number; top: number; size: number } {
  const size = 1 / zoom;
  const inside = (centre: number): number => Math.min(1 - size, Math.max(0, centre - size / 2));
  return { left: inside(x), top: inside(y), size };
}

/** The window after zooming by `factor`, so that the point `at` stays where it is. */
export function zoomed(window: Window, factor: number, at: { x: number; y: number }): Window {
  const zoom = Math.min(LARGEST_ZOOM, Math.max(1, window.zoom * factor));
  const before = shownPart(window);
  const keep = (start: number, point: number): number =>
    point - ((point - start) / before.size) * (1 / zoom) + 0.5 / zoom;
  return settled({ zoom, x: keep(before.left, at.x), y: keep(before.top, at.y) });
}

/** The same window with its centre where it really is, not beyond an edge. */
export function settled(window: Window): Window {
  const { left, top, size } = shownPart(window);
  return { zoom: window.zoom, x: left + size / 2, y: top + size / 2 };
}

interface Look {
  card: LayerCard;
  side: number;
  /** Side of each cell as a share, row by row; nothing draws all cells full. */
  strength: Float32Array | null;
  /** [rows][columns]: attribution whose colour lies behind or over the cells. */
  tint: number[][] | undefined;
  limit: number;
}

/** The grid's picture with cells of their sizes and the colour of attribution. */
export function drawCells(image: HTMLImageElement, { card, side, strength, tint, limit }: Look): Source {
  if (!strength && !tint) return image;
  const canvas = document.createElement("canvas");
  canvas.width = card.columns * side;
  canvas.height = card.rows * side;
  const context = canvas.getContext("2d");
  if (!context) return image;
  context.imageSmoothingQuality = "high";
  const wash = (row: number, column: number, share: number): void => {
    const [red, green, blue, opacity] = diverging(tint![row]![column]!, limit);
    context.fillStyle = `rgb(${red} ${green} ${blue} / ${opacity * share})`;
    context.fillRect(column * side, row * side, side, side);
  };
  for (let row = 0; row < card.rows; row++) {
    for (let column = 0; column < card.columns; column++) {
      const [x, y] = [column * side, row * side];
      if (tint && strength) {
        context.fillStyle = "rgb(128 128 126 / 0.5)";
        context.fillRect(x, y, side, side);
        wash(row, column, 1);
      }
      const size = side * (strength ? strength[row * card.columns + column]! : 1);
      if (size > 0.5) {
        const [left, top] = [x + (side - size) / 2, y + (side - size) / 2];
        context.drawImage(image, x, y, side, side, left, top, size, size);
      }
      if (tint && !strength) wash(row, column, 0.72);
    }
  }
  return canvas;
}

interface Figure {
  width: number;
  height: number;
  window: Window;
  /** Where the magnifier is, as shares of the picture. */
  lens: { x: number; y: number } | null;
  /** The cell to frame. */
  mark: Place | null;
  /** Colour below what is clear in the source. */
  ground: string;
}

/** Draws the shown part of a picture, the framed cell, and the magnifier over it. */
export function drawFigure(context: CanvasRenderingContext2D, source: Source, figure: Figure): void {
  const { width, height, window, lens, mark, ground } = figure;
  const { left, top, size } = shownPart(window);
  const [wide, high] = [source.width, source.height];
  context.save();
  context.beginPath();
  context.rect(0, 0, width, height);
  context.clip();
  context.imageSmoothingQuality = "high";
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  context.drawImage(source, left * wide, top * high, size * wide, size * high, 0, 0, width, height);
  if (mark) {
    const [cellWidth, cellHeight] = [width / mark.columns / size, height / mark.rows / size];
    const [x, y] = [mark.column * cellWidth - (left / size) * width, mark.row * cellHeight - (top / size) * height];
    frame(context, x, y, cellWidth, cellHeight);
  }
  if (lens) {
    const [x, y] = [((lens.x - left) / size) * width, ((lens.y - top) / size) * height];
    const radius = 0.2 * width;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.save();
    context.clip();
    context.fillStyle = ground;
    context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    const [across, down] = [(MAGNIFIED * width) / size, (MAGNIFIED * height) / size];
    context.drawImage(source, x - lens.x * across, y - lens.y * down, across, down);
    context.restore();
    context.lineWidth = 4;
    context.strokeStyle = "rgb(0 0 0 / 0.55)";
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = "#fff";
    context.stroke();
  }
  context.restore();
}
