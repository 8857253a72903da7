import type { DictionaryPanel, ExplanationBody, LayerCard, SpatialPanel } from "../bundle";
import { decimals, number, signed } from "../format";
import type { Position } from "../grid";
import { frame, loadImage, PAPER, savePicture, write } from "../picture";
import { diverging, divergingColor } from "../scale";

const PHOTO = 400;
const EDGE = 32;

interface Shown {
  body: ExplanationBody;
  images: Record<string, string>;
}

interface ShownDictionary extends Shown {
  panel: DictionaryPanel;
  card: LayerCard;
  at: Position;
  entries: { channel: number; value: number; label: string }[];
  limit: number;
}

/** Saves the photo with the chosen cell, and its strongest channels beside it. */
export async function saveDictionary({
  body,
  images,
  panel,
  card,
  at,
  entries,
  limit,
}: ShownDictionary): Promise<void> {
  const photo = await loadImage(images[body.photo.file]!);
  const sheet = await loadImage(images[card.icons.file]!);
  const high = (PHOTO * body.photo.height) / body.photo.width;
  const perLine = Math.min(5, entries.length <= 4 ? entries.length : Math.ceil(entries.length / 2));
  const lines = Math.ceil(entries.length / perLine);
  // The icons fill the height of the photo, as far as they stay a comfortable size.
  const line = Math.min(210, Math.max(150, high / lines + 10));
  const side = line - 40;
  const step = side + 64;
  const start = EDGE + PHOTO + 40;
  const height = EDGE + 40 + Math.max(high, lines * line - 10) + EDGE;
  const digits = decimals(entries.map(({ value }) => value));
  const name = `${body.title}-${panel.layer}-${at.row}-${at.column}`;
  await savePicture(name, start + perLine * step + EDGE - 20, height, (context) => {
    const title = `${panel.layer}, row ${at.row}, column ${at.column}`;
    write(context, title, EDGE, EDGE + 14, { size: 18, weight: 600, room: PHOTO });
    const count = `the ${entries.length} strongest of ${card.channels} channels of ${body.model.name}`;
    write(context, count, start, EDGE + 14, { color: PAPER.soft, room: perLine * step - 20 });
    context.drawImage(photo, EDGE, EDGE + 40, PHOTO, high);
    const [cellWidth, cellHeight] = [PHOTO / card.columns, high / card.rows];
    frame(context, EDGE + at.column * cellWidth, EDGE + 40 + at.row * cellHeight, cellWidth, cellHeight);
    entries.forEach(({ channel, value, label }, rank) => {
      const x = start + (rank % perLine) * step;
      const y = EDGE + 40 + Math.floor(rank / perLine) * line;
      const place = card.icons.channels.indexOf(channel);
      const { side: from, columns } = card.icons;
      context.fillStyle = PAPER.icon;
      context.fillRect(x, y, side, side);
      const [left, top] = [(place % columns) * from, Math.floor(place / columns) * from];
      context.drawImage(sheet, left, top, from, from, x, y, side, side);
      const tall = Math.max(1, ((side - 18) * Math.abs(value)) / limit);
      context.fillStyle = PAPER.bar;
      context.fillRect(x + side + 8, y + side - tall, 20, tall);
      write(context, number(value, digits), x + side + 8, y + side - tall - 5, { size: 13 });
      const words = label ? `${label} ${channel}` : `channel ${channel}`;
      write(context, words, x, y + side + 18, { size: 13, color: PAPER.soft, room: step - 12 });
    });
  });
}

interface ShownMap extends Shown {
  panel: SpatialPanel;
  values: number[][];
  label: string;
  limit: number;
}

/** Saves the map over the greyed photo, with its scale. */
export async function saveSpatial({ body, images, panel, values, label, limit }: ShownMap): Promise<void> {
  const photo = await loadImage(images[body.photo.file]!);
  const wide = 560;
  const high = (wide * body.photo.height) / body.photo.width;
  await savePicture(`${body.title}-${panel.layer}-${label}`, wide + 2 * EDGE, high + 152, (context) => {
    write(context, label, EDGE, EDGE + 14, { size: 18, weight: 600, room: wide - 210 });
    const place = `${body.model.name} ${panel.layer}`;
    write(context, place, EDGE + wide, EDGE + 14, { color: PAPER.soft, align: "right", room: 200 });
    const top = EDGE + 32;
    // Canvas filters are missing in Safari; a veil of white over the grey photo looks the same everywhere.
    context.drawImage(photo, EDGE, top, wide, high);
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#808080";
    context.fillRect(EDGE, top, wide, high);
    context.globalCompositeOperation = "source-over";
    context.fillStyle = "rgb(255 255 255 / 0.3)";
    context.fillRect(EDGE, top, wide, high);
    values.forEach((row, y) =>
      row.forEach((value, x) => {
        const [red, green, blue, opacity] = diverging(value, limit);
        context.fillStyle = `rgb(${red} ${green} ${blue} / ${opacity})`;
        const [left, right] = [Math.round((x * wide) / row.length), Math.round(((x + 1) * wide) / row.length)];
        const [above, below] = [Math.round((y * high) / values.length), Math.round(((y + 1) * high) / values.length)];
        context.fillRect(EDGE + left, top + above, right - left, below - above);
      }),
    );
    const ramp = context.createLinearGradient(EDGE, 0, EDGE + wide, 0);
    // Two stops at 0: a canvas mixes colours before opacity, and would otherwise turn orange to teal through green.
    for (const value of [-1, -1e-9, 0, 1]) ramp.addColorStop((value + 1) / 2, divergingColor(value, 1));
    const foot = top + high + 16;
    for (const fill of ["#b5b5b3", ramp]) {
      context.fillStyle = fill;
      context.fillRect(EDGE, foot, wide, 12);
    }
    write(context, `${signed(-limit)} against`, EDGE, foot + 30, { size: 13, color: PAPER.soft });
    write(context, "0", EDGE + wide / 2, foot + 30, { size: 13, color: PAPER.soft, align: "center" });
    write(context, `for ${signed(limit)}`, EDGE + wide, foot + 30, { size: 13, color: PAPER.soft, align: "right" });
  });
}
