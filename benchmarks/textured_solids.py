"""Textures of solids: what units answer to views that were not optimized, and the picture of docs/features.md.

    PELLUCID_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/textured_solids.py

Prints, for each unit of InceptionV1, its mean activation on eight views from other places than the texture was
optimized from, beside the same solid in plain grey and with the texture of the next unit; all on grey ground. Writes
docs/images/textured_solids.webp.
"""

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch

import pellucid
from pellucid.features.meshes import Camera
from pellucid.figures import sheet

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "textured_solids.webp"
UNITS = {
    "mixed4a:476": pellucid.meshes.sphere(),
    "mixed4c:447": pellucid.meshes.torus_knot(),
    "mixed4d:11": pellucid.meshes.vase(),
}
STYLE = ["conv2d2", "mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c"]
ELSEWHERE = [Camera(17 + 45 * index, elevation) for index, elevation in enumerate((0, 25, -15, 40, 10, -25, 30, 15))]
SHOWN = [Camera(20, 15), Camera(200, 15)]


def fires(model: pellucid.Model, solid: pellucid.TexturedMesh, unit: str) -> float:
    """Mean activation on the views from elsewhere."""
    layer, channel = unit.split(":")
    views = solid.look(ELSEWHERE, model.size)
    pixels = torch.from_numpy(views[..., :3] * views[..., 3:] + 0.5 * (1 - views[..., 3:])).permute(0, 3, 1, 2)
    return float(pellucid.record(model, pixels, layer)[layer].values[..., int(channel)].mean())


def main() -> None:
    model = pellucid.load("inception_v1")
    solids, seconds = {}, {}
    for unit, mesh in UNITS.items():
        began = time.perf_counter()
        solids[unit] = pellucid.render_texture(model, unit, mesh)
        seconds[unit] = time.perf_counter() - began
    print(f"{'unit':14}{'texture':>12}{'from elsewhere':>16}{'grey':>8}{'another unit':>14}{'seconds':>9}")
    units = list(solids)
    for unit, following in zip(units, units[1:] + units[:1], strict=True):
        solid = solids[unit]
        texture = solid.texture
        other = solids[following].texture
        repeated = np.tile(
            other, (*(-(-side // given) for side, given in zip(texture.shape, other.shape, strict=True)),)
        )
        plain, wrong = (
            dataclasses.replace(solid, texture=each)
            for each in (np.full_like(texture, 0.5), repeated[: texture.shape[0], : texture.shape[1]].copy())
        )
        found = [fires(model, each, unit) for each in (solid, plain, wrong)]
        size = f"{texture.shape[0]}×{texture.shape[1]}"
        print(f"{unit:14}{size:>12}{found[0]:16.1f}{found[1]:8.1f}{found[2]:14.1f}{seconds[unit]:9.0f}")
    cat = pellucid.load_image(pellucid.example_photos()["chelsea"], size=224)
    painted = pellucid.render_texture_style(model, cat, STYLE, pellucid.meshes.torus_knot(), views=8, steps=96)
    print(f"style: {-painted.views.objective[0, 0]:.2f} before, {-painted.views.objective[0, -1]:.2f} after")
    tiles = [tile for solid in (*solids.values(), painted) for tile in solid.look(SHOWN, 240)]
    names = [*UNITS, "style of a photo of a cat"]
    sheet(tiles, [name for name in names for _ in SHOWN], columns=4).save(PICTURE, quality=80, method=6)


if __name__ == "__main__":
    main()
