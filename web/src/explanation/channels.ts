import type { ChannelPanel, ExplanationBody } from "../bundle";
import { entry, part, rowsOf, unpack } from "../numbers";
import type { Question } from "../question";
import type { ChannelPlace } from "../view.svelte";

/** A channel and what it speaks for. */
export interface Argument {
  channel: number;
  /** What it adds to the logit of the chosen class, less what it adds to that of the other where there is one. */
  net: number;
  /** What it adds to the chosen class. */
  first: number;
  /** What it adds to the class that it is set against; 0 where there is none. */
  second: number;
}

/** The channels that speak for the question, strongest first, and those that speak against it. */
export function sides(body: ExplanationBody, panel: ChannelPanel, asked: Question): [Argument[], Argument[]] {
  const first = of(body, panel, asked.index);
  const second = asked.versus ? of(body, panel, asked.versus.index) : null;
  const all = panel.channels.map((channel, place) => {
    const [a, b] = [first[place]!, second?.[place] ?? 0];
    return { channel, net: a - b, first: a, second: b };
  });
  const supports = all.filter(({ net }) => net > 0).sort((a, b) => b.net - a.net);
  const inhibits = all.filter(({ net }) => net < 0).sort((a, b) => a.net - b.net);
  return [supports, inhibits];
}

/** What a channel adds to each class, in the order of the decision. */
export function claimsOf(
  body: ExplanationBody,
  panel: ChannelPanel,
  channel: number,
): { index: number; label: string; value: number }[] {
  const place = panel.channels.indexOf(channel);
  return body.classes.map((score, number) => ({ ...score, value: entry(panel.attribution, number, place) }));
}

/** [rows][columns]: where a channel fired on the photo. */
export function firingOf(panel: ChannelPanel, channel: number): number[][] {
  const place = panel.channels.indexOf(channel);
  return rowsOf(part(panel.firing, place), panel.firing.shape[2]!);
}

/** The largest size of any attribution of a layer: the one scale of its bars. */
export function limitOf(panel: ChannelPanel): number {
  return unpack(panel.attribution).reduce((limit, value) => Math.max(limit, Math.abs(value)), 0) || 1;
}

/** A channel of a neighbouring layer, and how much it does to the root or the root to it. */
export interface Branch extends ChannelPlace {
  value: number;
}

/** What made a channel and what it feeds, strongest first. */
export interface Branches {
  lower: { layer: string; entries: Branch[] } | null;
  upper: { layer: string; entries: Branch[] } | null;
}

export function branches(body: ExplanationBody, root: ChannelPlace, count: number): Branches {
  const of = (layer: string): ChannelPanel | undefined => body.channels.find((panel) => panel.layer === layer);
  const place = of(root.layer)?.channels.indexOf(root.channel) ?? -1;
  const below = body.channel_links.find((links) => links.upper === root.layer);
  const above = body.channel_links.find((links) => links.lower === root.layer);
  const strongest = (layer: string, value: (place: number) => number): Branch[] =>
    (of(layer)?.channels ?? [])
      .map((channel, number) => ({ layer, channel, value: value(number) }))
      .filter((branch) => branch.value !== 0)
      .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
      .slice(0, count);
  return {
    lower: below
      ? { layer: below.lower, entries: strongest(below.lower, (number) => entry(below.values, place, number)) }
      : null,
    upper: above
      ? { layer: above.upper, entries: strongest(above.upper, (number) => entry(above.values, number, place)) }
      : null,
  };
}

function of(body: ExplanationBody, panel: ChannelPanel, index: number): Float32Array {
  return part(
    panel.attribution,
    body.classes.findIndex((score) => score.index === index),
  );
}
