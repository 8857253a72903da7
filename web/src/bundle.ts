// Made from the structs of pellucid.bundle by `npm run types`; change those, not this file.
// Python writes every field, so none is optional here.

export const SCHEMA = 2;

/** Everything the page of an atlas shows. */
export interface AtlasBody {
  /** Heading of the page. */
  title: string;
  /** The network whose layers are mapped. */
  model: ModelCard;
  /** Name of each class in plain words, by its number. */
  labels: string[];
  /** How many images were looked at. */
  images: number;
  /** From the first to the last. */
  layers: AtlasLayer[];
  /** Maps of single classes. */
  class_atlases: ClassAtlas[];
  /** Maps of two classes against each other. */
  two_class_maps: TwoClassMap[];
  /** What the patch laboratory found, the strongest first. */
  trials: PatchTrial[];
  /** Photos on the maps. */
  photos: PlacedPhoto[];
  /** What was measured, `about` being `atlas:LAYER`. */
  evidence: EvidenceEntry[];
  /** How long each stage took, in seconds. */
  seconds: Record<string, number>;
}

/** The maps of one layer, from the coarsest grid to the finest; all show the same square. */
export interface AtlasLayer {
  /** Name of the layer, such as `mixed4d`. */
  name: string;
  /** Rows of the layer's grid on the images. */
  rows: number;
  /** Columns of it. */
  columns: number;
  /** How many channels the layer has. */
  channels: number;
  /** How many activation vectors the map is made of. */
  activations: number;
  /** Coarse to fine. */
  maps: CellMap[];
}

/** The manifest of a bundle that maps layers; its `kind` in JSON is `atlas`. */
export interface AtlasManifest {
  kind: "atlas";
  /** Number of the schema; it rises when an older page could misread a newer bundle. */
  schema: 2;
  /** Where the numbers come from. */
  provenance: Provenance;
  /** What the page shows. */
  body: AtlasBody;
}

/** Which channels the means of cells have, and where on the map each channel is strongest. */
export interface CellChannels {
  /** [cells][k]: numbers of the channels that are highest in a cell's mean, strongest first; only those above 0. */
  top: number[][];
  /** [cells, k]: how high they are, in the layer's own unit; 0 where a cell has fewer. */
  values: Numbers;
  /** [channels][m]: for each channel of the layer the cells whose mean has it highest, strongest first, as places in the lists of the map; only those where it is above 0. */
  cells: number[][];
  /** [channels, m]: how high it is there; 0 where there are fewer. */
  peaks: Numbers;
}

/** A map as a grid of cells, each with the mean of the activations that fall into it, as an icon. */
export interface CellMap {
  /** Cells side by side. */
  columns: number;
  /** Cells one above the other. */
  rows: number;
  /** [cells, 2]: column and row of each cell that has an icon; row 0 is at the top. */
  places: Numbers;
  /** How many activations each cell holds. */
  counts: number[];
  /** [cells][k]: numbers of the classes that a cell argues for most, strongest first; empty where none is known. */
  top: number[][];
  /** [cells, kept classes]: mean attribution of the cell's activations to the logit of each class of `classes`. */
  attribution: Numbers;
  /** The classes whose attribution is kept, rising: all of them, or those that any cell argues for. */
  classes: number[];
  /** The icons, each centred in its cell, its side growing with the number of activations. */
  tiles: Tiles;
  /** Real pieces for each cell. */
  patches: PatchSheets | null;
  /** The channels of the cells' means; null in bundles of older versions. */
  channels: CellChannels | null;
}

/** A whole channel, multiplied. */
export interface ChannelChange {
  unit: "channel";
  /** Number of the channel. */
  channel: number;
  /** What it is multiplied with; 0 removes it. */
  factor: number;
}

/** Which channels of an earlier layer made the channels of a later one, on this photo. */
export interface ChannelLinks {
  /** The earlier layer; its channels are those of its channel panel. */
  lower: string;
  /** The later layer; its channels are those of its channel panel. */
  upper: string;
  /** [channels of upper's panel, channels of lower's panel]: attribution of the sum of a channel of `upper` over all positions to each channel of `lower`, in the unit of `upper`. */
  values: Numbers;
}

/** Channel attribution of one layer: the channels that most support or inhibit any class, or one against another. */
export interface ChannelPanel {
  /** One of the explanation's layers. */
  layer: string;
  /** The channels that are told of, rising. */
  channels: number[];
  /** [classes, channels]: what each channel adds to the logit of each of the explanation's classes, in its unit. */
  attribution: Numbers;
  /** [channels, rows, columns]: where each channel fired on the photo, in the layer's own unit. */
  firing: Numbers;
  /** What is shown and how it was computed, in plain words; empty for the page's own caption. */
  caption: string;
}

/** The map of only those activations that argue for one class. */
export interface ClassAtlas {
  /** One of the atlas's layers. */
  layer: string;
  /** Number of the class. */
  class_index: number;
  /** Its map. */
  map: CellMap;
}

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
  /** One of the explanation's layers. */
  layer: string;
  /** [rows][columns][k]: the strongest channels at each position, strongest first. */
  top: number[][][];
  /** [rows][columns][k]: the activation of each of them, in the layer's own unit. */
  values: number[][][];
  /** What is shown and how it was computed, in plain words; empty for the page's own caption. */
  caption: string;
}

/** What the network answered when single parts of one layer were removed or scaled, each on its own. */
export interface Effects {
  /** One of the explanation's layers. */
  layer: string;
  /** What was changed: a channel of the layer's channel panel, a group of one of its groupings, a position, or a square of 3 × 3 positions around one. */
  unit: "channel" | "group" | "position" | "square";
  /** For groups: how many the grouping has; else 0. */
  groups: number;
  /** What the part was multiplied with: 0 removes it, 0.5 dampens, 2 amplifies. */
  factor: number;
  /** [units, classes]: measured change of the logit of each of the explanation's classes; positions row by row. */
  logits: Numbers;
  /** [units, classes]: the change that attribution had predicted. */
  predicted: Numbers;
  /** [units, classes]: the probability of each of the explanation's classes afterwards. */
  probabilities: Numbers;
  /** [units]: the most probable class afterwards, as a place in `names`. */
  winners: number[];
  /** Labels of the classes that ever won. */
  names: string[];
}

/** One measure of how far a panel can be trusted. */
export interface EvidenceEntry {
  /** What was measured: `explanation`, or a panel and its layer, and where it is about one class its number: `spatial:LAYER`, `spatial:LAYER:CLASS_INDEX`, `channels:LAYER:CLASS_INDEX`, `groups:LAYER`, `experiments:LAYER` … */
  about: string;
  /** Name of the measure, such as `deletion agreement`. */
  name: string;
  /** What was measured. */
  value: number;
  /** The same measure where the panel should fail, such as a shuffled map; null when there is no control. */
  control: number | null;
  /** What the numbers mean, in words that a non-specialist can read. */
  sentence: string;
  /** Where the 95 % interval of `value` begins; null where none was computed. */
  low: number | null;
  /** Where it ends; null where none was computed. */
  high: number | null;
  /** Whether it speaks for the picture, against it, or says nothing; null where value and control decide. */
  says: "against" | "for" | "nothing" | null;
}

/** What the rest of the network made of an experiment. */
export interface ExperimentAnswer {
  /** Name of the layer. */
  layer: string;
  /** The classes that the explanation is about, in its order. */
  classes: Outcome[];
  /** The five most probable classes afterwards. */
  top: Outcome[];
  /** How long the network took. */
  seconds: number;
}

/** Several parts of one layer, changed together. */
export interface ExperimentRequest {
  /** Name of the layer. */
  layer: string;
  /** What is changed. */
  changes: (ChannelChange | GroupChange | RegionChange)[];
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
  /** Two classes of `classes`, by their numbers, that the page sets against each other at first; null for none. */
  versus: [number, number] | null;
  /** The layers that panels are about, from the first to the last; every list of panels below has this order. */
  layers: LayerCard[];
  /** Semantic dictionaries, one a layer. */
  dictionaries: DictionaryPanel[];
  /** Activation grids, one a layer. */
  grids: GridPanel[];
  /** Spatial attribution, one a layer. */
  spatial: SpatialPanel[];
  /** Influence between positions of two layers, for neighbours in `layers`. */
  influences: Influence[];
  /** Channel attribution, one a layer. */
  channels: ChannelPanel[];
  /** Influence between channels of two layers, for neighbours in `layers`. */
  channel_links: ChannelLinks[];
  /** Neuron groups, one a layer. */
  groups: GroupPanel[];
  /** Group flow, for neighbours in `layers`; the groups of the last layer feed the classes by their attribution. */
  flows: Flow[];
  /** Single experiments that were made beforehand. */
  effects: Effects[];
  /** What was measured about any of the panels. */
  evidence: EvidenceEntry[];
  /** Deletion and insertion curves of spatial attribution, for some of the classes. */
  curves: RemovalCurves[];
  /** How long each panel took to compute, in seconds, by the panel's id, such as `dictionary:mixed4d`. */
  seconds: Record<string, number>;
}

/** The manifest of a bundle that explains one image; its `kind` in JSON is `explanation`. */
export interface ExplanationManifest {
  kind: "explanation";
  /** Number of the schema; it rises when an older page could misread a newer bundle. */
  schema: 2;
  /** Where the numbers come from. */
  provenance: Provenance;
  /** What the page shows. */
  body: ExplanationBody;
}

/** How the groups of one layer feed those of a later one; those of the latest feed the classes. */
export interface Flow {
  /** The earlier layer. */
  lower: string;
  /** The later layer. */
  upper: string;
  /** [groupings of upper][groupings of lower] of [groups of upper, groups of lower]: attribution of each group's strength in `upper` to each group of `lower`, in the unit of `upper`. */
  links: Numbers[][];
  /** For each grouping of `upper`, the groups of `lower` that were made to match it, one for each; empty when there are none. Their `icons` are places in the sheet of `lower`'s group panel. */
  aligned: Grouping[];
  /** For each entry of `aligned`: [groups of upper, groups of lower]. */
  aligned_links: Numbers[];
}

/** The activation grid of one layer: the photo as the layer sees it, one rendering for each position. */
export interface GridPanel {
  /** One of the explanation's layers. */
  layer: string;
  /** Name of a WebP file in the bundle, `columns` × `side` wide and `rows` × `side` high: the cells without gaps. */
  file: string;
  /** Side of one cell in pixels. */
  side: number;
  /** [rows, columns] in [0, 1]: how strongly the layer fires at each position, the side of the cell as a share. */
  strength: Numbers;
  /** Whether the cells were rendered for the photo, or put together from the icons of their strongest channels. */
  optimized: boolean;
  /** What is shown and how it was computed, in plain words; empty for the page's own caption. */
  caption: string;
}

/** A group of neurons, multiplied. */
export interface GroupChange {
  unit: "group";
  /** How many groups the layer is divided in. */
  groups: number;
  /** Which of them. */
  group: number;
  /** What it is multiplied with; 0 removes it. */
  factor: number;
}

/** Neuron groups of one layer, for several numbers of groups. */
export interface GroupPanel {
  /** One of the explanation's layers. */
  layer: string;
  /** One icon for each group; `channels` are running numbers here. */
  icons: IconSheet;
  /** One for each number of groups, rising. */
  groupings: Grouping[];
  /** The number of groups that the page shows first. */
  usual: number;
  /** What is shown and how it was computed, in plain words; empty for the page's own caption. */
  caption: string;
}

/** The activations of one layer divided into a number of groups. */
export interface Grouping {
  /** [groups, rows, columns] from 0 up: where each group is, in the layer's own unit. */
  spatial: Numbers;
  /** Place of each group's icon in the icon sheet of the panel; similar groups share one. */
  icons: number[];
  /** [groups][k]: the channels that weigh most in each group, heaviest first. */
  channels: number[][];
  /** [classes, groups]: what each group adds to the logit of each of the explanation's classes. */
  attribution: Numbers;
  /** What the groups leave unexplained, as a share of the length of the activations. */
  error: number;
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

/** Which positions of an earlier layer make up the activation at each position of a later one. */
export interface Influence {
  /** The earlier layer. */
  lower: string;
  /** The later layer. */
  upper: string;
  /** [rows of upper, columns of upper, rows of lower, columns of lower]: attribution of the length of the activation vector at a position of `upper` to each position of `lower`, in the unit of `upper`. */
  values: Numbers;
}

/** A layer that some panel is about, its grid and the icons of its channels. */
export interface LayerCard {
  /** Name of the layer, such as `mixed4d`. */
  name: string;
  /** Rows of the layer's grid. */
  rows: number;
  /** Columns of the layer's grid. */
  columns: number;
  /** How many channels the layer has. */
  channels: number;
  /** One icon for every channel that a panel names. */
  icons: IconSheet;
}

/** How well an attribution method predicts what removing parts of a layer does, over several photos. */
export interface MethodScore {
  /** Name of the method, such as `linear`. */
  method: string;
  /** What was removed: random sets of positions, single channels, or single groups. */
  unit: "channel" | "group" | "set";
  /** Median over the photos of the correlation of predicted and measured changes of the top class's logit. */
  value: number;
  /** Lower quartile over the photos. */
  low: number;
  /** Upper quartile over the photos. */
  high: number;
  /** The median for mere strength of activation. */
  control: number;
  /** `for`: on nearly all photos it is above its control; `nothing`: it is not. */
  says: "for" | "nothing";
  /** Median time for one photo and one class, in seconds, what all methods share left out. */
  seconds: number;
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

/** An array of numbers, packed: entry i is the i-th integer times `scale`. */
export interface Numbers {
  /** Length of each axis; the last one varies fastest. */
  shape: number[];
  /** What an integer is multiplied with. */
  scale: number;
  /** Base64 of signed 16-bit integers, low byte first. */
  data: string;
}

/** One class before and after an experiment. */
export interface Outcome {
  /** Number of the class. */
  index: number;
  /** Its name in plain words. */
  label: string;
  /** Output before the softmax, with nothing changed. */
  logit_before: number;
  /** The same after the change. */
  logit_after: number;
  /** Output after the softmax, with nothing changed. */
  probability_before: number;
  /** The same after the change. */
  probability_after: number;
}

/** Real pieces of images for each cell: what the layer looked at when it answered like this. */
export interface PatchSheets {
  /** WebP files, each of `cells` rows, one a cell in their order, the last one perhaps fewer. */
  files: string[];
  /** Side of a piece in pixels. */
  side: number;
  /** Pieces in a row: the most that a cell has. */
  columns: number;
  /** Cells in a file. */
  cells: number;
  /** How many pieces each cell has; the rest of its row is empty. */
  counts: number[];
}

/** A rendering of one cell pasted on real photos of a class, to see whether it makes the network see another. */
export interface PatchTrial {
  /** One of the atlas's layers. */
  layer: string;
  /** Number of the class of the photos. */
  source: number;
  /** Number of the class that the patch argues for. */
  aim: number;
  /** Column and row of the cell on the grid of `columns` cells a side. */
  place: [number, number];
  /** Cells a side of that grid. */
  columns: number;
  /** WebP file: the patch. */
  file: string;
  /** Its side in pixels. */
  side: number;
  /** The patch and its controls. */
  shares: Share[];
  /** Whether the patch beat every control by more than chance. */
  found: boolean;
  /** Photos with the patch that were read as the class aimed at. */
  examples: Photo[];
  /** What came out, in plain words. */
  sentence: string;
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

/** Where one photo's activations lie on the maps. */
export interface PlacedPhoto {
  /** Name of the photo. */
  title: string;
  /** The photo as the network saw it. */
  photo: Photo;
  /** One of the atlas's layers. */
  layer: string;
  /** [rows, columns, 2] in [0, 1]: where each position of the photo lies on the map, x to the right, y down. */
  positions: Numbers;
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

/** What the network sees in a rectangle of the photo, layer by layer. */
export interface RegionAnswer {
  /** From the first to the last. */
  layers: RegionLayer[];
  /** How long that took. */
  seconds: number;
}

/** A rectangle of positions, all channels of them, multiplied. */
export interface RegionChange {
  unit: "region";
  /** First and last row. */
  rows: [number, number];
  /** First and last column. */
  columns: [number, number];
  /** What it is multiplied with; 0 removes it. */
  factor: number;
}

/** A channel that stands out in a rectangle of the photo. */
export interface RegionChannel {
  /** Number of the channel. */
  channel: number;
  /** A person's name for it; empty when nobody named it. */
  label: string;
  /** Its mean activation in the rectangle, in the layer's own unit. */
  inside: number;
  /** Its mean activation in the rest of the photo. */
  outside: number;
  /** Address of its icon, which a server renders when it is first asked for it; empty where there is none. */
  icon: string;
}

/** What one layer sees in a rectangle of the photo. */
export interface RegionLayer {
  /** Name of the layer. */
  layer: string;
  /** First and last row of the layer's grid that the rectangle touches. */
  rows: [number, number];
  /** First and last column. */
  columns: [number, number];
  /** Share of the grid's positions that these are. */
  covers: number;
  /** The channels whose mean activation inside exceeds that outside most. */
  channels: RegionChannel[];
}

/** A rectangle of the photo. */
export interface RegionRequest {
  /** Its upper edge, as a share of the photo's height. */
  top: number;
  /** Its left edge, as a share of the photo's width. */
  left: number;
  /** Its lower edge. */
  bottom: number;
  /** Its right edge. */
  right: number;
}

/** A logit while the positions that a map names are removed one after another, or put into an empty layer. */
export interface RemovalCurves {
  /** One of the explanation's layers. */
  layer: string;
  /** Number of the class; one of the explanation's classes. */
  class_index: number;
  /** How many of the positions were touched, from none (0) to all (1), rising. */
  shares: number[];
  /** The logit after so many were removed, those first that the map says add most. */
  deletion: number[];
  /** The logit of a layer that holds only so many, those first that the map says add most. */
  insertion: number[];
  /** The same as `deletion` for each of several random orders. */
  random_deletion: number[][];
  /** The same as `insertion` for each of the random orders. */
  random_insertion: number[][];
}

/** Everything the page of a report shows. */
export interface ReportBody {
  /** Heading of the page. */
  title: string;
  /** The network that was asked. */
  model: ModelCard;
  /** How many natural images were looked at for exemplars. */
  images: number;
  /** On how many of them attribution was compared with removals. */
  photos: number;
  /** From the first to the last. */
  layers: ReportLayer[];
  /** What was left out, and why, each a sentence. */
  remarks: string[];
  /** How long each part took to compute, in seconds: `photos`, and by layer `renderings:LAYER`, `methods:LAYER`. */
  seconds: Record<string, number>;
}

/** What can be believed about one layer. */
export interface ReportLayer {
  /** Name of the layer, such as `mixed4d`. */
  name: string;
  /** Rows of the layer's grid on an input of the usual size. */
  rows: number;
  /** Columns of the layer's grid. */
  columns: number;
  /** How many channels the layer has. */
  channels: number;
  /** The picture of each of `units`, in their order. */
  icons: IconSheet;
  /** Pieces of photos that fire each of `units` most, the strongest first, in their order. */
  exemplars: PatchSheets;
  /** Channels that were drawn by chance. */
  units: ReportUnit[];
  /** Attribution methods, those of one kind of part together, the best first. */
  methods: MethodScore[];
  /** What was measured about the layer as a whole: `renderings:LAYER`, `spatial:LAYER`, `groups:LAYER`. */
  evidence: EvidenceEntry[];
}

/** The manifest of a bundle that says what to believe of a network; its `kind` in JSON is `report`. */
export interface ReportManifest {
  kind: "report";
  /** Number of the schema; it rises when an older page could misread a newer bundle. */
  schema: 2;
  /** Where the numbers come from. */
  provenance: Provenance;
  /** What the page shows. */
  body: ReportBody;
}

/** One channel: its picture is in the icon sheet of the layer, what fires it on photos in the sheet of exemplars. */
export interface ReportUnit {
  /** Number of the channel. */
  channel: number;
  /** `for`: its picture fires it as nothing else does and for the same cause as photos; `against`: it misleads. */
  says: "against" | "for" | "nothing";
  /** What was measured about its picture, the headline first; `about` is `rendering:` and the target that was rendered. */
  evidence: EvidenceEntry[];
}

/** One page of a server: an explanation that is made, or a bundle that it was given. */
export interface Result {
  /** Part of its address. */
  id: string;
  /** What it shows. */
  kind: "atlas" | "explanation" | "report";
  /** Its heading. */
  title: string;
  /** The network that was asked. */
  model: string;
  /** The layers that it is about. */
  layers: string[];
  /** Whether it is a first look with coarse pictures. */
  quick: boolean;
  /** How far it is. */
  state: "cancelled" | "done" | "failed" | "running" | "waiting";
  /** How many others are made before it. */
  ahead: number;
  /** Why it failed, in one sentence. */
  problem: string;
  /** The most probable class; empty before it is known. */
  answer: string;
  /** Its probability. */
  probability: number | null;
  /** Address of a small picture; empty before there is one. */
  thumb: string;
  /** Number of the newest manifest; 0 before the first. */
  revision: number;
  /** When it was asked for. */
  created: string;
  /** When it will be removed; null for bundles that the server was given. */
  expires: string | null;
  /** Whether experiments and regions can be asked. */
  live: boolean;
}

/** A network that a server can ask. */
export interface ServedModel {
  /** Name of the network. */
  name: string;
  /** Height of its input in pixels. */
  rows: number;
  /** Width of its input in pixels. */
  columns: number;
  /** Layers with positions that can be explained, from the first to the last. */
  layers: string[];
  /** Those that are explained when none are named. */
  usual: string[];
}

/** What a server offers, and its limits. */
export interface ServerStatus {
  /** Version of Pellucid. */
  version: string;
  /** The networks that it can ask. */
  models: ServedModel[];
  /** Media types of pictures that it reads. */
  accepts: string[];
  /** Largest file that it takes. */
  most_bytes: number;
  /** Most pixels of a picture. */
  most_pixels: number;
  /** Most layers of one explanation. */
  most_layers: number;
  /** How long results are kept. */
  retention_seconds: number;
}

/** How many of some photos were misread as the class that was aimed at. */
export interface Share {
  /** What was pasted: `patch`, `noise`, `random cells`, `real photo`, or `nothing`. */
  name: string;
  /** Size and corner, such as `40 %, lower left`; `any` counts photos that some setting flipped. */
  setting: string;
  /** Photos that were then read as the class aimed at. */
  flipped: number;
  /** Photos that were tried; of controls that are drawn several times, in all draws. */
  total: number;
  /** Lower end of the 95 % interval of the share. */
  low: number;
  /** Upper end. */
  high: number;
}

/** Spatial attribution of one layer, for one or more classes. */
export interface SpatialPanel {
  /** One of the explanation's layers. */
  layer: string;
  /** How the maps were computed, such as `linear`. */
  method: string;
  /** One map for each class that was asked about. */
  maps: ClassMap[];
  /** For the same classes, maps that agree with what removing positions does; empty where that was not measured. */
  removal: ClassMap[];
  /** What is shown and how it was computed, in plain words; empty for the page's own caption. */
  caption: string;
}

/** One large picture cut into square tiles; where it is empty there is none. */
export interface Tiles {
  /** Width of the whole picture in pixels. */
  width: number;
  /** Height of the whole picture in pixels. */
  height: number;
  /** Side of a tile in pixels; those at the right and lower edge may be smaller. */
  side: number;
  /** Name of each tile's WebP file, row by row; empty where nothing is drawn. */
  files: string[];
}

/** Activations laid out by which of two classes they argue for: left the first, right the second. */
export interface TwoClassMap {
  /** One of the atlas's layers. */
  layer: string;
  /** Number of the class at the left. */
  first: number;
  /** Number of the class at the right. */
  second: number;
  /** Attribution to the second class minus attribution to the first, at the right edge; its negative at the left. */
  reach: number;
  /** Its map. */
  map: CellMap;
}

/** Every manifest there is. */
export type Manifest = ExplanationManifest | AtlasManifest | ReportManifest;
