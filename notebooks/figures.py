"""Figures of the notebooks: pictures with captions, maps over a photo, bars, curves; as JPEG, which stays small."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

SUPPORT, INHIBIT = "#0b7a75", "#d1660f"
# Told apart by every kind of colour vision, as on Pellucid's pages: teal supports, orange inhibits.
DIVERGING = LinearSegmentedColormap.from_list("support", [INHIBIT, "#f2a65e", "#ffffff", "#5fb3ae", SUPPORT])


class Sheet(Figure):
    """A figure that a notebook shows below its cell, and `savefig` writes to a file."""

    def _repr_jpeg_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="jpeg", dpi=100, pil_kwargs={"quality": 86})
        return buffer.getvalue()


def to_pixels(image: Any) -> np.ndarray:
    """[height, width, 3] in [0, 1] of a picture or an array [height, width, 1 to 4] or [channels, height, width].

    Bytes run from 0 to 255, other numbers from 0 to 1; what is transparent becomes white.
    """
    given = np.asarray(image)
    pixels = given.astype(np.float32) / (255 if given.dtype == np.uint8 else 1)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[0] <= 4 < pixels.shape[2]:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[2] == 4:
        pixels = pixels[:, :, :3] * pixels[:, :, 3:] + 1 - pixels[:, :, 3:]
    return np.repeat(pixels, 3, 2)[:, :, :3].clip(0, 1) if pixels.shape[2] == 1 else pixels.clip(0, 1)


def _table(count: int, columns: int, side: float, captions: bool, title: str | None) -> tuple[Sheet, list[Axes]]:
    columns = min(columns, count)
    rows = -(-count // columns)
    height = rows * (side + (0.2 if captions else 0)) + (0.3 if title else 0)
    sheet = Sheet(figsize=(columns * side, height), layout="constrained")
    sheet.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)  # type: ignore[union-attr]
    if title:
        sheet.suptitle(title, fontsize=10)
    places = [sheet.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
    for place in places:
        place.axis("off")
    return sheet, places


def pictures(
    images: Sequence[Any] | np.ndarray,
    captions: Sequence[Any] = (),
    *,
    columns: int = 6,
    side: float = 1.7,
    title: str | None = None,
    sharp: bool = False,
) -> Sheet:
    """Pictures in rows, each with its caption above it.

    Args:
        images: each as `to_pixels` takes it.
        captions: one for each, or none.
        columns: pictures in a row.
        side: of a picture, inches.
        title: above all of them.
        sharp: show single pixels as squares.
    """
    sheet, places = _table(len(images), columns, side, len(captions) > 0, title)
    for number, (image, place) in enumerate(zip(images, places, strict=False)):
        place.imshow(to_pixels(image), interpolation="nearest" if sharp else "bicubic")
        if len(captions) > number:
            place.set_title(str(captions[number]), fontsize=8, pad=3)
    return sheet


def maps(
    photo: Any,
    values: Sequence[np.ndarray],
    captions: Sequence[Any] = (),
    *,
    columns: int = 6,
    side: float = 1.9,
    together: bool = False,
    title: str | None = None,
) -> Sheet:
    """Maps over a photo in grey: teal above zero, orange below; the stronger, the less of the photo shines through.

    Args:
        photo: as `to_pixels` takes it; or a list, one for each map.
        values: each [rows, columns].
        captions: one for each, or none.
        together: one scale for all maps instead of one for each.
    """
    sheet, places = _table(len(values), columns, side, len(captions) > 0, title)
    greys = [to_pixels(each).mean(2) for each in (photo if isinstance(photo, list) else [photo] * len(values))]
    most = max(float(np.abs(each).max()) for each in values)
    for number, (grey, each, place) in enumerate(zip(greys, values, places, strict=False)):
        height, width = grey.shape
        limit = max(most if together else float(np.abs(each).max()), 1e-12)
        place.imshow(0.25 + 0.75 * grey, cmap="gray", vmin=0, vmax=1)
        place.imshow(
            each,
            cmap=DIVERGING,
            vmin=-limit,
            vmax=limit,
            alpha=np.clip(0.15 + 1.1 * np.abs(each) / limit, 0, 0.9),
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            interpolation="nearest",
        )
        if len(captions) > number:
            place.set_title(str(captions[number]), fontsize=8, pad=3)
    return sheet


def atlas_map(cells: Any, icons: Any, *, side: int = 56, width: float = 6.0, title: str | None = None) -> Sheet:
    """The icons of a map in their cells, on white; an icon's side grows with the root of the cell's activations.

    Args:
        cells: `pellucid.atlas.Cells`.
        icons: `pellucid.atlas.CellIcons` of these cells.
        side: of a cell, px.
        width: of the figure, inches.
    """
    canvas = Image.new("RGB", (cells.columns * side, cells.rows * side), "white")
    shares = np.sqrt(cells.counts / np.percentile(cells.counts, 90)).clip(0.34, 1)
    for (column, row), share, icon in zip(cells.places, shares, icons.images, strict=True):
        small = Image.fromarray(icon).resize((round(share * side),) * 2, Image.Resampling.LANCZOS)
        left, top = (int((place + 0.5) * side) - small.width // 2 for place in (column, row))
        canvas.paste(small, (left, top))
    sheet, places = _table(1, 1, width, False, title)
    places[0].imshow(np.asarray(canvas))
    return sheet


def bars(labels: Sequence[str], values: Sequence[float], *, unit: str = "", icons: Any = None) -> Sheet:
    """Horizontal bars, the first at the top; teal above zero, orange below.

    Args:
        labels, values: of the bars.
        unit: what the values are in.
        icons: a picture for each bar, or `None`.
    """
    sheet = Sheet(figsize=(6.2, (0.62 if icons is not None else 0.3) * len(labels) + 0.45), layout="constrained")
    columns = sheet.add_gridspec(len(labels), 2, width_ratios=(1, 8), wspace=0.02, hspace=0.02)
    axes = sheet.add_subplot(columns[:, 1])
    axes.barh(range(len(labels)), values, color=[SUPPORT if value >= 0 else INHIBIT for value in values], height=0.7)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=8)
    axes.axvline(0, color="#444", linewidth=0.8)
    axes.set_xlabel(unit, fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    for row, icon in enumerate(icons if icons is not None else ()):
        place = sheet.add_subplot(columns[row, 0])
        place.imshow(to_pixels(icon))
        place.axis("off")
    return sheet


def scatter(x: np.ndarray, y: np.ndarray, *, across: str, up: str, title: str = "", diagonal: bool = True) -> Sheet:
    """A point for each pair; with a line where both are equal.

    Args:
        x, y: of one shape.
        across, up: what the axes say.
        title: above.
        diagonal: draw that line.
    """
    sheet, axes = _chart(4.4, 3.3)
    if diagonal:
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color="#999999", linewidth=0.8)
    axes.plot(x.ravel(), y.ravel(), ".", color=SUPPORT, markersize=5)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.set_title(title, fontsize=9)
    return sheet


def curves(lines: Mapping[str, np.ndarray], *, across: str, up: str, title: str = "") -> Sheet:
    """Curves by name, each over 0, 1, 2 … or, where it is a pair, the second over the first."""
    sheet, axes = _chart(5.4, 2.8)
    colours = (SUPPORT, INHIBIT, "#6a51a3", "#666666", "#2171b5", "#b5179e")
    for number, (name, line) in enumerate(lines.items()):
        x, y = line if isinstance(line, tuple) else (np.arange(len(line)), line)
        axes.plot(x, y, color=colours[number % len(colours)], label=name)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    return sheet


def _chart(width: float, height: float) -> tuple[Sheet, Axes]:
    sheet = Sheet(figsize=(width, height), layout="constrained")
    axes = sheet.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return sheet, axes
