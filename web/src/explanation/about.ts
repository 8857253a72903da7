import type { EvidenceEntry, ExplanationBody } from "../bundle";

/** The evidence about any of `ids`. */
export function about(body: ExplanationBody, ...ids: string[]): EvidenceEntry[] {
  return body.evidence.filter((entry) => ids.includes(entry.about));
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
