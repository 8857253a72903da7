import type { ExplanationBody, Flow, Grouping, GroupPanel, Numbers } from "../bundle";
import { entry } from "../numbers";
import type { Question } from "../question";
import type { View } from "../view.svelte";
import { drawRibbons, orderColumns, placeNodes, type ColumnBox, type FlowNode, type Links, type Ribbon } from "./flow";
import { colorsOf, groupingOf, type Color } from "./groups";

/** The groups of one layer as a column of the picture. */
export interface FlowColumn {
  layer: string;
  panel: GroupPanel;
  grouping: Grouping;
  /** Colours that tell which groups of two columns belong together; null where none do. */
  colors: Color[] | null;
  /** Whether the groups were made to match those of the column at the right. */
  aligned: boolean;
}

/** Columns of groups from the first layer to the last, and what joins neighbours; the classes come last. */
export interface FlowData {
  columns: FlowColumn[];
  gaps: Links[];
  sizes: number[];
  /** Columns that keep their order: the classes, and groups that were aligned to each other. */
  fixed: Set<number>;
}

/** The flow that is drawn when groups are aligned: the latest for which that was computed. */
export function alignedFlow(body: ExplanationBody): Flow | undefined {
  return [...body.flows].reverse().find((flow) => flow.aligned.length > 0);
}

export function flowData(body: ExplanationBody, view: View, asked: Question, aligned: boolean): FlowData {
  const flows = aligned ? [alignedFlow(body)!] : chain(body.flows);
  const uppers = flows.map((flow) => column(body, view, flow.upper));
  const lower = column(body, view, flows[0]!.lower);
  if (aligned) {
    const place = placeOf(uppers[0]!);
    lower.grouping = flows[0]!.aligned[place]!;
    uppers[0]!.colors = colorsOf(uppers[0]!.panel, uppers[0]!.grouping);
    lower.colors = uppers[0]!.colors;
    lower.aligned = true;
  }
  const columns = [lower, ...uppers];
  const gaps = flows.map((flow, gap) => {
    const upper = placeOf(uppers[gap]!);
    return fromLower(aligned ? flow.aligned_links[upper]! : flow.links[upper]![placeOf(columns[gap]!)]!);
  });
  const { attribution, icons } = columns.at(-1)!.grouping;
  const drawn = body.classes.map(({ index }) => index === asked.index || index === asked.versus?.index);
  gaps.push(icons.map((_, group) => drawn.map((shown, place) => (shown ? entry(attribution, place, group) : 0))));
  const sizes = [...columns.map(({ grouping }) => grouping.icons.length), body.classes.length];
  return { columns, gaps, sizes, fixed: new Set(aligned ? [0, 1, 2] : [columns.length]) };
}

/** The sizes that a picture of the flow is drawn with. */
export interface FlowFrame {
  width: number;
  height: number;
  /** Width of the column of classes. */
  classWidth: number;
  /** The largest side of an icon. */
  icon: number;
}

export interface FlowLayout {
  nodes: FlowNode[];
  ribbons: Ribbon[];
  boxes: ColumnBox[];
}

export function flowLayout(
  { sizes, gaps, fixed }: FlowData,
  { width, height, classWidth, icon }: FlowFrame,
): FlowLayout {
  const last = sizes.length - 1;
  const boxes = sizes.map((size, column): ColumnBox => {
    const room = height / size;
    if (column === last) return { x: width - classWidth, width: classWidth, height: Math.min(76, room - 10) };
    const side = Math.min(icon, room - 9);
    return { x: (column * (width - classWidth)) / last, width: side, height: side };
  });
  const nodes = placeNodes(orderColumns(sizes, gaps, fixed), boxes, height);
  return { nodes, ribbons: drawRibbons(nodes, gaps), boxes };
}

/** The flows that follow each other up to the last one. */
function chain(flows: readonly Flow[]): Flow[] {
  const found: Flow[] = [];
  for (let flow = flows.at(-1); flow; flow = flows.find(({ upper }) => upper === found[0]!.lower)) found.unshift(flow);
  return found;
}

function column(body: ExplanationBody, view: View, layer: string): FlowColumn {
  const panel = body.groups.find((candidate) => candidate.layer === layer);
  if (!panel) throw new Error(`no groups of ${layer} in this page`);
  const grouping = groupingOf(panel, view.groupsOf(layer));
  return { layer, panel, grouping, colors: null, aligned: false };
}

function placeOf({ panel, grouping }: FlowColumn): number {
  return panel.groupings.indexOf(grouping);
}

/** Packed [groups of upper, groups of lower] as links from the lower groups to the upper ones. */
function fromLower(links: Numbers): number[][] {
  const [upper, lower] = links.shape as [number, number];
  return Array.from({ length: lower }, (_, from) => Array.from({ length: upper }, (_, to) => entry(links, to, from)));
}
