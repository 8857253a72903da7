"""A folder of drawn photos in three classes, and an atlas of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pellucid
from pellucid.atlas import Atlas, build_atlas

SETTINGS = {
    "layers": ["mixed4a", "mixed4d"],
    "grids": (3, 6),
    "projection": "pca",
    "icon_size": 48,
    "icon_steps": 3,
    "least": 2,
}


def drawing(kind: str, seed: int, side: int = 80) -> Image.Image:
    """Stripes, a disc, or a sky above a field, in colours of chance."""
    random = np.random.default_rng(seed)
    first, second = (tuple(int(value) for value in random.integers(0, 256, 3)) for _ in range(2))
    picture = Image.new("RGB", (side, side), first)
    draw = ImageDraw.Draw(picture)
    if kind == "stripes":
        step = int(random.integers(6, 14))
        for x in range(0, side, 2 * step):
            draw.rectangle((x, 0, x + step - 1, side), fill=second)
    elif kind == "discs":
        x, y, radius = (int(random.integers(*bounds)) for bounds in ((20, side - 20), (20, side - 20), (10, 30)))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=second)
    else:
        draw.rectangle((0, int(random.integers(side // 3, side)), side, side), fill=second)
    return picture


def write_drawings(folder: Path, count: int, first: int = 0) -> Path:
    for kind in ("stripes", "discs", "fields"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            drawing(kind, seed).save(folder / kind / f"{seed:03}.jpg", quality=92)
    return folder


@pytest.fixture(scope="session")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 drawings in three folders."""
    return write_drawings(tmp_path_factory.mktemp("drawings"), 30)


@pytest.fixture(scope="session")
def built(drawings: Path, embedded_model: pellucid.Model, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """An atlas of the drawings, to be left as it is."""
    return build_atlas(embedded_model, drawings, tmp_path_factory.mktemp("built") / "atlas", **SETTINGS)
