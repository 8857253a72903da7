"""Reading what a page has drawn."""

import numpy

# A copy is read, since browsers complain of a canvas on a graphics card that is read often.
_READ = """canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return [canvas.height, canvas.width, [...copy.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""


def read_canvas(canvas) -> numpy.ndarray:
    """[rows, columns, 4]: what a canvas of the page shows, 0–255."""
    rows, columns, values = canvas.evaluate(_READ)
    return numpy.array(values, dtype=int).reshape(rows, columns, 4)
