import type { Numbers } from "./bundle";

/** The page has no data that it can show; the message is a sentence for the reader. */
export class DataError extends Error {}

export function damaged(): DataError {
  return new DataError("The data in this page is damaged: a part of it is missing. Export it again from its bundle.");
}

export function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged();
  return value as Record<string, unknown>;
}

export function checkFields(entry: unknown, types: Record<string, string>): void {
  const found = record(entry);
  for (const [name, type] of Object.entries(types)) if (typeof found[name] !== type) throw damaged();
}

/** Whether packed numbers have this shape and are as long as it says; nothing is unpacked for it. */
export function checkNumbers(value: unknown, shape: readonly number[]): void {
  const { shape: found, data, scale } = record(value) as unknown as Numbers;
  if (typeof data !== "string" || typeof scale !== "number" || !Array.isArray(found)) throw damaged();
  if (found.length !== shape.length || found.some((length, axis) => length !== shape[axis])) throw damaged();
  const bytes = 2 * shape.reduce((product, length) => product * length, 1);
  if (data.length !== 4 * Math.ceil(bytes / 3)) throw damaged();
}

export function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw damaged();
  return value;
}
