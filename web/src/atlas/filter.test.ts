import { expect, test } from "vitest";
import { cellMap } from "../testing/pack";
import { Cells } from "./cells";
import { find } from "./filter";

const VALUES = [4, 1, -3, 0, 2, -0.5];
const GRID = new Cells(
  cellMap(
    6,
    VALUES.map((_, column) => [column, 0] as const),
    { classes: [7], attribution: VALUES.map((value) => [value]) },
  ),
);

test("cells that speak for a class at least so strongly, strongest first", () => {
  expect(find(GRID, { classIndex: 7, sign: "for", least: 0.3 }).cells).toEqual([0, 4]);
  expect(find(GRID, { classIndex: 7, sign: "for", least: 0 }).cells).toEqual([0, 4, 1]);
  expect(find(GRID, { classIndex: 7, sign: "for", least: 1 }).cells).toEqual([0]);
});

test("cells that speak against it", () => {
  expect(find(GRID, { classIndex: 7, sign: "against", least: 0.1 }).cells).toEqual([2, 5]);
});

test("what is found is bare, what nearly is, is nearly seen, the rest is covered", () => {
  const { cover } = find(GRID, { classIndex: 7, sign: "for", least: 0.3 });
  expect([0, 4].map(cover)).toEqual([0, 0]);
  expect(cover(2)).toBe(cover(3));
  expect(cover(1)).toBeLessThan(cover(2));
  expect(cover(1)).toBeGreaterThan(0);
});

test("nothing is found for a class whose attribution was not kept", () => {
  const { cells, values, cover } = find(GRID, { classIndex: 1, sign: "for", least: 0.3 });
  expect({ cells, values }).toEqual({ cells: [], values: null });
  expect(cover(0)).toBeGreaterThan(0.9);
});
