import type { Numbers } from "./bundle";

const unpacked = new WeakMap<Numbers, Float32Array>();

/** The entries of packed numbers in the order of their axes, the last one fastest; unpacked at the first call only. */
export function unpack(numbers: Numbers): Float32Array {
  let values = unpacked.get(numbers);
  if (!values) {
    values = decode(numbers);
    unpacked.set(numbers, values);
  }
  return values;
}

/** The entries below the first axes: `part(n, 2)` of [4, 3, 5] is 3 × 5 long, `part(n, 2, 1)` is 5 long. A view. */
export function part(numbers: Numbers, ...at: number[]): Float32Array {
  const values = unpack(numbers);
  const size = numbers.shape.slice(at.length).reduce((product, length) => product * length, 1);
  const start = at.reduce((sum, place, axis) => sum * numbers.shape[axis]! + place, 0) * size;
  return values.subarray(start, start + size);
}

/** One entry. */
export function entry(numbers: Numbers, ...at: number[]): number {
  return part(numbers, ...at)[0] ?? 0;
}

/** Flat values as [rows][columns]. */
export function rowsOf(values: ArrayLike<number>, columns: number): number[][] {
  return Array.from({ length: Math.floor(values.length / columns) }, (_, row) =>
    Array.from({ length: columns }, (_, column) => values[row * columns + column]!),
  );
}

function decode({ data, scale, shape }: Numbers): Float32Array {
  const bytes = bytesOf(data);
  const count = shape.reduce((product, length) => product * length, 1);
  if (bytes.length !== 2 * count) throw new Error("packed numbers are not as long as their shape says");
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(count);
  for (let place = 0; place < count; place++) values[place] = scale * view.getInt16(2 * place, true);
  return values;
}

/** The bytes that base64 text stands for. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  return bytes;
}
