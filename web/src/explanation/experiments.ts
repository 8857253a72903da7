import type { Effects, ExplanationBody, LayerCard, Numbers } from "../bundle";
import { entry, part, rowsOf } from "../numbers";
import type { Question } from "../question";

/** How well predictions agree with what was measured, over all units of a kind. */
export interface Agreement {
  /** Pearson's correlation; null where it means nothing: fewer than three units, or all alike. */
  r: number | null;
  /** What a predicted change of 1 turned into, by least squares through the origin; null where nothing was predicted. */
  slope: number | null;
  /** For how many units the direction of the change was right, and of how many: those with a change worth naming. */
  right: number;
  of: number;
}

/** Changes smaller than this share of the largest are too small to have a direction. */
const WORTH_NAMING = 0.02;

export function agreement(predicted: readonly number[], measured: readonly number[]): Agreement {
  const count = predicted.length;
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / (count || 1);
  const [centreX, centreY] = [mean(predicted), mean(measured)];
  let [xx, yy, xy, square, product] = [0, 0, 0, 0, 0];
  predicted.forEach((x, i) => {
    const y = measured[i]!;
    xx += (x - centreX) ** 2;
    yy += (y - centreY) ** 2;
    xy += (x - centreX) * (y - centreY);
    square += x * x;
    product += x * y;
  });
  const limit = Math.max(0, ...measured.map(Math.abs));
  const named = measured.flatMap((y, i) => (Math.abs(y) > WORTH_NAMING * limit ? [[predicted[i]!, y] as const] : []));
  return {
    r: count >= 3 && xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null,
    slope: square > 0 ? product / square : null,
    right: named.filter(([x, y]) => x * y > 0).length,
    of: named.length,
  };
}

/** What a factor does, as a verb for a button. */
export function verb(factor: number): string {
  if (factor === 0) return "Remove";
  return `${factor < 1 ? "Dampen" : "Amplify"} × ${factor}`;
}

/** The same as a participle, for sentences. */
export function done(factor: number): string {
  if (factor === 0) return "removed";
  return factor === 0.5 ? "halved" : factor === 2 ? "doubled" : `multiplied with ${factor}`;
}

/** The kinds of parts as they are offered: words for a button and for many, and the panel whose evidence is of them. */
export const UNITS = [
  { unit: "group", label: "Group", many: "groups", panel: "groups" },
  { unit: "channel", label: "Channel", many: "channels", panel: "channels" },
  { unit: "position", label: "Position", many: "positions", panel: "spatial" },
  { unit: "square", label: "3 × 3 square", many: "squares of 3 × 3 positions", panel: "experiments" },
] as const;

/** The outcome of one experiment for one class. */
export interface Outcome {
  index: number;
  label: string;
  before: number;
  after: number;
  /** Measured and predicted change of the logit. */
  measured: number;
  predicted: number;
}

/** What changing one part did to each class, in the order of the decision. */
export function outcomes(body: ExplanationBody, effects: Effects, unit: number): Outcome[] {
  return body.classes.map(({ index, label, probability }, place) => ({
    index,
    label,
    before: probability,
    after: entry(effects.probabilities, unit, place),
    measured: entry(effects.logits, unit, place),
    predicted: entry(effects.predicted, unit, place),
  }));
}

/** For every part: the change of the asked class's logit, or of the lead of one class over the other. */
export function changes(body: ExplanationBody, effects: Effects, asked: Question): { x: number; y: number }[] {
  const place = (index: number): number => body.classes.findIndex((score) => score.index === index);
  const [first, second] = [place(asked.index), asked.versus ? place(asked.versus.index) : -1];
  const of = (numbers: Numbers, unit: number): number =>
    entry(numbers, unit, first) - (second < 0 ? 0 : entry(numbers, unit, second));
  return effects.winners.map((_, unit) => ({ x: of(effects.predicted, unit), y: of(effects.logits, unit) }));
}

/** [rows][columns] in [0, 1]: which places of the photo a part has to do with, and how much. */
export function extent(body: ExplanationBody, effects: Effects, unit: number, card: LayerCard): number[][] {
  const { rows, columns } = card;
  if (effects.unit === "position" || effects.unit === "square") {
    const reach = effects.unit === "square" ? 1 : 0;
    const [row, column] = [Math.floor(unit / columns), unit % columns];
    const inside = (y: number, x: number): boolean => Math.abs(y - row) <= reach && Math.abs(x - column) <= reach;
    return Array.from({ length: rows }, (_, y) => Array.from({ length: columns }, (_, x) => (inside(y, x) ? 1 : 0)));
  }
  const values = strengths(body, effects, unit);
  if (!values) return Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
  const limit = values.reduce((most, value) => Math.max(most, value), 0) || 1;
  return rowsOf(
    values.map((value) => Math.max(0, value) / limit),
    columns,
  );
}

function strengths(body: ExplanationBody, { layer, unit, groups }: Effects, place: number): Float32Array | undefined {
  if (unit === "channel") {
    const panel = body.channels.find((entry) => entry.layer === layer);
    return panel && part(panel.firing, place);
  }
  const panel = body.groups.find((entry) => entry.layer === layer);
  const grouping = panel?.groupings.find((entry) => entry.icons.length === groups);
  return grouping && part(grouping.spatial, place);
}

/** Round numbers from 0 outwards for an axis that reaches `limit` to both sides. */
export function ticks(limit: number): number[] {
  const rough = limit / 2;
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = power * ([5, 2, 1].find((part) => part * power <= rough) ?? 1);
  const count = Math.floor(limit / step + 1e-9);
  return Array.from({ length: 2 * count + 1 }, (_, i) => (i - count) * step);
}

/** The unit whose dot is nearest to a point, and no farther than `reach`; null for none. */
export function nearest(dots: readonly { x: number; y: number }[], x: number, y: number, reach: number): number | null {
  let best: number | null = null;
  let record = reach * reach;
  dots.forEach((dot, unit) => {
    const far = (dot.x - x) ** 2 + (dot.y - y) ** 2;
    if (far <= record) {
      record = far;
      best = unit;
    }
  });
  return best;
}
