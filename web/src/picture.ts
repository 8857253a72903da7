/** Colours of saved pictures: light whatever the page's theme is, since they go into papers and slides. */
export const PAPER = { ground: "#ffffff", ink: "#1b1c1e", soft: "#5c5f63", bar: "#b9b8b2", icon: "#eeede9" };

const SANS = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** Saves what `draw` draws as a PNG file, at twice the resolution of the screen's pixels. */
export async function savePicture(
  name: string,
  width: number,
  height: number,
  draw: (context: CanvasRenderingContext2D) => void,
): Promise<void> {
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no canvas");
  context.scale(2, 2);
  context.imageSmoothingQuality = "high";
  context.fillStyle = PAPER.ground;
  context.fillRect(0, 0, width, height);
  draw(context);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("this browser makes no PNG");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\w.-]+/g, "_")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The image at an address, ready to be drawn. */
export async function loadImage(address: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** Writes one line, cut with an ellipsis where it does not fit in `room`. */
export function write(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  { size = 14, weight = 400, color = PAPER.ink, room = Infinity, align = "left" as CanvasTextAlign } = {},
): void {
  context.font = `${weight} ${size}px ${SANS}`;
  context.fillStyle = color;
  context.textAlign = align;
  context.textBaseline = "alphabetic";
  let line = text;
  while (line.length > 1 && context.measureText(line).width > room) line = `${line.slice(0, -2)}…`;
  context.fillText(line, x, y);
}

/** The frame of the selected cell: white within dark, seen on any photo. */
export function frame(context: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
  context.lineWidth = 5;
  context.strokeStyle = "rgb(0 0 0 / 0.75)";
  context.strokeRect(x, y, width, height);
  context.lineWidth = 2.5;
  context.strokeStyle = "#fff";
  context.strokeRect(x, y, width, height);
}
