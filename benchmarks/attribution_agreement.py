"""How well each method of attribution predicts what removing units does, over several photos; and a sheet of its maps.

    PELLUCID_DATA=../shared/data python benchmarks/attribution_agreement.py --photos 12 --sheet docs/images/methods.webp

Every position, square of 3 × 3 positions and channel of a layer is set to zero, one at a time, and the rest of the
network run again; the change of the top class's logit is correlated with what the method says that the unit adds. The
control is a map that knows nothing of the class: how strongly the layer fires. The photos are the four of the reference
folder and others from imagenet_1000.tar, evenly spaced.
"""

import argparse
import io
import os
import statistics
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

import pellucid
from pellucid.attribution import Attribution
from pellucid.models import Model
from pellucid.models._view import view
from pellucid.record import Tail
from pellucid.trust import correlation, intervene_each

_METHODS = ("linear", "integrated", "relaxed", "integrated_gradients", "grad_cam", "gradient")
_SUPPORT, _INHIBIT = np.array([0.0, 0.49, 0.45]), np.array([0.85, 0.37, 0.01])
_PAIR = ("Labrador retriever", "tabby")
_CELL, _MARGIN = 168, 6


def photos(folder: Path, count: int) -> list[Any]:
    found: list[Any] = sorted((folder / "reference" / "photos").glob("*.jpeg"))[:count]
    with tarfile.open(folder / "images" / "imagenet_1000.tar") as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        for place in np.linspace(0, len(members) - 1, count - len(found)).astype(int):
            file = archive.extractfile(members[place])
            found.append(Image.open(io.BytesIO(file.read() if file else b"")).convert("RGB"))
    return found


def squares(map_: np.ndarray) -> np.ndarray:
    rows, columns = map_.shape
    padded = np.pad(map_, 1)
    return np.sum([padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3)], axis=0)


def agreement(model: Model, photo: Any, layer: str) -> dict[tuple[str, str], float]:
    """Correlation with the measured loss, by method and kind of unit."""
    image = view(model, photo).image
    tail = Tail(model, image, layer=layer)
    logits = tail.outputs["logits"].flatten()
    top = int(logits.argmax())
    kinds: tuple[Any, ...] = ("positions", "squares", "channels")
    losses = {
        kind: float(logits[top]) - intervene_each(model, image, layer=layer, units=kind, tail=tail)[:, top]
        for kind in kinds
    }
    found: dict[tuple[str, str], float] = {}

    def add(name: str, positions: np.ndarray, channels: np.ndarray) -> None:
        predicted = {"positions": positions, "squares": squares(positions), "channels": channels}
        for kind, loss in losses.items():
            found[name, kind] = correlation(predicted[kind].ravel(), loss)

    method: Any
    for method in _METHODS:
        map_ = pellucid.attribute(model, image, layer=layer, target=top, method=method, tail=tail)
        add(method, map_.positions(), map_.by_channel())
    strength = tail.grid[0].numpy()
    add("strength alone", np.linalg.norm(strength, axis=0), strength.sum((1, 2)))
    return found


def tile(photo: Image.Image, map_: np.ndarray, largest: float) -> Image.Image:
    """The photo in grey, over it teal where the map supports and orange where it inhibits."""
    grey = np.asarray(photo.convert("L").resize((_CELL, _CELL)), float)[:, :, None] / 255 * 0.5 + 0.5
    scaled = Image.fromarray((map_ / largest).astype(np.float32)).resize((_CELL, _CELL), Image.Resampling.BILINEAR)
    value = np.asarray(scaled).clip(-1, 1)[:, :, None]
    opacity = np.abs(value) ** 0.7 * 0.9
    colour = np.where(value > 0, _SUPPORT, _INHIBIT)
    return Image.fromarray(((grey * (1 - opacity) + colour * opacity) * 255).astype(np.uint8))


def sheet(model: Model, photo: Path, layers: list[str]) -> Image.Image:
    """A row for each layer and class, a column for each method; each tile has a scale of its own."""
    seen = view(model, photo)
    rows = [(layer, label) for layer in layers for label in _PAIR]
    width, height, head = _CELL + _MARGIN, _CELL + _MARGIN, 22
    page = Image.new("RGB", (len(_METHODS) * width, head + len(rows) * (height + head)), "white")
    draw = ImageDraw.Draw(page)
    method: Any
    for column, method in enumerate(_METHODS):
        draw.text((column * width + 4, 4), method.replace("_", " "), "black", font_size=14)
        for row, (layer, label) in enumerate(rows):
            top = head + row * (height + head)
            map_: Attribution = pellucid.attribute(model, seen.image, layer=layer, target=label, method=method)
            values = map_.positions()
            page.paste(tile(seen.photo, values, float(np.abs(values).max()) or 1.0), (column * width, top + head - 4))
            if column == 0:
                draw.text((4, top), f"{layer}, {label}", "black", font_size=13)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", default=["mixed4a", "mixed4d"])
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--sheet", type=Path, help="where to draw the maps of dog_cat")
    options = parser.parse_args()
    folder = Path(os.environ["PELLUCID_DATA"])
    model = pellucid.load("inception_v1", download=False)
    if options.sheet:
        page = sheet(model, folder / "reference" / "photos" / "dog_cat.jpeg", options.layers)
        page.save(options.sheet, quality=80)
    for layer in options.layers:
        found = [agreement(model, photo, layer) for photo in photos(folder, options.photos)]
        for name in dict.fromkeys(name for name, _ in found[0]) if found else ():
            values = [
                f"{kind} {statistics.median(each[name, kind] for each in found):.2f} "
                f"(least {min(each[name, kind] for each in found):.2f})"
                for kind in ("positions", "squares", "channels")
            ]
            print(f"{layer}, {len(found)} photos, {name}: {', '.join(values)}", flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
