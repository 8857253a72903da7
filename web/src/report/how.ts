import type { Provenance, ReportBody, ReportLayer } from "../bundle";
import { type How, SOURCES, secondsOf, seedOf, setting } from "../how";
import { howMeasured } from "../measures";
import { plain } from "./summary";

const METHODS: Record<string, string> = {
  linear: "h · g, g = ∂y / ∂h at the photo",
  relaxed: "h · g, with the maxima of pooling softened",
  integrated: "h · the mean of g on the way from zero to h",
  integrated_gradients: "(h − b) · the mean of g on the way from b, the layer on a picture of the mean colour",
  grad_cam: "h · the mean of g over positions",
  sampled: "h · the mean of g over copies of the layer that lack a random half to none of their positions",
  removal:
    "a map whose sums agree as well as they can with what y lost without each position and each square of 3 × 3; it was not made of the sets that judge it",
};

export function howOverview({ images, photos }: ReportBody): How {
  const named =
    "Named is the method of the highest median among those that lead mere strength of activation on at least three quarters of the photos; over several layers, the highest median of the layers’ medians among those that do so in most of them, and what is less than 0.02 behind it.";
  return {
    lines: [
      "A picture shows what fires its channel where it fires it more than nearly all photos do, raises it more than nearly all other channels of the layer, and does so through the same channels of the layer before as photos do. It misleads where it does so through others, or fires the channel less than half of the photos do. Else it cannot be judged.",
      ...(photos ? [named] : []),
    ],
    settings: [
      ["photos looked at", images.toLocaleString("en")],
      ...(photos ? ([["with removals", String(photos)]] as How["settings"]) : []),
    ],
    seconds: null,
    sources: [],
  };
}

export function howPictures({ seconds }: ReportBody, provenance: Provenance, layer: ReportLayer): How {
  return {
    lines: [
      "Channels are drawn by chance from those that change from photo to photo, and rendered. The photos that fire each most are found, and the piece of each that it looks at is cut out.",
      "= route(c) = Σ_p h(p, c) · ∂u / ∂h(p, c)",
      "h is what an earlier layer does, u the largest activation of the channel that the picture is of: the route is what each earlier channel adds to it.",
      "= likeness = (cos(picture, own) − cos(others, own)) / (cos(own, own) − cos(others, own))",
      "cos is the mean cosine of routes, own are the photos that fire the channel most, others those of other channels. From 0.5 in the last layer before, the picture fires its channel for the same cause as photos; below, it misleads. Where own photos are hardly more alike than those of other channels, nothing is said.",
      "The control of a picture is the other channel whose photos it is most like (the 95th percentile); that of the layer are the same pictures in each other’s places.",
    ],
    settings: [["channels", `${layer.units.length} of ${layer.channels}`], ...seedOf(provenance)],
    seconds: secondsOf(seconds, [`renderings:${layer.name}`]),
    sources: [SOURCES.eyes, SOURCES.features],
  };
}

export function howMethods({ seconds, photos }: ReportBody, provenance: Provenance, layer: ReportLayer): How {
  const methods = [...new Set(layer.methods.map(({ method }) => method))];
  const measured = howMeasured(layer.evidence);
  return {
    lines: [
      "Random sets of a tenth, three tenths and half of the positions, single channels and single groups of the layer are set to zero, and the rest of the network is run again. y is the logit of the photo’s most probable class.",
      "= value = r(predicted, measured), control = r(strength, measured)",
      "r is Pearson’s correlation over the parts of a kind; predicted is what the method says that they add to y, measured what y lost. Strength is ‖h(p)‖ summed over a set, Σ_p h(p, c) for a channel, and the magnitude of a group.",
      `Shown are the median and the quartiles over the photos. A method says something where it leads strength on at least three quarters of them. Time is that of one photo and one class, without what all methods share.`,
      ...methods.flatMap((method) => (METHODS[method] ? [`${plain(method)}: ${METHODS[method]}`] : [])),
      ...measured.lines,
    ],
    settings: [["photos", String(photos)], ...setting(provenance, "groups", "groups"), ...seedOf(provenance)],
    seconds: secondsOf(seconds, [`methods:${layer.name}`]),
    sources: [SOURCES.rise, ...(methods.includes("integrated") ? [SOURCES.integrated] : []), ...measured.sources],
  };
}
