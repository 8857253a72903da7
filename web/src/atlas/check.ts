import type { AtlasBody, CellMap } from "../bundle";
import { checkFields, checkNumbers, damaged, list, record } from "../checks";

const LISTS = ["labels", "layers", "class_atlases", "two_class_maps", "trials", "photos", "evidence"];

/** Every file that the atlas names; throws where a part of it is missing or does not fit the others. */
export function checkAtlas(body: AtlasBody): Set<string> {
  checkFields(body, { title: "string", images: "number" });
  for (const name of LISTS) list(record(body)[name]);
  if (!body.layers.length || !body.labels.length) throw damaged();
  const files = new Set<string>();
  for (const layer of body.layers) {
    checkFields(layer, { name: "string", rows: "number", columns: "number", activations: "number" });
    if (!list(layer.maps).length) throw damaged();
    for (const map of layer.maps) checkMap(map, body.labels.length, files);
  }
  const known = new Set(body.layers.map((layer) => layer.name));
  for (const entry of [...body.class_atlases, ...body.two_class_maps]) {
    checkFields(entry, { layer: "string" });
    checkMap(entry.map, body.labels.length, files);
  }
  for (const { first, second, reach } of body.two_class_maps) {
    if (!(reach > 0) || !body.labels[first] || !body.labels[second]) throw damaged();
  }
  for (const trial of body.trials) {
    checkFields(trial, { layer: "string", source: "number", aim: "number", file: "string", sentence: "string" });
    if (list(trial.place).length !== 2) throw damaged();
    for (const share of list(trial.shares)) {
      checkFields(share, { name: "string", setting: "string", flipped: "number", total: "number" });
      checkFields(share, { low: "number", high: "number" });
    }
    for (const photo of list(trial.examples)) {
      checkFields(photo, { file: "string", width: "number", height: "number" });
    }
    for (const file of [trial.file, ...trial.examples.map((photo) => photo.file)]) files.add(file);
  }
  for (const placed of body.photos) {
    checkFields(placed, { title: "string", layer: "string" });
    checkFields(placed.photo, { file: "string", width: "number", height: "number" });
    const [rows, columns] = list(record(placed.positions).shape) as number[];
    if (!rows || !columns) throw damaged();
    checkNumbers(placed.positions, [rows, columns, 2]);
    files.add(placed.photo.file);
  }
  for (const { layer } of [...body.class_atlases, ...body.two_class_maps, ...body.trials, ...body.photos]) {
    if (!known.has(layer)) throw damaged();
  }
  for (const entry of body.evidence) {
    checkFields(entry, { about: "string", name: "string", value: "number", sentence: "string" });
  }
  return files;
}

function checkMap(map: CellMap, classes: number, files: Set<string>): void {
  checkFields(map, { columns: "number", rows: "number" });
  const count = list(map.counts).length;
  checkNumbers(map.places, [count, 2]);
  if (list(map.top).length !== count) throw damaged();
  if (list(map.classes).some((index) => typeof index !== "number" || index >= classes)) throw damaged();
  checkNumbers(map.attribution, [count, map.classes.length]);
  const { tiles, patches } = map;
  checkFields(tiles, { width: "number", height: "number", side: "number" });
  const tileCount = Math.ceil(tiles.width / tiles.side) * Math.ceil(tiles.height / tiles.side);
  if (list(tiles.files).length !== tileCount) throw damaged();
  for (const file of tiles.files) if (file) files.add(file);
  if (map.channels) {
    const { top, values, cells, peaks } = map.channels;
    if (list(top).length !== count) throw damaged();
    checkNumbers(values, [count, longest(top)]);
    if (
      list(cells)
        .flat()
        .some((cell) => typeof cell !== "number" || cell >= count)
    )
      throw damaged();
    checkNumbers(peaks, [cells.length, longest(cells)]);
  }
  if (!patches) return;
  checkFields(patches, { side: "number", columns: "number", cells: "number" });
  if (list(patches.counts).length !== count) throw damaged();
  if (list(patches.files).length !== Math.ceil(count / patches.cells)) throw damaged();
  for (const file of patches.files) files.add(file);
}

function longest(lists: unknown[]): number {
  return lists.reduce((most: number, entries) => Math.max(most, list(entries).length), 0);
}
