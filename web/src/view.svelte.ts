import type { ExplanationBody, LayerCard, RegionRequest } from "./bundle";
import { placeIn, same, type Grid, type Place, type Position } from "./grid";
import { isChanged, without, withChange } from "./changes";
import { type Change, type Changes, readHash, type Said, writeHash } from "./hash";

/** A layer that some panel shows, and its grid. */
export interface LayerGrid extends Grid {
  name: string;
}

/** One channel of one layer. */
export interface ChannelPlace {
  layer: string;
  channel: number;
}

/** One group of one division of a layer. */
export interface GroupPlace {
  layer: string;
  /** How many groups the layer is divided in. */
  groups: number;
  group: number;
}

/** One experiment: what was changed, by its place among the units, and what it was multiplied with. */
export interface Trial {
  layer: string;
  unit: "channel" | "group" | "position" | "square";
  /** For groups: how many the layer is divided in; else 0. */
  groups: number;
  part: number;
  factor: number;
}

/** What the reader has chosen, shared by every panel and kept in the address. */
export class View {
  #body: ExplanationBody = $state.raw()!;
  /** The address that was last taken up, and what of it could be: as a page grows, more of it can. */
  #address = "";
  #taken = "";

  layer = $state("");
  classIndex = $state(0);
  /** Number of the class that the chosen one is set against. */
  #versus: number | null = $state(null);
  /** The selected position; it follows the pointer until it is pinned. */
  selected: Place = $state({ row: 0, column: 0, rows: 1, columns: 1 });
  pinned = $state(false);
  /** The position below the pointer, in whichever panel. */
  hovered: Place | null = $state(null);
  /** Whether the position was chosen by a person, so that the address should hold it. */
  touched = $state(false);
  /** How many groups each layer is divided in, where a person chose it. */
  groups: Record<string, number> = $state({});
  /** The selected group. */
  group: GroupPlace | null = $state(null);
  /** The selected channel, about which the channel panel then tells. */
  channel: ChannelPlace | null = $state(null);
  /** The experiment that is shown. */
  trial: Trial | null = $state(null);
  /** Parts that are changed together, where somebody answers what comes of it. */
  live: Changes | null = $state(null);
  /** A part of the photo that is asked about. */
  region: RegionRequest | null = $state(null);
  /** Whether somebody answers what comes of changes. */
  answered = $state(false);

  constructor(body: ExplanationBody) {
    this.#body = body;
    this.reset();
  }

  /** The layers that panels are about. */
  get layers(): LayerCard[] {
    return this.#body.layers;
  }

  /** Go on with a page that has grown; what the reader has chosen stays. */
  update(body: ExplanationBody): void {
    const untouched = this.hash === this.#taken;
    this.#body = body;
    if (untouched) this.restore(this.#address);
    else {
      if (!this.layers.some(({ name }) => name === this.layer)) this.layer = this.#usualLayer();
      if (!this.touched) this.selected = this.#strongest();
    }
  }

  /** Change a part of a layer together with those of it that are changed already, or no longer where it is one. */
  toggleChange(layer: string, change: Change): void {
    const now = this.changesOf(layer);
    const next = isChanged(now, change) ? without(now, change) : withChange(now, change);
    this.live = next.length ? { layer, changes: next } : null;
  }

  /** The parts of a layer that are changed now. */
  changesOf(layer: string): Change[] {
    return this.live?.layer === layer ? this.live.changes : [];
  }

  /** The grid and icons of a layer. */
  card(layer: string): LayerCard {
    const card = this.layers.find((entry) => entry.name === layer);
    if (!card) throw new Error(`no layer ${layer} in this page`);
    return card;
  }

  /** The panel of the chosen layer where there is one, else the last. */
  of<Panel extends { layer: string }>(panels: Panel[]): Panel | undefined {
    return panels.find((panel) => panel.layer === this.layer) ?? panels.at(-1);
  }

  /** The class that the chosen one is set against; null where only one class is looked at. */
  get versus(): number | null {
    return this.#versus === this.classIndex ? null : this.#versus;
  }

  /** Set the chosen class against another; the same again, or null, ends the comparison. */
  compare(index: number | null): void {
    this.#versus = index === this.#versus ? null : index;
  }

  /** Turn the comparison round. */
  swap(): void {
    if (this.versus === null) return;
    [this.classIndex, this.#versus] = [this.versus, this.classIndex];
  }

  /** The groups that a layer is divided in now: the reader's number, else the panel's usual one. */
  groupsOf(layer: string): number {
    return this.groups[layer] ?? this.#body.groups.find((panel) => panel.layer === layer)?.usual ?? 0;
  }

  reset(): void {
    this.layer = this.#usualLayer();
    this.classIndex = this.#body.versus?.[0] ?? this.#body.classes[0]?.index ?? 0;
    this.#versus = this.#body.versus?.[1] ?? null;
    this.selected = this.#strongest();
    this.pinned = false;
    this.touched = false;
    this.groups = {};
    this.group = null;
    this.channel = null;
    this.trial = null;
    this.live = null;
    this.region = null;
  }

  #usualLayer(): string {
    return this.#body.dictionaries.at(-1)?.layer ?? this.layers.at(-1)?.name ?? "";
  }

  point(position: Position, grid: Grid): void {
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
    this.layer = grid.name;
    this.pinned = !again;
    this.touched = true;
  }

  move(down: number, right: number, grid: LayerGrid): void {
    const from = placeIn(this.selected, grid);
    const row = Math.min(grid.rows - 1, Math.max(0, from.row + down));
    const column = Math.min(grid.columns - 1, Math.max(0, from.column + right));
    this.selected = { row, column, rows: grid.rows, columns: grid.columns };
    this.layer = grid.name;
    this.hovered = null;
    this.pinned = true;
    this.touched = true;
  }

  /** The part of the address that brings a reader back to this view, such as `#layer=mixed4d&at=4,1&class=208`. */
  get hash(): string {
    return this.#hash(this.touched);
  }

  /** The same without what only follows the pointer: when this changes, a reader has decided something. */
  get decided(): string {
    return this.#hash(this.touched && this.pinned);
  }

  #hash(at: boolean): string {
    const grid = this.layers.find((entry) => entry.name === this.layer);
    const usual = this.#body.versus?.[1] ?? null;
    return writeHash({
      layer: grid ? grid.name : "",
      at: grid && at ? placeIn(this.selected, grid) : null,
      classIndex: this.classIndex,
      versus: this.versus ?? (usual === null ? null : "none"),
      groups: this.groups,
      group: this.group,
      channel: this.channel,
      trial: this.trial,
      live: this.live,
      region: this.region,
    });
  }

  /** What a notebook is told of the reader's choices. */
  get told(): Record<string, unknown> {
    const grid = this.layers.find((entry) => entry.name === this.layer);
    const position = grid && this.touched ? { layer: grid.name, ...placeIn(this.selected, grid) } : null;
    return {
      hash: this.hash,
      layer: this.layer,
      position: position && { layer: position.layer, row: position.row, column: position.column },
      channel: this.channel && { ...this.channel },
      group: this.group && { ...this.group },
      class_index: this.classIndex,
      versus: this.versus,
    };
  }

  /** Take up what an address says; what it does not say, or says wrongly, stays as in a fresh page. */
  restore(hash: string): void {
    this.#address = hash;
    this.reset();
    this.#take(readHash(hash));
    this.#taken = this.hash;
  }

  #take(said: Said): void {
    const grid = this.layers.find((entry) => entry.name === said.layer);
    if (grid) {
      this.layer = grid.name;
      this.selected = this.#strongest();
    }
    const known = (index: number | "none" | null): boolean => this.#body.classes.some((entry) => entry.index === index);
    if (known(said.classIndex)) this.classIndex = said.classIndex!;
    if (said.versus === "none") this.#versus = null;
    else if (known(said.versus)) this.#versus = said.versus;
    if (grid && said.at && said.at.row < grid.rows && said.at.column < grid.columns) {
      this.selected = { ...said.at, rows: grid.rows, columns: grid.columns };
      this.pinned = true;
      this.touched = true;
    }
    for (const [layer, count] of Object.entries(said.groups)) {
      if (this.#divided(layer, count)) this.groups[layer] = count;
    }
    this.region = said.region;
    if (said.live && this.layers.some(({ name }) => name === said.live!.layer)) this.live = said.live;
    const { group, channel, trial } = said;
    if (group && this.#divided(group.layer, group.groups) && group.group < group.groups) this.group = group;
    const told = this.#body.channels.find((panel) => panel.layer === channel?.layer);
    if (channel && told?.channels.includes(channel.channel)) this.channel = channel;
    if (trial && this.#made(trial)) this.trial = trial;
  }

  #divided(layer: string, count: number): boolean {
    const panel = this.#body.groups.find((candidate) => candidate.layer === layer);
    return panel?.groupings.some((grouping) => grouping.icons.length === count) ?? false;
  }

  #made({ layer, unit, groups, part, factor }: Trial): boolean {
    const found = this.#body.effects.find((entry) => {
      const same = entry.layer === layer && entry.unit === unit && entry.groups === groups;
      return same && Math.abs(entry.factor - factor) < 1e-9;
    });
    return found !== undefined && part < found.winners.length;
  }

  /** Where a reader should look first: the position whose strongest channel is the strongest of all. */
  #strongest(): Place {
    const panel = this.of(this.#body.dictionaries);
    const { rows, columns } = (panel ? this.card(panel.layer) : this.layers.at(-1)) ?? { rows: 1, columns: 1 };
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
