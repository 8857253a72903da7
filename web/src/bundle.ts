// Made from the structs of pellucid.bundle by `npm run types`; change those, not this file.
// Python writes every field, so none is optional here.

export const SCHEMA = 1;

/** How much each position of a layer adds to the logit of one class. */
export interface ClassMap {
  /** Number of the class; one of the explanation's classes. */
  class_index: number;
  /** [rows][columns]: attribution in units of the logit; above 0 supports the class, below 0 inhibits it. */
  values: number[][];
}

/** What the network answered about one class. */
export interface ClassScore {
  /** Number of the class among the network's outputs. */
  index: number;
  /** Name of the class in plain words. */
  label: string;
  /** Output before the softmax. */
  logit: number;
  /** Output after the softmax, in [0, 1]. */
  probability: number;
}

/** The semantic dictionary of one layer: which channels are strongest at each position of its grid. */
export interface DictionaryPanel {
  /** Name of the layer, such as `mixed4d`. */
  layer: string;
  /** Rows of the layer's grid. */
  rows: number;
  /** Columns of the layer's grid. */
  columns: number;
  /** How many channels the layer has. */
  channels: number;
  /** [rows][columns][k]: the strongest channels at each position, strongest first. */
  top: number[][][];
  /** [rows][columns][k]: the activation of each of them, in the layer's own unit. */
  values: number[][][];
  /** One icon for every channel that `top` names. */
  icons: IconSheet;
  /** What is shown and how it was computed, in plain words; empty for the page's own caption. */
  caption: string;
}

/** One measure of how far a panel can be trusted. */
export interface EvidenceEntry {
  /** What was measured: `explanation`, `dictionary:LAYER`, `spatial:LAYER` or `spatial:LAYER:CLASS_INDEX`. */
  about: string;
  /** Name of the measure, such as `deletion agreement`. */
  name: string;
  /** What was measured. */
  value: number;
  /** The same measure where the panel should fail, such as a shuffled map; null when there is no control. */
  control: number | null;
  /** What the numbers mean, in words that a non-specialist can read. */
  sentence: string;
}

/** Everything the page of one image shows; a panel that was not computed is an empty list. */
export interface ExplanationBody {
  /** Heading of the page. */
  title: string;
  /** The picture that was explained. */
  photo: Photo;
  /** The network that was asked. */
  model: ModelCard;
  /** The top classes, most probable first. */
  classes: ClassScore[];
  /** Semantic dictionaries, one a layer, from the first layer to the last. */
  dictionaries: DictionaryPanel[];
  /** Spatial attribution, one a layer, from the first layer to the last. */
  spatial: SpatialPanel[];
  /** What was measured about any of the panels. */
  evidence: EvidenceEntry[];
  /** How long each panel took to compute, in seconds, by the panel's id, such as `dictionary:mixed4d`. */
  seconds: Record<string, number>;
}

/** The manifest of a bundle that explains one image; its `kind` in JSON is `explanation`. */
export interface ExplanationManifest {
  kind: "explanation";
  /** Number of the schema; it rises when an older page could misread a newer bundle. */
  schema: 1;
  /** Where the numbers come from. */
  provenance: Provenance;
  /** What the page shows. */
  body: ExplanationBody;
}

/** Square icons of channels, packed row by row in one picture without gaps. */
export interface IconSheet {
  /** Name of a WebP file in the bundle: `columns` × `side` wide, as high as the rows of icons that it holds. */
  file: string;
  /** Side of one icon in pixels. */
  side: number;
  /** How many icons stand in one row of the sheet. */
  columns: number;
  /** The channel that each icon stands for, in the order of the sheet, left to right, then down. */
  channels: number[];
  /** A person's name for each icon, such as `floppy ear`, in the same order; empty when nobody named them. */
  labels: string[];
}

/** The network that was asked. */
export interface ModelCard {
  /** Name of the network, such as `inception_v1`. */
  name: string;
  /** Height of the network's input in pixels. */
  input_rows: number;
  /** Width of the network's input in pixels. */
  input_columns: number;
}

/** The picture as the network saw it: resized and cropped, so that every layer's grid covers it exactly. */
export interface Photo {
  /** Name of a WebP file in the bundle; it may be larger than the network's input. */
  file: string;
  /** Width of the file in pixels. */
  width: number;
  /** Height of the file in pixels. */
  height: number;
}

/** Where the numbers of a bundle come from; enough to compute them again. */
export interface Provenance {
  /** Name of the network. */
  model: string;
  /** Digest of its weights, such as `sha256:9f86…`. */
  weights: string;
  /** Every setting of the computation by name; values are plain JSON. */
  settings: Record<string, unknown>;
  /** Seed of the random numbers; null when none were drawn. */
  seed: number | null;
  /** Version of every package that took part, by package. */
  versions: Record<string, string>;
  /** How long the whole computation took, in seconds. */
  seconds: number;
  /** When the computation ended, as ISO 8601 with time zone. */
  created: string;
}

/** Spatial attribution of one layer, for one or more classes. */
export interface SpatialPanel {
  /** Name of the layer, such as `mixed4d`. */
  layer: string;
  /** Rows of the layer's grid. */
  rows: number;
  /** Columns of the layer's grid. */
  columns: number;
  /** One map for each class that was asked about. */
  maps: ClassMap[];
  /** What is shown and how it was computed, in plain words; empty for the page's own caption. */
  caption: string;
}

/** Every manifest there is. */
export type Manifest = ExplanationManifest;
