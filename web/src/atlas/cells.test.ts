import { describe, expect, test } from "vitest";
import { cellMap, pack } from "../testing/pack";
import { Cells } from "./cells";

// . 0 .
// 1 . 2
// . 3 .
const CROSS = new Cells(
  cellMap(
    3,
    [
      [1, 0],
      [0, 1],
      [2, 1],
      [1, 2],
    ],
    {
      counts: [5, 9, 1, 9],
      classes: [4, 8],
      attribution: [
        [1, -2],
        [0, 3],
        [0.5, 0],
        [-1, 1],
      ],
    },
  ),
);

test("cells are found by their place, and nothing where there is none", () => {
  expect([CROSS.at(1, 0), CROSS.at(0, 1), CROSS.at(1, 1), CROSS.at(-1, 0), CROSS.at(0, 3)]).toEqual([0, 1, -1, -1, -1]);
  expect(CROSS.under(0.99, 0.5)).toBe(2);
  expect(CROSS.under(1.01, 0.5)).toBe(-1);
});

describe("the next cell", () => {
  const line = new Cells(
    cellMap(4, [
      [0, 1],
      [3, 1],
      [3, 0],
    ]),
  );

  test("is straight ahead over holes, before one that is as far on but aside", () => {
    expect(line.next(0, 1, 1, 0)).toBe(1);
    expect(CROSS.next(1, 2, 0, -1)).toBe(2);
  });

  test("is the nearest aside where none is ahead, and none at the end", () => {
    expect(CROSS.next(1, 0, 1, 0)).toBe(2);
    expect(CROSS.next(1, 0, -1, 0)).toBe(1);
    expect(CROSS.next(2, 1, 1, 0)).toBe(-1);
  });
});

test("the order is by number of activations", () => {
  expect([...CROSS.order]).toEqual([1, 3, 0, 2]);
});

test("attribution is by the class's number; nothing for a class that was not kept", () => {
  expect([...CROSS.attribution(8)!].map((value) => Math.round(100 * value) / 100)).toEqual([-2, 3, 0, 1]);
  expect(CROSS.attribution(5)).toBeNull();
});

test("channels of a cell, and cells of a channel", () => {
  const map = cellMap(2, [
    [0, 0],
    [1, 0],
  ]);
  // Means [cells][channels]: 0.5 2 0 and 1 0 0.
  map.channels = {
    top: [[1, 0], [0]],
    values: pack([2, 0.5, 1, 0], [2, 2], 0.5),
    cells: [[1, 0], [0], []],
    peaks: pack([1, 0.5, 2, 0, 0, 0], [3, 2], 0.5),
  };
  const cells = new Cells(map);
  expect(cells.peaks(0)).toEqual([
    { cell: 1, value: 1 },
    { cell: 0, value: 0.5 },
  ]);
  expect(cells.peaks(2)).toEqual([]);
  expect(cells.peaks(3)).toEqual([]);
  expect(cells.strongest(0)).toEqual([
    { channel: 1, value: 2 },
    { channel: 0, value: 0.5 },
  ]);
  expect(CROSS.peaks(0)).toEqual([]);
});
