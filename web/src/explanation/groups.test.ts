import { describe, expect, test } from "vitest";
import { groupAt, groupColors, highest, mixGroups } from "./groups";

const LEFT = [
  [1, 0],
  [1, 0],
];
const RIGHT = [
  [0, 2],
  [0, 2],
];
const TOP = [
  [0.5, 0.6],
  [0, 0],
];

describe("colours", () => {
  test("within one division are all different, up to twelve", () => {
    const many = Array.from({ length: 12 }, (_, group) => [
      Array.from({ length: 12 }, (_, at) => (at === group ? 1 : 0)),
    ]);
    const [colors] = groupColors([many]);
    expect(new Set(colors!.map(String)).size).toBe(12);
  });

  test("follow the place of a group, whatever its number", () => {
    const [two, three] = groupColors([
      [LEFT, RIGHT],
      [RIGHT, TOP, LEFT],
    ]);
    expect(three![0]).toBe(two![1]);
    expect(three![2]).toBe(two![0]);
    expect([two![0], two![1]]).not.toContain(three![1]);
  });
});

describe("mixing", () => {
  const [red, blue] = [
    [255, 0, 0],
    [0, 0, 255],
  ] as const;

  test("a position of one group has its colour, and nothing is clear where nothing is", () => {
    const mixed = mixGroups([LEFT, RIGHT], [red, blue]);
    expect(mixed[0]![1]).toEqual([0, 0, 255, 1]);
    expect(mixed[0]![0]!.slice(0, 3)).toEqual([255, 0, 0]);
    // Half as strong as the strongest: the root of a half.
    expect(mixed[0]![0]![3]).toBeCloseTo(Math.SQRT1_2, 12);
    expect(mixGroups([[[0]], [[0]]], [red, blue])[0]![0]).toEqual([0, 0, 0, 0]);
  });

  test("the stronger group leads by more than its share", () => {
    const [r, , b] = mixGroups([[[2]], [[1]]], [red, blue])[0]![0]!;
    expect(r! / b!).toBeCloseTo(8, 9);
  });
});

test("the strongest group at a position, and the largest number of a map", () => {
  expect(groupAt([LEFT, RIGHT, TOP], 0, 0)).toBe(0);
  expect(groupAt([LEFT, RIGHT, TOP], 1, 1)).toBe(1);
  expect(highest(RIGHT)).toBe(2);
});
