import type { EvidenceEntry, MethodScore, ReportBody, ReportLayer, ReportUnit } from "../bundle";
import { MARKS, verdictOf } from "../evidence";
import { number } from "../format";
import type { Show } from "./hash";

/** What becomes of the picture of a channel once it was put to the test. */
export type Standing = Exclude<Show, "all">;

export const STANDINGS: readonly Standing[] = ["misleads", "unsaid", "holds"];

/** A sign for each, the same as for the measures that decide it. */
export const SIGNS: Record<Standing, string> = { misleads: MARKS.against, unsaid: MARKS.nothing, holds: MARKS.beats };

/** What a card says of its picture. */
export const PHRASES: Record<Standing, string> = {
  misleads: "misleads",
  unsaid: "cannot be judged",
  holds: "shows what fires it",
};

const SAID: Record<ReportUnit["says"], Standing> = { for: "holds", against: "misleads", nothing: "unsaid" };

export function standingOf({ says }: ReportUnit): Standing {
  return SAID[says];
}

/** The measure to tell first: what warns of a picture, what keeps it from being judged, or the headline. */
export function headline({ says, evidence }: ReportUnit): EvidenceEntry | undefined {
  const decides: Record<ReportUnit["says"], (entry: EvidenceEntry) => boolean> = {
    for: () => true,
    against: (entry) => verdictOf(entry) === "against",
    nothing: (entry) => verdictOf(entry) !== "beats",
  };
  return evidence.find(decides[says]) ?? evidence[0];
}

export type Tally = Record<Standing, number>;

export function tally(units: readonly ReportUnit[]): Tally {
  const counts: Tally = { misleads: 0, unsaid: 0, holds: 0 };
  for (const unit of units) counts[standingOf(unit)] += 1;
  return counts;
}

/** The units that are shown, those first of which the reader should beware. */
export function shown({ units }: ReportLayer, show: Show): ReportUnit[] {
  return STANDINGS.filter((standing) => show === "all" || show === standing).flatMap((standing) =>
    units.filter((unit) => standingOf(unit) === standing),
  );
}

/** Kinds of parts that were removed, in the order of the page. */
export const PARTS = [
  { unit: "set", label: "Maps over positions", many: "positions" },
  { unit: "channel", label: "Channels", many: "channels" },
  { unit: "group", label: "Groups", many: "groups" },
] as const;

export type Part = MethodScore["unit"];

/** The kinds of parts that were removed in some layer. */
export function partsOf(layers: readonly ReportLayer[]): (typeof PARTS)[number][] {
  return PARTS.filter(({ unit }) => layers.some(({ methods }) => methods.some((score) => score.unit === unit)));
}

/** Scores of a kind of part: those that say something first, the best of them first. */
export function ranked({ methods }: ReportLayer, part: Part): MethodScore[] {
  const found = methods.filter(({ unit }) => unit === part).sort((a, b) => b.value - a.value);
  return [...found.filter(({ says }) => says === "for"), ...found.filter(({ says }) => says === "nothing")];
}

/** Left end of a scale that holds all scores: 0, or the quarter below the least of them. */
export function reach(scores: readonly MethodScore[]): number {
  const least = Math.min(0, ...scores.flatMap(({ low, control }) => [low, control]));
  return Math.max(-1, Math.floor(4 * least) / 4);
}

/** What a method scores over all layers in which a kind of part was removed. */
export interface Overall {
  method: string;
  /** Medians over the layers in which the method was tried. */
  value: number;
  control: number;
  /** In how many of them it is above its control. */
  says: number;
  /** How many these are. */
  measured: number;
  /** In how many layers any method was. */
  layers: number;
}

/** The method to believe for a kind of part: of those that say something in most layers the one of the best median. */
export function believed(layers: readonly ReportLayer[], part: Part): Overall | null {
  const tried = layers.map((layer) => ranked(layer, part)).filter((scores) => scores.length);
  const methods = new Set(tried.flat().map(({ method }) => method));
  const found = [...methods].flatMap((method): Overall[] => {
    const scores = tried.flat().filter((score) => score.method === method);
    const says = scores.filter((score) => score.says === "for").length;
    if (2 * says <= tried.length) return [];
    const [value, control] = [median(scores.map((of) => of.value)), median(scores.map((of) => of.control))];
    return [{ method, value, control, says, measured: scores.length, layers: tried.length }];
  });
  return found.sort((a, b) => b.value - a.value)[0] ?? null;
}

/** The layer whose pictures mislead most and the one whose pictures hold most; null where that tells nothing. */
export function extremes(layers: readonly ReportLayer[]): { worst: ReportLayer; best: ReportLayer } | null {
  const share = ({ units }: ReportLayer, standing: Standing): number => tally(units)[standing] / units.length;
  const worst = layers.reduce((a, b) => (share(b, "misleads") > share(a, "misleads") ? b : a));
  const best = layers.reduce((a, b) => (share(b, "holds") >= share(a, "holds") ? b : a));
  return worst !== best && share(worst, "misleads") > 0 ? { worst, best } : null;
}

/** What the numbers come down to, in plain words. */
export interface Finding {
  about: string;
  /** The sentence's beginning, which says it all in short; may be empty. */
  lead: string;
  sentence: string;
}

export function findings(body: ReportBody): Finding[] {
  const units = body.layers.flatMap((layer) => layer.units);
  return [
    { about: "Pictures", ...picturesSentence(units) },
    ...partsOf(body.layers).map(({ unit, label, many }) => ({
      about: label,
      ...methodSentence(believed(body.layers, unit), many),
    })),
    ...layerFindings(body.layers),
  ];
}

type Words = Omit<Finding, "about">;

function picturesSentence(units: readonly ReportUnit[]): Words {
  const { holds, misleads, unsaid } = tally(units);
  return {
    lead: `${holds} of ${units.length} channels’ pictures ${holds === 1 ? "shows" : "show"}`,
    sentence: ` what fires the channel on photos; ${counted(misleads, "misleads", "mislead")}, and of ${unsaid} it cannot be said.`,
  };
}

function methodSentence(best: Overall | null, many: string): Words {
  if (!best) {
    return { lead: "", sentence: `No method foretells better than mere strength what removing ${many} does.` };
  }
  const { says, measured, layers } = best;
  const untried = measured < layers ? ` In ${layers - measured} of ${layers} layers it was not tried.` : "";
  const silent = says < measured ? ` In ${measured - says} of ${layers} layers it says nothing.` : "";
  return {
    lead: `Believe ${plain(best.method)}:`,
    sentence:
      ` what it foretells correlates by ${number(best.value, 2)} with what removing ${many} does, ` +
      `mere strength of activation by ${number(best.control, 2)}.${untried}${silent}`,
  };
}

function layerFindings(layers: readonly ReportLayer[]): Finding[] {
  const found = extremes(layers);
  if (!found) return [];
  const { worst, best } = found;
  const [bad, good] = [tally(worst.units).misleads, tally(best.units).holds];
  const sentence =
    `, where ${bad} of ${worst.units.length} pictures ${bad === 1 ? "misleads" : "mislead"}; most ${best.name}, ` +
    `where ${good} of ${best.units.length} ${good === 1 ? "shows" : "show"} what fires the channel.`;
  return [{ about: "Layers", lead: `Least to be believed is ${worst.name}`, sentence }];
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A method's name as a person writes it. */
export function plain(method: string): string {
  return method.replaceAll("_", " ");
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
