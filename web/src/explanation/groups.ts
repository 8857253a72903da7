import type { ExplanationBody, Grouping, GroupPanel } from "../bundle";
import { entry, part, rowsOf } from "../numbers";
import type { Question } from "../question";
import type { View } from "../view.svelte";

/** Colours of groups: apart in hue or in lightness, and none of the pair that means support and inhibit. */
const COLORS = [
  [76, 132, 255],
  [240, 204, 50],
  [226, 82, 205],
  [134, 206, 70],
  [148, 108, 245],
  [247, 106, 128],
  [92, 204, 250],
  [176, 134, 70],
  [206, 240, 150],
  [250, 178, 226],
  [98, 112, 190],
  [190, 190, 186],
] as const;

export type Color = readonly [number, number, number];

/** Places of one group, [rows][columns] from 0 up. */
export type Places = readonly (readonly number[])[];

/**
 * A colour for each group of each grouping, [groupings][groups]: a group keeps the colour of the group of the
 * grouping before that lies most where it lies, so that colours hold still while the number of groups changes.
 */
export function groupColors(groupings: readonly (readonly Places[])[]): Color[][] {
  let before: { flat: number[]; color: number }[] = [];
  return groupings.map((groups) => {
    const flats = groups.map((places) => unit(places.flat()));
    const pairs = flats.flatMap((flat, group) =>
      before.map((old) => ({ group, color: old.color, alike: flat.reduce((sum, x, i) => sum + x * old.flat[i]!, 0) })),
    );
    const colors = new Map<number, number>();
    const taken = new Set<number>();
    for (const { group, color } of pairs.sort((a, b) => b.alike - a.alike)) {
      if (colors.has(group) || taken.has(color)) continue;
      colors.set(group, color);
      taken.add(color);
    }
    groups.forEach((_, group) => {
      if (colors.has(group)) return;
      const free = COLORS.findIndex((_, color) => !taken.has(color));
      const color = free < 0 ? group % COLORS.length : free;
      colors.set(group, color);
      taken.add(color);
    });
    before = flats.map((flat, group) => ({ flat, color: colors.get(group)! }));
    return groups.map((_, group) => COLORS[colors.get(group)!]!);
  });
}

/** One colour for each position, red, green, blue and opacity: the colours of its groups, mixed by their strength. */
export function mixGroups(groups: readonly Places[], colors: readonly Color[]): [number, number, number, number][][] {
  const rows = groups[0]?.length ?? 0;
  const columns = groups[0]?.[0]?.length ?? 0;
  const limit = Math.max(1e-12, ...groups.map((places) => highest(places)));
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => {
      const strengths = groups.map((places) => places[row]![column]!);
      // The cube lets the strongest group lead: evenly mixed colours turn to mud.
      const weights = strengths.map((strength) => strength ** 3);
      const whole = weights.reduce((sum, weight) => sum + weight, 0) || 1;
      const mixed = [0, 1, 2].map(
        (part) => weights.reduce((sum, weight, i) => sum + weight * colors[i]![part]!, 0) / whole,
      );
      return [mixed[0]!, mixed[1]!, mixed[2]!, Math.min(1, Math.sqrt(Math.max(...strengths) / limit))];
    }),
  );
}

/** The group that is strongest at a position. */
export function groupAt(groups: readonly Places[], row: number, column: number): number {
  let best = 0;
  groups.forEach((places, group) => {
    if (places[row]![column]! > groups[best]![row]![column]!) best = group;
  });
  return best;
}

/** The largest number of a map. */
export function highest(places: Places): number {
  return Math.max(...places.map((row) => Math.max(...row)));
}

export function css([red, green, blue]: Color, opacity = 1): string {
  return `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)} / ${opacity.toFixed(3)})`;
}

function unit(values: number[]): number[] {
  const length = Math.hypot(...values) || 1;
  return values.map((value) => value / length);
}

/** The division of a panel that has `count` groups, else its first. */
export function groupingOf(panel: GroupPanel, count: number): Grouping {
  return panel.groupings.find((grouping) => grouping.icons.length === count) ?? panel.groupings[0]!;
}

/** Where each group of a division is: [groups][rows][columns]. */
export function placesOf({ spatial }: Grouping): Places[] {
  return Array.from({ length: spatial.shape[0]! }, (_, group) => rowsOf(part(spatial, group), spatial.shape[2]!));
}

const colored = new WeakMap<GroupPanel, Color[][]>();

/** The colours of the groups of one of the panel's divisions. */
export function colorsOf(panel: GroupPanel, grouping: Grouping): Color[] {
  let colors = colored.get(panel);
  if (!colors) {
    colors = groupColors(panel.groupings.map(placesOf));
    colored.set(panel, colors);
  }
  return colors[Math.max(0, panel.groupings.indexOf(grouping))]!;
}

/** What each group adds to a class, or to the first of two classes less what it adds to the second. */
export function effectsOn(body: ExplanationBody, { attribution, icons }: Grouping, asked: Question): number[] {
  const of = (index: number, group: number): number =>
    entry(
      attribution,
      body.classes.findIndex((score) => score.index === index),
      group,
    );
  return icons.map((_, group) => of(asked.index, group) - (asked.versus ? of(asked.versus.index, group) : 0));
}

/** The group of a division that the reader has selected, in whichever panel; null for none. */
export function selectedGroup(view: View, layer: string, count: number): number | null {
  const { group } = view;
  return group && group.layer === layer && group.groups === count ? group.group : null;
}

/** Selects a group, or lets go of it where it is selected already. */
export function selectGroup(view: View, layer: string, count: number, group: number): void {
  view.group = selectedGroup(view, layer, count) === group ? null : { layer, groups: count, group };
}
