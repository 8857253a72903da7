import type { EvidenceEntry, ExplanationBody } from "./bundle";

/** What a measure is worth beside its control. */
export type Verdict = "beats" | "hardly" | "nothing" | "against" | "alone";

/** A lead over the control that chance might well give: measures are often correlations over a handful of parts. */
const HARDLY = 0.1;

const SAID: Record<NonNullable<EvidenceEntry["says"]>, Verdict> = {
  for: "beats",
  against: "against",
  nothing: "nothing",
};

export function verdictOf({ value, control, low, says }: EvidenceEntry): Verdict {
  if (says) return SAID[says];
  if (control === null) return "alone";
  if (value <= control) return "nothing";
  // A page that was written before there were intervals does not hold them.
  const clear = low == null ? value - control >= HARDLY * Math.max(Math.abs(value), Math.abs(control)) : low > control;
  return clear ? "beats" : "hardly";
}

export const VERDICTS: Record<Verdict, string> = {
  beats: "beats its control",
  hardly: "hardly better than its control",
  nothing: "says nothing here",
  against: "speaks against the picture",
  alone: "has no control",
};

/** A sign for each, which reads in black and white. */
export const MARKS: Record<Verdict, string> = { beats: "●", hardly: "◐", nothing: "○", against: "✕", alone: "–" };

/** What a measure is about: the panel, the layer, and the class, as far as each is said. */
export interface Subject {
  panel: string;
  layer: string;
  classIndex: number | null;
}

export function subjectOf(body: ExplanationBody, about: string): Subject {
  const colon = about.indexOf(":");
  if (colon < 0) return { panel: about, layer: "", classIndex: null };
  const [panel, rest] = [about.slice(0, colon), about.slice(colon + 1)];
  // A layer's name may hold colons and numbers: it is known before a class is looked for.
  const found = body.layers.some(({ name }) => name === rest) ? null : /^(.+):(\d+)$/.exec(rest);
  return { panel, layer: found ? found[1]! : rest, classIndex: found ? Number(found[2]) : null };
}

/** What one measure is told with: words before its sentence where the sentence needs them. */
export interface Told extends EvidenceEntry {
  lead?: string;
}

/** The parts whose removal was measured, as experiments name them; null where the measure is another. */
export function removed({ name }: EvidenceEntry): string | null {
  return /\bremoval of (\w+)s$/.exec(name)?.[1] ?? null;
}

/** What judges maps over positions: they were not made of it. The classic map's has its method after a comma. */
const JUDGE = "agreement with removal of random sets";
/** The measures of the map that agrees with removals; all others are of the classic one. */
const OF_REMOVAL_MAP = [JUDGE, "gap between insertion and deletion", "agreement on changed photos"];

/** Whether a measure is of the map that agrees with removals, rather than of the classic one. */
export function judgesRemovalMap({ name }: EvidenceEntry): boolean {
  return OF_REMOVAL_MAP.includes(name);
}

/** Whether a measure judges a map over positions by what it was not made of. */
export function judgesMap({ name }: EvidenceEntry): boolean {
  return name === JUDGE || name.startsWith(`${JUDGE}, `);
}
