import type { ChannelPanel, ExplanationBody, LayerCard } from "../bundle";
import { decimals, signed } from "../format";
import { loadImage, PAPER, savePicture, write } from "../picture";
import type { Question } from "../question";
import { INHIBIT, SUPPORT } from "../scale";
import { limitOf, sides } from "./channels";

const EDGE = 32;
const PHOTO = 260;
const SIDE = 118;
const GAP = 14;
const COUNT = 4;

interface Shown {
  body: ExplanationBody;
  images: Record<string, string>;
  panel: ChannelPanel;
  card: LayerCard;
  asked: Question;
}

/** Saves the photo, and beside it the channels that speak most for and against the question. */
export async function saveChannels({ body, images, panel, card, asked }: Shown): Promise<void> {
  const photo = await loadImage(images[body.photo.file]!);
  const sheet = await loadImage(images[card.icons.file]!);
  const high = (PHOTO * body.photo.height) / body.photo.width;
  const found = sides(body, panel, asked);
  const limit = Math.max(limitOf(panel), ...found.flat().map((argument) => Math.abs(argument.net)));
  const digits = decimals([limit]);
  const half = COUNT * (SIDE + GAP) - GAP;
  const start = EDGE + PHOTO + 40;
  const height = EDGE + Math.max(high, 2 * (SIDE + 92)) + EDGE;
  await savePicture(`${body.title}-${panel.layer}-channels-${asked.words}`, start + half + EDGE, height, (context) => {
    context.drawImage(photo, EDGE, EDGE, PHOTO, high);
    write(context, `${body.model.name} ${panel.layer}`, EDGE, EDGE + high + 22, { color: PAPER.soft, room: PHOTO });
    found.forEach((side, place) => {
      const top = EDGE + place * (SIDE + 92);
      const [red, green, blue] = place === 0 ? SUPPORT : INHIBIT;
      const color = `rgb(${red} ${green} ${blue})`;
      const other = asked.versus ? `for ${asked.versus.label}` : `against ${asked.label}`;
      write(context, `speak ${place === 0 ? `for ${asked.label}` : other}`, start, top + 14, {
        size: 16,
        weight: 600,
        room: half,
      });
      side.slice(0, COUNT).forEach(({ channel, net }, rank) => {
        const [x, y] = [start + rank * (SIDE + GAP), top + 26];
        const { side: from, columns, channels, labels } = card.icons;
        const number = channels.indexOf(channel);
        context.fillStyle = PAPER.icon;
        context.fillRect(x, y, SIDE, SIDE);
        const [left, above] = [(number % columns) * from, Math.floor(number / columns) * from];
        // Half a pixel less at each edge, where scaling would mix in the neighbouring icon.
        context.drawImage(sheet, left + 0.5, above + 0.5, from - 1, from - 1, x, y, SIDE, SIDE);
        context.fillStyle = PAPER.icon;
        context.fillRect(x, y + SIDE + 6, SIDE, 8);
        context.fillStyle = color;
        const wide = (SIDE * Math.abs(net)) / limit;
        context.fillRect(x, y + SIDE + 6, wide, 8);
        write(context, signed(asked.versus && place === 1 ? -net : net, digits), x, y + SIDE + 32, {
          size: 14,
          weight: 600,
          room: 54,
        });
        const name = labels[number] || `channel ${channel}`;
        write(context, name, x + SIDE, y + SIDE + 32, { size: 13, color: PAPER.soft, align: "right", room: SIDE - 54 });
      });
    });
  });
}
