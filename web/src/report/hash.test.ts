import { expect, test } from "vitest";
import { readHash, type Said, writeHash } from "./hash";

const NOTHING: Said = { layer: "", show: "all", unit: null };

test.each<Partial<Said>>([
  {},
  { layer: "mixed4d" },
  { layer: "blocks:3 b&c", show: "misleads" },
  { layer: "a", show: "unsaid", unit: 0 },
  { show: "holds", unit: 1023 },
])("there and back: %o", (part) => {
  const said = { ...NOTHING, ...part };
  expect(readHash(writeHash(said))).toEqual(said);
});

test.each(["", "#show=some", "#unit=-1", "#unit=x", "#unit=12345678901"])("not taken up: %s", (hash) => {
  expect(readHash(hash)).toEqual(NOTHING);
});
