import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Camera } from "./camera.svelte";

let frames: FrameRequestCallback[] = [];
let time = 0;

/** Runs the frames that were asked for, 16 ms each, until none is. */
function settle(): number {
  let count = 0;
  for (; frames.length && count < 1000; count++) {
    time += 16;
    const now = frames;
    frames = [];
    for (const frame of now) frame(time);
  }
  return count;
}

async function camera(still = false): Promise<Camera> {
  vi.resetModules();
  vi.stubGlobal("matchMedia", () => ({ matches: still }));
  const { Camera: Made } = await import("./camera.svelte");
  const made = new Made(1, 40);
  made.resize(800, 600);
  return made;
}

beforeEach(() => {
  frames = [];
  time = 0;
  vi.stubGlobal("requestAnimationFrame", (frame: FrameRequestCallback) => frames.push(frame));
  vi.spyOn(performance, "now").mockImplementation(() => time);
});

test("places and points are each other's inverse", async () => {
  const made = await camera();
  made.jump({ x: 0.4, y: 0.55, span: 0.3 });
  const { x, y } = made.placeAt(123, 456);
  const point = made.pointOf(x, y);
  expect(point.x).toBeCloseTo(123, 9);
  expect(point.y).toBeCloseTo(456, 9);
});

test("zooming holds the place below the pointer, at every frame", async () => {
  const made = await camera();
  made.jump({ x: 0.5, y: 0.5, span: 0.5 });
  const before = made.placeAt(500, 250);
  made.zoom(1.6, 500, 250);
  while (frames.length) {
    const now = frames;
    frames = [];
    time += 16;
    for (const frame of now) frame(time);
    const after = made.placeAt(500, 250);
    expect(after.x).toBeCloseTo(before.x, 6);
    expect(after.y).toBeCloseTo(before.y, 6);
  }
  expect(made.now.span).toBeCloseTo(0.5 / 1.6, 9);
});

describe("bounds", () => {
  test("out stops at the whole map, in at the largest cell", async () => {
    const made = await camera();
    made.zoom(1e-3);
    settle();
    expect(made.now).toEqual(made.home);
    made.zoom(1e6);
    settle();
    expect(made.now.span).toBeCloseTo(made.smallestSpan, 9);
    expect(made.scale / 40).toBeLessThanOrEqual(170 + 1e-9);
  });

  test("no more than a strip beyond the map is seen", async () => {
    const made = await camera();
    made.jump({ x: 0.5, y: 0.5, span: 0.25 });
    made.drag(1e5, 1e5);
    const corner = made.pointOf(0, 0);
    expect(corner.x).toBeGreaterThan(0);
    expect(corner.x).toBeLessThanOrEqual(0.05 * 800 + 1e-6);
    expect(corner.y).toBeLessThanOrEqual(0.05 * 600 + 1e-6);
  });
});

test("a hand's drag moves the map by as many pixels", async () => {
  const made = await camera();
  made.jump({ x: 0.5, y: 0.5, span: 0.3 });
  const before = made.pointOf(0.5, 0.5);
  made.drag(40, -25);
  const after = made.pointOf(0.5, 0.5);
  expect(after.x - before.x).toBeCloseTo(40, 9);
  expect(after.y - before.y).toBeCloseTo(-25, 9);
});

test("a flight ends where it should, and rises on a long way", async () => {
  const made = await camera();
  made.jump({ x: 0.1, y: 0.1, span: 0.1 });
  made.fly({ x: 0.9, y: 0.9, span: 0.1 });
  let widest = 0;
  while (frames.length) {
    const now = frames;
    frames = [];
    time += 16;
    for (const frame of now) frame(time);
    widest = Math.max(widest, made.now.span);
  }
  expect(made.now.x).toBeCloseTo(0.9, 9);
  expect(made.now.y).toBeCloseTo(0.9, 9);
  expect(made.now.span).toBeCloseTo(0.1, 9);
  expect(made.moving).toBe(false);
  expect(widest).toBeGreaterThan(0.2);
});

test("who wants less motion gets none", async () => {
  const made = await camera(true);
  made.fly({ x: 0.7, y: 0.3, span: 0.2 });
  expect(frames).toEqual([]);
  expect(made.now).toEqual({ x: 0.7, y: 0.3, span: 0.2 });
});
