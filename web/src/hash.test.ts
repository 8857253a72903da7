import { describe, expect, test } from "vitest";
import { readHash, type Said, writeHash } from "./hash";

const NOTHING: Said = {
  layer: "",
  at: null,
  classIndex: null,
  versus: null,
  groups: {},
  group: null,
  channel: null,
  trial: null,
  live: null,
  region: null,
};

describe("there and back", () => {
  test.each<[string, Partial<Said>]>([
    ["nothing", {}],
    ["a place", { layer: "mixed4d", at: { row: 4, column: 13 } }],
    ["two classes", { classIndex: 208, versus: 281 }],
    ["a comparison that was ended", { classIndex: 0, versus: "none" }],
    ["groups of two layers", { groups: { mixed4a: 4, mixed4d: 12 } }],
    ["a group", { group: { layer: "mixed4d", groups: 6, group: 0 } }],
    ["a channel", { channel: { layer: "mixed4d", channel: 527 } }],
    ["a removal", { trial: { layer: "mixed4d", unit: "square", groups: 0, part: 195, factor: 0 } }],
    ["an amplification", { trial: { layer: "mixed4d", unit: "group", groups: 6, part: 3, factor: 1.5 } }],
    [
      "a layer's name with colons, spaces and signs",
      { layer: "a:b c&d=e#f%25/ü", channel: { layer: "a:1:2", channel: 3 } },
    ],
    ["a part of the photo", { region: { top: 0.25, left: 0, bottom: 0.75, right: 1 } }],
    [
      "several changes at once",
      {
        live: {
          layer: "mixed4d",
          changes: [
            { unit: "channel", channel: 11, factor: 0 },
            { unit: "group", groups: 6, group: 2, factor: 0.5 },
            { unit: "region", rows: [0, 3], columns: [4, 7], factor: 2.25 },
          ],
        },
      },
    ],
    ["groups of such a layer", { groups: { "blocks:3": 6 }, group: { layer: "blocks:3", groups: 6, group: 5 } }],
  ])("%s", (_, part) => {
    const said = { ...NOTHING, ...part };
    expect(readHash(writeHash(said))).toEqual(said);
  });
});

test("an address as people see it", () => {
  expect(
    writeHash({
      ...NOTHING,
      layer: "mixed4d",
      at: { row: 4, column: 1 },
      classIndex: 208,
      versus: 281,
      groups: { mixed4d: 6 },
    }),
  ).toBe("#layer=mixed4d&at=4,1&class=208&versus=281&groups=mixed4d:6");
});

test.each([
  "",
  "#",
  "#at=4",
  "#at=-1,2",
  "#at=4,1e3",
  "#class=-1",
  "#class=1.5",
  "#class=0x10",
  "#versus=some",
  "#groups=6",
  "#group=mixed4d:6",
  "#channel=mixed4d",
  "#trial=mixed4d:layer:0:1:0",
  "#trial=mixed4d:channel:0:1:-1",
  "#trial=mixed4d:channel:0:1:1e9",
])("what is not understood is not taken up: %s", (hash) => {
  expect(readHash(hash)).toEqual(NOTHING);
});
