import type { ExplanationBody } from "../bundle";
import { decimals, number, percent, signed } from "../format";
import { loadImage, PAPER, savePicture, write } from "../picture";
import type { Outcome } from "./experiments";

const EDGE = 32;
const PHOTO = 320;
const TABLE = 520;
const LINE = 36;
const PLOT = 240;
const LIT = "#2f5fd0";

interface Shown {
  body: ExplanationBody;
  images: Record<string, string>;
  title: string;
  extent: number[][];
  factor: number;
  outcomes: Outcome[];
  /** Predicted and measured change for every part, and the part that is shown. */
  dots: { x: number; y: number }[];
  lit: number;
  r: number | null;
}

/** Saves the photo with the changed part, the probabilities before and after, and predicted against measured. */
export async function saveExperiment(shown: Shown): Promise<void> {
  const { body, images, title, extent, factor, outcomes, dots, lit, r } = shown;
  const photo = await loadImage(images[body.photo.file]!);
  const high = (PHOTO * body.photo.height) / body.photo.width;
  const left = EDGE + PHOTO + 44;
  const top = EDGE + 58;
  const plot = top + outcomes.length * LINE + 40;
  const digits = decimals(outcomes.flatMap(({ measured, predicted }) => [measured, predicted]));
  const height = Math.max(top + high, plot + PLOT + 30) + EDGE;
  await savePicture(`${body.title}-${title}`, left + TABLE + EDGE, height, (context) => {
    write(context, `${body.model.name}: ${title}`, EDGE, EDGE + 14, {
      size: 18,
      weight: 600,
      room: left + TABLE - EDGE,
    });
    context.drawImage(photo, EDGE, top, PHOTO, high);
    extent.forEach((row, y, rows) =>
      row.forEach((strength, x) => {
        const covered = factor < 1 ? 0.92 * Math.sqrt(strength) * (1 - 0.5 * factor) : 0.8 * (1 - Math.sqrt(strength));
        context.fillStyle = `rgb(17 18 20 / ${covered})`;
        const [from, to] = [Math.round((x * PHOTO) / row.length), Math.round(((x + 1) * PHOTO) / row.length)];
        const [above, below] = [Math.round((y * high) / rows.length), Math.round(((y + 1) * high) / rows.length)];
        context.fillRect(EDGE + from, top + above, to - from, below - above);
      }),
    );
    const small = { size: 12, color: PAPER.soft };
    write(context, "probability, before and after", left + 130, top - 8, small);
    write(context, "logit", left + 465, top - 8, { ...small, align: "right" });
    write(context, "predicted", left + TABLE, top - 8, { ...small, align: "right" });
    outcomes.forEach(({ label, before, after, measured, predicted }, place) => {
      const y = top + place * LINE;
      write(context, label, left, y + 16, { room: 120 });
      context.fillStyle = PAPER.icon;
      context.fillRect(left + 130, y + 3, 150, 16);
      context.fillStyle = PAPER.bar;
      context.fillRect(left + 130, y + 3, 150 * before, 16);
      context.fillStyle = PAPER.ink;
      context.fillRect(left + 130, y + 7, Math.max(1, 150 * after), 8);
      write(context, `${percent(before)} → ${percent(after)}`, left + 292, y + 16);
      write(context, signed(measured, digits), left + 465, y + 16, { align: "right" });
      write(context, signed(predicted, digits), left + TABLE, y + 16, { align: "right", color: PAPER.soft });
    });
    const limit = 1.06 * Math.max(1e-6, ...dots.flatMap(({ x, y }) => [Math.abs(x), Math.abs(y)]));
    const scale = PLOT / 2 / limit;
    context.strokeStyle = PAPER.bar;
    context.strokeRect(left, plot, PLOT, PLOT);
    context.beginPath();
    context.setLineDash([5, 4]);
    context.moveTo(left, plot + PLOT);
    context.lineTo(left + PLOT, plot);
    context.stroke();
    context.setLineDash([]);
    dots.forEach(({ x, y }, part) => {
      context.beginPath();
      context.arc(left + PLOT / 2 + x * scale, plot + PLOT / 2 - y * scale, part === lit ? 6 : 3.6, 0, 2 * Math.PI);
      context.fillStyle = part === lit ? LIT : "rgb(27 28 30 / 0.42)";
      context.fill();
    });
    write(context, "predicted change of the logit", left, plot + PLOT + 20, { size: 13, color: PAPER.soft });
    write(context, "measured change, upwards", left + PLOT + 20, plot + 16, { size: 13, color: PAPER.soft });
    if (r !== null) write(context, `r = ${number(r, 2)}`, left + PLOT + 20, plot + 50, { size: 22, weight: 600 });
    write(context, `${dots.length} parts`, left + PLOT + 20, plot + 72, { size: 13, color: PAPER.soft });
  });
}
