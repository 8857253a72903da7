/** Which pictures of a layer are shown. */
export const SHOWS = ["all", "misleads", "unsaid", "holds"] as const;
export type Show = (typeof SHOWS)[number];

/** What an address says of the reader's choices on the page of a report. */
export interface Said {
  layer: string;
  show: Show;
  /** The channel whose measures are all told. */
  unit: number | null;
}

/** The address part, such as `#layer=mixed4d&show=misleads&unit=42`. */
export function writeHash({ layer, show, unit }: Said): string {
  const parts = [`layer=${encodeURIComponent(layer)}`];
  if (show !== "all") parts.push(`show=${show}`);
  if (unit !== null) parts.push(`unit=${unit}`);
  return `#${parts.join("&")}`;
}

/** The choices that an address spells, as in a fresh page where it does not. Nothing is checked against data. */
export function readHash(hash: string): Said {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const unit = words.get("unit") ?? "";
  return {
    layer: words.get("layer") ?? "",
    show: SHOWS.find((show) => show === words.get("show")) ?? "all",
    unit: /^\d{1,9}$/.test(unit) ? Number(unit) : null,
  };
}
