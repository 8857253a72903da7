import { expect, test } from "vitest";
import { LARGEST_ZOOM, settled, shownPart, zoomed } from "./grids";

test("the whole picture is shown at first, and a window never leaves it", () => {
  expect(shownPart({ zoom: 1, x: 0.5, y: 0.5 })).toEqual({ left: 0, top: 0, size: 1 });
  expect(shownPart({ zoom: 2, x: 0, y: 1 })).toEqual({ left: 0, top: 0.5, size: 0.5 });
  expect(settled({ zoom: 4, x: -3, y: 0.5 })).toEqual({ zoom: 4, x: 0.125, y: 0.5 });
});

test("zooming holds the point below the pointer", () => {
  const at = { x: 0.4, y: 0.7 };
  let window = { zoom: 1.5, x: 0.5, y: 0.5 };
  const where = (): [number, number] => {
    const { left, top, size } = shownPart(window);
    return [(at.x - left) / size, (at.y - top) / size];
  };
  const [x, y] = where();
  for (let turn = 0; turn < 4; turn++) {
    window = zoomed(window, 1.3, at);
    expect(where()[0]).toBeCloseTo(x, 9);
    expect(where()[1]).toBeCloseTo(y, 9);
  }
});

test("zoom is bounded on both sides", () => {
  const home = { zoom: 1, x: 0.5, y: 0.5 };
  expect(zoomed(home, 0.1, { x: 0, y: 0 })).toEqual(home);
  expect(zoomed(home, 1000, { x: 0.5, y: 0.5 }).zoom).toBe(LARGEST_ZOOM);
});
