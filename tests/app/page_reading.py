"""Reading what a page has drawn."""

import base64

import numpy

# A copy is read, since browsers complain of a canvas on a graphics card that is read often; and as text, since a list
# of numbers takes seconds to come over.
_READ = """async canvas => {
  const { height, width } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const bytes = new Blob([copy.getImageData(0, 0, width, height).data]);
  const reader = new FileReader();
  await new Promise(done => { reader.onload = done; reader.readAsDataURL(bytes); });
  return [height, width, reader.result.split(',')[1]];
}"""


def read_canvas(canvas) -> numpy.ndarray:
    """[rows, columns, 4]: what a canvas of the page shows, 0–255."""
    rows, columns, values = canvas.evaluate(_READ)
    return numpy.frombuffer(base64.b64decode(values), dtype=numpy.uint8).reshape(rows, columns, 4).astype(int)
