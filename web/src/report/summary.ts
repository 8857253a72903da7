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

/** What methods score over all layers in which a kind of part was removed. */
export interface Overall {
  /** The best, and those that are as good. */
  methods: string[];
  /** Of the best: medians over the layers in which it was tried. */
  value: number;
  control: number;
  /** In how many of them it is above its control. */
  says: number;
  /** How many these are. */
  measured: number;
  /** In how many layers any method was. */
  layers: number;
}

/** Differences that other photos might well turn around. */
const AS_GOOD = 0.02;
const MOST_NAMED = 3;
/** A correlation below which a method is not to be believed, whatever it leads. */
const WEAK = 0.5;

/** What to believe of a kind of part: of the methods that say something in most layers those of the best median. */
export function believed(layers: readonly ReportLayer[], part: Part): Overall | null {
  const tried = layers.map((layer) => ranked(layer, part)).filter((scores) => scores.length);
  const found = [...new Set(tried.flat().map(({ method }) => method))].flatMap((method) => {
    const scores = tried.flat().filter((score) => score.method === method);
    const says = scores.filter((score) => score.says === "for").length;
    return 2 * says > tried.length ? [{ method, says, scores, value: median(scores.map((of) => of.value)) }] : [];
  });
  const [best, ...others] = found.sort((a, b) => b.value - a.value);
  if (!best) return null;
  const alike = others.filter(({ value }) => best.value - value <= AS_GOOD).map(({ method }) => method);
  return {
    methods: [best.method, ...alike].slice(0, MOST_NAMED),
    value: best.value,
    control: median(best.scores.map((of) => of.control)),
    says: best.says,
    measured: best.scores.length,
    layers: tried.length,
  };
}

/** The layers in which the largest share of pictures is of a standing; none where it is the same in all of them. */
export function most(layers: readonly ReportLayer[], standing: Standing): ReportLayer[] {
  const share = ({ units }: ReportLayer): number => tally(units)[standing] / units.length;
  const largest = Math.max(...layers.map(share));
  const found = layers.filter((layer) => share(layer) === largest);
  return found.length < layers.length ? found : [];
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
    ...layerFinding(body.layers),
  ];
}

type Words = Omit<Finding, "about">;

function picturesSentence(units: readonly ReportUnit[]): Words {
  const { holds, misleads, unsaid } = tally(units);
  return {
    lead: `${holds} of ${units.length} channels’ pictures ${holds === 1 ? "shows" : "show"}`,
    sentence: ` what fires the channel on photos; ${counted(misleads, "misleads", "mislead")}${unsaid ? `, and of ${unsaid} it cannot be said` : ""}.`,
  };
}

function methodSentence(best: Overall | null, many: string): Words {
  if (!best) {
    return { lead: "", sentence: `No method foretells better than mere strength what removing ${many} does.` };
  }
  const { methods, value, control, says, measured, layers } = best;
  const untried = measured < layers ? ` In ${layers - measured} of ${layers} layers it was not tried.` : "";
  const silent = says < measured ? ` In ${measured - says} of ${layers} layers it says nothing.` : "";
  const named = listed(methods.map(plain), "or");
  return {
    lead: value < WEAK ? `Weak at best, by ${named}:` : `Believe ${named}:`,
    sentence:
      ` what it foretells correlates by ${number(value, 2)} with what removing ${many} does, ` +
      `mere strength of activation by ${number(control, 2)}.${untried}${silent}`,
  };
}

function layerFinding(layers: readonly ReportLayer[]): Finding[] {
  const sentences = (
    [
      ["misleads", "Pictures mislead most often in"],
      ["unsaid", "Least can be said of"],
    ] as const
  ).flatMap(([standing, begins]) => {
    const found = most(layers, standing);
    if (!found.length || found.length > MOST_NAMED) return [];
    const shares = found.map(({ name, units }) => `${name} (${tally(units)[standing]} of ${units.length})`);
    return [`${begins} ${listed(shares, "and")}.`];
  });
  return sentences.length ? [{ about: "Layers", lead: "", sentence: sentences.join(" ") }] : [];
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function listed(words: readonly string[], last: string): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1)}`;
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
