import { expect, test } from "vitest";
import { between, contains, moved, tidy } from "./rectangle";

test("a rectangle holds both corners, however it is drawn", () => {
  const wanted = { top: 1, left: 2, bottom: 4, right: 5 };
  expect(between({ row: 1, column: 5 }, { row: 4, column: 2 })).toEqual(wanted);
  expect(between({ row: 4, column: 5 }, { row: 1, column: 2 })).toEqual(wanted);
});

test("it keeps its size at the edge", () => {
  const from = { top: 1, left: 0, bottom: 3, right: 4 };
  expect(moved(from, -5, 0, 8, 8)).toEqual({ top: 0, left: 0, bottom: 2, right: 4 });
  expect(moved(from, 2, 9, 8, 8)).toEqual({ top: 3, left: 3, bottom: 5, right: 7 });
});

test("it never has less than one cell, nor leaves the grid", () => {
  expect(tidy({ top: 3, left: 3, bottom: 1, right: 99 }, 8, 8)).toEqual({ top: 3, left: 3, bottom: 3, right: 7 });
});

test("containing", () => {
  const outer = { top: 0, left: 0, bottom: 3, right: 3 };
  expect(contains(outer, { top: 1, left: 1, bottom: 3, right: 3 })).toBe(true);
  expect(contains(outer, { top: 1, left: 1, bottom: 4, right: 3 })).toBe(false);
});
