import type { Change } from "./hash";

/** Whether two changes are of the same part. */
export function samePart(one: Change, other: Change): boolean {
  return JSON.stringify({ ...one, factor: 0 }) === JSON.stringify({ ...other, factor: 0 });
}

/** Whether one of the changes is of the same part. */
export function isChanged(changes: readonly Change[], change: Change): boolean {
  return changes.some((other) => samePart(other, change));
}

/** The changes with one more, or with the factor of one that is there already. */
export function withChange(changes: readonly Change[], change: Change): Change[] {
  if (!isChanged(changes, change)) return [...changes, change];
  return changes.map((other) => (samePart(other, change) ? change : other));
}

/** The changes without one. */
export function without(changes: readonly Change[], change: Change): Change[] {
  return changes.filter((other) => !samePart(other, change));
}
