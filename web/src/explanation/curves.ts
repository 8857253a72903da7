import type { RemovalCurves } from "../bundle";

/** Where a chart lies in its picture, in the picture's own units. */
export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Smallest and largest logit of all curves, with a little room. */
export function range({ deletion, insertion, random_deletion, random_insertion }: RemovalCurves): [number, number] {
  const every = [deletion, insertion, ...random_deletion, ...random_insertion].flat();
  const [low, high] = [Math.min(...every), Math.max(...every)];
  const room = 0.04 * (high - low || 1);
  return [low - room, high + room];
}

/** Where a share of the positions and a logit stand. */
export function placeOf(share: number, logit: number, [low, high]: [number, number], frame: Frame): [number, number] {
  return [frame.left + share * frame.width, frame.top + ((high - logit) / (high - low)) * frame.height];
}

/** A curve as the points of a line. */
export function line(
  shares: readonly number[],
  curve: readonly number[],
  limits: [number, number],
  frame: Frame,
): string {
  return shares
    .map((share, i) =>
      placeOf(share, curve[i]!, limits, frame)
        .map((v) => v.toFixed(1))
        .join(","),
    )
    .join(" ");
}

/** The logit of a curve at a share of the positions, between two of its points. */
export function valueAt(shares: readonly number[], curve: readonly number[], share: number): number {
  const after = Math.max(
    1,
    shares.findIndex((each) => each >= share),
  );
  const [from, to] = [shares[after - 1]!, shares[after]!];
  const part = to > from ? (share - from) / (to - from) : 0;
  return curve[after - 1]! + part * (curve[after]! - curve[after - 1]!);
}

/** The mean of several curves, point by point. */
export function mean(curves: readonly (readonly number[])[]): number[] {
  return curves[0]!.map((_, i) => curves.reduce((sum, curve) => sum + curve[i]!, 0) / curves.length);
}

/** Round numbers between two limits, three to six of them. */
export function ticksBetween([low, high]: [number, number]): number[] {
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = power * ([5, 2, 1].find((part) => part * power <= rough) ?? 1);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}
