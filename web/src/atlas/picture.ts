import { PAPER, savePicture, write } from "../picture";
import type { MapLabel } from "./labels";

/** What a figure shows now. */
export interface Shown {
  canvas: HTMLCanvasElement;
  /** Size of the figure in CSS pixels. */
  width: number;
  height: number;
  /** Colour between the icons. */
  ground: string;
  labels: MapLabel[];
  pointOf: (x: number, y: number) => { x: number; y: number };
  /** Name of the layer, or of the map. */
  title: string;
}

/** Saves the maps as they are seen, side by side, each with its name. */
export async function saveMaps(name: string, maps: readonly Shown[]): Promise<void> {
  const [edge, gap, head] = [28, 20, 34];
  const width = maps.reduce((sum, map) => sum + map.width, 2 * edge + gap * (maps.length - 1));
  const height = Math.max(...maps.map((map) => map.height)) + 2 * edge + head;
  await savePicture(name, width, height, (context) => {
    let left = edge;
    for (const map of maps) {
      write(context, map.title, left, edge + 16, { size: 18, weight: 600, room: map.width });
      context.fillStyle = map.ground;
      context.fillRect(left, edge + head, map.width, map.height);
      context.drawImage(map.canvas, left, edge + head, map.width, map.height);
      for (const { text, x, y } of map.labels) {
        const at = map.pointOf(x, y);
        if (at.x < 0 || at.y < 0 || at.x > map.width || at.y > map.height) continue;
        haloed(context, text, left + at.x, edge + head + at.y + 5);
      }
      left += map.width + gap;
    }
  });
}

function haloed(context: CanvasRenderingContext2D, text: string, x: number, y: number): void {
  const look = { size: 14, weight: 600, align: "center" as const, color: PAPER.ink };
  write(context, text, x, y, look);
  context.lineWidth = 4.5;
  context.lineJoin = "round";
  context.strokeStyle = "rgb(255 255 255 / 0.9)";
  context.strokeText(text, x, y);
  write(context, text, x, y, look);
}
