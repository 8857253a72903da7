import type { ExplanationBody } from "../bundle";
import { loadImage, PAPER, savePicture, write } from "../picture";
import type { Question } from "../question";
import { INHIBIT, SUPPORT } from "../scale";
import { flowLayout, type FlowData } from "./flowColumns";
import { css } from "./groups";
import { writeNumber } from "./groupPicture";

const EDGE = 32;
const PHOTO = 240;
const FRAME = { width: 760, height: 560, classWidth: 130, icon: 84 };

interface Shown {
  body: ExplanationBody;
  images: Record<string, string>;
  data: FlowData;
  asked: Question;
}

/** Saves the photo, and beside it the groups of each layer and the classes, joined by ribbons. */
export async function saveFlow({ body, images, data, asked }: Shown): Promise<void> {
  const photo = await loadImage(images[body.photo.file]!);
  const sheets = await Promise.all(data.columns.map(({ panel }) => loadImage(images[panel.icons.file]!)));
  const height = Math.max(FRAME.height, 46 * Math.max(...data.sizes));
  const layout = flowLayout(data, { ...FRAME, height });
  const high = (PHOTO * body.photo.height) / body.photo.width;
  const [left, top] = [EDGE + PHOTO + 48, EDGE + 40];
  const names = data.columns.map(({ layer }) => layer);
  const file = `${body.title}-${names.join("-")}-flow`;
  await savePicture(file, left + FRAME.width + EDGE, top + height + EDGE, (context) => {
    write(context, body.model.name, EDGE, EDGE + 14, { size: 18, weight: 600, room: PHOTO });
    write(context, `for ${asked.words}`, EDGE, top + high + 26, { size: 15, room: PHOTO });
    context.drawImage(photo, EDGE, top, PHOTO, high);
    layout.boxes.forEach(({ x }, column) =>
      write(context, names[column] ?? "answer", left + x, EDGE + 14, { size: 14, color: PAPER.soft }),
    );
    context.save();
    context.translate(left, top);
    for (const { path, value, width } of layout.ribbons) {
      const [red, green, blue] = value < 0 ? INHIBIT : SUPPORT;
      context.strokeStyle = `rgb(${red} ${green} ${blue} / 0.55)`;
      context.lineWidth = width;
      context.stroke(new Path2D(path));
    }
    for (const { column, place, x, y, width, height: tall } of layout.nodes) {
      const shown = data.columns[column];
      context.fillStyle = shown ? PAPER.icon : PAPER.ground;
      context.fillRect(x, y, width, tall);
      if (shown) {
        const { side, columns } = shown.panel.icons;
        const icon = shown.grouping.icons[place]!;
        const [across, down] = [(icon % columns) * side, Math.floor(icon / columns) * side];
        context.drawImage(sheets[column]!, across + 0.5, down + 0.5, side - 1, side - 1, x, y, width, tall);
        if (shown.colors) {
          context.fillStyle = css(shown.colors[place]!);
          context.fillRect(x, y + tall - 4, width, 4);
        }
        writeNumber(context, place + 1, x, y);
      } else {
        const { index, label } = body.classes[place]!;
        const drawn = index === asked.index || index === asked.versus?.index;
        context.strokeStyle = drawn ? PAPER.ink : PAPER.icon;
        context.lineWidth = 1.5;
        context.strokeRect(x, y, width, tall);
        write(context, label, x + width / 2, y + tall / 2 + 5, {
          align: "center",
          weight: drawn ? 600 : 400,
          color: drawn ? PAPER.ink : PAPER.soft,
          room: width - 10,
        });
      }
    }
    context.restore();
  });
}
