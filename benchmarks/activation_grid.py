"""How long do activation grids take, and what do the ways to make them look like?

    python benchmarks/activation_grid.py --photo photo.jpg --layers mixed3b mixed4a mixed4d mixed5b --out grids/
    python benchmarks/activation_grid.py --photo photo.jpg --layers mixed4d --compare --steps 32 --out grids/

Prints the seconds (on the clock; of processors), the steps and the cosine between each cell's vector and what the layer
makes of that cell alone (mean over cells), and with --out writes the pictures. --compare also makes the grid in two
other ways of as many steps: `apart`, an image of its own for each cell (`pellucid.render`), and `canvas`, one large
image seen as a whole.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import pellucid
from pellucid.features import preview_grid, render_grid
from pellucid.features.images import Fourier
from pellucid.features.objectives import direction
from pellucid.features.transforms import Jitter, Rotate, Scale, Window
from pellucid.pictures import to_picture
from pellucid.record import slice_network

TURNS = tuple(range(-5, 6))
ZOOMS = (0.95, 0.975, 1.0, 1.025, 1.05)


def apart(model: pellucid.Model, values: np.ndarray, layer: str, side: int, steps: int) -> np.ndarray:
    """[rows · side, columns · side, 3]: every cell rendered as if alone, with the grid's own transforms."""
    rows, columns, channels = values.shape
    middle = side * model.layer(layer).rows // model.size[0] // 2
    goals = [direction(layer, v, middle, middle, cosine_power=4.0) for v in values.reshape(-1, channels)]
    moves = (Jitter(side // 4), Scale(ZOOMS), Rotate(TURNS), Window())
    images = pellucid.render(model, goals, size=side, steps=steps, transforms=moves).images
    return images.reshape(rows, columns, side, side, 3).swapaxes(1, 2).reshape(rows * side, columns * side, 3)


def canvas(model: pellucid.Model, values: np.ndarray, layer: str, side: int, steps: int) -> np.ndarray:
    """[rows · side, columns · side, 3]: one image, in which each position of the layer near the middle of a cell should
    point in that cell's direction."""
    rows, columns, _ = values.shape
    vectors = F.normalize(torch.from_numpy(values).permute(2, 0, 1)[None], dim=1)
    shape, way, generator = (3, rows * side, columns * side), Fourier(), torch.Generator().manual_seed(0)
    parameters = [part.requires_grad_() for part in way.start(shape, 1, generator)]
    optimizer = torch.optim.Adam(parameters, lr=0.07, betas=(0.0, 0.9))
    network = slice_network(model, [layer], size=(side, side), dtype=torch.bfloat16)
    for _ in range(steps):
        shift = torch.randint(-side // 8, side // 8 + 1, (2,), generator=generator)
        seen = torch.roll(way.decode(parameters, shape), shift.tolist(), (2, 3))
        grid = network(seen)[layer].float()
        # Where the middle of each position lies on the canvas, in cells.
        places = [
            ((torch.arange(n) + 0.5) / n * length - int(by)) / side
            for n, length, by in zip(grid.shape[2:], shape[1:], shift, strict=True)
        ]
        weight = torch.outer(*[torch.exp(-(((p % 1) - 0.5) ** 2) / 0.08) for p in places])
        y, x = (p.floor().long().clamp(0, most - 1) for p, most in zip(places, (rows, columns), strict=True))
        wanted = vectors[0][:, y[:, None], x[None, :]]
        value = (pointed(grid, wanted) * weight).sum() / weight.sum()
        for parameter, part in zip(parameters, torch.autograd.grad(-value, parameters), strict=True):
            parameter.grad = part
        optimizer.step()
    with torch.no_grad():
        return way.decode(parameters, shape)[0].permute(1, 2, 0).numpy()


def pointed(grid: Tensor, wanted: Tensor) -> Tensor:
    """Projection of each position on a direction of its own, times its cosine squared: [rows, columns]."""
    projection = (grid[0] * wanted).sum(0)
    cosine = projection / grid[0].norm(dim=0).clamp(min=1e-12)
    return projection * cosine.clamp(min=0.1) ** 2


def likeness(model: pellucid.Model, picture: np.ndarray, values: np.ndarray, layer: str) -> float:
    """Mean cosine between the cells' vectors and the middle of the layer, each cell seen alone."""
    rows, columns, channels = values.shape
    side = picture.shape[0] // rows
    cells = picture.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    made = pellucid.record(model, np.ascontiguousarray(cells.transpose(0, 3, 1, 2)), layer)[layer].values
    middle = torch.from_numpy(made[:, made.shape[1] // 2, made.shape[2] // 2])
    wanted = torch.from_numpy(values.reshape(-1, channels))
    return float(F.cosine_similarity(middle, wanted).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True, nargs="+")
    parser.add_argument("--layers", nargs="+", default=["mixed3b", "mixed4a", "mixed4d", "mixed5b"])
    parser.add_argument("--steps", type=int, default=None, help="by default what fits into the budget")
    parser.add_argument("--budget", type=float, default=30.0, help="seconds for each grid")
    parser.add_argument("--compare", action="store_true", help="make the grid in two other ways too")
    parser.add_argument("--preview", action="store_true", help="render the icons of each cell's two strongest channels")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    model = pellucid.load("inception_v1")

    def clocks() -> np.ndarray:
        return np.array([time.perf_counter(), time.process_time()])

    def report(name: str, picture: np.ndarray, seconds: np.ndarray, steps: int, values: np.ndarray, layer: str) -> None:
        alike = f"cosine {likeness(model, picture, values, layer):.2f}" if values.shape[0] * 4 < len(picture) else ""
        taken = f"{seconds[0]:6.2f} s; {seconds[1]:6.2f} s"
        print(f"{name:32s} {taken} {steps:4d} steps {list(picture.shape[:2])} px  {alike}", flush=True)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            to_picture(picture).save(options.out / f"{name.replace(' ', '_')}.png")

    for path in options.photo:
        image = pellucid.load_image(path, size=model.size)
        for layer in options.layers:
            name, values = f"{path.stem} {layer}", pellucid.record(model, image[None], layer)[layer].values[0]
            began = clocks()
            made = render_grid(model, image, layer=layer, steps=options.steps, budget_seconds=options.budget)
            report(name, made.image, clocks() - began, made.provenance["steps"], values, layer)
            if options.out:
                to_picture(made.sized()).save(options.out / f"{name.replace(' ', '_')}_sized.png")
            for way in (apart, canvas) if options.compare else ():
                began = clocks()
                picture = way(model, values, layer, made.side, made.provenance["steps"])
                taken = clocks() - began
                report(f"{name} {way.__name__}", picture, taken, made.provenance["steps"], values, layer)
            if options.preview:
                strongest = np.argsort(-values, axis=2)[:, :, :2]
                channels = sorted(set(strongest.ravel().tolist()))
                goals = [pellucid.Neuron(layer, channel) for channel in channels]
                icons = pellucid.render(model, goals, size=96, steps=48, alpha=True, cache=pellucid.RenderCache())
                for top in (1, 2, 3):
                    began = clocks()
                    seen = preview_grid(values, icons.images, channels=channels, layer=layer, side=made.side, top=top)
                    taken = clocks() - began
                    report(f"{name} preview top {top}", seen.image, taken, 0, values, layer)


if __name__ == "__main__":
    main()
