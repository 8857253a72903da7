import { expect, test } from "vitest";
import type { EvidenceEntry, ExplanationBody } from "./bundle";
import { removed, subjectOf, verdictOf } from "./evidence";

function measure(value: number, control: number | null, name = "deletion agreement"): EvidenceEntry {
  return { about: "spatial:mixed4d", name, value, control, sentence: "", low: null, high: null, says: null };
}

test.each([
  [0.9, 0.1, "beats"],
  [0.9, 0.85, "hardly"],
  [0.5, 0.5, "nothing"],
  [-0.2, 0.1, "nothing"],
  [-0.1, -0.9, "beats"],
  [0.9, null, "alone"],
])("%f beside a control of %s: %s", (value, control, expected) => {
  expect(verdictOf(measure(value, control))).toBe(expected);
});

test.each([
  [0.5, 0.3, 0.31, 0.6, "beats"],
  [0.5, 0.48, 0.49, 0.52, "beats"],
  [0.5, 0.3, 0.3, 0.6, "hardly"],
  [0.5, 0.3, -0.1, 0.8, "hardly"],
  [0.5, 0.6, 0.4, 0.7, "nothing"],
])("%f beside a control of %f, in an interval from %f to %f: %s", (value, control, low, high, expected) => {
  expect(verdictOf({ ...measure(value, control), low, high })).toBe(expected);
});

test.each([
  ["for", "beats"],
  ["against", "against"],
  ["nothing", "nothing"],
] as const)("what it says itself decides: %s is %s", (says, expected) => {
  expect(verdictOf({ ...measure(0.9, 0.1), says })).toBe(expected);
  expect(verdictOf({ ...measure(0.1, 0.9), says })).toBe(expected);
  expect(verdictOf({ ...measure(0.1, null), says })).toBe(expected);
});

test("measures of pages that were written before there were intervals", () => {
  const { about, name, value, control, sentence } = measure(0.9, 0.1);
  expect(verdictOf({ about, name, value, control, sentence } as EvidenceEntry)).toBe("beats");
});

test("what a measure is about, also where the layer's name holds colons and numbers", () => {
  const body = { layers: [{ name: "mixed4d" }, { name: "blocks:3" }] } as ExplanationBody;
  expect(subjectOf(body, "explanation")).toEqual({ panel: "explanation", layer: "", classIndex: null });
  expect(subjectOf(body, "spatial:mixed4d")).toEqual({ panel: "spatial", layer: "mixed4d", classIndex: null });
  expect(subjectOf(body, "channels:mixed4d:208")).toEqual({ panel: "channels", layer: "mixed4d", classIndex: 208 });
  expect(subjectOf(body, "groups:blocks:3")).toEqual({ panel: "groups", layer: "blocks:3", classIndex: null });
  expect(subjectOf(body, "groups:blocks:3:7")).toEqual({ panel: "groups", layer: "blocks:3", classIndex: 7 });
});

test("what a measure removed", () => {
  expect(removed(measure(1, 0, "agreement with removal of channels"))).toBe("channel");
  expect(removed(measure(1, 0))).toBeNull();
});
