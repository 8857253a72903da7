import { checkAtlas } from "./atlas/check";
import {
  type AtlasManifest,
  type ExplanationManifest,
  type IconSheet,
  type LayerCard,
  type Manifest,
  type ReportManifest,
  SCHEMA,
} from "./bundle";
import { checkFields, damaged, DataError, list, record } from "./checks";
import { bytesOf } from "./numbers";
import { checkReport } from "./report/check";

/** The lists that Python writes even where they are empty. */
const LISTS = [
  ...["classes", "layers", "dictionaries", "grids", "spatial", "influences", "channels", "channel_links", "groups"],
  ...["flows", "effects", "evidence", "curves"],
];

/** The address of a picture as a server gives it. */
const SERVED = /^\/api\/results\/[0-9a-f]+\/files\/[0-9a-f]+\.webp$/;
/** A file name as a bundle may hold it: no scheme, nothing above its own folder. */
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

/** A manifest and, for every file it names, an address that an <img> can show. */
interface Loaded<Kind extends Manifest> {
  manifest: Kind;
  images: Record<string, string>;
}

export type Data = Loaded<ExplanationManifest>;
export type AtlasData = Loaded<AtlasManifest>;
export type ReportData = Loaded<ReportManifest>;
export type AnyData = Data | AtlasData | ReportData;

/** What Python put into the page: data, which a notebook may add to, or a server's result to ask for; null is its home. */
export type Start = { kind: "file" | "frame"; data: AnyData } | { kind: "served"; id: string | null };

/** How the page starts. */
export function readStart(source: Document): Start {
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
  const { serve, frame } = record(found);
  if (serve) {
    const { id } = record(serve);
    return { kind: "served", id: typeof id === "string" ? id : null };
  }
  return { kind: frame ? "frame" : "file", data: checked(found) };
}

/** The data that a server told, or one sentence that says what is wrong with it. */
export function readServed(found: unknown): AnyData {
  const { images } = record(found);
  for (const address of Object.values(record(images))) {
    if (typeof address !== "string" || !SERVED.test(address)) throw damaged();
  }
  return checked(found, (address) => address);
}

/** Whether the data is an atlas. */
export function isAtlas(data: AnyData): data is AtlasData {
  return data.manifest.kind === "atlas";
}

/** Whether the data is a report. */
export function isReport(data: AnyData): data is ReportData {
  return data.manifest.kind === "report";
}

type Unpack = (address: string) => string;

function checked(found: unknown, unpack?: Unpack): AnyData {
  const { manifest, images } = record(found);
  const { schema, kind, body, provenance } = record(manifest);
  if (schema !== SCHEMA) {
    throw new DataError(`This page reads schema ${SCHEMA} and its data is of ${String(schema)}: export it again.`);
  }
  record(provenance);
  record(record(body).model);
  const addresses = record(images) as Record<string, string>;
  const data = { manifest, images: addresses } as AnyData;
  if (isAtlas(data)) {
    for (const file of checkAtlas(data.manifest.body)) unpackWhenShown(addresses, file, unpack ?? atlasAddress);
    return data;
  }
  if (isReport(data)) {
    for (const file of checkReport(data.manifest.body)) unpackWhenShown(addresses, file, unpack ?? blobAddress);
    return data;
  }
  if (kind === "explanation") return checkedExplanation(data.manifest, addresses, unpack ?? blobAddress);
  throw new DataError(`This page shows explanations, atlases and reports, but its data is of kind “${String(kind)}”.`);
}

function checkedExplanation(manifest: ExplanationManifest, images: Record<string, string>, unpack: Unpack): Data {
  const told = manifest.body;
  const { photo } = record(told);
  for (const list of LISTS) if (!Array.isArray(record(told)[list])) throw damaged();
  if (!told.classes.length) throw damaged();
  const sheets = [...told.layers, ...told.groups].map((entry) => record(record(entry).icons) as unknown as IconSheet);
  for (const sheet of sheets) if (!Array.isArray(sheet.channels)) throw damaged();
  const files = [record(photo).file, ...sheets.map((sheet) => sheet.file), ...told.grids.map((grid) => grid.file)];
  for (const file of files) unpackWhenShown(images, String(file), unpack);
  void images[String(record(photo).file)];
  for (const entry of told.classes) {
    checkFields(entry, { index: "number", label: "string", logit: "number", probability: "number" });
  }
  for (const entry of told.evidence) {
    checkFields(entry, { about: "string", name: "string", value: "number", sentence: "string" });
  }
  for (const { shares, deletion, insertion, random_deletion, random_insertion } of told.curves) {
    for (const curve of [deletion, insertion, ...list(random_deletion), ...list(random_insertion)]) {
      if (list(curve).length !== list(shares).length || !list(curve).every(Number.isFinite)) throw damaged();
    }
  }
  const cards = new Map(told.layers.map((card) => [card.name, card]));
  for (const list of [told.dictionaries, told.grids, told.spatial, told.channels, told.groups]) {
    for (const panel of list) if (!cards.has(record(panel).layer as string)) throw damaged();
  }
  for (const panel of told.dictionaries) {
    for (const grid of [panel.top, panel.values]) checkGrid(grid, cards.get(panel.layer)!);
  }
  for (const panel of told.spatial) {
    for (const map of [...panel.maps, ...panel.removal]) checkGrid(map.values, cards.get(panel.layer)!);
  }
  return { manifest, images };
}

/** Unpacked when a panel first shows it, so that the page is there before ten megabytes are. */
function unpackWhenShown(images: Record<string, string>, file: string, unpack: Unpack): void {
  const property = Object.getOwnPropertyDescriptor(images, file);
  if (property?.get) return;
  const address: unknown = property?.value;
  if (typeof address !== "string") {
    throw new DataError(`A picture is missing in this page (${file}): export it again.`);
  }
  let made = "";
  Object.defineProperty(images, file, { get: () => (made ||= unpack(address)) });
}

/** Pictures of a large atlas lie beside the page, below its own folder; nothing else may be asked for. */
function atlasAddress(address: string): string {
  return FILE_NAME.test(address) ? address : blobAddress(address);
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
