"""Collecting activations beside the plain forward pass: images a second, in one run, rounds alternating.

    PELLUCID_DATA=../shared/data python benchmarks/atlas_collect.py --images 1024 --rounds 5

The forward pass is the whole network on the same batches, without gradients, of images that are decoded already, and
again with decoding in two threads ahead of it. Collecting decodes, runs, keeps vectors, computes attribution to all
classes where asked, and writes shards. Without PELLUCID_DATA the images are noise in memory.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pellucid
from pellucid.atlas._collect import collect, shards_of
from pellucid.atlas._folder import Folder, Settings, Source
from pellucid.atlas.sources import Images, open_images
from pellucid.events import silent

_BATCH = 64


def forward(model: pellucid.Model, batches: list[torch.Tensor]) -> None:
    with torch.inference_mode():
        for batch in batches:
            model.module(model.preprocess(batch))


def decoded(model: pellucid.Model, images: Images, count: int) -> list[torch.Tensor]:
    with ThreadPoolExecutor(2) as pool:
        pixels = list(pool.map(lambda number: images.load(number, model.size, 3), range(count)))
    return [torch.from_numpy(np.stack(pixels[at : at + _BATCH])).float() / 255 for at in range(0, count, _BATCH)]


def decode_and_forward(model: pellucid.Model, images: Images, count: int) -> None:
    def load(start: int) -> torch.Tensor:
        numbers = range(start, min(start + _BATCH, count))
        return torch.from_numpy(np.stack([images.load(number, model.size, 3) for number in numbers])).float() / 255

    with ThreadPoolExecutor(2) as pool:
        for batch in pool.map(load, range(0, count, _BATCH)):
            forward(model, [batch])


def collecting(model: pellucid.Model, images: Images, count: int, layers: list[str], attributed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(layers=layers, grids=[10], attributed=attributed)
        source = Source(where=images.where, path=None, digest=images.digest, count=count)
        shards = shards_of([source], model.digest, model.size, settings)
        collect(Folder(Path(folder)), model, [images], shards, settings, silent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="tiny_inception")
    parser.add_argument("--layers", default="mixed4a,mixed4d,mixed5b", help="the second is used where one is wanted")
    asked = parser.parse_args()
    model = pellucid.load(asked.model)
    found = Path(os.environ.get("PELLUCID_DATA", "absent")) / "images" / "tiny_imagenet_100_train.tar"
    source: Any = found
    if not found.is_file():
        noise = np.random.default_rng(0).integers(0, 256, (asked.images, 3, *model.size), np.uint8)
        source = torch.from_numpy(noise).float() / 255
    images = open_images(source)
    count = min(asked.images, len(images))
    batches = decoded(model, images, count)
    layers = asked.layers.split(",")
    one = layers[min(1, len(layers) - 1)]
    ways: dict[str, Callable[[], None]] = {
        "forward pass of decoded images": lambda: forward(model, batches),
        "decoding and forward pass": lambda: decode_and_forward(model, images, count),
        f"collecting {one}, no attribution": lambda: collecting(model, images, count, [one], 0),
        f"collecting {one}": lambda: collecting(model, images, count, [one], 1),
        f"collecting {', '.join(layers)}, no attribution": lambda: collecting(model, images, count, layers, 0),
        f"collecting {', '.join(layers)}": lambda: collecting(model, images, count, layers, 1),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(asked.rounds + 1):
        for name, work in ways.items():
            began = time.perf_counter()
            work()
            if turn:  # the first round warms up
                rates[name].append(count / (time.perf_counter() - began))
    plain = statistics.median(rates["decoding and forward pass"])
    print(f"{model.name}, {count} images, {torch.get_num_threads()} threads, median of {asked.rounds} (least–most)")
    for name, values in rates.items():
        middle = statistics.median(values)
        print(f"{name:58} {middle:6.0f}/s ({min(values):.0f}–{max(values):.0f})  {middle / plain:4.0%}")


if __name__ == "__main__":
    main()
