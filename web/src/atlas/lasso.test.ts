import { expect, test } from "vitest";
import { cellMap } from "../testing/pack";
import { Cells } from "./cells";
import { forPython, loopCells, summary } from "./lasso";

const PLACES = Array.from({ length: 100 }, (_, cell) => [cell % 10, Math.floor(cell / 10)] as const);
const GRID = new Cells(
  cellMap(10, PLACES, {
    counts: PLACES.map(([column]) => column + 1),
    classes: [3, 5],
    attribution: PLACES.map(([column, row]) => [column - 4, -row]),
  }),
);

test("a round loop holds the cells whose centres are within its radius, whichever way round it is drawn", () => {
  const circle = Array.from({ length: 720 }, (_, step) => {
    const turn = (2 * Math.PI * step) / 720;
    return { x: 0.5 + 0.31 * Math.cos(turn), y: 0.5 + 0.31 * Math.sin(turn) };
  });
  const expected = PLACES.flatMap(([column, row], cell) =>
    Math.hypot((column + 0.5) / 10 - 0.5, (row + 0.5) / 10 - 0.5) < 0.31 ? [cell] : [],
  );
  expect(expected.length).toBeGreaterThan(20);
  expect(loopCells(GRID, circle)).toEqual(expected);
  expect(loopCells(GRID, [...circle].reverse())).toEqual(expected);
});

test("a bay of the loop is outside", () => {
  // A square of 10 × 10 with its right half cut open between 0.3 and 0.7.
  const bay = [
    [0, 0],
    [1, 0],
    [1, 0.3],
    [0.2, 0.3],
    [0.2, 0.7],
    [1, 0.7],
    [1, 1],
    [0, 1],
  ].map(([x, y]) => ({ x: x!, y: y! }));
  const found = loopCells(GRID, bay);
  expect(found.length).toBe(100 - 4 * 8);
  expect(found).not.toContain(55);
  expect(found).toContain(51);
});

test("a selection's classes are means over its activations, those above nothing only", () => {
  // Cells of columns 5 and 9 of the first row hold 6 and 10 activations, with attribution 1 and 5 to class 3.
  const { activations, classes } = summary(GRID, [5, 9]);
  expect(activations).toBe(16);
  expect(classes.map(({ index }) => index)).toEqual([3]);
  expect(classes[0]!.mean).toBeCloseTo((6 * 1 + 10 * 5) / 16, 4);
  expect(summary(GRID, [])).toEqual({ activations: 0, classes: [] });
});

test("the same selection in Python", () => {
  expect(forPython('a"b', GRID, [12, 3])).toBe('atlas.select("a\\"b", grid=10, cells=[(2, 1), (3, 0)])');
});
