import type { ExplanationBody, SpatialPanel } from "./bundle";
import type { View } from "./view.svelte";

/** The class that is looked at, and the one that it is set against, with the words for both. */
export interface Question {
  index: number;
  label: string;
  versus: { index: number; label: string } | null;
  /** `barn`, or `barn against alp`. */
  words: string;
}

/** What the reader asks about now. */
export function question(body: ExplanationBody, view: View): Question {
  const chosen = body.classes.find((entry) => entry.index === view.classIndex)!;
  const versus = body.classes.find((entry) => entry.index === view.versus) ?? null;
  return { ...chosen, versus, words: versus ? `${chosen.label} against ${versus.label}` : chosen.label };
}

/** The map of a layer for a question: of one class, or the difference of two; undefined where one was not computed. */
export function mapFor(panel: SpatialPanel, asked: Question): number[][] | undefined {
  const of = (index: number): number[][] | undefined => panel.maps.find((entry) => entry.class_index === index)?.values;
  const first = of(asked.index);
  if (!first || !asked.versus) return first;
  const second = of(asked.versus.index);
  return second && first.map((row, y) => row.map((value, x) => value - second[y]![x]!));
}
