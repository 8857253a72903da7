import { expect, test } from "vitest";
import { readHash, type Said, writeHash } from "./hash";

const NOTHING: Said = {
  layer: "",
  main: { look: null, cell: null },
  beside: "",
  besideCell: null,
  classIndex: null,
  against: false,
  least: null,
  channel: null,
  labels: true,
  photo: null,
  further: null,
  furtherMap: { look: null, cell: null },
};

test.each<[string, Partial<Said>]>([
  ["nothing", {}],
  ["a view", { layer: "mixed4d", main: { look: { x: 0.312, y: 0.441, span: 0.25 }, cell: null } }],
  ["beyond the edge", { main: { look: { x: -0.05, y: 1.05, span: 0.5 }, cell: null } }],
  ["a cell", { main: { look: null, cell: { columns: 40, column: 12, row: 7 } } }],
  ["two layers", { layer: "a", beside: "b:c d", besideCell: { columns: 20, column: 0, row: 19 } }],
  ["a filter", { classIndex: 208, against: true, least: 0.05 }],
  ["a channel", { channel: 527 }],
  ["no labels, a photo, a further map", { labels: false, photo: 0, further: 3 }],
  ["a cell of a further map", { furtherMap: { look: null, cell: { columns: 9, column: 1, row: 2 } } }],
])("there and back: %s", (_, part) => {
  const said = { ...NOTHING, ...part };
  expect(readHash(writeHash(said))).toEqual(said);
});

test.each([
  "#view=1,2",
  "#view=0.5,0.5,0",
  "#view=a,b,c",
  "#cell=40:12",
  "#cell=40:-1,2",
  "#class=x",
  "#least=2.12345",
])("what is not understood is not taken up: %s", (hash) => {
  expect(readHash(hash)).toEqual(NOTHING);
});

test("a share above 1 is 1", () => {
  expect(readHash("#least=7").least).toBe(1);
});
