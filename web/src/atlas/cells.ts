import type { AtlasBody, AtlasLayer, CellMap } from "../bundle";
import { entry, unpack } from "../numbers";

/** One grid of a map, ready to be asked which cell lies where. */
export class Cells {
  readonly columns: number;
  readonly rows: number;
  readonly count: number;
  /** Column and row of each cell. */
  readonly column: Uint16Array;
  readonly row: Uint16Array;
  /** Number of the cell at each place of the grid, row by row; −1 where there is none. */
  readonly #at: Int32Array;
  #order: Uint32Array | null = null;
  readonly #attribution = new Map<number, Float32Array>();

  constructor(readonly map: CellMap) {
    this.columns = map.columns;
    this.rows = map.rows;
    this.count = map.counts.length;
    this.column = new Uint16Array(this.count);
    this.row = new Uint16Array(this.count);
    this.#at = new Int32Array(map.columns * map.rows).fill(-1);
    const places = unpack(map.places);
    for (let cell = 0; cell < this.count; cell++) {
      const [column, row] = [Math.round(places[2 * cell]!), Math.round(places[2 * cell + 1]!)];
      this.column[cell] = column;
      this.row[cell] = row;
      this.#at[row * map.columns + column] = cell;
    }
  }

  /** Number of the cell at a place of the grid; −1 where there is none. */
  at(column: number, row: number): number {
    if (column < 0 || row < 0 || column >= this.columns || row >= this.rows) return -1;
    return this.#at[row * this.columns + column]!;
  }

  /** Number of the cell at a place of the map, whose width is 1; −1 where there is none. */
  under(x: number, y: number): number {
    return this.at(Math.floor(x * this.columns), Math.floor(y * this.columns));
  }

  /** The next cell in a direction: the fewest columns or rows on, straight ahead before aside; −1 at the end. */
  next(column: number, row: number, right: number, down: number): number {
    for (let far = 1; far < Math.max(this.columns, this.rows); far++) {
      for (let side = 0; side <= far; side++) {
        for (const aside of side ? [side, -side] : [0]) {
          const found = this.at(
            column + far * right + aside * Math.abs(down),
            row + far * down + aside * Math.abs(right),
          );
          if (found >= 0) return found;
        }
      }
    }
    return -1;
  }

  /** The cells, those with the most activations first. */
  get order(): Uint32Array {
    const { counts } = this.map;
    this.#order ??= Uint32Array.from(counts.keys()).sort((a, b) => counts[b]! - counts[a]!);
    return this.#order;
  }

  /** The cells whose mean has a channel highest, and how high; none where that is not known. */
  peaks(channel: number): { cell: number; value: number }[] {
    const told = this.map.channels;
    return told?.cells[channel]?.map((cell, place) => ({ cell, value: entry(told.peaks, channel, place) })) ?? [];
  }

  /** The channels that are highest in the mean of a cell, and how high; none where that is not known. */
  strongest(cell: number): { channel: number; value: number }[] {
    const told = this.map.channels;
    return told?.top[cell]?.map((channel, place) => ({ channel, value: entry(told.values, cell, place) })) ?? [];
  }

  /** Attribution of each cell to a class; null where it was not kept. */
  attribution(classIndex: number): Float32Array | null {
    const { classes, attribution } = this.map;
    const place = classes.indexOf(classIndex);
    if (place < 0) return null;
    let values = this.#attribution.get(classIndex);
    if (!values) {
      const all = unpack(attribution);
      values = Float32Array.from({ length: this.count }, (_, cell) => all[cell * classes.length + place]!);
      this.#attribution.set(classIndex, values);
    }
    return values;
  }
}

/** A map with its grids, coarse to fine; all cover the same ground, which is 1 wide. */
export interface MapSource {
  /** Tells maps apart. */
  key: string;
  layer: string;
  /** What a person calls it. */
  title: string;
  grids: Cells[];
  /** Height of the ground. */
  height: number;
  /** The class that everything on the map speaks for; null where it is of many. */
  own: number | null;
}

function sourceOf(key: string, layer: string, title: string, maps: CellMap[], own: number | null = null): MapSource {
  const grids = maps.map((map) => new Cells(map));
  return { key, layer, title, grids, height: grids[0]!.rows / grids[0]!.columns, own };
}

export function layerSource(layer: AtlasLayer): MapSource {
  return sourceOf(`layer:${layer.name}`, layer.name, layer.name, layer.maps);
}

/** A map that stands beside the layers' own: of one class, or of two against each other. */
export interface FurtherMap extends MapSource {
  /** For two classes: attribution to the second minus attribution to the first at the right edge. */
  axis: { first: string; second: string; reach: number } | null;
}

export function furtherMaps(body: AtlasBody): FurtherMap[] {
  const name = (index: number): string => body.labels[index] ?? `class ${index}`;
  return [
    ...body.class_atlases.map((entry, place) => ({
      ...sourceOf(`class:${place}`, entry.layer, name(entry.class_index), [entry.map], entry.class_index),
      axis: null,
    })),
    ...body.two_class_maps.map((entry, place) => {
      const [first, second] = [name(entry.first), name(entry.second)];
      const source = sourceOf(`two:${place}`, entry.layer, `${first} against ${second}`, [entry.map]);
      return { ...source, axis: { first, second, reach: entry.reach } };
    }),
  ];
}
