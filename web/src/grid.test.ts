import { describe, expect, test } from "vitest";
import { box, cellAt, placeIn, same } from "./grid";

describe("a place in another grid", () => {
  test("in the same grid it is itself", () => {
    for (let row = 0; row < 14; row++) {
      expect(placeIn({ row, column: 13 - row, rows: 14, columns: 14 }, { rows: 14, columns: 14 })).toEqual({
        row,
        column: 13 - row,
      });
    }
  });

  test("in a grid half as fine it is the cell that holds it", () => {
    expect(placeIn({ row: 5, column: 13, rows: 14, columns: 14 }, { rows: 7, columns: 7 })).toEqual({
      row: 2,
      column: 6,
    });
  });

  test("there and back from a coarse grid it is the same cell", () => {
    const [coarse, fine] = [
      { rows: 7, columns: 5 },
      { rows: 28, columns: 15 },
    ];
    for (let row = 0; row < coarse.rows; row++) {
      for (let column = 0; column < coarse.columns; column++) {
        const there = placeIn({ row, column, ...coarse }, fine);
        expect(placeIn({ ...there, ...fine }, coarse)).toEqual({ row, column });
      }
    }
  });
});

test("edges of the picture belong to the outer cells", () => {
  const grid = { rows: 4, columns: 4 };
  expect(cellAt(0, 1, grid)).toEqual({ row: 0, column: 3 });
  expect(cellAt(1.2, -0.1, grid)).toEqual({ row: 3, column: 0 });
  expect(cellAt(0.2499, 0.25, grid)).toEqual({ row: 0, column: 1 });
});

test("places are the same by row and column; nothing is the same as nothing", () => {
  expect(same({ row: 1, column: 2 }, { row: 1, column: 2 })).toBe(true);
  expect(same({ row: 1, column: 2 }, { row: 2, column: 1 })).toBe(false);
  expect(same(null, null)).toBe(true);
  expect(same(null, { row: 0, column: 0 })).toBe(false);
});

test("a cell over a picture, as CSS", () => {
  expect(box({ row: 1, column: 3 }, { rows: 2, columns: 4 })).toBe("top:50%;left:75%;height:50%;width:25%");
});
