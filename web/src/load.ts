import { SCHEMA, type Manifest } from "./bundle";

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
  const { photo, model, classes, dictionaries, spatial, evidence } = record(body);
  record(provenance);
  record(model);
  for (const list of [classes, dictionaries, spatial, evidence]) if (!Array.isArray(list)) throw damaged();
  const data = { manifest: manifest as Manifest, images: record(images) as Record<string, string> };
  const files = [record(photo).file, ...data.manifest.body.dictionaries.map((panel) => record(panel.icons).file)];
  for (const file of files) {
    const address = data.images[String(file)];
    if (typeof address !== "string") {
      throw new DataError(`A picture is missing in this page (${String(file)}): export it again.`);
    }
    data.images[String(file)] = blobAddress(address);
  }
  for (const entry of data.manifest.body.classes) {
    checkFields(entry, { index: "number", label: "string", logit: "number", probability: "number" });
  }
  for (const entry of data.manifest.body.evidence) {
    checkFields(entry, { about: "string", name: "string", value: "number", sentence: "string" });
  }
  for (const panel of data.manifest.body.dictionaries) {
    for (const grid of [panel.top, panel.values]) checkGrid(grid, panel.rows, panel.columns);
  }
  for (const panel of data.manifest.body.spatial) {
    for (const map of panel.maps) checkGrid(map.values, panel.rows, panel.columns);
  }
  return data;
}

/** A short address for a data: URL, so that a megabyte of text does not stand in every style that shows the picture. */
function blobAddress(address: string): string {
  const match = /^data:(image\/webp);base64,/.exec(address);
  if (!match) throw damaged();
  try {
    const bytes = Uint8Array.from(atob(address.slice(match[0].length)), (letter) => letter.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], { type: match[1]! }));
  } catch {
    throw damaged();
  }
}

function checkGrid(grid: unknown, rows: number, columns: number): void {
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
