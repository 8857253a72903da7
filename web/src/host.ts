import type { ExperimentAnswer, ExperimentRequest, RegionAnswer, RegionRequest, Result, ServerStatus } from "./bundle";

/** Who answers questions about an explanation after it was made; an exported file has none. */
export interface Host {
  experiment(request: ExperimentRequest): Promise<ExperimentAnswer>;
  region(request: RegionRequest): Promise<RegionAnswer>;
}

/** What went wrong, in one sentence for a person. */
export class HostError extends Error {
  /** Status of a server's answer; 0 where there was none. */
  readonly status: number;

  constructor(sentence: string, status = 0) {
    super(sentence);
    this.status = status;
  }
}

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
  throw new HostError(typeof problem === "string" ? problem : `The server refused (${answer.status}).`, answer.status);
}

const at = (id: string): string => `/api/results/${encodeURIComponent(id)}`;

/** What a server can do, by its addresses; docs/serve.md lists them. */
export const server = {
  status: () => ask<ServerStatus>("/api/status"),
  results: () => ask<{ results: Result[] }>("/api/results").then(({ results }) => results),
  result: (id: string) => ask<Result>(at(id)),
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

const AGAIN = 3000;

/** Who is told of a result that changes. */
export interface Follower {
  result(result: Result): void;
  work(work: Work): void;
  /** The connection is lost, and made again as soon as can be. */
  lost(): void;
  /** The server has no such result any more; says so in one sentence. */
  gone(sentence: string): void;
}

/** Tells of every change of a result until it is finished; returns how to stop. */
export function follow(id: string, { result, work, lost, gone }: Follower): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  function connect(): void {
    source = new EventSource(`${at(id)}/events`);
    source.addEventListener("result", (event) => take(JSON.parse(event.data) as Result));
    source.addEventListener("progress", (event) => work(JSON.parse(event.data) as Work));
    source.addEventListener("error", () => void find());
  }

  function take(found: Result): void {
    if (ended(found)) stop();
    result(found);
  }

  /** An event source says neither why it failed nor, once it gave up, that it could be tried again. */
  async function find(): Promise<void> {
    if (stopped) return;
    lost();
    if (source?.readyState !== EventSource.CLOSED) return;
    try {
      const found = await server.result(id);
      if (stopped) return;
      take(found);
    } catch (error) {
      if (stopped) return;
      if (error instanceof HostError && error.status === 404) {
        stop();
        gone(sentenceOf(error));
        return;
      }
    }
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(connect, AGAIN);
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    source?.close();
  }

  connect();
  return stop;
}

/** Whether nothing more will change. */
export function ended({ state }: Result): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
