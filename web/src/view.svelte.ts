import type { ExplanationBody } from "./bundle";
import { placeIn, same, type Grid, type Place, type Position } from "./grid";

/** A layer that some panel shows, and its grid. */
export interface LayerGrid extends Grid {
  layer: string;
}

/** What the reader has chosen: one layer, one position, one class, shared by every panel and kept in the address. */
export class View {
  readonly layers: LayerGrid[];
  readonly #body: ExplanationBody;

  layer = $state("");
  classIndex = $state(0);
  /** The selected position; it follows the pointer until it is pinned. */
  selected: Place = $state({ row: 0, column: 0, rows: 1, columns: 1 });
  pinned = $state(false);
  /** The position below the pointer, in whichever panel. */
  hovered: Place | null = $state(null);
  /** Whether the position was chosen by a person, so that the address should hold it. */
  touched = $state(false);

  constructor(body: ExplanationBody) {
    this.#body = body;
    const layers = new Map<string, LayerGrid>();
    for (const { layer, rows, columns } of [...body.dictionaries, ...body.spatial]) {
      if (!layers.has(layer)) layers.set(layer, { layer, rows, columns });
    }
    this.layers = [...layers.values()];
    this.reset();
  }

  /** The layer of a panel: the chosen one where the panel shows it, else the panel's last. */
  of<Panel extends LayerGrid>(panels: Panel[]): Panel | undefined {
    return panels.find((panel) => panel.layer === this.layer) ?? panels.at(-1);
  }

  reset(): void {
    this.layer = (this.#body.dictionaries.at(-1) ?? this.layers.at(-1))?.layer ?? "";
    this.classIndex = this.#body.classes[0]?.index ?? 0;
    this.selected = this.#strongest();
    this.pinned = false;
    this.touched = false;
  }

  point(position: Position, grid: LayerGrid): void {
    const place = { ...position, rows: grid.rows, columns: grid.columns };
    if (this.hovered && same(this.hovered, place) && this.hovered.rows === place.rows) return;
    this.hovered = place;
    if (this.pinned) return;
    this.selected = place;
    this.touched = true;
  }

  leave(): void {
    this.hovered = null;
  }

  /** Pin a position, or let go of the one that is pinned already. */
  pin(position: Position, grid: LayerGrid): void {
    const again = this.pinned && same(placeIn(this.selected, grid), position);
    this.selected = { ...position, rows: grid.rows, columns: grid.columns };
    this.layer = grid.layer;
    this.pinned = !again;
    this.touched = true;
  }

  move(down: number, right: number, grid: LayerGrid): void {
    const from = placeIn(this.selected, grid);
    const row = Math.min(grid.rows - 1, Math.max(0, from.row + down));
    const column = Math.min(grid.columns - 1, Math.max(0, from.column + right));
    this.selected = { row, column, rows: grid.rows, columns: grid.columns };
    this.layer = grid.layer;
    this.hovered = null;
    this.pinned = true;
    this.touched = true;
  }

  /** The part of the address that brings a reader back to this view: `#layer=mixed4d&at=4,1&class=208`. */
  get hash(): string {
    const parts = [];
    const grid = this.layers.find((entry) => entry.layer === this.layer);
    if (grid) parts.push(`layer=${encodeURIComponent(grid.layer)}`);
    if (grid && this.touched) {
      const { row, column } = placeIn(this.selected, grid);
      parts.push(`at=${row},${column}`);
    }
    parts.push(`class=${this.classIndex}`);
    return `#${parts.join("&")}`;
  }

  /** Take up what an address says; what it does not say, or says wrongly, stays as in a fresh page. */
  restore(hash: string): void {
    this.reset();
    const said = new URLSearchParams(hash.replace(/^#/, ""));
    const grid = this.layers.find((entry) => entry.layer === said.get("layer"));
    if (grid) {
      this.layer = grid.layer;
      this.selected = this.#strongest();
    }
    const chosen = this.#body.classes.find((entry) => String(entry.index) === said.get("class"));
    if (chosen) this.classIndex = chosen.index;
    const at = /^(\d{1,5}),(\d{1,5})$/.exec(said.get("at") ?? "");
    const [row, column] = [Number(at?.[1]), Number(at?.[2])];
    if (grid && row < grid.rows && column < grid.columns) {
      this.selected = { row, column, rows: grid.rows, columns: grid.columns };
      this.pinned = true;
      this.touched = true;
    }
  }

  /** Where a reader should look first: the position whose strongest channel is the strongest of all. */
  #strongest(): Place {
    const panel = this.of(this.#body.dictionaries);
    const { rows, columns } = panel ?? this.layers.at(-1) ?? { rows: 1, columns: 1 };
    let best: Place = { row: Math.floor(rows / 2), column: Math.floor(columns / 2), rows, columns };
    let record = -Infinity;
    panel?.values.forEach((cells, row) =>
      cells.forEach((values, column) => {
        if ((values[0] ?? -Infinity) > record) {
          record = values[0]!;
          best = { row, column, rows, columns };
        }
      }),
    );
    return best;
  }
}
