import { getContext, setContext } from "svelte";
import type { Provenance } from "./bundle";
import { duration, number } from "./format";

/** An article that a method is from. */
export interface Source {
  title: string;
  /** Address without `https://`, such as `doi.org/10.23915/distill.00010`. */
  at: string;
}

/** How a panel was computed, for a reader who knows the field. */
export interface How {
  /** Sentences; a line that starts with `=` is a formula; `Σ_c` has a subscript. */
  lines: string[];
  /** What was chosen, by its name. */
  settings: [name: string, value: string][];
  /** How long it took; null where that was not measured. */
  seconds: number | null;
  sources: Source[];
}

export const SOURCES = {
  blocks: { title: "Olah et al., The Building Blocks of Interpretability, 2018", at: "doi.org/10.23915/distill.00010" },
  features: {
    title: "Olah, Mordvintsev, Schubert, Feature Visualization, 2017",
    at: "doi.org/10.23915/distill.00007",
  },
  atlas: { title: "Carter et al., Activation Atlas, 2019", at: "doi.org/10.23915/distill.00015" },
  integrated: {
    title: "Sundararajan, Taly, Yan, Axiomatic Attribution for Deep Networks, 2017",
    at: "arxiv.org/abs/1703.01365",
  },
  nndsvd: {
    title: "Boutsidis, Gallopoulos, SVD based initialization, 2008",
    at: "doi.org/10.1016/j.patcog.2007.09.010",
  },
  hals: {
    title: "Gillis, Glineur, Accelerated Multiplicative Updates and HALS, 2012",
    at: "arxiv.org/abs/1107.5194",
  },
  umap: { title: "McInnes, Healy, Melville, UMAP, 2018", at: "arxiv.org/abs/1802.03426" },
  tsne: {
    title: "van der Maaten, Hinton, Visualizing Data using t-SNE, 2008",
    at: "jmlr.org/papers/v9/vandermaaten08a.html",
  },
  eyes: { title: "Geirhos et al., Don’t trust your eyes, 2023", at: "arxiv.org/abs/2306.04719" },
  sanity: {
    title: "Adebayo et al., Sanity Checks for Saliency Maps, 2018",
    at: "arxiv.org/abs/1810.03292",
  },
  sensitivity: {
    title: "Yeh et al., On the (In)fidelity and Sensitivity of Explanations, 2019",
    at: "arxiv.org/abs/1901.09392",
  },
  rise: { title: "Petsiuk, Das, Saenko, RISE, 2018", at: "arxiv.org/abs/1806.07421" },
  wilson: { title: "Wilson, Probable Inference, 1927", at: "doi.org/10.1080/01621459.1927.10502953" },
} as const satisfies Record<string, Source>;

const PROVENANCE = Symbol("provenance");

/** Lets every panel below know where the numbers come from; called while a page's component is made. */
export function tellProvenance(provenance: () => Provenance): void {
  setContext(PROVENANCE, provenance);
}

/** Where the numbers of the page come from; called while a panel is made. */
export function knowProvenance(): () => Provenance {
  return getContext(PROVENANCE);
}

/** A setting as text; nothing where the bundle does not say it. */
export function setting(provenance: Provenance, name: string, label: string, unit = ""): [string, string][] {
  const value = provenance.settings[name];
  if (value === undefined || value === null) return [];
  const text = typeof value === "number" ? number(value, Number.isInteger(value) ? 0 : undefined) : String(value);
  return [[label, unit ? `${text}\u00a0${unit}` : text]];
}

/** The seed, where random numbers were drawn. */
export function seedOf({ seed }: Provenance): [string, string][] {
  return seed === null ? [] : [["seed", String(seed)]];
}

/** The sum of what parts took; null where none was measured. */
export function secondsOf(seconds: Record<string, number>, keys: readonly string[]): number | null {
  const found = keys.flatMap((key) => seconds[key] ?? []);
  return found.length ? found.reduce((sum, part) => sum + part, 0) : null;
}

/** A line in parts, every second of which is a subscript: of Σ and of single letters, not within names. */
export function subscripts(line: string): string[] {
  return line.split(/(?<=(?<!\w)[Σya])_(\w)(?!\w)/);
}

/** The settings and the time as one list. */
export function settingsOf({ settings, seconds }: How): [string, string][] {
  return [...settings, ...(seconds === null ? [] : ([["took", duration(seconds)]] as [string, string][]))];
}
