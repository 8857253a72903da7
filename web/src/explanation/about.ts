import type { EvidenceEntry, ExplanationBody } from "../bundle";

/** The evidence about any of `ids`. */
export function about(body: ExplanationBody, ...ids: string[]): EvidenceEntry[] {
  return body.evidence.filter((entry) => ids.includes(entry.about));
}

/** The evidence that no panel of this page shows; it must not go unseen. */
export function leftOver(body: ExplanationBody): EvidenceEntry[] {
  const shown = new Set(["explanation"]);
  for (const panel of body.dictionaries) shown.add("dictionary").add(`dictionary:${panel.layer}`);
  for (const panel of body.spatial) {
    shown.add("spatial").add(`spatial:${panel.layer}`);
    for (const map of panel.maps) shown.add(`spatial:${panel.layer}:${map.class_index}`);
  }
  return body.evidence.filter((entry) => !shown.has(entry.about));
}
