import type { ExperimentAnswer, ExplanationBody } from "../bundle";
import { samePart } from "../changes";
import type { Change } from "../hash";
import { entry } from "../numbers";
import type { Outcome } from "./experiments";

/** How things were before a step, and the part whose slider was moved then. */
export interface Step {
  before: Change[];
  moved: Change | null;
}

/** The steps that can be taken back, with one more; the way of one slider is one step. */
export function withStep(steps: readonly Step[], before: Change[], moved: Change | null = null): readonly Step[] {
  const last = steps.at(-1)?.moved;
  if (moved && last && samePart(moved, last)) return steps;
  return [...steps.slice(-40), { before, moved }];
}

/** A change in words, such as `group 3 of 6`. */
export function nameOf(change: Change): string {
  if (change.unit === "channel") return `channel ${change.channel}`;
  if (change.unit === "group") return `group ${change.group + 1} of ${change.groups}`;
  const [top, bottom] = change.rows;
  const [left, right] = change.columns;
  const span = (what: string, first: number, last: number): string =>
    first === last ? `${what} ${first}` : `${what}s ${first}–${last}`;
  return `${span("row", top, bottom)}, ${span("column", left, right)}`;
}

/** What is done with a part, for a list. */
export function doneTo(factor: number): string {
  if (factor === 0) return "removed";
  if (factor === 1) return "as it is";
  return `× ${Math.round(factor * 100) / 100}`;
}

/** What attribution says that the changes do to the logit of each class, each part on its own; null where it cannot. */
export function predicted(body: ExplanationBody, layer: string, changes: readonly Change[]): (number | null)[] {
  return body.classes.map(({ index }, place) => {
    let sum = 0;
    for (const change of changes) {
      const adds = addsOf(body, layer, change, place, index);
      if (adds === null) return null;
      sum += (change.factor - 1) * adds;
    }
    return sum;
  });
}

/** What a part adds to the logit of a class, by attribution. */
function addsOf(body: ExplanationBody, layer: string, change: Change, place: number, index: number): number | null {
  if (change.unit === "channel") {
    const panel = body.channels.find((other) => other.layer === layer);
    const at = panel?.channels.indexOf(change.channel) ?? -1;
    return panel && at >= 0 ? entry(panel.attribution, place, at) : null;
  }
  if (change.unit === "group") {
    const panel = body.groups.find((other) => other.layer === layer);
    const grouping = panel?.groupings.find(({ icons }) => icons.length === change.groups);
    return grouping ? entry(grouping.attribution, place, change.group) : null;
  }
  const map = body.spatial
    .find((other) => other.layer === layer)
    ?.maps.find(({ class_index }) => class_index === index);
  if (!map) return null;
  let sum = 0;
  for (let row = change.rows[0]; row <= change.rows[1]; row++) {
    for (let column = change.columns[0]; column <= change.columns[1]; column++) sum += map.values[row]?.[column] ?? 0;
  }
  return sum;
}

/** The classes of an answer as a table shows them. */
export function outcomesOf(answer: ExperimentAnswer, foreseen: readonly (number | null)[]): Outcome[] {
  return answer.classes.map((told, place) => ({
    index: told.index,
    label: told.label,
    before: told.probability_before,
    after: told.probability_after,
    measured: told.logit_after - told.logit_before,
    predicted: foreseen[place] ?? Number.NaN,
  }));
}
