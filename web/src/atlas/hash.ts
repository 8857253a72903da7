import type { Look } from "./camera.svelte";

/** A cell of one of the grids of a map. */
export interface GridPlace {
  columns: number;
  column: number;
  row: number;
}

/** What an address says of one figure: where it looks, and the cell that is pinned. */
export interface SaidMap {
  look: Look | null;
  cell: GridPlace | null;
}

/** What an address says of the reader's choices on the page of an atlas. */
export interface Said {
  layer: string;
  main: SaidMap;
  /** The layer beside, in a comparison. */
  beside: string;
  besideCell: GridPlace | null;
  classIndex: number | null;
  against: boolean;
  least: number | null;
  /** The channel that is searched for. */
  channel: number | null;
  labels: boolean;
  /** Number of the photo whose positions are shown. */
  photo: number | null;
  /** Number of the further map. */
  further: number | null;
  furtherMap: SaidMap;
}

/** The address part, such as `#layer=mixed4d&view=0.3120,0.4410,4.00&class=208&cell=40:12,7`. */
export function writeHash(said: Said): string {
  const parts: string[] = [];
  const put = (name: string, value: string | number): void => {
    parts.push(`${name}=${typeof value === "string" ? encodeURIComponent(value) : value}`);
  };
  const plain = (name: string, value: string): void => {
    parts.push(`${name}=${value}`);
  };
  const map = (prefix: string, { look, cell }: SaidMap): void => {
    if (look) plain(`${prefix}view`, `${look.x.toFixed(4)},${look.y.toFixed(4)},${(1 / look.span).toFixed(2)}`);
    if (cell) plain(`${prefix}cell`, placeText(cell));
  };
  if (said.layer) put("layer", said.layer);
  map("", said.main);
  if (said.beside) put("beside", said.beside);
  if (said.besideCell) plain("beside-cell", placeText(said.besideCell));
  if (said.classIndex !== null) put("class", said.classIndex);
  if (said.against) put("sign", "against");
  if (said.least !== null) put("least", said.least);
  if (said.channel !== null) put("channel", said.channel);
  if (!said.labels) put("labels", "off");
  if (said.photo !== null) put("photo", said.photo);
  if (said.further !== null) put("map", said.further);
  map("map-", said.furtherMap);
  return `#${parts.join("&")}`;
}

/** The choices that an address spells; null and empty for those that it does not. Nothing is checked against data. */
export function readHash(hash: string): Said {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const map = (prefix: string): SaidMap => ({
    look: lookOf(words.get(`${prefix}view`)),
    cell: placeOf(words.get(`${prefix}cell`)),
  });
  const least = words.get("least");
  return {
    layer: words.get("layer") ?? "",
    main: map(""),
    beside: words.get("beside") ?? "",
    besideCell: placeOf(words.get("beside-cell")),
    classIndex: whole(words.get("class")),
    against: words.get("sign") === "against",
    least: least !== null && /^\d(\.\d{1,3})?$/.test(least) ? Math.min(1, Number(least)) : null,
    channel: whole(words.get("channel")),
    labels: words.get("labels") !== "off",
    photo: whole(words.get("photo")),
    further: whole(words.get("map")),
    furtherMap: map("map-"),
  };
}

function placeText({ columns, column, row }: GridPlace): string {
  return `${columns}:${column},${row}`;
}

function placeOf(text: string | null): GridPlace | null {
  const found = /^(\d{1,5}):(\d{1,5}),(\d{1,5})$/.exec(text ?? "");
  return found ? { columns: Number(found[1]), column: Number(found[2]), row: Number(found[3]) } : null;
}

function lookOf(text: string | null): Look | null {
  const found = /^(-?\d{1,3}(?:\.\d{1,6})?),(-?\d{1,3}(?:\.\d{1,6})?),(\d{1,5}(?:\.\d{1,4})?)$/.exec(text ?? "");
  if (!found || !(Number(found[3]) > 0)) return null;
  return { x: Number(found[1]), y: Number(found[2]), span: 1 / Number(found[3]) };
}

function whole(text: string | null): number | null {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;
}
