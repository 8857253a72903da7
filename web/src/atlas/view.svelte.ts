import type { AtlasBody, PlacedPhoto } from "../bundle";
import { part } from "../numbers";
import { Camera } from "./camera.svelte";
import { furtherMaps, layerSource, type Cells, type FurtherMap, type MapSource } from "./cells";
import { find, type Filter, type Found } from "./filter";
import type { Shown } from "./picture";
import { readHash, writeHash, type GridPlace, type SaidMap } from "./hash";

const LEAST = 0.3;

/** A cell with the grid that it is of. */
export interface CellOf {
  grid: Cells;
  cell: number;
}

/** What goes on in one figure: the map it shows, where it looks, the cells pinned, pointed at and selected. */
export class Stage {
  source: MapSource = $state.raw(null!);
  camera: Camera = $state.raw(null!);
  /** Number of the grid that is shown. */
  level = $state(0);
  pinned: CellOf | null = $state.raw(null);
  hovered: CellOf | null = $state.raw(null);
  /** The cells within the loop that the reader drew. */
  selected: { grid: Cells; cells: number[] } | null = $state.raw(null);
  /** What the figure shows now; null before it is drawn. */
  shown: (() => Shown | null) | null = null;

  constructor(source: MapSource, camera: Camera) {
    this.source = source;
    this.camera = camera;
  }

  /** The grid that is shown. */
  get grid(): Cells {
    return this.source.grids[Math.min(this.level, this.source.grids.length - 1)]!;
  }

  /** The cell that is told of. */
  get told(): CellOf | null {
    return this.pinned ?? this.hovered;
  }

  /** Show another map; the view stays where it is. */
  show(source: MapSource): void {
    if (source === this.source) return;
    this.source = source;
    this.pinned = this.hovered = this.selected = null;
  }

  /** Pin a cell, or let go of the one that is pinned already. */
  pin(found: CellOf | null): void {
    const again = this.pinned && found && this.pinned.grid === found.grid && this.pinned.cell === found.cell;
    this.pinned = again ? null : found;
  }

  /** Fly to a cell of a grid and pin it; nothing where the grid has no such cell. */
  goTo({ columns, column, row }: GridPlace): void {
    this.camera.flyTo((column + 0.5) / columns, (row + 0.5) / columns, columns);
    const found = this.cellOf({ columns, column, row });
    if (found) this.pinned = found;
  }

  cellOf({ columns, column, row }: GridPlace): CellOf | null {
    const grid = this.source.grids.find((cells) => cells.columns === columns);
    const cell = grid?.at(column, row) ?? -1;
    return grid && cell >= 0 ? { grid, cell } : null;
  }

  get said(): SaidMap {
    const { now } = this.camera;
    return { look: now.span === 1 ? null : now, cell: placeOf(this.pinned) };
  }

  restore({ look, cell }: SaidMap): void {
    this.camera.jump(look ?? this.camera.home);
    this.pinned = cell && this.cellOf(cell);
  }
}

export function placeOf(found: CellOf | null): GridPlace | null {
  if (!found) return null;
  const { grid, cell } = found;
  return { columns: grid.columns, column: grid.column[cell]!, row: grid.row[cell]! };
}

/** What the reader has chosen on the page of an atlas; kept in the address. */
export class AtlasView {
  readonly sources: MapSource[];
  readonly further: FurtherMap[];
  readonly main: Stage;
  /** The figure beside, which looks where the main one does. */
  readonly second: Stage;
  /** The figure of the further maps; null where there are none. */
  readonly third: Stage | null;
  readonly #body: AtlasBody;

  comparing = $state(false);
  classIndex: number | null = $state(null);
  sign: Filter["sign"] = $state("for");
  least = $state(LEAST);
  /** The channel of the main map's layer that is searched for. */
  channel: number | null = $state(null);
  labels = $state(true);
  /** Whether a drag draws a loop instead of moving the map. */
  lasso = $state(false);
  furtherPlace = $state(0);
  photoPlace: number | null = $state(null);
  /** The position of the photo that is pointed at, on the photo or on the map. */
  photoAt: { row: number; column: number } | null = $state.raw(null);
  readonly photoTitles: string[];

  constructor(body: AtlasBody) {
    this.#body = body;
    this.sources = body.layers.map((layer) => layerSource(layer));
    this.further = furtherMaps(body);
    this.photoTitles = [...new Set(body.photos.map((placed) => placed.title))];
    const last = this.sources.at(-1)!;
    const camera = new Camera(1, Math.max(...this.sources.flatMap(({ grids }) => grids.map((grid) => grid.columns))));
    this.main = new Stage(last, camera);
    this.second = new Stage(this.sources.at(-2) ?? last, camera);
    const first = this.further[0];
    this.third = first ? new Stage(first, cameraOf(first)) : null;
  }

  get layer(): string {
    return this.main.source.layer;
  }

  source(layer: string): MapSource | undefined {
    return this.sources.find((source) => source.layer === layer);
  }

  showFurther(place: number): void {
    const source = this.further[place];
    if (!source || !this.third || source === this.third.source) return;
    this.furtherPlace = place;
    this.third.camera = cameraOf(source);
    this.third.show(source);
  }

  get filter(): Filter | null {
    if (this.classIndex === null) return null;
    return { classIndex: this.classIndex, sign: this.sign, least: this.least };
  }

  /** What the filter finds in a grid; null where no class is chosen. */
  found(grid: Cells): Found | null {
    return this.filter && find(grid, this.filter);
  }

  /** The cells of a grid whose mean has the channel that is searched for highest, and how high. */
  peaks(grid: Cells): { cell: number; value: number }[] {
    return this.channel === null ? [] : grid.peaks(this.channel);
  }

  get photoTitle(): string | null {
    return this.photoPlace === null ? null : (this.photoTitles[this.photoPlace] ?? null);
  }

  /** The chosen photo as a layer placed it; undefined where that was not computed, or none is chosen. */
  placed(layer: string): PlacedPhoto | undefined {
    const title = this.photoTitle;
    return this.#body.photos.find((entry) => entry.title === title && entry.layer === layer);
  }

  /** Where a position of a photo lies on the map. */
  spot(placed: PlacedPhoto, row: number, column: number): { x: number; y: number } {
    const [x = 0, y = 0] = part(placed.positions, row, column);
    return { x, y };
  }

  get hash(): string {
    return this.#hash(true);
  }

  /** The same without where the maps look: when this changes, a reader has decided something. */
  get decided(): string {
    return this.#hash(false);
  }

  /** What a notebook is told of the reader's choices. */
  get told(): Record<string, unknown> {
    const { selected } = this.main;
    const lasso = selected?.cells.map((cell) => [selected.grid.column[cell]!, selected.grid.row[cell]!]) ?? null;
    return { hash: this.hash, layer: this.layer, grid: (selected?.grid ?? this.main.grid).columns, lasso };
  }

  #hash(looking: boolean): string {
    const said = (stage: Stage): SaidMap => (looking ? stage.said : { ...stage.said, look: null });
    return writeHash({
      layer: this.layer,
      main: said(this.main),
      beside: this.comparing ? this.second.source.layer : "",
      besideCell: this.comparing ? placeOf(this.second.pinned) : null,
      classIndex: this.classIndex,
      against: this.classIndex !== null && this.sign === "against",
      least: this.classIndex !== null && this.least !== LEAST ? this.least : null,
      channel: this.channel,
      labels: this.labels,
      photo: this.photoPlace,
      further: this.furtherPlace || null,
      furtherMap: this.third ? said(this.third) : { look: null, cell: null },
    });
  }

  /** Take up what an address says; what it does not say, or says wrongly, stays as in a fresh page. */
  restore(hash: string): void {
    const said = readHash(hash);
    this.main.show(this.source(said.layer) ?? this.sources.at(-1)!);
    this.main.restore(said.main);
    const beside = this.source(said.beside);
    this.comparing = beside !== undefined;
    if (beside) this.second.show(beside);
    this.second.pinned = said.besideCell && this.second.cellOf(said.besideCell);
    this.classIndex = said.classIndex !== null && said.classIndex < this.#body.labels.length ? said.classIndex : null;
    this.sign = said.against ? "against" : "for";
    this.least = said.least ?? LEAST;
    const channels = this.#body.layers.find(({ name }) => name === this.layer)?.channels ?? 0;
    this.channel = said.channel !== null && said.channel < channels ? said.channel : null;
    this.labels = said.labels;
    this.photoPlace = said.photo !== null && said.photo < this.photoTitles.length ? said.photo : null;
    this.showFurther(said.further ?? 0);
    this.third?.restore(said.furtherMap);
  }
}

function cameraOf(source: MapSource): Camera {
  return new Camera(source.height, Math.max(...source.grids.map((grid) => grid.columns)));
}
