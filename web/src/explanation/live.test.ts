import { expect, test } from "vitest";
import type { ExplanationBody, Numbers } from "../bundle";
import type { Change } from "../hash";
import { nameOf, predicted, type Step, withStep } from "./live";

function packed(shape: number[], values: number[]): Numbers {
  const bytes = new Uint8Array(Int16Array.from(values.map((value) => value * 100)).buffer);
  return { shape, scale: 0.01, data: btoa(String.fromCharCode(...bytes)) };
}

const body = {
  classes: [{ index: 7 }, { index: 9 }],
  channels: [{ layer: "a", channels: [3, 5], attribution: packed([2, 2], [1, 2, -1, 4]) }],
  groups: [{ layer: "a", groupings: [{ icons: [0, 1, 2], attribution: packed([2, 3], [0.5, 1, 1.5, 2, 2.5, 3]) }] }],
  spatial: [
    {
      layer: "a",
      maps: [
        {
          class_index: 7,
          values: [
            [1, 2],
            [3, 4],
          ],
        },
        {
          class_index: 9,
          values: [
            [0, 0],
            [0, 10],
          ],
        },
      ],
    },
  ],
} as unknown as ExplanationBody;

const channel: Change = { unit: "channel", channel: 5, factor: 0 };
const group: Change = { unit: "group", groups: 3, group: 2, factor: 2 };
const region: Change = { unit: "region", rows: [0, 1], columns: [1, 1], factor: 0.5 };

test("the prediction is the sum over parts of what each adds, times the change of its factor", () => {
  expect(predicted(body, "a", [channel])).toEqual([-2, -4]);
  expect(predicted(body, "a", [group])).toEqual([1.5, 3]);
  expect(predicted(body, "a", [region])).toEqual([-3, -5]);
  expect(predicted(body, "a", [channel, group, region])).toEqual([-3.5, -6]);
});

test("a part that attribution does not tell of has no prediction", () => {
  expect(predicted(body, "a", [{ ...channel, channel: 4 } as Change])).toEqual([null, null]);
  expect(predicted(body, "b", [region])).toEqual([null, null]);
});

test("every step can be taken back, and the way of one slider is one step", () => {
  let steps: readonly Step[] = [];
  steps = withStep(steps, []);
  steps = withStep(steps, [channel], { ...channel, factor: 0.25 });
  steps = withStep(steps, [{ ...channel, factor: 0.25 }], { ...channel, factor: 0.5 });
  steps = withStep(steps, [{ ...channel, factor: 0.5 }]);
  steps = withStep(steps, [], group);
  expect(steps.map(({ before }) => before)).toEqual([[], [channel], [{ ...channel, factor: 0.5 }], []]);
});

test("names", () => {
  expect(nameOf(group)).toBe("group 3 of 3");
  expect(nameOf(region)).toBe("rows 0–1, column 1");
});
