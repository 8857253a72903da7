import { SCHEMA, type IconSheet, type LayerCard, type Manifest } from "./bundle";
import { bytesOf } from "./numbers";

/** The lists that Python writes even where they are empty. */
const LISTS = [
  ...["classes", "layers", "dictionaries", "grids", "spatial", "influences", "channels", "channel_links", "groups"],
  ...["flows", "effects", "evidence"],
];

/** A manifest and, for every file it names, an address that an <img> can show. */
export interface Data {
  manifest: Manifest;
  images: Record<string, string>;
}

/** The page has no data that it can show; the message is a sentence for the reader. */
export class DataError extends Error {}

/** The data that Python put into the page. */
export function readData(source: Document): Data {
  const text = source.getElementById("bundle")?.textContent?.trim();
  if (!text || text === "null") {
    throw new DataError("This page holds no data yet: make one with pellucid.app.export_html.");
  }
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new DataError("The data in this page is damaged or cut short: export it again from its bundle.");
  }
  return checked(found);
}

function checked(found: unknown): Data {
  const { manifest, images } = record(found);
  const { schema, kind, body, provenance } = record(manifest);
  if (schema !== SCHEMA) {
    throw new DataError(`This page reads schema ${SCHEMA} and its data is of ${String(schema)}: export it again.`);
  }
  if (kind !== "explanation") {
    throw new DataError(`This page shows explanations, but its data is of kind “${String(kind)}”.`);
  }
  const { photo, model } = record(body);
  record(provenance);
  record(model);
  for (const list of LISTS) if (!Array.isArray(record(body)[list])) throw damaged();
  const data = { manifest: manifest as Manifest, images: record(images) as Record<string, string> };
  const told = data.manifest.body;
  if (!told.classes.length) throw damaged();
  const sheets = [...told.layers, ...told.groups].map((entry) => record(record(entry).icons) as unknown as IconSheet);
  for (const sheet of sheets) if (!Array.isArray(sheet.channels)) throw damaged();
  const files = [record(photo).file, ...sheets.map((sheet) => sheet.file), ...told.grids.map((grid) => grid.file)];
  for (const file of files) {
    const address = data.images[String(file)];
    if (typeof address !== "string") {
      throw new DataError(`A picture is missing in this page (${String(file)}): export it again.`);
    }
    // Unpacked when a panel first shows it, so that the page is there before ten megabytes are.
    let made = "";
    Object.defineProperty(data.images, String(file), { get: () => (made ||= blobAddress(address)) });
  }
  void data.images[String(record(photo).file)];
  for (const entry of told.classes) {
    checkFields(entry, { index: "number", label: "string", logit: "number", probability: "number" });
  }
  for (const entry of told.evidence) {
    checkFields(entry, { about: "string", name: "string", value: "number", sentence: "string" });
  }
  const cards = new Map(told.layers.map((card) => [card.name, card]));
  for (const list of [told.dictionaries, told.grids, told.spatial, told.channels, told.groups]) {
    for (const panel of list) if (!cards.has(record(panel).layer as string)) throw damaged();
  }
  for (const panel of told.dictionaries) {
    for (const grid of [panel.top, panel.values]) checkGrid(grid, cards.get(panel.layer)!);
  }
  for (const panel of told.spatial) for (const map of panel.maps) checkGrid(map.values, cards.get(panel.layer)!);
  return data;
}

/** A short address for a data: URL, so that a megabyte of text does not stand in every style that shows the picture. */
function blobAddress(address: string): string {
  const match = /^data:(image\/webp);base64,/.exec(address);
  if (!match) throw damaged();
  try {
    return URL.createObjectURL(new Blob([bytesOf(address.slice(match[0].length))], { type: match[1]! }));
  } catch {
    throw damaged();
  }
}

function checkGrid(grid: unknown, { rows, columns }: LayerCard): void {
  if (!Array.isArray(grid) || grid.length !== rows) throw damaged();
  if (!grid.every((row) => Array.isArray(row) && row.length === columns)) throw damaged();
}

function checkFields(entry: unknown, types: Record<string, string>): void {
  const found = record(entry);
  for (const [name, type] of Object.entries(types)) if (typeof found[name] !== type) throw damaged();
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged();
  return value as Record<string, unknown>;
}

function damaged(): DataError {
  return new DataError("The data in this page is damaged: a part of it is missing. Export it again from its bundle.");
}
