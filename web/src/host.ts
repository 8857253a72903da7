import type { ExperimentAnswer, ExperimentRequest, RegionAnswer, RegionRequest, Result, ServerStatus } from "./bundle";

/** Who answers questions about an explanation after it was made; an exported file has none. */
export interface Host {
  experiment(request: ExperimentRequest): Promise<ExperimentAnswer>;
  region(request: RegionRequest): Promise<RegionAnswer>;
}

/** What went wrong, in one sentence for a person. */
export class HostError extends Error {}

/** The sentence of an error, whoever threw it. */
export function sentenceOf(error: unknown): string {
  const said = error instanceof HostError ? error.message : "Something went wrong that should not have.";
  return said.charAt(0).toUpperCase() + said.slice(1);
}

const CHANGES = { "X-Pellucid": "1" };

/** The answer to a request of the server that gave this page. */
async function ask<Answer>(address: string, options: RequestInit = {}): Promise<Answer> {
  let answer: Response;
  try {
    answer = await fetch(address, { ...options, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new HostError("The server does not answer; is it still running?");
  }
  if (answer.status === 204) return undefined as Answer;
  let told: unknown;
  try {
    told = await answer.json();
  } catch {
    throw new HostError("The server gave an answer that cannot be read.");
  }
  if (answer.ok) return told as Answer;
  const { problem } = told as { problem?: unknown };
  throw new HostError(typeof problem === "string" ? problem : `The server refused (${answer.status}).`);
}

const at = (id: string): string => `/api/results/${encodeURIComponent(id)}`;

/** What a server can do, by its addresses; docs/serve.md lists them. */
export const server = {
  status: () => ask<ServerStatus>("/api/status"),
  results: () => ask<{ results: Result[] }>("/api/results").then(({ results }) => results),
  manifest: (id: string) => ask<{ revision: number }>(`${at(id)}/manifest`),
  cancel: (id: string) => ask<Result>(`${at(id)}/cancel`, { method: "POST", headers: CHANGES }),
  remove: (id: string) => ask<void>(at(id), { method: "DELETE", headers: CHANGES }),
  explain: (photo: Blob, title: string, choice: { model: string; layers: string[]; quick: boolean }) => {
    const words = new URLSearchParams({ title, model: choice.model, quick: choice.quick ? "1" : "0" });
    if (choice.layers.length) words.set("layers", choice.layers.join(","));
    const headers = { ...CHANGES, "Content-Type": photo.type };
    return ask<Result>(`/api/results?${words}`, { method: "POST", headers, body: photo });
  },
};

/** The server as the host of one result. */
export function serverHost(id: string): Host {
  const put = <Answer>(what: string, body: unknown): Promise<Answer> =>
    ask<Answer>(`${at(id)}/${what}`, { method: "POST", headers: CHANGES, body: JSON.stringify(body) });
  return {
    experiment: (request) => put("experiment", request),
    region: (request) => put("region", request),
  };
}

/** What is done for a result at the moment. */
export interface Work {
  task: string;
  done: number;
  total: number | null;
  unit: string;
}

/** Calls back at every change of a result until it is finished; the browser connects again by itself. */
export function follow(id: string, onResult: (result: Result) => void, onWork: (work: Work) => void): () => void {
  const source = new EventSource(`${at(id)}/events`);
  source.addEventListener("result", (event) => {
    const result = JSON.parse(event.data) as Result;
    if (ended(result)) source.close();
    onResult(result);
  });
  source.addEventListener("progress", (event) => onWork(JSON.parse(event.data) as Work));
  return () => source.close();
}

/** Whether nothing more will change. */
export function ended({ state }: Result): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
