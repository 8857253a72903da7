import type { CellMap, Numbers } from "../bundle";

/** Numbers as Python packs them: 16-bit integers, low byte first, in base64. */
export function pack(values: readonly number[], shape: readonly number[], scale = 1): Numbers {
  const bytes = new Uint8Array(2 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [place, value] of values.entries()) view.setInt16(2 * place, Math.round(value / scale), true);
  return { shape: [...shape], scale, data: btoa(String.fromCharCode(...bytes)) };
}

/** A map whose cells stand at `places`, with attribution [cells][classes] to the classes of `classes`. */
export function cellMap(
  columns: number,
  places: readonly (readonly [column: number, row: number])[],
  { classes = [] as number[], attribution = [] as number[][], counts = places.map(() => 1), rows = columns } = {},
): CellMap {
  return {
    columns,
    rows,
    places: pack(places.flat(), [places.length, 2]),
    counts,
    top: attribution.map((values) => {
      const order = [...values.keys()].sort((a, b) => values[b]! - values[a]!);
      return order.filter((place) => values[place]! > 0).map((place) => classes[place]!);
    }),
    attribution: pack(attribution.flat(), [places.length, classes.length], 0.01),
    classes,
    tiles: { width: 100 * columns, height: 100 * rows, side: 100, files: places.map(() => "") },
    patches: null,
    channels: null,
  };
}
