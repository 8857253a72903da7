import { expect, test } from "vitest";
import type { EvidenceEntry, MethodScore, ReportBody, ReportLayer, ReportUnit } from "../bundle";
import { believed, findings, headline, most, ranked, reach, shown, standingOf, tally } from "./summary";

type Says = ReportUnit["says"];

function measure(name: string, says: Says): EvidenceEntry {
  return { about: "rendering:a:1", name, value: 0.5, control: 0.1, sentence: "", low: null, high: null, says };
}

function unit(channel: number, says: Says, ...measures: Says[]): ReportUnit {
  return { channel, says, evidence: measures.map((each, place) => measure(`measure ${place}`, each)) };
}

function score(method: string, part: MethodScore["unit"], value: number, control: number): MethodScore {
  const says = value > control ? "for" : "nothing";
  return { method, unit: part, value, low: value - 0.1, high: value + 0.1, control, says, seconds: 1 };
}

function layer(name: string, says: Says[], methods: MethodScore[] = []): ReportLayer {
  return { name, units: says.map((each, place) => unit(place, each)), methods, evidence: [] } as unknown as ReportLayer;
}

const EARLY = layer("early", ["against", "nothing", "for"], [score("linear", "set", 0.5, 0.3)]);
const LATE = layer(
  "late",
  ["for", "for"],
  [
    score("linear", "set", 0.7, 0.4),
    score("removal", "set", 0.9, 0.4),
    score("linear", "channel", 0.2, 0.3),
    score("grad_cam", "channel", 0.1, 0.3),
  ],
);

test("a picture has the standing that it is told to have", () => {
  expect(tally(EARLY.units)).toEqual({ misleads: 1, unsaid: 1, holds: 1 });
  expect(standingOf(unit(0, "nothing", "for", "nothing"))).toBe("unsaid");
});

test.each<[Says, Says[], number]>([
  ["for", ["for", "nothing"], 0],
  ["against", ["nothing", "for", "against"], 2],
  ["nothing", ["for", "nothing"], 1],
  ["nothing", ["nothing", "nothing"], 0],
  ["nothing", ["for", "for"], 0],
])("a picture that is %s with %o is told by measure %i", (says, measures, place) => {
  expect(headline(unit(0, says, ...measures))?.name).toBe(`measure ${place}`);
});

test("a picture without measures has no headline", () => {
  expect(headline(unit(0, "nothing"))).toBeUndefined();
});

test("pictures that mislead are shown first, and others are left out when asked", () => {
  const mixed = layer("a", ["for", "nothing", "against", "for"]);
  const channels = (show: Parameters<typeof shown>[1]): number[] => shown(mixed, show).map(({ channel }) => channel);
  expect(channels("all")).toEqual([2, 1, 0, 3]);
  expect(channels("holds")).toEqual([0, 3]);
  expect(shown(EARLY, "misleads").map(({ channel }) => channel)).toEqual([0]);
});

test("methods that say something stand before those that do not, the best first", () => {
  const scores = [score("a", "set", 0.95, 0.99), score("b", "set", 0.5, 0.2), score("c", "set", 0.6, 0.2)];
  expect(ranked(layer("x", ["for"], scores), "set").map(({ method }) => method)).toEqual(["c", "b", "a"]);
  expect(ranked(LATE, "group")).toEqual([]);
});

test("believed is what says something in most layers, by its median", () => {
  const third = layer("third", ["for"], [score("linear", "set", 0.8, 0.5), score("removal", "set", 0.6, 0.5)]);
  expect(believed([EARLY, LATE, third], "set")).toEqual({
    methods: ["removal"],
    value: 0.75,
    control: 0.45,
    says: 2,
    measured: 2,
    layers: 3,
  });
  // Measured in one of two layers only.
  expect(believed([EARLY, LATE], "set")?.methods).toEqual(["linear"]);
  expect(believed([LATE], "channel")).toBeNull();
});

test("methods that are as good are named, three at most", () => {
  const values = { a: 0.9, b: 0.885, c: 0.95, d: 0.94, e: 0.935, f: 0.932 };
  const scores = Object.entries(values).map(([method, value]) => score(method, "group", value, 0.1));
  expect(believed([layer("x", ["for"], scores)], "group")?.methods).toEqual(["c", "d", "e"]);
  expect(believed([layer("x", ["for"], scores.slice(0, 2))], "group")?.methods).toEqual(["a", "b"]);
});

test("the layers of which most is to be said", () => {
  expect(most([EARLY, LATE], "misleads")).toEqual([EARLY]);
  expect(most([LATE, layer("also", ["for"])], "misleads")).toEqual([]);
  expect(most([EARLY], "misleads")).toEqual([]);
});

function said(...layers: ReportLayer[]): string[][] {
  return findings({ layers } as ReportBody).map(({ about, lead, sentence }) => [about, lead + sentence]);
}

test("what the numbers come down to", () => {
  expect(said(EARLY, LATE)).toEqual([
    [
      "Pictures",
      "3 of 5 channels’ pictures show what fires the channel on photos; 1 misleads, and of 1 it cannot be said.",
    ],
    [
      "Maps over positions",
      "Believe linear: what it foretells correlates by 0.60 with what removing positions does, mere strength of activation by 0.35.",
    ],
    ["Channels", "No method foretells better than mere strength what removing channels does."],
    ["Layers", "Pictures mislead most often in early (1 of 3). Least can be said of early (1 of 3)."],
  ]);
  expect(said(layer("weak", ["for"], [score("removal", "set", 0.4, 0.1)]))[1]?.[1]).toBe(
    "Weak at best, by removal: what it foretells correlates by 0.40 with what removing positions does, mere strength of activation by 0.10.",
  );
  expect(said(layer("only", ["for", "against", "against"]))).toEqual([
    ["Pictures", "1 of 3 channels’ pictures shows what fires the channel on photos; 2 mislead."],
  ]);
});

test("a scale begins at zero, or at the quarter below the least", () => {
  expect(reach([score("a", "set", 0.5, 0.1)])).toBe(0);
  expect(reach([score("a", "set", 0.5, -0.3)])).toBe(-0.5);
  expect(reach([])).toBe(0);
});
