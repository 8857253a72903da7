/** Teal supports, orange inhibits: a pair that stays apart in every common colour blindness, and in grey. */
export const SUPPORT = [13, 158, 148] as const;
export const INHIBIT = [238, 121, 22] as const;

/** Opacity of the strongest cell: the photo below must stay visible. */
const STRONGEST = 0.9;

/** Colour of a signed value over the photo, as red, green, blue in 0–255 and opacity in 0–1. */
export function diverging(value: number, limit: number): [number, number, number, number] {
  const [red, green, blue] = value < 0 ? INHIBIT : SUPPORT;
  const strength = limit > 0 ? Math.min(1, Math.abs(value) / limit) : 0;
  return [red, green, blue, STRONGEST * strength];
}

/** The same as CSS. */
export function divergingColor(value: number, limit: number): string {
  const [red, green, blue, opacity] = diverging(value, limit);
  return `rgb(${red} ${green} ${blue} / ${opacity.toFixed(3)})`;
}

/** Largest size of any number in nested lists. */
export function largest(values: readonly (readonly number[])[]): number {
  let limit = 0;
  for (const row of values) for (const value of row) limit = Math.max(limit, Math.abs(value));
  return limit;
}

/** Largest size of any number in the maps of a layer: the one scale that all its classes share. */
export function largestOf(maps: readonly { values: number[][] }[]): number {
  return Math.max(...maps.map((map) => largest(map.values)));
}
