// The notebook's side of a page in a frame: what the page says goes into traits, what it asks goes to the kernel.

/**
 * The widget's model as anywidget hands it out.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(content: unknown) => void} send
 * @property {(event: string, callback: (...words: any[]) => void) => void} on
 * @property {(event: string, callback: (...words: any[]) => void) => void} off
 */

// A kernel that works on another cell answers afterwards; one that is gone never does.
const PATIENCE = 60_000;
const SILENT = "The kernel has not answered for a minute: it is busy with another cell, or gone.";
const GONE = "The kernel is gone: run the notebook again to ask it.";

/** Names of traits where the page calls the same thing otherwise. */
const NAMES = { lasso: "cells" };

/**
 * A frame with the widget's page in it, joined to the model until `close`.
 * @param {Model} model
 * @returns {{ frame: HTMLIFrameElement, close: () => void }}
 */
function openFrame(model) {
  const frame = document.createElement("iframe");
  frame.title = model.get("_title");
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.style.cssText = "display:block;width:100%;border:0";
  frame.srcdoc = new TextDecoder().decode(model.get("_page"));

  // Other views, and other windows on the same kernel, get the same answers; each takes up its own.
  const name = Math.random().toString(36).slice(2);
  let asked = 0;
  /** @type {Map<string, { call: unknown, timer: number }>} */
  const waiting = new Map();
  /** The view that this page shows, as far as it is known here. */
  let shown = "";

  /** @param {object} words */
  const tell = (words) => frame.contentWindow?.postMessage({ pellucid: 1, ...words }, "*");

  /** @param {MessageEvent} event */
  const hear = ({ source, data }) => {
    if (source === null || source !== frame.contentWindow || data?.pellucid !== 1) return;
    if (data.ready) {
      shown = "";
      follow();
    } else if (data.state) take(data.state);
    else if (data.method) ask(data);
  };

  /** @param {Record<string, unknown>} state */
  const take = (state) => {
    shown = String(state.hash);
    let changed = false;
    for (const [key, value] of Object.entries(state)) {
      const trait = NAMES[/** @type {keyof typeof NAMES} */ (key)] ?? key;
      const before = model.get(trait);
      if (before === undefined || JSON.stringify(before) === JSON.stringify(value)) continue;
      model.set(trait, value);
      changed = true;
    }
    if (changed) model.save_changes();
  };

  /** @param {{ call: unknown, method: string, body: unknown }} question */
  const ask = ({ call, method, body }) => {
    const key = `${name}:${asked++}`;
    const timer = setTimeout(() => settle({ reply: key, problem: SILENT }), PATIENCE);
    waiting.set(key, { call, timer });
    try {
      model.send({ ask: key, method, body });
    } catch {
      settle({ reply: key, problem: GONE });
    }
  };

  /** @param {{ reply: string, answer?: unknown, problem?: string }} message */
  const settle = ({ reply, ...rest }) => {
    const question = waiting.get(reply);
    if (!question) return;
    clearTimeout(question.timer);
    waiting.delete(reply);
    tell({ reply: question.call, ...rest });
  };

  const follow = () => {
    const hash = model.get("hash");
    if (hash === shown) return;
    shown = hash;
    tell({ hash: hash || "#" });
  };

  const fit = () => {
    frame.style.height = `${model.get("height")}px`;
  };

  fit();
  addEventListener("message", hear);
  model.on("msg:custom", settle);
  model.on("change:hash", follow);
  model.on("change:height", fit);
  const close = () => {
    removeEventListener("message", hear);
    model.off("msg:custom", settle);
    model.off("change:hash", follow);
    model.off("change:height", fit);
    for (const { timer } of waiting.values()) clearTimeout(timer);
  };
  return { frame, close };
}

export default {
  /**
   * Brings the still pages of this widget to life, wherever the document shows one, for as long as the model lives;
   * afterwards, as in a notebook that is opened without its kernel, they are still again.
   * @param {{ model: Model }} context
   */
  initialize({ model }) {
    const mark = model.get("_mark");
    const frames = document.getElementsByTagName("iframe");
    /** @type {Map<HTMLIFrameElement, { frame: HTMLIFrameElement, close: () => void }>} */
    const lively = new Map();
    const look = () => {
      for (const still of [...frames].filter((frame) => frame.dataset.pellucid === mark)) {
        const opened = lively.get(still) ?? openFrame(model);
        lively.set(still, opened);
        still.replaceWith(opened.frame);
      }
    };
    const observer = new MutationObserver(look);
    observer.observe(document.documentElement, { childList: true, subtree: true });
    look();
    return () => {
      observer.disconnect();
      for (const [still, { frame, close }] of lively) {
        close();
        frame.replaceWith(still);
      }
    };
  },

  /** @param {{ model: Model, el: HTMLElement }} context */
  render({ model, el }) {
    const { frame, close } = openFrame(model);
    el.append(frame);
    return close;
  },
};
