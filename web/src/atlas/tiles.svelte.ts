import { DataError } from "../checks";
import { loadImage } from "../picture";
import type { Cells } from "./cells";

type Picture = ImageBitmap | HTMLImageElement;

/** Tiles that are kept ready when they are out of sight. */
const KEPT = 120;

/** Largest side of a grid's overview in pixels. */
const OVERVIEW = 1024;

/** The tiles of every map, loaded when they are first wanted; those not wanted for longest are let go. */
export class TileStore {
  /** Rises with every tile that arrives: what draws tiles reads it, and draws again. */
  arrived = $state(0);
  /** Says what is wrong where a tile cannot be read. */
  problem = $state("");
  readonly #images: Record<string, string>;
  readonly #ready = new Map<string, Picture>();
  readonly #waiting = new Map<string, Promise<Picture | null>>();
  readonly #lost = new Set<string>();
  readonly #overviews = new Map<Cells, HTMLCanvasElement | Promise<void>>();

  constructor(images: Record<string, string>) {
    this.#images = images;
  }

  /** The tile where it is ready; else null, and it is on its way. */
  get(file: string): Picture | null {
    const found = this.#ready.get(file);
    if (!found) {
      void this.#load(file);
      return null;
    }
    // A map keeps the order of its entries: the last one is the one wanted last.
    this.#ready.delete(file);
    this.#ready.set(file, found);
    return found;
  }

  /** Whether nothing is gained by waiting for a tile. */
  settled(file: string): boolean {
    return !file || this.#ready.has(file) || this.#lost.has(file);
  }

  /** The whole of a grid, drawn small; null until all of its tiles were there once. */
  overview(cells: Cells): HTMLCanvasElement | null {
    const found = this.#overviews.get(cells);
    if (found instanceof HTMLCanvasElement) return found;
    if (!found) this.#overviews.set(cells, this.#drawOverview(cells));
    return null;
  }

  /** Let go of tiles that are too many; called when a frame is drawn, so that none of that frame goes. */
  tidy(wanted: number): void {
    for (const [file, picture] of this.#ready) {
      if (this.#ready.size <= KEPT + wanted) return;
      this.#ready.delete(file);
      if (picture instanceof ImageBitmap) picture.close();
    }
  }

  async #drawOverview(cells: Cells): Promise<void> {
    const { width, height, side, files } = cells.map.tiles;
    const scale = Math.min(1, OVERVIEW / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    if (!context) return;
    context.imageSmoothingQuality = "high";
    const across = Math.ceil(width / side);
    for (const [place, file] of files.entries()) {
      const picture = file && (this.#ready.get(file) ?? (await this.#load(file)));
      if (!picture) continue;
      const [left, top] = [(place % across) * side * scale, Math.floor(place / across) * side * scale];
      context.drawImage(picture, left, top, picture.width * scale, picture.height * scale);
    }
    this.#overviews.set(cells, canvas);
    this.arrived++;
  }

  #load(file: string): Promise<Picture | null> {
    if (this.#lost.has(file)) return Promise.resolve(null);
    let coming = this.#waiting.get(file);
    if (!coming) {
      coming = this.#fetch(file);
      this.#waiting.set(file, coming);
    }
    return coming;
  }

  async #fetch(file: string): Promise<Picture | null> {
    try {
      const image = await loadImage(this.#images[file]!);
      // A bitmap stays decoded; some browsers make none of a picture beside a page on the disk.
      const picture = await createImageBitmap(image).catch(() => image);
      this.#ready.set(file, picture);
      return picture;
    } catch (error) {
      this.#lost.add(file);
      this.problem =
        error instanceof DataError
          ? error.message
          : `A picture of this page is damaged or not beside it (${file}): export it again from its bundle.`;
      return null;
    } finally {
      this.#waiting.delete(file);
      this.arrived++;
    }
  }
}
