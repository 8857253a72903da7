"""Make the gallery: docs/gallery.md and its pictures in docs/images/gallery.

    python scripts/gallery.py               # all of it, some minutes on two cores
    python scripts/gallery.py NAME [NAME]   # only these pictures; the page is written anew as well

The code that stands on the page is the code that made the picture. All of it is of the network inside the package.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
from PIL import Image

import pellucid
from pellucid.pictures import to_picture

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "images" / "gallery"

START = """
import numpy as np

import pellucid
from pellucid.features import images, objectives, transforms

model = pellucid.load()
cat = pellucid.load_image(pellucid.example_photos()["chelsea"], size=192)
cup = pellucid.load_image(pellucid.example_photos()["coffee"], size=192)
"""


@dataclass(frozen=True)
class Entry:
    """A picture: its name, title, the code that leaves it as `shown`, how many stand in a row, and what it shows."""

    name: str
    title: str
    code: str
    columns: int
    caption: str


GALLERY = [
    Entry(
        "layers",
        "Six channels in each of four layers",
        """
        layers = ["mixed3b", "mixed4a", "mixed4d", "mixed5b"]
        units = [f"{layer}:{index}@centre" for layer in layers for index in (3, 11, 26, 40, 77, 101)]
        shown = pellucid.render(model, units, size=96, steps=128)
        """,
        6,
        "From above: textures, curves and eyes, parts, whole things. Each at the centre of its layer.",
    ),
    Entry(
        "classes",
        "Classes",
        """
        names = ["espresso", "lemon", "school bus", "monarch", "goldfish", "ladybug"]
        shown = pellucid.render(model, [f"logits:{name}" for name in names], size=112, steps=192)
        """,
        6,
        "What the last layer calls espresso, lemon, school bus, monarch, goldfish, ladybug.",
    ),
    Entry(
        "negative",
        "What raises a channel, and what suppresses it",
        """
        before = "mixed4d.3x3.norm"  # before the ReLU, where a channel can be negative
        units = [f"{sign}{before}:{index}" for sign in ("", "-") for index in range(6)]
        shown = pellucid.render(model, units, size=96, steps=128)
        """,
        6,
        "Above what raises each of six channels, below what lowers it.",
    ),
    Entry(
        "diverse",
        "Several answers to one question",
        """
        shown = pellucid.render_diverse(model, "mixed4d:26", copies=6, size=96, steps=128)
        """,
        6,
        "Six images of one channel that are pushed apart.",
    ),
    Entry(
        "interpolation",
        "From one unit to another",
        """
        shown = pellucid.render_interpolation(model, "mixed4d:26", "mixed4d:11", copies=6, size=96, steps=128)
        """,
        6,
        "Images in between, aligned so that each turns into the next.",
    ),
    Entry(
        "parametrizations",
        "One channel, five kinds of images",
        """
        kinds = [images.Fourier(), images.Pixel(), images.Laplacian(), images.CPPN(), images.MagnitudeConstrained()]
        made = [pellucid.render(model, "mixed4d:26", size=96, steps=192, parametrization=kind) for kind in kinds]
        shown = np.concatenate([each.images for each in made])
        """,
        5,
        "Fourier, pixels, a Laplacian pyramid, a network from coordinates to colours, phases of a natural spectrum.",
    ),
    Entry(
        "alpha",
        "With opacity",
        """
        units = [f"mixed4d:{index}@centre" for index in (3, 11, 26, 40, 77, 101)]
        shown = pellucid.render(model, units, size=96, steps=128, alpha=True)
        """,
        6,
        "What the channels do not need is left transparent.",
    ),
    Entry(
        "solids",
        "Textures of solids",
        """
        solids = [pellucid.meshes.torus_knot(), pellucid.meshes.vase()]
        places = [pellucid.meshes.Camera(azimuth, 15) for azimuth in (20, 140, 260)]
        made = [pellucid.render_texture(model, "mixed4d:68", solid, views=8, steps=96) for solid in solids]
        shown = np.concatenate([each.look(places, 192) for each in made])
        """,
        6,
        "One channel on a knot and on a vase, from three sides from which neither was optimized.",
    ),
    Entry(
        "magnitude_constrained",
        "The spectrum of photos",
        """
        units = ["mixed4d:52", "mixed4d:3", "mixed4d:200", "mixed4d:68", "mixed4d:120", "mixed4d:270"]
        made = pellucid.render_magnitude_constrained(model, units, steps=128, alpha=True).images
        whole = np.concatenate([made[..., :3], np.ones_like(made[..., 3:])], axis=3)
        shown = np.concatenate([whole, made])
        """,
        6,
        "Only phases are optimized, and the rest is clouds; below, transparent where the gradient did not go.",
    ),
    Entry(
        "caricature",
        "A photo, and what four layers made of it",
        """
        layers = ["mixed3a", "mixed3b", "mixed4a", "mixed4d"]
        made = [pellucid.render_caricature(model, cat, layer, steps=128) for layer in layers]
        shown = np.concatenate([cat.permute(1, 2, 0).numpy()[None], *[each.images for each in made]])
        """,
        5,
        "The same activations, only more so. Photo: Stéfan van der Walt, CC0.",
    ),
    Entry(
        "inversion",
        "A photo, and what four layers kept of it",
        """
        layers = ["mixed3a", "mixed3b", "mixed4a", "mixed4d"]
        made = [pellucid.render_inversion(model, cup, layer, steps=128) for layer in layers]
        shown = np.concatenate([cup.permute(1, 2, 0).numpy()[None], *[each.images for each in made]])
        """,
        5,
        "Images that the layer cannot tell from the photo. Photo: Rachel Michetti, CC0.",
    ),
    Entry(
        "dream",
        "DeepDream",
        """
        layers = ["mixed4a", "mixed4d", "mixed5a"]
        made = [pellucid.dream(model, cup, layer, octaves=3, steps=6) for layer in layers]
        shown = np.stack([cup.permute(1, 2, 0).numpy(), *made])
        """,
        4,
        "More of everything that a layer sees in the photo: `mixed4a`, `mixed4d`, `mixed5a`.",
    ),
    Entry(
        "grid",
        "A photo as a layer sees it",
        """
        small = pellucid.load_image(pellucid.example_photos()["chelsea"], size=model.size)
        grid = pellucid.render_grid(model, small, layer="mixed4a", steps=48)
        shown = grid.image[None]
        """,
        1,
        "A rendering for each of 12 × 12 positions of `mixed4a`.",
    ),
]


def sheet(pictures: np.ndarray, columns: int, gap: int = 6) -> Image.Image:
    """Pictures [n, height, width, 3 or 4] side by side on white; `columns` in a row."""
    count, height, width, channels = pictures.shape
    if channels == 4:
        pictures = pictures[..., :3] * pictures[..., 3:] + 1 - pictures[..., 3:]
    rows = -(-count // columns)
    whole = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), np.float32)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        whole[top : top + height, left : left + width] = picture
    return to_picture(whole)


def make(entry: Entry, names: dict[str, Any]) -> None:
    """Run an entry's code and keep the picture."""
    exec(dedent(entry.code), names)
    shown = names["shown"]
    picture = sheet(shown.images if isinstance(shown, pellucid.Rendering) else shown, entry.columns)
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture.save(PICTURES / f"{entry.name}.webp", quality=86, method=6)


def page() -> str:
    """docs/gallery.md."""
    text = [
        "# Gallery",
        "",
        "All of the network inside the package, by this code; `python scripts/gallery.py` makes it again.",
        "",
    ]
    text += ["```python", START.strip(), "```", ""]
    for entry in GALLERY:
        text += [f"## {entry.title}", "", "```python", dedent(entry.code).strip(), "```", ""]
        text += [f"![{entry.title}](images/gallery/{entry.name}.webp)", "", f"*{entry.caption}*", ""]
    text += [
        "Pictures of InceptionV1 are on the pages about the [explanation](explain.md), the [atlas](atlas.md) and",
        "",
    ]
    text[-2] += " [measurements](speed.md)."
    return "\n".join(text)


def main() -> int:
    wanted = sys.argv[1:] or [entry.name for entry in GALLERY]
    unknown = set(wanted) - {entry.name for entry in GALLERY}
    if unknown:
        print(f"no picture {', '.join(sorted(unknown))}; there are {', '.join(entry.name for entry in GALLERY)}")
        return 2
    names: dict[str, Any] = {}
    exec(START, names)
    for entry in GALLERY:
        if entry.name in wanted:
            make(entry, names)
            print(PICTURES / f"{entry.name}.webp")
    (ROOT / "docs" / "gallery.md").write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
