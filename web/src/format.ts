/** Decimals that leave the largest of `values` about three digits; one number for a whole table or list. */
export function decimals(values: readonly number[]): number {
  const size = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  if (size >= 100 || size === 0) return 0;
  return size >= 0.1 ? 2 : size >= 0.01 ? 3 : 4;
}

/** A number with a true minus sign; with about three digits where `digits`, its decimals, are not said. */
export function number(value: number, digits = alone(value)): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** The same with its sign always there. */
export function signed(value: number, digits?: number): string {
  const text = number(value, digits);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

function alone(value: number): number {
  const size = Math.abs(value);
  return size >= 10 && size < 100 ? 1 : decimals([size]);
}

/** A probability in percent; a small one never reads as nothing, nor a large one as certainty. */
export function percent(probability: number): string {
  if (probability > 0 && probability < 0.001) return "<\u00a00.1\u00a0%";
  if (probability < 1 && probability > 0.999) return ">\u00a099.9\u00a0%";
  return `${(100 * probability).toFixed(1)}\u00a0%`;
}

/** A sentence whose numbers keep their percent signs in the same line. */
export function unbroken(sentence: string): string {
  return sentence.replace(/(\d) %/g, "$1\u00a0%");
}

/** A time in plain words. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))}\u00a0ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}\u00a0s`;
  return `${Math.round(seconds / 60)}\u00a0min`;
}
