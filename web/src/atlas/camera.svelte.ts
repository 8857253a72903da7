/** What of a map is seen: its centre, the map being 1 wide, and how much of it; 1 is the whole. */
export interface Look {
  x: number;
  y: number;
  span: number;
}

/** How quickly the view follows, in milliseconds; about the time constant of a hand. */
const EASE = 75;

/** Largest cell of the finest grid, in CSS pixels. */
const LARGEST_CELL = 170;

/** How much a flight zooms for how much it moves; the value that people liked best. */
const RHO = 1.42;

/** Part of the figure that is left free around the whole map. */
const MARGIN = 0.03;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Where one looks, and the way there: moves are eased, bounded, and shared by the figures that have the same one. */
export class Camera {
  now: Look = $state.raw({ x: 0.5, y: 0.5, span: 1 });
  /** Whether the view is on its way. */
  moving = $state(false);
  width = $state(1);
  height = $state(1);
  #target: Look = { x: 0.5, y: 0.5, span: 1 };
  #flight: { begun: number; time: number; at: (share: number) => Look } | null = null;
  #frame = 0;
  #last = 0;

  /**
   * @param ground height of the map
   * @param columns of the finest grid
   */
  constructor(
    readonly ground: number,
    readonly columns: number,
  ) {
    this.now = this.#target = this.home;
  }

  get home(): Look {
    return { x: 0.5, y: this.ground / 2, span: 1 };
  }

  /** CSS pixels of the map's width when all of it is seen. */
  get fit(): number {
    return Math.max(1, Math.min(this.width, this.height / this.ground) * (1 - 2 * MARGIN));
  }

  /** CSS pixels of the map's width now. */
  get scale(): number {
    return this.fit / this.now.span;
  }

  get smallestSpan(): number {
    return Math.min(0.25, this.fit / (LARGEST_CELL * this.columns));
  }

  get target(): Look {
    return this.#target;
  }

  resize(width: number, height: number): void {
    if (width < 1 || height < 1) return;
    this.width = width;
    this.height = height;
    this.jump(this.#target);
  }

  /** The place of the map under a point of the figure. */
  placeAt(px: number, py: number): { x: number; y: number } {
    return {
      x: this.now.x + (px - this.width / 2) / this.scale,
      y: this.now.y + (py - this.height / 2) / this.scale,
    };
  }

  /** The point of the figure over a place of the map. */
  pointOf(x: number, y: number): { x: number; y: number } {
    return {
      x: this.width / 2 + (x - this.now.x) * this.scale,
      y: this.height / 2 + (y - this.now.y) * this.scale,
    };
  }

  /** Zoom in by a factor; the place under a point of the figure, by itself the centre, stays where it is. */
  zoom(factor: number, px = this.width / 2, py = this.height / 2): void {
    const from = this.#target;
    const span = Math.min(1, Math.max(this.smallestSpan, from.span / factor));
    // The centre is linear in the span, so easing both by the same share holds the place still all the way.
    const [right, down] = [(px - this.width / 2) / this.fit, (py - this.height / 2) / this.fit];
    this.ease({ x: from.x + right * (from.span - span), y: from.y + down * (from.span - span), span });
  }

  /** Move the map by so many CSS pixels, at once as a hand does, or eased. */
  drag(right: number, down: number, eased = false): void {
    const { x, y, span } = eased ? this.#target : this.now;
    const scale = this.fit / span;
    const next = { x: x - right / scale, y: y - down / scale, span };
    if (eased) this.ease(next);
    else this.jump(next);
  }

  ease(look: Look): void {
    this.#flight = null;
    this.#target = this.#bounded(look);
    this.#run();
  }

  jump(look: Look): void {
    this.#flight = null;
    this.now = this.#target = this.#bounded(look);
  }

  /** Fly to a place: up, over and down, as far as the way is long. */
  fly(look: Look): void {
    this.#target = this.#bounded(look);
    const { at, length } = flight(this.now, this.#target, this.width / this.fit);
    this.#flight = { begun: performance.now(), time: Math.min(1400, 260 + 260 * length), at };
    this.#run();
  }

  /** Come so close that a cell of a grid is well seen. */
  flyTo(x: number, y: number, columns: number): void {
    this.fly({ x, y, span: Math.min(this.#target.span, this.fit / (88 * columns)) });
  }

  /** Move just so far that a place is seen. */
  keepInView(x: number, y: number): void {
    const { span } = this.#target;
    const scale = this.fit / span;
    const [across, down] = [(0.38 * this.width) / scale, (0.38 * this.height) / scale];
    this.ease({
      x: Math.min(x + across, Math.max(x - across, this.#target.x)),
      y: Math.min(y + down, Math.max(y - down, this.#target.y)),
      span,
    });
  }

  #bounded({ x, y, span }: Look): Look {
    const kept = Math.min(1, Math.max(this.smallestSpan, span));
    const seen = kept / this.fit;
    return {
      x: bounded(x, this.width * seen, 1),
      y: bounded(y, this.height * seen, this.ground),
      span: kept,
    };
  }

  #run(): void {
    if (still.matches) {
      this.now = this.#target;
      this.#flight = null;
      return;
    }
    this.moving = true;
    if (this.#frame) return;
    this.#last = performance.now();
    this.#frame = requestAnimationFrame((time) => this.#step(time));
  }

  #step(time: number): void {
    this.#frame = 0;
    const passed = Math.max(1, time - this.#last);
    this.#last = time;
    const { x, y, span } = this.#target;
    let done = false;
    if (this.#flight) {
      const share = Math.min(1, Math.max(0, (time - this.#flight.begun) / this.#flight.time));
      this.now = this.#flight.at(share * share * (3 - 2 * share));
      done = share === 1;
    } else {
      const share = 1 - Math.exp(-passed / EASE);
      const { now } = this;
      this.now = {
        x: now.x + share * (x - now.x),
        y: now.y + share * (y - now.y),
        span: now.span + share * (span - now.span),
      };
      // Half a pixel of the figure, in units of what is seen of the map.
      const small = (0.5 * span) / this.fit;
      done = Math.max(Math.abs(this.now.x - x), Math.abs(this.now.y - y), Math.abs(this.now.span - span)) < small;
    }
    if (done) {
      this.now = this.#target;
      this.#flight = null;
      this.moving = false;
    } else this.#frame = requestAnimationFrame((next) => this.#step(next));
  }
}

/** A centre such that no more than a strip beyond the map is seen. */
function bounded(centre: number, seen: number, size: number): number {
  if (seen >= size) return size / 2;
  const strip = 0.05 * seen;
  return Math.min(size - seen / 2 + strip, Math.max(seen / 2 - strip, centre));
}

interface Flight {
  /** The view when a share of the way is done. */
  at: (share: number) => Look;
  /** In units in which one is as much as a reader can follow at a glance. */
  length: number;
}

/** The smoothest way between two views (van Wijk and Nuij, 2003); `wide` is how much of the map is seen at span 1. */
function flight(from: Look, to: Look, wide: number): Flight {
  const [start, end] = [from.span * wide, to.span * wide];
  const [across, down] = [to.x - from.x, to.y - from.y];
  const far = Math.hypot(across, down);
  if (far < 1e-6) {
    const zoom = Math.log(end / start);
    return { at: (share) => ({ ...to, span: from.span * Math.exp(zoom * share) }), length: Math.abs(zoom) / RHO };
  }
  const turn = (size: number, sign: number): number => {
    const b = (end ** 2 - start ** 2 + sign * RHO ** 4 * far ** 2) / (2 * size * RHO ** 2 * far);
    return Math.log(Math.sqrt(b ** 2 + 1) - b);
  };
  const [first, last] = [turn(start, 1), turn(end, -1)];
  const at = (share: number): Look => {
    const along = first + (last - first) * share;
    const way = (start / (RHO ** 2 * far)) * (Math.cosh(first) * Math.tanh(along) - Math.sinh(first));
    return {
      x: from.x + way * across,
      y: from.y + way * down,
      span: (start * Math.cosh(first)) / Math.cosh(along) / wide,
    };
  };
  return { at, length: Math.abs(last - first) / RHO };
}
