import type { Result, ServerStatus } from "../bundle";

/** Why a server would not read a file, or nothing. */
export function unreadable(file: { type: string; size: number; name: string }, status: ServerStatus): string {
  if (!status.accepts.includes(file.type)) {
    return `“${file.name}” is not a picture that can be read here; give a JPEG, PNG, WebP, GIF or BMP.`;
  }
  if (file.size > status.most_bytes) {
    return `“${file.name}” has ${sizeText(file.size)}, and at most ${sizeText(status.most_bytes)} are read.`;
  }
  return file.size ? "" : `“${file.name}” is empty.`;
}

/** What became of a result that was not finished; nothing for others. */
export function endText({ state, problem }: Result): string {
  if (state === "failed") return `This could not be explained: ${problem}`;
  return state === "cancelled" ? "This was cancelled before it was finished." : "";
}

/** A sentence of the server as the start of a line. */
export function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** Where a server keeps what it is given: the reader's own machine, or another by its name. */
export function keeper(hostname: string): string {
  const own = hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
  return own ? "this machine" : hostname;
}

/** Bytes for a person. */
export function sizeText(bytes: number): string {
  const megabytes = bytes / 2 ** 20;
  return megabytes >= 1 ? `${Math.round(megabytes)} MB` : `${Math.ceil(bytes / 1024)} kB`;
}

/** Pixels for a person. */
export function pixelText(pixels: number): string {
  const millions = pixels / 1e6;
  return millions >= 1 ? `${Math.round(millions)} million pixels` : `${pixels} pixels`;
}

/** A stretch of time for a person. */
export function spanText(seconds: number): string {
  const units: [number, string][] = [
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ];
  const [length, unit] = units.find(([length]) => seconds >= length) ?? [1, "second"];
  const count = Math.round(seconds / length);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** How far a result is. */
export function stateText({ state, ahead }: Result): string {
  if (state === "waiting") return ahead ? `waits for ${ahead} other${ahead === 1 ? "" : "s"}` : "starts at once";
  return { running: "being made", done: "done", failed: "failed", cancelled: "cancelled" }[state];
}
