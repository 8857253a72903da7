import { describe, expect, test } from "vitest";
import type { Effects, ExplanationBody, LayerCard } from "../bundle";
import { pack } from "../testing/pack";
import { agreement, changes, done, extent, nearest, outcomes, ticks, verb } from "./experiments";

describe("agreement", () => {
  test("of a line through the origin is perfect, and its slope is the line's", () => {
    const fit = agreement([1, 2, -3], [0.5, 1, -1.5]);
    expect(fit.r).toBeCloseTo(1, 12);
    expect(fit).toMatchObject({ slope: 0.5, right: 3, of: 3 });
  });

  test("is Pearson's correlation", () => {
    // x − x̄ = −1.5, −0.5, 0.5, 1.5 and y − ȳ = −1.25, 0.75, −0.25, 0.75, by hand: 2.5 / √(5 · 2.75).
    expect(agreement([1, 2, 3, 4], [1, 3, 2, 3]).r).toBeCloseTo(2.5 / Math.sqrt(5 * 2.75), 12);
  });

  test("means nothing for two units, or for predictions that are all alike", () => {
    expect(agreement([1, 2], [1, 2]).r).toBeNull();
    expect(agreement([1, 1, 1], [1, 2, 3]).r).toBeNull();
    expect(agreement([0, 0, 0], [1, 2, 3]).slope).toBeNull();
  });

  test("changes too small to have a direction are not counted", () => {
    expect(agreement([1, -1, 1], [10, 0.1, -5])).toMatchObject({ right: 1, of: 2 });
  });
});

test("words for what a factor does", () => {
  expect([0, 0.5, 2].map(verb)).toEqual(["Remove", "Dampen × 0.5", "Amplify × 2"]);
  expect([0, 0.5, 2, 3].map(done)).toEqual(["removed", "halved", "doubled", "multiplied with 3"]);
});

describe("a layer of 2 × 3 positions", () => {
  const card = { name: "mixed4d", rows: 2, columns: 3 } as LayerCard;
  const effects: Effects = {
    layer: "mixed4d",
    unit: "square",
    groups: 0,
    factor: 0,
    logits: pack([-1, 2, 0, 0.5], [2, 2], 0.25),
    predicted: pack([-2, 1, 0.25, 0], [2, 2], 0.25),
    probabilities: pack([0.25, 0.5, 0.75, 0.25], [2, 2], 0.25),
    winners: [0, 0],
    names: ["cat"],
  };
  const body = {
    classes: [
      { index: 7, label: "cat", logit: 1, probability: 0.5 },
      { index: 9, label: "dog", logit: 0, probability: 0.25 },
    ],
    channels: [
      {
        layer: "mixed4d",
        channels: [4],
        attribution: pack([1], [1, 1]),
        firing: pack([-1, 0, 2, 4, 0, 0], [1, 2, 3]),
        caption: "",
      },
    ],
  } as unknown as ExplanationBody;

  test("a square reaches one position to every side, and not beyond the edge", () => {
    expect(extent(body, effects, 0, card)).toEqual([
      [1, 1, 0],
      [1, 1, 0],
    ]);
    expect(extent(body, { ...effects, unit: "position" }, 5, card)).toEqual([
      [0, 0, 0],
      [0, 0, 1],
    ]);
  });

  test("a channel reaches where it fired, as a share of its strongest", () => {
    expect(extent(body, { ...effects, unit: "channel" }, 0, card)).toEqual([
      [0, 0, 0.5],
      [1, 0, 0],
    ]);
  });

  test("outcomes are in the order of the classes", () => {
    expect(outcomes(body, effects, 0)).toEqual([
      { index: 7, label: "cat", before: 0.5, after: 0.25, measured: -1, predicted: -2 },
      { index: 9, label: "dog", before: 0.25, after: 0.5, measured: 2, predicted: 1 },
    ]);
  });

  test("of two classes the lead is what changes", () => {
    const alone = { index: 7, label: "cat", versus: null, words: "cat" };
    expect(changes(body, effects, alone)).toEqual([
      { x: -2, y: -1 },
      { x: 0.25, y: 0 },
    ]);
    expect(changes(body, effects, { ...alone, versus: { index: 9, label: "dog" } })).toEqual([
      { x: -3, y: -3 },
      { x: 0.25, y: -0.5 },
    ]);
  });
});

test.each([0.003, 0.7, 1, 2.4, 5, 10, 37, 999])("ticks of an axis to %f are round, even, and few", (limit) => {
  const found = ticks(limit);
  expect(found.length).toBeGreaterThanOrEqual(5);
  expect(found.length).toBeLessThanOrEqual(11);
  expect(found).toContain(0);
  expect(Math.max(...found)).toBeLessThanOrEqual(limit * (1 + 1e-9));
  const step = found[1]! - found[0]!;
  const first = step / 10 ** Math.floor(Math.log10(step) + 1e-9);
  expect([1, 2, 5].some((round) => Math.abs(first - round) < 1e-6)).toBe(true);
});

test("the nearest dot, within reach only", () => {
  const dots = [
    { x: 0, y: 0 },
    { x: 10, y: 0 },
  ];
  expect(nearest(dots, 6, 0, 20)).toBe(1);
  expect(nearest(dots, 3, 4, 5)).toBe(0);
  expect(nearest(dots, 3, 4.1, 5)).toBeNull();
  expect(nearest([], 0, 0, 9)).toBeNull();
});
