/** A number with about three digits, with a true minus sign. */
export function number(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return value.toFixed(digits).replace("-", "−");
}

/** The same with its sign always there. */
export function signed(value: number): string {
  return value > 0 ? `+${number(value)}` : number(value);
}

/** A probability in percent; a small one never reads as nothing, nor a large one as certainty. */
export function percent(probability: number): string {
  if (probability > 0 && probability < 0.001) return "< 0.1 %";
  if (probability < 1 && probability > 0.999) return "> 99.9 %";
  return `${(100 * probability).toFixed(1)} %`;
}

/** A time in plain words. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return `${Math.round(seconds / 60)} min`;
}
