import type { EvidenceEntry, ExplanationBody } from "../bundle";

/** The evidence about any of `ids`. */
export function about(body: ExplanationBody, ...ids: string[]): EvidenceEntry[] {
  return body.evidence.filter((entry) => ids.includes(entry.about));
}

/** The panels that show evidence about themselves, by the first word of the evidence's `about`. */
const SHOWN = {
  dictionary: "dictionaries",
  grids: "grids",
  spatial: "spatial",
  channels: "channels",
  groups: "groups",
  experiments: "effects",
} as const;

/** The evidence that no panel of this page shows; it must not go unseen. */
export function leftOver(body: ExplanationBody): EvidenceEntry[] {
  const shown = new Set(["explanation"]);
  for (const { lower, upper } of body.flows) shown.add("flow").add(`flow:${lower}`).add(`flow:${upper}`);
  for (const [word, field] of Object.entries(SHOWN)) {
    for (const { layer } of body[field]) {
      shown.add(word).add(`${word}:${layer}`);
      for (const entry of body.classes) shown.add(`${word}:${layer}:${entry.index}`);
    }
  }
  return body.evidence.filter((entry) => !shown.has(entry.about));
}

const METHODS: Record<string, string> = {
  linear: "activations times the slope of the logit at them",
  path: "activations times the slope of the logit, averaged on the way from an empty layer to this one",
  relaxed: "activations times the slope of the logit, with the maxima of pooling softened",
};

/** How attribution was computed, as a sentence. */
export function computed(method: string): string {
  const how = METHODS[method];
  return `Computed by ${method} attribution${how ? `: ${how}` : ""}.`;
}
