import type { ExplanationBody, GroupPanel } from "../bundle";
import { subjectOf, type Told } from "../evidence";
import type { Question } from "../question";

/**
 * The evidence about a panel: about all of it, about any of `layers`, and about the classes asked for. Where two are
 * compared, each measure of a class is led by its name.
 */
export function about(body: ExplanationBody, panel: string, layers: readonly string[] = [], asked?: Question): Told[] {
  const classes = asked ? [asked, ...(asked.versus ? [asked.versus] : [])] : [];
  const found = body.evidence
    .map((entry) => ({ entry, subject: subjectOf(body, entry.about) }))
    .filter(({ subject }) => subject.panel === panel && (subject.layer === "" || layers.includes(subject.layer)));
  const of = (index: number | null, lead?: string): Told[] =>
    found.flatMap(({ entry, subject }) => (subject.classIndex === index ? [{ ...entry, lead }] : []));
  return [...of(null), ...classes.flatMap(({ index, label }) => of(index, asked?.versus ? label : undefined))];
}

/** Evidence about groups as it stands where `count` of them are shown: the layer's usual number is what was measured. */
export function measuredFor(evidence: readonly Told[], { usual }: GroupPanel, count: number): Told[] {
  if (count === usual) return [...evidence];
  return evidence.map((told) => ({
    ...told,
    lead: told.lead ? `${told.lead}, measured for ${usual} groups` : `Measured for ${usual} groups`,
  }));
}

const METHODS: Record<string, string> = {
  linear: "activations times the slope of the logit at them",
  path: "activations times the slope of the logit, averaged on the way from an empty layer to this one",
  relaxed: "activations times the slope of the logit, with the maxima of pooling softened",
  removal:
    "sums of its cells agree as well as they can with what the logit lost without each position and each square of 3 × 3",
};

/** How attribution was computed, as a sentence. */
export function computed(method: string): string {
  const how = METHODS[method];
  return `Computed by ${method} attribution${how ? `: ${how}` : ""}.`;
}
