import type { ExplanationBody, Grouping, GroupPanel } from "../bundle";
import { decimals, signed } from "../format";
import { entry } from "../numbers";
import { loadImage, PAPER, savePicture, write } from "../picture";
import type { Question } from "../question";
import { INHIBIT, SUPPORT } from "../scale";
import { colorsOf, css, effectsOn, mixGroups, placesOf } from "./groups";

const EDGE = 32;
const PHOTO = 320;
const HEADS = 150;
const LINE = 40;

interface Shown {
  body: ExplanationBody;
  images: Record<string, string>;
  panel: GroupPanel;
  grouping: Grouping;
  asked: Question;
}

/** Saves the photo, the groups' places on it, and below them their icons and what they add to each class. */
export async function saveGroups({ body, images, panel, grouping, asked }: Shown): Promise<void> {
  const photo = await loadImage(images[body.photo.file]!);
  const sheet = await loadImage(images[panel.icons.file]!);
  const count = grouping.icons.length;
  const colors = colorsOf(panel, grouping);
  const high = (PHOTO * body.photo.height) / body.photo.width;
  const step = Math.max(76, Math.min(126, (2 * PHOTO + 24 - HEADS) / count + 20));
  const side = step - 12;
  const width = 2 * EDGE + Math.max(2 * PHOTO + 24, HEADS + count * step);
  const net = effectsOn(body, grouping, asked);
  const compared = asked.versus ? [{ label: asked.words, values: net }] : [];
  const lines = [
    ...compared,
    ...body.classes.map(({ label }, place) => ({
      label,
      values: grouping.icons.map((_, group) => entry(grouping.attribution, place, group)),
    })),
  ];
  const limit = Math.max(1e-9, ...lines.flatMap((line) => line.values.map(Math.abs)));
  const digits = decimals([limit]);
  const table = EDGE + 34 + high + 34;
  const height = table + 20 + side + 12 + lines.length * LINE + EDGE;
  await savePicture(`${body.title}-${panel.layer}-${count}-groups`, width, height, (context) => {
    const top = EDGE + 34;
    write(context, `${body.model.name} ${panel.layer} in ${count} groups`, EDGE, EDGE + 14, { size: 18, weight: 600 });
    context.drawImage(photo, EDGE, top, PHOTO, high);
    const left = EDGE + PHOTO + 24;
    context.drawImage(photo, left, top, PHOTO, high);
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#808080";
    context.fillRect(left, top, PHOTO, high);
    context.globalCompositeOperation = "source-over";
    context.fillStyle = "rgb(0 0 0 / 0.5)";
    context.fillRect(left, top, PHOTO, high);
    mixGroups(placesOf(grouping), colors).forEach((row, y, rows) =>
      row.forEach(([red, green, blue, opacity], x) => {
        context.fillStyle = css([red, green, blue], 0.86 * opacity);
        const [from, to] = [Math.round((x * PHOTO) / row.length), Math.round(((x + 1) * PHOTO) / row.length)];
        const [above, below] = [Math.round((y * high) / rows.length), Math.round(((y + 1) * high) / rows.length)];
        context.fillRect(left + from, top + above, to - from, below - above);
      }),
    );
    grouping.icons.forEach((icon, group) => {
      const x = EDGE + HEADS + group * step;
      context.fillStyle = css(colors[group]!);
      context.fillRect(x, table, side, 12);
      context.fillStyle = PAPER.icon;
      context.fillRect(x, table + 20, side, side);
      const { side: from, columns } = panel.icons;
      const [across, down] = [(icon % columns) * from, Math.floor(icon / columns) * from];
      context.drawImage(sheet, across + 0.5, down + 0.5, from - 1, from - 1, x, table + 20, side, side);
      writeNumber(context, group + 1, x, table + 20);
    });
    lines.forEach(({ label, values }, number) => {
      const y = table + 20 + side + 24 + number * LINE;
      const leads = asked.versus ? number === 0 : label === asked.label;
      write(context, label, EDGE, y + 16, { size: 14, weight: leads ? 600 : 400, room: HEADS - 14 });
      values.forEach((value, group) => {
        const x = EDGE + HEADS + group * step;
        const [red, green, blue] = value < 0 ? INHIBIT : SUPPORT;
        const long = ((side / 2) * Math.abs(value)) / limit;
        write(context, signed(value, digits), x + side / 2, y + 9, {
          size: 13,
          weight: leads ? 600 : 400,
          align: "center",
        });
        context.fillStyle = PAPER.bar;
        context.fillRect(x + side / 2 - 0.5, y + 14, 1, 8);
        context.fillStyle = `rgb(${red} ${green} ${blue})`;
        context.fillRect(value < 0 ? x + side / 2 - long : x + side / 2, y + 14, long, 8);
      });
    });
  });
}

/** A group's number in the corner of its icon. */
export function writeNumber(context: CanvasRenderingContext2D, number: number, x: number, y: number): void {
  context.fillStyle = "rgb(255 255 255 / 0.86)";
  context.fillRect(x, y, 20, 17);
  write(context, String(number), x + 10, y + 13, { size: 12, weight: 600, align: "center" });
}
