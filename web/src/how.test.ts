import { expect, test } from "vitest";
import type { Provenance } from "./bundle";
import { secondsOf, seedOf, setting, settingsOf, subscripts } from "./how";

const PROVENANCE = {
  settings: { steps: 64, share: 0.125, none: null, method: "linear" },
  seed: 0,
} as unknown as Provenance;

test("subscripts are of sums and letters, not of names", () => {
  expect(subscripts("map(p) = Σ_c a(p, c)")).toEqual(["map(p) = Σ", "c", " a(p, c)"]);
  expect(subscripts("(a_2 − a_1)")).toEqual(["(a", "2", " − a", "1", ")"]);
  expect(subscripts("layer block_a_2 of my_net")).toEqual(["layer block_a_2 of my_net"]);
});

test("settings are told where the bundle has them", () => {
  expect(setting(PROVENANCE, "steps", "optimizer steps")).toEqual([["optimizer steps", "64"]]);
  expect(setting(PROVENANCE, "share", "share", "s")).toEqual([["share", "0.13\u00a0s"]]);
  expect(setting(PROVENANCE, "method", "method")).toEqual([["method", "linear"]]);
  expect(setting(PROVENANCE, "none", "none")).toEqual([]);
  expect(setting(PROVENANCE, "other", "other")).toEqual([]);
  expect(seedOf(PROVENANCE)).toEqual([["seed", "0"]]);
  expect(seedOf({ ...PROVENANCE, seed: null })).toEqual([]);
});

test("time is the sum of what was measured", () => {
  const seconds = { "grid:a": 1.5, "grid:b": 2, other: 9 };
  expect(secondsOf(seconds, ["grid:a", "grid:b", "grid:c"])).toBe(3.5);
  expect(secondsOf(seconds, ["grid:c"])).toBeNull();
  const how = { lines: [], settings: [["seed", "0"]] as [string, string][], sources: [] };
  expect(settingsOf({ ...how, seconds: 3.5 })).toEqual([
    ["seed", "0"],
    ["took", "3.5\u00a0s"],
  ]);
  expect(settingsOf({ ...how, seconds: null })).toEqual([["seed", "0"]]);
});
