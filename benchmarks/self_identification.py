"""Do renderings raise the unit they are of more than any other unit of its layer?

    python benchmarks/self_identification.py --photos ../shared/data/images/imagenet_1000.tar

For each rendering, every channel of the layer is measured in standard deviations above its mean over natural photos
(of the channel's spatial mean); the share of renderings for which the rendered channel comes first is printed, for
Pellucid's default settings and, with --peer, for torch-lucent after 512 steps on the same units.
"""

import argparse
import io
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

import pellucid


def photos(path: Path, count: int, size: tuple[int, int]) -> Tensor:
    """The first photos of a tar as [n, 3, height, width]."""
    found = []
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.lower().endswith((".jpg", ".jpeg", ".png")):
                picture = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")  # type: ignore[union-attr]
                picture = ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.LANCZOS)
                found.append(np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / 255)
                if len(found) == count:
                    break
    return torch.from_numpy(np.stack(found))


def ranks(model: pellucid.Model, layer: str, channels: list[int], images: Tensor, mean: np.ndarray, std: np.ndarray):
    """For each image, how many channels are raised more than its own."""
    raised = (pellucid.record(model, images, layer)[layer].values.mean((1, 2)) - mean) / std
    return [int((row > row[index]).sum()) for row, index in zip(raised, channels, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="tar of natural photos")
    parser.add_argument("--photo-count", type=int, default=500)
    parser.add_argument("--layers", nargs="+", default=["mixed4a", "mixed4d"])
    parser.add_argument("--channels", type=int, default=64, help="over all layers together, by seed")
    parser.add_argument("--steps", type=int, default=None, help="by default those of pellucid.render")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", action="store_true", help="render the same units with torch-lucent too (slow)")
    parser.add_argument("--out", type=Path, help="folder for the sheets")
    options = parser.parse_args()
    model = pellucid.load("inception_v1")
    natural = photos(options.photos, options.photo_count, model.size)
    random = np.random.default_rng(options.seed)
    steps = {} if options.steps is None else {"steps": options.steps}
    for layer in options.layers:
        means = pellucid.record(model, natural, layer)[layer].values.mean((1, 2))
        mean, std = means.mean(0), np.maximum(means.std(0), 1e-6)
        count = options.channels // len(options.layers)
        channels = sorted(random.choice(model.layers[layer].channels, count, replace=False).tolist())
        began = time.perf_counter()
        goals = [f"{layer}:{index}" for index in channels]
        made = pellucid.render(model, goals, size=options.size, seed=options.seed, precision=options.precision, **steps)
        images = torch.from_numpy(made.images).permute(0, 3, 1, 2)
        report(f"pellucid {options.precision}", layer, ranks(model, layer, channels, images, mean, std), began)
        if options.out:
            from time_to_quality import sheet

            sheet(options.out / f"{layer}_{options.precision}.png", images)
        if options.peer:
            import _peer
            from equal_work import Preprocessed

            _peer.install()
            began = time.perf_counter()
            module = Preprocessed(model)
            each = [
                _peer.lucent_steps(module, f"net.{layer}", [i], size=options.size, steps=512, on_step=lambda: None)
                for i in channels
            ]
            report("torch-lucent", layer, ranks(model, layer, channels, torch.cat(each), mean, std), began)


def report(who: str, layer: str, found: list[int], began: float) -> None:
    first = sum(rank == 0 for rank in found)
    others = sorted(rank for rank in found if rank)
    seconds = time.perf_counter() - began
    share = f"first in {first} of {len(found)} ({first / len(found):.0%})"
    print(f"{who:18s} {layer}: {share}, else behind {others}; {seconds:.0f} s")


if __name__ == "__main__":
    main()
