import type { ExplanationBody, GridPanel, GroupPanel, Provenance, SpatialPanel } from "../bundle";
import { number } from "../format";
import { type How, SOURCES, secondsOf, seedOf, setting } from "../how";
import { howMeasured } from "../measures";

/** What the letters of all formulas stand for. */
const LETTERS =
  "h(p, c) is what channel c of the layer does at position p; y is the logit of the class, before the softmax.";
const TWO = "For two classes every number is that of the first less that of the second.";
const REST = "Only the network behind the layer is run again for it.";

const SLOPES: Record<string, string> = {
  linear: "= a(p, c) = h(p, c) · g(p, c), g = ∂y / ∂h at the photo",
  integrated: "= a(p, c) = h(p, c) · g(p, c), g = (1/N) Σ_k ∂y / ∂h at (k/N) · h, k = 1 … N",
  relaxed: "= a(p, c) = h(p, c) · g(p, c), g = ∂y / ∂h at the photo, with relaxed maxima",
};
const MORE: Record<string, string[]> = {
  linear: ["One backward pass for each class; exact where the rest of the network is linear."],
  integrated: [
    "N = 50 steps on the straight way from zero to the photo's activations. The sum of all a is y at the photo less y at zero, but for the error of the steps.",
  ],
  relaxed: [
    "A max pool passes the gradient of mean(h²) / (0.01 + mean|h|) over its window instead of all of it to the winner; where it strides, a 3 × 3 blur of the gradient takes out the checkerboard that is left.",
  ],
};

const REMOVAL = [
  "= map: the w of least Σ_p (w(p) − a(p))² + (1/25) Σ_p (Σ_q w(q) − s(p))² + 0.3 Σ_p (w(p) − e(p))², q in the 3 × 3 around p",
  `a(p) and s(p) are what y lost when position p, or the 3 × 3 around it, was set to zero. ${REST}`,
  "= e(p) = Σ_c h(p, c) · g(p, c), g = mean of ∂y / ∂h over 16 copies of the layer",
  `Each copy lacks a random half to none of its positions. e decides where removals contradict each other. ${LETTERS}`,
];

function attribution(method: string): string[] {
  return [SLOPES[method] ?? "= a(p, c) = h(p, c) · g(p, c)", LETTERS, ...(MORE[method] ?? [])];
}

function methodOf(body: ExplanationBody, provenance: Provenance): string {
  return body.spatial[0]?.method ?? String(provenance.settings.method ?? "linear");
}

function methodSources(method: string): How["sources"] {
  return method === "integrated" ? [SOURCES.blocks, SOURCES.integrated] : [SOURCES.blocks];
}

function icons(provenance: Provenance): How["settings"] {
  return [
    ...setting(provenance, "icon_size", "icons", "px"),
    ...setting(provenance, "icon_steps", "optimizer steps", ""),
    ...seedOf(provenance),
  ];
}

const RENDERED =
  "An image of opacity and decorrelated colours, as its Fourier spectrum, is optimized by Adam; before each step it is shifted, scaled by 0.9 to 1.1 and turned by up to 10°. Finished icons are kept and looked up by everything that made them.";

export function howDecision({ model, classes, seconds }: ExplanationBody, { settings }: Provenance): How {
  const named = Array.isArray(settings.classes) && settings.classes.length > 0;
  return {
    lines: [
      `The photo was scaled and cut to ${model.input_rows} × ${model.input_columns} pixels and run through the network once.`,
      "= P(k) = exp(y_k) / Σ_j exp(y_j)",
      `y_k is the logit of class k; the sum goes over all classes of the network. ${named ? "The classes shown were asked for by name." : `Shown are the ${classes.length} most probable.`}`,
    ],
    settings: [],
    seconds: secondsOf(seconds, ["decision"]),
    sources: [],
  };
}

export function howDictionary(body: ExplanationBody, provenance: Provenance, layer: string): How {
  const many = body.dictionaries.find((panel) => panel.layer === layer)?.top[0]?.[0]?.length ?? 0;
  return {
    lines: [
      `At each position p the channels of ${layer} are ordered by h(p, c), their activation as the network computes it, and the ${many} largest are shown.`,
      "= icon of c: image x that maximizes h(centre, c; x)",
      RENDERED,
    ],
    settings: icons(provenance),
    seconds: secondsOf(body.seconds, [`dictionary:${layer}`]),
    sources: [SOURCES.blocks, SOURCES.features],
  };
}

export function howGrids({ seconds }: ExplanationBody, provenance: Provenance, panels: readonly GridPanel[]): How {
  const rendered = panels.some((panel) => panel.optimized);
  const pieced = panels.some((panel) => !panel.optimized);
  return {
    lines: [
      ...(rendered
        ? [
            "= each cell maximizes (h′ · v) · max(0.1, cos(h′, v))⁴, v = h(p) / ‖h(p)‖",
            "h(p) is what the layer does at position p of the photo; h′ is what it does at the centre of the cell, which the network sees by itself, moved by up to an eighth of its side, turned by up to 5° and zoomed by up to 5 % at each step. Every cell has a spectrum of its own, and all share one coarse picture. Adam, at most 64 steps.",
          ]
        : []),
      ...(pieced ? ["A cell of a preview is the icon of its strongest channel that has one, cut to its object."] : []),
      "= side of a cell = ‖h(p)‖ / max over q of ‖h(q)‖",
    ],
    settings: [
      ...(rendered ? setting(provenance, "grid_seconds", "time for each layer, at most", "s") : []),
      ...seedOf(provenance),
    ],
    seconds: secondsOf(
      seconds,
      panels.map(({ layer }) => `grid:${layer}`),
    ),
    sources: [SOURCES.blocks],
  };
}

export function howSpatial(body: ExplanationBody, panel: SpatialPanel): How {
  const linked = body.influences.some(({ lower, upper }) => lower === panel.layer || upper === panel.layer);
  const across = panel.method === "relaxed" ? "relaxed" : "linear";
  return {
    lines: [
      ...(panel.method === "removal" ? REMOVAL : ["= map(p) = Σ_c a(p, c)", ...attribution(panel.method)]),
      TWO,
      ...(linked
        ? [
            `Between neighbouring layers y is ‖h′(q)‖, the length of the later layer's activations at a position q, by ${across} attribution: one map for each q.`,
          ]
        : []),
    ],
    settings: [["method", panel.method]],
    seconds: secondsOf(body.seconds, [`spatial:${panel.layer}`]),
    sources: methodSources(panel.method),
  };
}

export function howChannels(body: ExplanationBody, provenance: Provenance, layer: string): How {
  const method = methodOf(body, provenance);
  const told = body.channels.find((panel) => panel.layer === layer)?.channels.length ?? 0;
  return {
    lines: [
      "= A(c) = Σ_p a(p, c)",
      ...attribution(method),
      `Told of are the six channels that support each class most and the six that inhibit it most, and three of each for every two classes, 64 at most: ${told} of ${layer}. ${TWO}`,
      ...(body.channel_links.some(({ lower, upper }) => lower === layer || upper === layer)
        ? [
            "Between layers y is Σ_p h′(p, c′), a channel of the later layer summed over positions, by linear attribution.",
          ]
        : []),
    ],
    settings: [["method", method]],
    seconds: secondsOf(body.seconds, [`channels:${layer}`]),
    sources: methodSources(method),
  };
}

export function howGroups(body: ExplanationBody, provenance: Provenance, panel: GroupPanel): How {
  const counts = panel.groupings.map((grouping) => grouping.icons.length);
  const method = methodOf(body, provenance);
  return {
    lines: [
      "= V ≈ W · H, least ‖V − W · H‖, W ≥ 0, H ≥ 0",
      "V has a row for each position and a column for each channel; a group is a column of W, its place, times a row of H, its channels, of length 1. The start is NNDSVD, the method hierarchical alternating least squares. Of a layer with negative activations, positive and negative parts are factorized side by side.",
      "= effect of group k = Σ_p W(p, k) Σ_c H(k, c) · g(p, c)",
      `g is the slope of ${method} attribution${method === "linear" ? ", ∂y / ∂h at the photo" : ""}. What the groups leave over is ‖V − W · H‖ / ‖V‖.`,
      "= icon of k: image that maximizes (h · v) · max(0.1, cos(h, v))² at its centre, v = H(k)",
      `${RENDERED} Groups whose channels are very alike share one.`,
    ],
    settings: [
      ["groups", counts.length > 1 ? `${Math.min(...counts)} to ${Math.max(...counts)}` : String(counts[0])],
      ["shown first", String(panel.usual)],
      ...icons(provenance),
    ],
    seconds: secondsOf(body.seconds, [`groups:${panel.layer}`]),
    sources: [SOURCES.blocks, SOURCES.nndsvd, SOURCES.hals],
  };
}

export function howFlow(body: ExplanationBody, provenance: Provenance): How {
  const method = methodOf(body, provenance);
  return {
    lines: [
      "= y(g) = Σ_p m(p) · (h(p) · v) / (‖m‖ ‖v‖)",
      "The strength of a group g of the later layer, whose place is m and whose channels are v; it is the group's magnitude where the layer holds nothing else.",
      "= ribbon from k to g = Σ_p W(p, k) Σ_c H(k, c) · ∂y(g) / ∂h(p, c)",
      `W and H are the factors of the earlier layer: linear attribution. Ribbons to a class are the effects of the groups on its logit, by ${method} attribution.`,
      "Aligned groups: each activation of the earlier layer is split in proportion to |what it adds to each later group|, the copies are factorized side by side, each started at one later group, and added up again.",
    ],
    settings: [],
    seconds: secondsOf(
      body.seconds,
      body.flows.map(({ upper }) => `flow:${upper}`),
    ),
    sources: [SOURCES.blocks],
  };
}

export function howExperiments(body: ExplanationBody, provenance: Provenance, layer: string): How {
  return {
    lines: [
      "= h′ = h − (1 − f) · part",
      "The part is a channel, a position or a square of them with all channels, or the product W(p, k) · H(k, c) of a group; f is 0, 0.5 or 2. Where the layer has no negative numbers, nothing falls below zero.",
      "= measured = y(h′) − y(h)",
      "= predicted = (f − 1) · Σ a(p, c) over the part",
      `${REST} a is ${methodOf(body, provenance)} attribution. r is Pearson's correlation of predicted and measured over all parts of the kind; the slope is that of least squares through the origin. A direction is counted where the change is more than 2 % of the largest.`,
    ],
    settings: [["method", methodOf(body, provenance)]],
    seconds: secondsOf(body.seconds, [`experiments:${layer}`]),
    sources: [SOURCES.blocks],
  };
}

/** How long the tests of an explanation took; null where that was not measured. */
export function secondsOfTrust(seconds: Record<string, number>): number | null {
  return secondsOf(
    seconds,
    Object.keys(seconds).filter((key) => key.startsWith("trust:")),
  );
}

export function howTrust({ evidence, seconds }: ExplanationBody): How {
  const { lines, sources } = howMeasured(evidence);
  return {
    lines: [
      ...lines,
      `A measure beats its control where its interval lies above it; where it has none, where it leads by more than ${number(0.1)} of the larger of the two. What takes long is measured for the classes that were asked for, two at most, or else for the most probable one.`,
    ],
    settings: [],
    seconds: secondsOfTrust(seconds),
    sources,
  };
}
