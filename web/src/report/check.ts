import type { IconSheet, PatchSheets, ReportBody, ReportLayer } from "../bundle";
import { checkFields, damaged, list, record } from "../checks";

const SAID = ["for", "against", "nothing"];

/** Every file that the report names; throws where a part of it is missing or does not fit the others. */
export function checkReport(body: ReportBody): string[] {
  checkFields(body, { title: "string", images: "number", photos: "number" });
  checkFields(body.model, { name: "string" });
  record(body.seconds);
  for (const remark of list(body.remarks)) if (typeof remark !== "string") throw damaged();
  if (!list(body.layers).length) throw damaged();
  return body.layers.flatMap(checkLayer);
}

function checkLayer(layer: ReportLayer): string[] {
  checkFields(layer, { name: "string", rows: "number", columns: "number", channels: "number" });
  if (!list(layer.units).length) throw damaged();
  for (const unit of layer.units) {
    checkFields(unit, { channel: "number" });
    if (!SAID.includes(unit.says)) throw damaged();
    checkEvidence(unit.evidence);
  }
  checkIcons(
    layer.icons,
    layer.units.map(({ channel }) => channel),
  );
  checkPieces(layer.exemplars, layer.units.length);
  for (const score of list(layer.methods)) {
    checkFields(score, { method: "string", unit: "string", value: "number", low: "number", high: "number" });
    checkFields(score, { control: "number", says: "string", seconds: "number" });
  }
  checkEvidence(layer.evidence);
  return [layer.icons.file, ...layer.exemplars.files];
}

function checkEvidence(entries: unknown): void {
  for (const entry of list(entries)) {
    checkFields(entry, { about: "string", name: "string", value: "number", sentence: "string" });
  }
}

function checkIcons(sheet: IconSheet, channels: readonly number[]): void {
  checkFields(sheet, { file: "string", columns: "number" });
  list(sheet.labels);
  const found = list(sheet.channels);
  if (found.length !== channels.length || found.some((channel, place) => channel !== channels[place])) throw damaged();
}

function checkPieces(sheets: PatchSheets, units: number): void {
  checkFields(sheets, { side: "number", columns: "number", cells: "number" });
  if (list(sheets.counts).length !== units || !(sheets.cells > 0)) throw damaged();
  if (list(sheets.files).length !== Math.ceil(units / sheets.cells)) throw damaged();
}
