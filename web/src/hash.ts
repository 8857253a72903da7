import type { ChannelChange, GroupChange, RegionChange, RegionRequest } from "./bundle";
import type { Position } from "./grid";
import type { ChannelPlace, GroupPlace, Trial } from "./view.svelte";

/** One part of a layer that is changed while one looks. */
export type Change = ChannelChange | GroupChange | RegionChange;

/** Several parts of one layer, changed together. */
export interface Changes {
  layer: string;
  changes: Change[];
}

/** What an address says of the reader's choices. */
export interface Said {
  layer: string;
  at: Position | null;
  classIndex: number | null;
  /** Number of the class to compare with; "none" where a page compares two by itself and the reader does not. */
  versus: number | "none" | null;
  groups: Record<string, number>;
  group: GroupPlace | null;
  channel: ChannelPlace | null;
  trial: Trial | null;
  live: Changes | null;
  /** A part of the photo. */
  region: RegionRequest | null;
}

/** The address part for the choices, such as `#layer=mixed4d&at=4,1&class=208&versus=281&groups=mixed4d:6`. */
export function writeHash(said: Said): string {
  const parts: string[] = [];
  const put = (name: string, ...words: (string | number)[]): void => {
    parts.push(`${name}=${words.map(encodeURIComponent).join(":")}`);
  };
  if (said.layer) put("layer", said.layer);
  if (said.at) parts.push(`at=${said.at.row},${said.at.column}`);
  if (said.classIndex !== null) put("class", said.classIndex);
  if (said.versus !== null) put("versus", said.versus);
  for (const [layer, count] of Object.entries(said.groups)) put("groups", layer, count);
  if (said.group) put("group", said.group.layer, said.group.groups, said.group.group);
  if (said.channel) put("channel", said.channel.layer, said.channel.channel);
  const { trial } = said;
  if (trial) put("trial", trial.layer, trial.unit, trial.groups, trial.part, trial.factor);
  if (said.live?.changes.length) {
    put("live", said.live.layer);
    for (const change of said.live.changes) parts.push(`change=${changeText(change)}`);
  }
  const { region } = said;
  if (region) parts.push(`region=${[region.top, region.left, region.bottom, region.right].map(short).join(",")}`);
  return `#${parts.join("&")}`;
}

const short = (share: number): number => Math.round(share * 1000) / 1000;

/** A change as `channel:11:0`, `group:6:2:0.5` or `region:0-3:4-7:2`. */
function changeText(change: Change): string {
  const factor = short(change.factor);
  if (change.unit === "channel") return `channel:${change.channel}:${factor}`;
  if (change.unit === "group") return `group:${change.groups}:${change.group}:${factor}`;
  return `region:${change.rows.join("-")}:${change.columns.join("-")}:${factor}`;
}

/** What `changeText` spells; null for anything else. */
function changeOf(text: string): Change | null {
  const found =
    /^(?:channel:(\d{1,6})|group:(\d{1,4}):(\d{1,4})|region:(\d{1,5})-(\d{1,5}):(\d{1,5})-(\d{1,5})):([\d.]{1,6})$/.exec(
      text,
    );
  const factor = Number(found?.[8]);
  if (!found || !(factor >= 0 && factor <= 8)) return null;
  const [channel, groups, group, top, bottom, left, right] = found.slice(1, 8).map(Number);
  if (found[1] !== undefined) return { unit: "channel", channel: channel!, factor };
  if (found[2] !== undefined) return { unit: "group", groups: groups!, group: group!, factor };
  return { unit: "region", rows: [top!, bottom!], columns: [left!, right!], factor };
}

function regionOf(text: string | null): RegionRequest | null {
  const parts = (text ?? "").split(",").map(Number);
  const [top, left, bottom, right] = parts;
  if (parts.length !== 4 || !parts.every((part) => part >= 0 && part <= 1)) return null;
  return bottom! > top! && right! > left! ? { top: top!, left: left!, bottom: bottom!, right: right! } : null;
}

/** The choices that an address spells; null and empty for those that it does not. Nothing is checked against data. */
export function readHash(hash: string): Said {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const at = /^(\d{1,5}),(\d{1,5})$/.exec(words.get("at") ?? "");
  const versus = words.get("versus");
  // A layer's name may hold colons: the numbers are counted from the end.
  const groups = words.getAll("groups").flatMap((text) => {
    const found = /^(.+):(\d{1,4})$/.exec(text);
    return found ? [[found[1]!, Number(found[2])] as const] : [];
  });
  const group = /^(.+):(\d{1,4}):(\d{1,4})$/.exec(words.get("group") ?? "");
  const channel = /^(.+):(\d{1,6})$/.exec(words.get("channel") ?? "");
  const trial = /^(.+):(channel|group|position|square):(\d{1,4}):(\d{1,6}):(\d{1,6}(?:\.\d{1,9})?)$/.exec(
    words.get("trial") ?? "",
  );
  const live = words.get("live");
  const changes = words
    .getAll("change")
    .slice(0, 64)
    .flatMap((text) => changeOf(text) ?? []);
  return {
    live: live && changes.length ? { layer: live, changes } : null,
    region: regionOf(words.get("region")),
    layer: words.get("layer") ?? "",
    at: at ? { row: Number(at[1]), column: Number(at[2]) } : null,
    classIndex: whole(words.get("class")),
    versus: versus === "none" ? "none" : whole(versus),
    groups: Object.fromEntries(groups),
    group: group ? { layer: group[1]!, groups: Number(group[2]), group: Number(group[3]) } : null,
    channel: channel ? { layer: channel[1]!, channel: Number(channel[2]) } : null,
    trial: trial
      ? {
          layer: trial[1]!,
          unit: trial[2] as Trial["unit"],
          groups: Number(trial[3]),
          part: Number(trial[4]),
          factor: Number(trial[5]),
        }
      : null,
  };
}

function whole(text: string | null): number | null {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;
}
