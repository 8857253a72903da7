import type { EvidenceEntry } from "./bundle";
import { type How, SOURCES, type Source } from "./how";

/** How each measure is computed, by how its name begins. */
const MEASURES: [name: string, lines: string[]][] = [
  [
    "agreement with",
    [
      "= agreement = r(predicted, measured), control = r(−strength, measured)",
      "r is Pearson's correlation over all parts of a kind, each removed by itself; strength is Σ_p h(p, c) for a channel, ‖W(k)‖ · ‖H(k)‖ for a group, ‖h(p)‖ for a position, summed over a square or a random set. Of random sets, r is the mean over three sizes.",
      "= interval = tanh(artanh r ± 1.96 s)",
      "s is the standard deviation of artanh r over 500 samples of the parts, drawn with replacement.",
    ],
  ],
  [
    "gap between insertion",
    [
      "= gap = mean over shares of (y with the first places alone − y without them) / |y − y of an empty layer|",
      "Places are taken in the order of the map that agrees with removals, in 12 steps. The control is the largest gap of 8 random orders.",
    ],
  ],
  [
    "independence of the path",
    [
      "= independence of the path = r(map, map by the other method), control = r(‖h(p)‖, map by the other method)",
      "The other method of linear and of relaxed attribution is the mean slope over 16 steps on the way from zero to the photo, of that it is linear attribution.",
    ],
  ],
  [
    "agreement on changed",
    [
      "The photo is changed a little: noise of 0.02, brighter and darker by 0.05, moved to each side by a pixel. From each, the same random sets of places are removed; told is the least r of what the map of the photo itself says of them and what was measured. The control is the photo turned upside down.",
    ],
  ],
  [
    "stability under",
    [
      "= stability = least r(a of the photo, a of a changed photo)",
      "a is summed up to places or to channels. The control of places is the photo turned upside down; of channels, the photo with its phases scattered.",
    ],
  ],
  [
    "sensitivity to",
    [
      "= sensitivity = 1 − mean |r(a, a of the random network)|",
      "The numbers of every weight are shuffled among themselves, module by module from the last to the first; compared is after a third, two thirds and all of them. The control is the same of mere strength of activation.",
    ],
  ],
  [
    "reconstruction by",
    [
      "= reconstruction = 1 − ‖V − W · H‖ / ‖V‖",
      "V has a row for each position and a column for each channel, W and H are the places and the channels of the groups. The control: H of V with each column shuffled, and the best W ≥ 0 for the real V; the best of three.",
    ],
  ],
  [
    "logit carried by",
    [
      "= carried = 1 − |s − t| / max(|s|, |t|), s = y(W · H) − y(0), t = y(V) − y(0)",
      "y(V) is the logit where the layer holds V: one run of the rest of the network. The control is the same of the shuffled groups.",
    ],
  ],
  [
    "icons that fire",
    [
      "An icon is shown to the network, and each channel's largest activation on it compared with that on the icons of other channels; the control is the icon with its phases scattered.",
    ],
  ],
];

const MEASURE_SOURCES: Record<string, Source> = {
  "gap between insertion": SOURCES.rise,
  "stability under": SOURCES.sensitivity,
  "sensitivity to": SOURCES.sanity,
};

/** How the measures among some evidence are computed, each told once, and where they are from. */
export function howMeasured(evidence: readonly EvidenceEntry[]): Pick<How, "lines" | "sources"> {
  const told = MEASURES.filter(([start]) => evidence.some(({ name }) => name.startsWith(start)));
  return {
    lines: told.flatMap(([, lines]) => lines),
    sources: told.flatMap(([start]) => MEASURE_SOURCES[start] ?? []),
  };
}
