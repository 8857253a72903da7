"""A small network's explanation and atlas, for widgets; also imported by the kernels of the notebooks under test."""

from pathlib import Path

import numpy as np
import torch
from networks import plain_net, seeded
from PIL import Image, ImageDraw

import pellucid

LABELS = ["barn", "lemon", "tabby", "snorkel", "wok", "<b>&", "alp", "daisy", "zebra", "ladder"]


def make_network() -> pellucid.Model:
    with torch.no_grad():
        module = seeded(plain_net).eval()
    return pellucid.wrap(module, size=32, mean=0.45, std=0.25, labels=LABELS, name="drawn", default_layer="6")


def draw_photo(folder: Path, seed: int = 0) -> Path:
    """A picture with a disc on noise, written into the folder."""
    random = np.random.default_rng(seed)
    picture = Image.fromarray(random.integers(90, 160, (64, 64, 3), dtype=np.uint8))
    x, y = (int(value) for value in random.integers(12, 40, 2))
    ImageDraw.Draw(picture).ellipse((x, y, x + 20, y + 20), fill=(240, 220, 40))
    path = Path(folder) / f"disc {seed}.png"
    picture.save(path)
    return path


def make_explanation(folder: Path | str = ".", seed: int = 0) -> pellucid.Explanation:
    """Of layers 3 and 6, in which icons take no time."""
    settings = {"icon_size": 16, "icon_steps": 2, "grid_seconds": 0, "n_groups": 3}
    return pellucid.explain(make_network(), draw_photo(Path(folder), seed), layers=["3", "6"], **settings)


def make_atlas(folder: Path | str = ".") -> pellucid.Atlas:
    """Of layer 6 in twelve pictures."""
    photos = Path(folder) / "photos"
    photos.mkdir()
    for seed in range(12):
        draw_photo(photos, seed)
    settings = {"grids": (2, 4), "projection": "pca", "icon_size": 16, "icon_steps": 1, "least": 1, "per_image": 2}
    return pellucid.build_atlas(make_network(), photos, Path(folder) / "atlas", layers=["6"], **settings)
