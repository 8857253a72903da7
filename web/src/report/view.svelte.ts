import type { ReportBody, ReportLayer } from "../bundle";
import { readHash, type Show, writeHash } from "./hash";
import { shown } from "./summary";

/** What the reader has chosen on the page of a report; kept in the address. */
export class ReportView {
  readonly #body: ReportBody;
  #layer = $state("");
  #show: Show = $state("all");
  /** The channel of the layer whose measures are all told. */
  unit: number | null = $state(null);

  constructor(body: ReportBody) {
    this.#body = body;
    this.restore("");
  }

  get layer(): ReportLayer {
    return this.#body.layers.find(({ name }) => name === this.#layer)!;
  }

  get show(): Show {
    return this.#show;
  }

  chooseLayer(name: string): void {
    if (name === this.#layer) return;
    this.#layer = name;
    this.unit = null;
  }

  chooseShow(show: Show): void {
    this.#show = show;
    if (!shown(this.layer, show).some(({ channel }) => channel === this.unit)) this.unit = null;
  }

  get hash(): string {
    return writeHash({ layer: this.#layer, show: this.#show, unit: this.unit });
  }

  /** What a notebook is told of the reader's choices. */
  get told(): Record<string, unknown> {
    return { hash: this.hash, layer: this.#layer };
  }

  /** Take up what an address says; what it does not say, or says wrongly, is as in a fresh page. */
  restore(hash: string): void {
    const { layers } = this.#body;
    const said = readHash(hash);
    this.#layer = (layers.find(({ name }) => name === said.layer) ?? layers.at(-1)!).name;
    this.unit = said.unit;
    this.chooseShow(said.show);
  }
}
