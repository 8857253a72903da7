import { expect, test } from "vitest";
import { diverging, divergingColor, INHIBIT, largest, largestOf, SUPPORT } from "./scale";

test("the sign chooses the colour, the size the opacity", () => {
  expect(diverging(1, 2)).toEqual([...SUPPORT, 0.45]);
  expect(diverging(-1, 2)).toEqual([...INHIBIT, 0.45]);
  expect(diverging(0, 2)[3]).toBe(0);
});

test("nothing is more opaque than the strongest, and a scale of nothing shows nothing", () => {
  expect(diverging(7, 2)[3]).toBe(diverging(2, 2)[3]);
  expect(diverging(3, 0)[3]).toBe(0);
});

test("as CSS", () => {
  expect(divergingColor(-2, 2)).toBe(`rgb(${INHIBIT.join(" ")} / 0.900)`);
});

test("the two colours differ in lightness, so that they stay apart in grey", () => {
  const luminance = (color: readonly number[]): number => {
    const [red, green, blue] = color.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  };
  const [dark, light] = [luminance(SUPPORT), luminance(INHIBIT)].sort((a, b) => a - b);
  expect((light! + 0.05) / (dark! + 0.05)).toBeGreaterThan(1.15);
});

test("limits count size, not sign, over all rows and all maps", () => {
  expect(largest([[1, -4], [2]])).toBe(4);
  expect(largest([])).toBe(0);
  expect(largestOf([{ values: [[1]] }, { values: [[-3, 2]] }])).toBe(3);
});
