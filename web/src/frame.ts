import type { ExperimentAnswer, RegionAnswer } from "./bundle";
import { type Host, HostError } from "./host";

/** The page around this one: a notebook's output, whose kernel answers. */
export interface Frame extends Host {
  /** Tell what the reader has chosen; at most ten times a second. */
  tell(state: Record<string, unknown>): void;
  /** Be called with each view that the page around asks for; returns how to stop. */
  onHash(show: (hash: string) => void): () => void;
}

const PATIENCE = 60_000;

/** The bridge to the parent of `inside`. */
export function frameHost(inside: Window): Frame {
  const waiting = new Map<number, { answer: (value: unknown) => void; fail: (error: Error) => void }>();
  const shows = new Set<(hash: string) => void>();
  let calls = 0;
  let last = "";
  let pending: Record<string, unknown> | null = null;

  const send = (message: Record<string, unknown>): void => inside.parent.postMessage({ pellucid: 1, ...message }, "*");

  inside.addEventListener("message", (event) => {
    if (event.source !== inside.parent) return;
    const told = event.data as { pellucid?: number; reply?: number; answer?: unknown; problem?: string; hash?: string };
    if (told?.pellucid !== 1) return;
    if (typeof told.hash === "string") for (const show of shows) show(told.hash);
    const asked = waiting.get(told.reply ?? -1);
    if (!asked) return;
    waiting.delete(told.reply!);
    if (typeof told.problem === "string") asked.fail(new HostError(told.problem));
    else asked.answer(told.answer);
  });
  send({ ready: true });

  function call<Answer>(method: "experiment" | "region", body: unknown): Promise<Answer> {
    calls += 1;
    const number = calls;
    return new Promise<Answer>((answer, fail) => {
      waiting.set(number, { answer: (value) => answer(value as Answer), fail });
      setTimeout(() => {
        if (waiting.delete(number)) fail(new HostError("The notebook's kernel does not answer; is it still running?"));
      }, PATIENCE);
      // Svelte's state are proxies, which cannot be cloned.
      send({ call: number, method, body: JSON.parse(JSON.stringify(body)) });
    });
  }

  return {
    experiment: (request) => call<ExperimentAnswer>("experiment", request),
    region: (request) => call<RegionAnswer>("region", request),
    tell(state) {
      const text = JSON.stringify(state);
      if (text === last) return;
      last = text;
      if (!pending) {
        setTimeout(() => {
          send({ state: JSON.parse(last) });
          pending = null;
        }, 100);
      }
      pending = state;
    },
    onHash(show) {
      shows.add(show);
      return () => shows.delete(show);
    },
  };
}
