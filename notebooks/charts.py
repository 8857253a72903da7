"""Charts of the notebooks: bars, points, curves; as JPEG, which stays small."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pellucid.figures import as_picture

# As on Pellucid's pages: teal supports, orange inhibits.
SUPPORT, INHIBIT = "#0b7a75", "#d1660f"


class Chart(Figure):
    """A figure that a notebook shows below its cell, and `savefig` writes to a file."""

    def _repr_jpeg_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="jpeg", dpi=100, pil_kwargs={"quality": 86})
        return buffer.getvalue()


def bars(labels: Sequence[str], values: Sequence[float], *, unit: str = "", icons: Any = None) -> Chart:
    """Horizontal bars, the first at the top; teal above zero, orange below.

    Args:
        labels, values: of the bars.
        unit: what the values are in.
        icons: a picture for each bar, or `None`.
    """
    chart = Chart(figsize=(6.2, (0.62 if icons is not None else 0.3) * len(labels) + 0.45), layout="constrained")
    columns = chart.add_gridspec(len(labels), 2, width_ratios=(1, 8), wspace=0.02, hspace=0.02)
    axes = chart.add_subplot(columns[:, 1])
    axes.barh(range(len(labels)), values, color=[SUPPORT if value >= 0 else INHIBIT for value in values], height=0.7)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=8)
    axes.axvline(0, color="#444", linewidth=0.8)
    axes.set_xlabel(unit, fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    for row, icon in enumerate(icons if icons is not None else ()):
        place = chart.add_subplot(columns[row, 0])
        place.imshow(as_picture(icon))
        place.axis("off")
    return chart


def scatter(x: np.ndarray, y: np.ndarray, *, across: str, up: str, title: str = "", diagonal: bool = True) -> Chart:
    """A point for each pair; with a line where both are equal.

    Args:
        x, y: of one shape.
        across, up: what the axes say.
        title: above.
        diagonal: draw that line.
    """
    chart, axes = _chart(4.4, 3.3)
    if diagonal:
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color="#999999", linewidth=0.8)
    axes.plot(x.ravel(), y.ravel(), ".", color=SUPPORT, markersize=5)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.set_title(title, fontsize=9)
    return chart


def curves(lines: Mapping[str, np.ndarray], *, across: str, up: str, title: str = "") -> Chart:
    """Curves by name, each over 0, 1, 2 … or, where it is a pair, the second over the first."""
    chart, axes = _chart(5.4, 2.8)
    colours = (SUPPORT, INHIBIT, "#6a51a3", "#666666", "#2171b5", "#b5179e")
    for number, (name, line) in enumerate(lines.items()):
        x, y = line if isinstance(line, tuple) else (np.arange(len(line)), line)
        axes.plot(x, y, color=colours[number % len(colours)], label=name)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    return chart


def _chart(width: float, height: float) -> tuple[Chart, Axes]:
    chart = Chart(figsize=(width, height), layout="constrained")
    axes = chart.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return chart, axes
