import { expect, test } from "vitest";
import type { Result, ServerStatus } from "../bundle";
import { endText, keeper, pixelText, sizeText, spanText, stateText, unreadable } from "./words";

const status = { accepts: ["image/png"], most_bytes: 2 ** 21 } as ServerStatus;

test("what a server would refuse is said before it is sent", () => {
  expect(unreadable({ name: "a.png", type: "image/png", size: 10 }, status)).toBe("");
  expect(unreadable({ name: "a.svg", type: "image/svg+xml", size: 10 }, status)).toContain("“a.svg” is not a picture");
  expect(unreadable({ name: "a.png", type: "image/png", size: 5 * 2 ** 20 }, status)).toContain(
    "5 MB, and at most 2 MB",
  );
  expect(unreadable({ name: "a.png", type: "image/png", size: 0 }, status)).toContain("empty");
});

test("sizes and times as a person says them", () => {
  expect([100, 2 ** 20, 20 * 2 ** 20].map(sizeText)).toEqual(["1 kB", "1 MB", "20 MB"]);
  expect([7 * 86_400, 86_400, 5400, 30].map(spanText)).toEqual(["7 days", "1 day", "2 hours", "30 seconds"]);
});

test("the place in the queue", () => {
  expect(stateText({ state: "waiting", ahead: 1 } as Result)).toBe("waits for 1 other");
  expect(stateText({ state: "waiting", ahead: 0 } as Result)).toBe("starts at once");
});

test("how work ended", () => {
  expect(endText({ state: "failed", problem: "the disk is full." } as Result)).toContain(": the disk is full.");
  expect(endText({ state: "cancelled" } as Result)).toContain("cancelled");
  expect(endText({ state: "done" } as Result)).toBe("");
});

test("where a photo stays", () => {
  expect(["localhost", "127.0.0.1", "[::1]"].map(keeper)).toEqual(Array(3).fill("this machine"));
  expect(["192.168.1.7", "127.0.0.1.example.org"].map(keeper)).toEqual(["192.168.1.7", "127.0.0.1.example.org"]);
});

test("pixels as a person says them", () => {
  expect([50_000_000, 4096].map(pixelText)).toEqual(["50 million pixels", "4096 pixels"]);
});
