/** Which ribbons join two neighbouring columns: [places of the left column][places of the right column], signed. */
export type Links = readonly (readonly number[])[];

/** A node of the picture: its column, its place in the data, and where it is drawn. */
export interface FlowNode {
  column: number;
  place: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A ribbon from a node to one of the next column, as a stroke of a width along a curve. */
export interface Ribbon {
  column: number;
  from: number;
  to: number;
  value: number;
  width: number;
  path: string;
}

/** How a column is drawn: left edge, size of its nodes. */
export interface ColumnBox {
  x: number;
  width: number;
  height: number;
}

/** Ribbons thinner than this are not seen and not drawn, in pixels. */
const THINNEST = 0.35;
/** How much of a node's side its ribbons fill at most. */
const FILLED = 0.9;
const SWEEPS = 2;
const ROUNDS = 6;
/** From how many orders the search for the best one starts, and from how many where many places make it slow. */
const [STARTS, FEWER, MANY] = [12, 4, 20];

/**
 * For each column, its places from top to bottom, so that heavy ribbons cross as little as they can: sweeps by
 * barycentre from both ends and moves of single places, from several starts. Columns in `fixed` keep the data's order.
 */
export function orderColumns(sizes: readonly number[], gaps: readonly Links[], fixed: ReadonlySet<number>): number[][] {
  const start = sizes.map((size) => Array.from({ length: size }, (_, place) => place));
  let best = start;
  let record = crossing(start, gaps);
  const starts = sizes.reduce((sum, size) => sum + size, 0) > MANY ? FEWER : STARTS;
  for (let attempt = 0; attempt < starts && record > 0; attempt += 1) {
    const orders = start.map((order, column) =>
      fixed.has(column) ? [...order] : shuffled(order, attempt && attempt * sizes.length + column),
    );
    // Sweeps lead most starts to the same order, good as it is: every other start is mended by single moves alone.
    const sweeps = attempt % 2 === 0 ? SWEEPS : 0;
    for (let sweep = 0; sweep < Math.max(1, sweeps); sweep += 1) {
      if (sweeps) sweepOnce(orders, gaps, fixed, sweep % 2 === 0 ? 1 : -1);
      moveSingly(orders, gaps, fixed);
      const found = crossing(orders, gaps);
      if (found >= record - 1e-9) continue;
      record = found;
      best = orders.map((order) => [...order]);
    }
  }
  return best;
}

/** Orders each column by the barycentres of its neighbours at one side: 1 for the right one, −1 for the left. */
function sweepOnce(orders: number[][], gaps: readonly Links[], fixed: ReadonlySet<number>, side: 1 | -1): void {
  const columns = [...orders.keys()];
  if (side === 1) columns.reverse();
  for (const column of columns) if (!fixed.has(column)) orders[column] = byBarycentre(orders, gaps, column, side);
}

/** The same places shuffled: differently for each attempt, the same at every call. */
function shuffled(order: readonly number[], attempt: number): number[] {
  const found = [...order];
  // Knuth's multiplicative hash: the first draws of neighbouring attempts would else hardly differ.
  let state = (attempt * 2654435761) % 2 ** 32;
  for (let rank = found.length - 1; attempt > 0 && rank > 0; rank -= 1) {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    const other = Math.floor((state / 2 ** 32) * (rank + 1));
    [found[rank], found[other]] = [found[other]!, found[rank]!];
  }
  return found;
}

/** How much ribbons cross: the sum over all crossing pairs of the product of their sizes. */
export function crossing(orders: readonly (readonly number[])[], gaps: readonly Links[]): number {
  let total = 0;
  gaps.forEach((links, gap) => {
    // below[k]: weight of the ribbons so far that end below the k-th place on the right.
    const right = orders[gap + 1]!;
    const ended = new Array<number>(right.length).fill(0);
    for (const from of orders[gap]!) {
      let below = 0;
      for (let rank = right.length - 1; rank >= 0; rank -= 1) {
        total += Math.abs(links[from]![right[rank]!]!) * below;
        below += ended[rank]!;
      }
      right.forEach((to, rank) => (ended[rank]! += Math.abs(links[from]![to]!)));
    }
  });
  return total;
}

function byBarycentre(orders: number[][], gaps: readonly Links[], column: number, side: 1 | -1): number[] {
  const links = gaps[side === 1 ? column : column - 1];
  const neighbours = orders[column + side];
  const current = orders[column]!;
  if (!links || !neighbours) return current;
  const rank = new Map(neighbours.map((place, position) => [place, position]));
  const centre = current.map((place, position) => {
    let weight = 0;
    let sum = 0;
    for (const other of neighbours) {
      const size = Math.abs(side === 1 ? links[place]![other]! : links[other]![place]!);
      weight += size;
      sum += size * rank.get(other)!;
    }
    return { place, centre: weight > 0 ? sum / weight : position };
  });
  return centre.sort((a, b) => a.centre - b.centre).map((entry) => entry.place);
}

/** Moves single places to other ranks as long as that saves crossings. */
function moveSingly(orders: number[][], gaps: readonly Links[], fixed: ReadonlySet<number>): void {
  let record = crossing(orders, gaps);
  for (let round = 0, better = true; better && round < ROUNDS; round += 1) {
    better = false;
    orders.forEach((order, column) => {
      if (fixed.has(column)) return;
      for (let from = 0; from < order.length; from += 1) {
        for (let to = 0; to < order.length; to += 1) {
          if (from === to) continue;
          order.splice(to, 0, order.splice(from, 1)[0]!);
          const found = crossing(orders, gaps);
          if (found < record - 1e-9) {
            record = found;
            better = true;
          } else order.splice(from, 0, order.splice(to, 1)[0]!);
        }
      }
    });
  }
}

/** Where every node stands: each column spread evenly over the height. */
export function placeNodes(
  orders: readonly (readonly number[])[],
  boxes: readonly ColumnBox[],
  high: number,
): FlowNode[] {
  return orders.flatMap((order, column) => {
    const { x, width, height } = boxes[column]!;
    const step = high / order.length;
    return order.map((place, rank) => ({ column, place, x, y: step * (rank + 0.5) - height / 2, width, height }));
  });
}

/** The ribbons, heaviest first, so that thin ones lie on top; those of one gap share one scale. */
export function drawRibbons(nodes: readonly FlowNode[], gaps: readonly Links[]): Ribbon[] {
  const at = new Map(nodes.map((node) => [`${node.column},${node.place}`, node]));
  return gaps.flatMap((links, gap) => {
    const sizes = links.map((row) => row.map(Math.abs));
    const left = sizes.map((row) => row.reduce((sum, size) => sum + size, 0));
    const right = (sizes[0] ?? []).map((_, to) => sizes.reduce((sum, row) => sum + row[to]!, 0));
    const heights = [at.get(`${gap},0`)?.height ?? 0, at.get(`${gap + 1},0`)?.height ?? 0];
    const scale = Math.min((FILLED * heights[0]!) / Math.max(...left), (FILLED * heights[1]!) / Math.max(...right));
    if (!Number.isFinite(scale)) return [];
    const pairs = sizes.flatMap((row, from) => row.map((size, to) => ({ from, to, width: size * scale })));
    const start = (from: number): FlowNode => at.get(`${gap},${from}`)!;
    const end = (to: number): FlowNode => at.get(`${gap + 1},${to}`)!;
    // At each node the ribbons leave in the order of their other ends, so that they do not cross at the node itself.
    const tops = left.map((sum, from) => start(from).y + (start(from).height - sum * scale) / 2);
    const bottoms = right.map((sum, to) => end(to).y + (end(to).height - sum * scale) / 2);
    const leaving = new Map<string, number>();
    for (const pair of [...pairs].sort((a, b) => end(a.to).y - end(b.to).y)) {
      leaving.set(`${pair.from},${pair.to}`, tops[pair.from]! + pair.width / 2);
      tops[pair.from]! += pair.width;
    }
    const arriving = new Map<string, number>();
    for (const pair of [...pairs].sort((a, b) => start(a.from).y - start(b.from).y)) {
      arriving.set(`${pair.from},${pair.to}`, bottoms[pair.to]! + pair.width / 2);
      bottoms[pair.to]! += pair.width;
    }
    return pairs
      .filter((pair) => pair.width >= THINNEST)
      .sort((a, b) => b.width - a.width)
      .map(({ from, to, width }) => {
        const [x0, x1] = [start(from).x + start(from).width, end(to).x];
        const [y0, y1] = [leaving.get(`${from},${to}`)!, arriving.get(`${from},${to}`)!];
        const bend = (x1 - x0) * 0.48;
        const path = [x0, y0, x0 + bend, y0, x1 - bend, y1, x1, y1].map((number) => number.toFixed(1));
        return {
          column: gap,
          from,
          to,
          value: links[from]![to]!,
          width,
          path: `M${path[0]} ${path[1]}C${path.slice(2).join(" ")}`,
        };
      });
  });
}

/**
 * How much of each node lies on the path through one of them, in [0, 1] by column and place: the whole of the node
 * itself, and of every other the share of its ribbons that come from the path.
 */
export function pathThrough(
  chosen: { column: number; place: number },
  sizes: readonly number[],
  gaps: readonly Links[],
): number[][] {
  const shares = sizes.map((size) => new Array<number>(size).fill(0));
  shares[chosen.column]![chosen.place] = 1;
  for (const side of [1, -1] as const) {
    for (let column = chosen.column + side; column >= 0 && column < sizes.length; column += side) {
      const links = gaps[side === 1 ? column - 1 : column]!;
      const before = shares[column - side]!;
      shares[column] = shares[column]!.map((_, place) => {
        const sizesHere = before.map((_, other) =>
          Math.abs(side === 1 ? links[other]![place]! : links[place]![other]!),
        );
        const whole = sizesHere.reduce((sum, size) => sum + size, 0);
        return whole > 0 ? sizesHere.reduce((sum, size, other) => sum + size * before[other]!, 0) / whole : 0;
      });
    }
  }
  return shares;
}
