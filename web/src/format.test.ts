import { describe, expect, test } from "vitest";
import { decimals, duration, number, percent, signed, unbroken } from "./format";

const THIN = "\u00a0";

describe("decimals", () => {
  test.each([
    [[], 0],
    [[0, 0], 0],
    [[-250, 3], 0],
    [[99.9], 2],
    [[0.1], 2],
    [[0.0999, -0.02], 3],
    [[0.0099], 4],
  ])("of %j is %i", (values, expected) => {
    expect(decimals(values)).toBe(expected);
  });
});

describe("numbers in text", () => {
  test("a minus sign is a minus sign, and nothing is never negative", () => {
    expect(number(-3.25, 2)).toBe("−3.25");
    expect(number(-0.001, 2)).toBe("0.00");
    expect(number(0)).toBe("0");
  });

  test("one alone has about three digits", () => {
    expect([1234.4, 12.345, 1.2345, 0.012345, 0.0012345].map((value) => number(value))).toEqual([
      "1234",
      "12.3",
      "1.23",
      "0.012",
      "0.0012",
    ]);
  });

  test("signed shows a plus sign, but not before what reads as nothing", () => {
    expect(signed(2, 1)).toBe("+2.0");
    expect(signed(-2, 1)).toBe("−2.0");
    expect(signed(0.01, 1)).toBe("0.0");
    expect(signed(-0.01, 1)).toBe("0.0");
  });
});

test("a small probability never reads as nothing, nor a large one as certainty", () => {
  expect(percent(0)).toBe(`0.0${THIN}%`);
  expect(percent(0.0004)).toBe(`<${THIN}0.1${THIN}%`);
  expect(percent(0.5)).toBe(`50.0${THIN}%`);
  expect(percent(0.9999)).toBe(`>${THIN}99.9${THIN}%`);
  expect(percent(1)).toBe(`100.0${THIN}%`);
});

test("percent signs stay with their numbers", () => {
  expect(unbroken("12 % of 30 % are few")).toBe(`12${THIN}% of 30${THIN}% are few`);
});

test.each([
  [0.0001, `1${THIN}ms`],
  [0.42, `420${THIN}ms`],
  [9.96, `10.0${THIN}s`],
  [73.4, `73${THIN}s`],
  [119.4, `119${THIN}s`],
  [120, `2${THIN}min`],
])("%f seconds read as %s", (seconds, expected) => {
  expect(duration(seconds)).toBe(expected);
});
