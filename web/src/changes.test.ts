import { expect, test } from "vitest";
import { isChanged, samePart, withChange, without } from "./changes";
import type { Change } from "./hash";

const channel: Change = { unit: "channel", channel: 5, factor: 0 };
const group: Change = { unit: "group", groups: 3, group: 2, factor: 2 };

test("a part is changed once, whatever the factor", () => {
  const halved = { ...channel, factor: 0.5 } as Change;
  expect(withChange([group, channel], halved)).toEqual([group, halved]);
  expect(withChange([group], channel)).toEqual([group, channel]);
  expect(without([group, halved], channel)).toEqual([group]);
  expect(isChanged([group, halved], channel)).toBe(true);
  expect(isChanged([group], channel)).toBe(false);
  expect(samePart(group, { ...group, group: 1 } as Change)).toBe(false);
});
