"""A small network, and a drawn photo."""

from pathlib import Path

import numpy as np
import pytest
from drawn_network import make_network
from PIL import Image, ImageDraw

import pellucid


@pytest.fixture
def network() -> pellucid.Model:
    return make_network()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A wide picture with something in it."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(90, 160, (60, 90, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((30, 15, 60, 45), fill=(240, 220, 40))
    draw.rectangle((0, 45, 90, 60), fill=(30, 120, 40))
    path = tmp_path / "lemon on grass.png"
    picture.save(path)
    return path
