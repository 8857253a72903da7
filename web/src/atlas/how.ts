import type { AtlasBody, AtlasLayer, PatchTrial, Provenance } from "../bundle";
import { duration } from "../format";
import { type How, SOURCES, secondsOf, seedOf, setting } from "../how";
import type { FurtherMap } from "./cells";

const PROJECTIONS: Record<string, string> = { umap: "UMAP", cuml: "UMAP", tsne: "t-SNE", pacmap: "PaCMAP", pca: "PCA" };

const ICON = [
  "= icon of a cell: image that maximizes (h · v) · max(0.1, cos(h, v))⁴ at its centre, v ∝ (M + λ I)⁻¹ m",
  "m is the mean of the cell's vectors, M the mean of h hᵀ over all vectors of the layer, λ half the mean eigenvalue of M. Icons of a finer grid start from that of the cell they lie in.",
];
const ARGUES = [
  "= attribution of a cell = mean over its vectors of Σ_c h(c) · ∂y / ∂h(c)",
  "y is the logit of a class; the derivative is taken at the position that a vector is from, for all classes at once.",
];

function icons(provenance: Provenance): How["settings"] {
  return [
    ...setting(provenance, "least", "vectors in a cell, at least"),
    ...setting(provenance, "icon_size", "icons", "px"),
    ...setting(provenance, "icon_steps", "optimizer steps"),
    ...setting(provenance, "tries", "renderings of each"),
    ...seedOf(provenance),
  ];
}

export function howMap({ seconds, images }: AtlasBody, provenance: Provenance, layer: AtlasLayer): How {
  const projection = String(provenance.settings.projection ?? "");
  const grids = layer.maps.map(({ columns }) => columns).join(", ");
  return {
    lines: [
      `Of ${images.toLocaleString("en")} images ${layer.activations.toLocaleString("en")} vectors h of ${layer.name} were kept, at positions of chance away from the edge; images that are broken or come twice are left out.`,
      `The vectors are projected on at most 64 leading principal directions, brought to length 1, and laid out${projection ? ` by ${PROJECTIONS[projection] ?? projection}` : ""}, the 1st to 99th percentile with a margin of a tenth. Vectors beyond the layout lie at the mean place of their 12 nearest, weighted by likeness.`,
      ...ICON,
      ...ARGUES,
    ],
    settings: [
      ["grids", grids],
      ...setting(provenance, "per_image", "vectors of an image"),
      ...setting(provenance, "neighbours", "neighbours"),
      ...icons(provenance),
      ...(seconds.collect === undefined
        ? []
        : ([["collecting, of all layers", duration(seconds.collect)]] as How["settings"])),
    ],
    seconds: secondsOf(
      seconds,
      Object.keys(seconds).filter((stage) => stage.endsWith(`:${layer.name}`)),
    ),
    sources: [SOURCES.atlas, ...(["umap", "cuml"].includes(projection) ? [SOURCES.umap] : [])],
  };
}

export function howFurther(provenance: Provenance, map: FurtherMap): How {
  const { axis } = map;
  const chosen = axis
    ? [
        "= x = (a_2 − a_1) / reach, from −1 at the left edge to 1 at the right",
        `a_1 and a_2 are a vector's attribution to ${axis.first} and to ${axis.second}; reach is the 99th percentile of |a_2 − a_1|. The height is the rank along the first principal axis of a layout in the plane, so that similar ones are near.`,
        "Shown are vectors that speak for one of the two more than for any other class, and the 1,500 strongest for each.",
      ]
    : [
        `Shown are the vectors that speak for ${map.title} more than for any other class, and the 3,000 strongest for it, laid out anew.`,
      ];
  const plane = provenance.settings.projection === "pca" ? [] : [SOURCES.tsne];
  return {
    lines: [
      ...chosen,
      `The plane is that of ${plane.length ? "t-SNE, perplexity 30" : "two principal components"}, of the vectors in the layer's principal directions, of length 1.`,
      ...ICON,
      ...ARGUES,
    ],
    settings: [["grid", `${map.grids[0]!.columns} × ${map.grids[0]!.rows}`], ...icons(provenance)],
    seconds: null,
    sources: [SOURCES.atlas, ...plane],
  };
}

export function howTrials(provenance: Provenance, trials: readonly PatchTrial[]): How {
  return {
    lines: [
      "A cell's icon is pasted on photos of one class that the network reads as that class: at 20, 40 or 70 % of the shorter side, in one of four corners. Cell, size and corner are chosen by the lead over the controls, on other images than those that are counted here.",
      "= share = photos then read as the class aimed at / photos tried, with Wilson's 95 % interval",
      "Controls in the same place and size: noise, drawn four times for each photo, icons of 12 random cells, and crops of real photos that are read as the class aimed at. A patch is a finding where its interval lies above all of theirs.",
    ],
    settings: [["trials", String(trials.length)], ...seedOf(provenance)],
    seconds: null,
    sources: [SOURCES.atlas, SOURCES.wilson],
  };
}
