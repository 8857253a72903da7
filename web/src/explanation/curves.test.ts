import { expect, test } from "vitest";
import type { RemovalCurves } from "../bundle";
import { line, mean, placeOf, range, ticksBetween, valueAt } from "./curves";

const CURVES: RemovalCurves = {
  layer: "mixed4d",
  class_index: 3,
  shares: [0, 0.25, 0.5, 1],
  deletion: [8, 3, 1, -2],
  insertion: [-2, 4, 9, 8],
  random_deletion: [
    [8, 7, 5, -2],
    [8, 5, 3, -2],
  ],
  random_insertion: [
    [-2, 0, 3, 8],
    [-2, 2, 5, 8],
  ],
};
const FRAME = { left: 10, top: 20, width: 200, height: 100 };

test("the range holds every curve, and a constant one has one too", () => {
  const [low, high] = range(CURVES);
  expect(low).toBeCloseTo(-2.44);
  expect(high).toBeCloseTo(9.44);
  const flat = [1, 1, 1, 1];
  const constant = { ...CURVES, deletion: flat, insertion: flat, random_deletion: [], random_insertion: [] };
  expect(range(constant)).toEqual([0.96, 1.04]);
});

test("high logits stand above low ones, all within the frame", () => {
  expect(placeOf(0, 9, [-1, 9], FRAME)).toEqual([10, 20]);
  expect(placeOf(1, -1, [-1, 9], FRAME)).toEqual([210, 120]);
  expect(line([0, 0.5, 1], [-1, 4, 9], [-1, 9], FRAME)).toBe("10.0,120.0 110.0,70.0 210.0,20.0");
});

test.each([
  [0, 8],
  [0.125, 5.5],
  [0.25, 3],
  [0.75, -0.5],
  [1, -2],
])("at a share of %f the logit is %f", (share, logit) => {
  expect(valueAt(CURVES.shares, CURVES.deletion, share)).toBeCloseTo(logit);
});

test("the mean of random orders", () => {
  expect(mean(CURVES.random_insertion)).toEqual([-2, 1, 4, 8]);
});

test.each([
  [
    [-2.4, 9.4],
    [-2, 0, 2, 4, 6, 8],
  ],
  [
    [0.96, 1.04],
    [0.96, 0.98, 1, 1.02, 1.04],
  ],
  [
    [10, 41],
    [10, 20, 30, 40],
  ],
] as [[number, number], number[]][])("round numbers between %s", (limits, expected) => {
  const found = ticksBetween(limits);
  expect(found).toHaveLength(expected.length);
  found.forEach((tick, i) => expect(tick).toBeCloseTo(expected[i]!));
});
