import { describe, expect, test } from "vitest";
import { crossing, drawRibbons, type Links, orderColumns, pathThrough, placeNodes } from "./flow";

/** All orders of `size` places. */
function orders(size: number): number[][] {
  if (size === 0) return [[]];
  return orders(size - 1).flatMap((order) =>
    Array.from({ length: size }, (_, at) => [...order.slice(0, at), size - 1, ...order.slice(at)]),
  );
}

/** Crossing by its definition: every pair of ribbons, one by one. */
function pairwise(order: readonly (readonly number[])[], gaps: readonly Links[]): number {
  let total = 0;
  gaps.forEach((links, gap) => {
    const ribbons = order[gap]!.flatMap((from, y0) =>
      order[gap + 1]!.map((to, y1) => ({ y0, y1, size: Math.abs(links[from]![to]!) })),
    );
    for (const [place, a] of ribbons.entries()) {
      for (const b of ribbons.slice(place + 1)) if ((a.y0 - b.y0) * (a.y1 - b.y1) < 0) total += a.size * b.size;
    }
  });
  return total;
}

const GAPS: Links[] = [
  [
    [0.1, 2, 0, -1],
    [3, 0, 0.5, 0],
    [0, -0.2, 4, 1],
  ],
  [
    [1, -2],
    [0.3, 0],
    [-5, 0.1],
    [0, 2],
  ],
];
const SIZES = [3, 4, 2];

test("crossing is the sum over pairs", () => {
  for (const order of [
    [
      [0, 1, 2],
      [0, 1, 2, 3],
      [0, 1],
    ],
    [
      [2, 0, 1],
      [3, 1, 0, 2],
      [1, 0],
    ],
  ]) {
    expect(crossing(order, GAPS)).toBeCloseTo(pairwise(order, GAPS), 12);
  }
});

describe("the order of columns", () => {
  test("is nearly the best of all, where all can be tried", () => {
    let seed = 1;
    const draw = (): number => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    const links = (from: number, to: number): number[][] =>
      Array.from({ length: from }, () => Array.from({ length: to }, () => (draw() < 0.4 ? 0 : draw() - 0.3)));
    let [found, best] = [0, 0];
    for (let problem = 0; problem < 30; problem++) {
      const gaps = [links(4, 3), links(3, 3)];
      found += crossing(orderColumns([4, 3, 3], gaps, new Set([2])), gaps);
      best += Math.min(...orders(4).flatMap((a) => orders(3).map((b) => crossing([a, b, [0, 1, 2]], gaps))));
    }
    expect(found).toBeLessThan(1.03 * best);
  });

  test("holds every place once, and fixed columns still", () => {
    const found = orderColumns(SIZES, GAPS, new Set([2]));
    expect(found[2]).toEqual([0, 1]);
    expect(found.map((order) => [...order].sort())).toEqual([
      [0, 1, 2],
      [0, 1, 2, 3],
      [0, 1],
    ]);
  });

  test("is the same at every call", () => {
    expect(orderColumns(SIZES, GAPS, new Set())).toEqual(orderColumns(SIZES, GAPS, new Set()));
  });
});

describe("drawing", () => {
  const order = SIZES.map((size) => Array.from({ length: size }, (_, place) => place));
  const boxes = [0, 200, 400].map((x) => ({ x, width: 40, height: 50 }));
  const nodes = placeNodes(order, boxes, 300);

  test("nodes stand evenly over the height", () => {
    expect(nodes.filter(({ column }) => column === 0).map(({ y, height }) => y + height / 2)).toEqual([50, 150, 250]);
  });

  test("ribbons of a gap are as wide as they are strong, and fit their nodes", () => {
    const ribbons = drawRibbons(nodes, GAPS);
    for (const [gap, links] of GAPS.entries()) {
      const here = ribbons.filter(({ column }) => column === gap);
      const scales = here.map(({ width, value }) => width / Math.abs(value));
      expect(Math.max(...scales)).toBeCloseTo(Math.min(...scales), 9);
      for (const [from] of links.entries()) {
        const sum = here.filter((ribbon) => ribbon.from === from).reduce((total, { width }) => total + width, 0);
        expect(sum).toBeLessThanOrEqual(50 * 0.9 + 1e-9);
      }
    }
  });

  test("the heaviest come first, and links of nothing are not drawn", () => {
    const first = drawRibbons(nodes, GAPS).filter(({ column }) => column === 0);
    expect(first.map(({ value }) => value)).toEqual([4, 3, 2, -1, 1, 0.5, -0.2, 0.1]);
    expect(
      drawRibbons(nodes, [
        [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
          [0, 0, 0, 0],
        ],
      ]),
    ).toEqual([]);
  });
});

test("a path keeps, of each node, the share of its ribbons that come from it", () => {
  const shares = pathThrough({ column: 1, place: 2 }, SIZES, GAPS);
  expect(shares[1]).toEqual([0, 0, 1, 0]);
  // To the left: of the ribbons that leave node 1 (3 and 0.5), those to node 2 of the next column.
  expect(shares[0]![1]).toBeCloseTo(0.5 / 3.5, 12);
  expect(shares[0]![2]).toBeCloseTo(4 / 5.2, 12);
  // To the right: of the ribbons that arrive at class 0 (1, 0.3, 5), the one from node 2.
  expect(shares[2]![0]).toBeCloseTo(5 / 6.3, 12);
});
