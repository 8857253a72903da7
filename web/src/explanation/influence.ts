import type { ExplanationBody, Influence } from "../bundle";
import type { Position } from "../grid";
import { part, rowsOf, unpack } from "../numbers";

/** A map over one layer of what has to do with a position of another. */
export interface InfluenceMap {
  /** Whether the position is made of what the map shows, or feeds it. */
  kind: "makes" | "fed";
  values: number[][];
}

/** For the position `at` of layer `from`: the map over `layer`, or nothing where the two are not neighbours. */
export function influenceOn(
  body: ExplanationBody,
  layer: string,
  from: string,
  at: Position,
): InfluenceMap | undefined {
  const below = body.influences.find((entry) => entry.lower === layer && entry.upper === from);
  if (below) return { kind: "makes", values: rowsOf(part(below.values, at.row, at.column), lowerColumns(below)) };
  const above = body.influences.find((entry) => entry.lower === from && entry.upper === layer);
  if (above) return { kind: "fed", values: fed(above, at) };
  return undefined;
}

/** Whether any influence that starts or ends in `layer` was computed. */
export function hasInfluence(body: ExplanationBody, layer: string): boolean {
  return body.influences.some((entry) => entry.lower === layer || entry.upper === layer);
}

function lowerColumns(influence: Influence): number {
  return influence.values.shape[3]!;
}

function fed({ values }: Influence, { row, column }: Position): number[][] {
  const [rows, columns, below, across] = values.shape as [number, number, number, number];
  const all = unpack(values);
  return Array.from({ length: rows }, (_, y) =>
    Array.from({ length: columns }, (_, x) => all[((y * columns + x) * below + row) * across + column]!),
  );
}
