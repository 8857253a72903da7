"""Pieces of five photos that are on every machine with the notebooks' packages: what they use for want of a folder.

The cup and the cat come with Pellucid (CC0); the temple and the flower with scikit-learn (CC BY 2.0, by danielbuechele
and vultilion on Flickr); the officer with matplotlib (a portrait by the US Navy, public domain).
"""

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image
from sklearn.datasets import load_sample_images

import pellucid

NAMES = ("cup", "cat", "temple", "flower", "officer")


def photos() -> list[Image.Image]:
    """The five, as they are."""
    officer = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    own = [Image.open(path).convert("RGB") for path in pellucid.example_photos().values()]
    return [*own, *map(Image.fromarray, load_sample_images().images), officer]


def pieces(count: int, size: int, *, seed: int = 0, smallest: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Squares cut out of the five photos in turn, float32 [count, 3, size, size] in [0, 1], and which photo each is of.

    Args:
        count: how many.
        size: to which they are scaled, px.
        seed: of places, sizes and flips.
        smallest: side of the smallest, as a share of the photo's shorter side.
    """
    random = np.random.default_rng(seed)
    whole = photos()
    cut = []
    for number in range(count):
        photo = whole[number % len(whole)]
        side = random.uniform(smallest, 1) * min(photo.size)
        left, top = random.uniform(0, photo.width - side), random.uniform(0, photo.height - side)
        piece = photo.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        pixels = np.asarray(piece, np.float32).transpose(2, 0, 1) / 255
        cut.append(pixels[:, :, ::-1] if random.random() < 0.5 else pixels)
    return np.stack(cut), np.arange(count) % len(whole)
