"""How long until a rendering is as strong as torch-lucent's after 512 steps: same network, same units.

    python benchmarks/time_to_quality.py --channels 16

Strength is the mean activation of the target on the finished image over 64 fresh draws of Lucid's standard transforms,
run in float32 through the whole network's own code. torch-lucent renders one channel after another; Pellucid renders
all of them at once with its default settings at several numbers of steps, including the time to set up. Its runs stand
between the peer's, so that a slow spell of the machine meets both.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import _peer
import numpy as np
import torch
from equal_work import Preprocessed, load
from PIL import Image
from torch import Tensor

import pellucid
from pellucid.features.transforms import apply_transforms
from pellucid.models import borrowed
from pellucid.record import run

_DRAWS = 64


def strengths(model: pellucid.Model, layer: str, channels: list[int], images: Tensor) -> list[float]:
    """Each image's target, averaged over positions and draws."""
    found = []
    with borrowed(model.module), torch.no_grad():
        for index, image in zip(channels, images, strict=True):
            values = []
            for start in range(0, _DRAWS, 16):
                generators = [torch.Generator().manual_seed(10_000 + start + draw) for draw in range(16)]
                seen = apply_transforms(image[None].expand(16, -1, -1, -1), pellucid.transforms.standard(), generators)
                values.append(run(model, seen, [layer])[layer][:, index].mean().item())
            found.append(statistics.fmean(values))
    return found


Timed = tuple[float, Tensor]


def render(model: pellucid.Model, options: argparse.Namespace, channels: list[int], steps: int) -> Timed:
    """Seconds, and the images of all channels, with Pellucid's default settings."""
    goals = [f"{options.layer}:{index}" for index in channels]
    began = time.perf_counter()
    rendering = pellucid.render(model, goals, size=options.size, steps=steps, seed=options.seed)
    return time.perf_counter() - began, torch.from_numpy(rendering.images).permute(0, 3, 1, 2)


def alternate(
    model: pellucid.Model, module: Preprocessed, options: argparse.Namespace, channels: list[int]
) -> tuple[dict[int, Timed], Tensor, list[float]]:
    """Pellucid's runs by steps, the peer's images, and the peer's seconds for each of them."""
    ours: dict[int, Timed] = {}
    images, seconds = [], []
    waiting = list(options.steps)
    pause = max(1, len(channels) // len(waiting))
    for number, index in enumerate(channels):
        began = time.perf_counter()
        name, size, steps = f"net.{options.layer}", options.size, options.peer_steps
        images.append(_peer.lucent_steps(module, name, [index], size=size, steps=steps, on_step=lambda: None))
        seconds.append(time.perf_counter() - began)
        if waiting and number % pause == pause - 1:
            steps = waiting.pop(0)
            ours[steps] = render(model, options, channels, steps)
    ours.update({steps: render(model, options, channels, steps) for steps in waiting})
    return ours, torch.cat(images), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", default="mixed4d")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--peer-steps", type=int, default=512)
    parser.add_argument("--steps", type=int, nargs="+", default=[128, 192, 256, 320])
    parser.add_argument("--peer-from", type=Path, help="time_to_quality.json of an earlier run, instead of a new one")
    parser.add_argument("--out", type=Path, help="folder for the sheets and the numbers")
    options = parser.parse_args()
    _peer.install()
    model = load("inception_v1")
    module = Preprocessed(model)
    random = np.random.default_rng(options.seed)
    if options.peer_from:
        earlier = json.loads(options.peer_from.read_text())
        channels, peer, peer_seconds = earlier["channels"], earlier["peer"]["strength"], earlier["peer"]["seconds"]
        print(f"channels {channels} of {options.layer}")
        ours = {steps: render(model, options, channels, steps) for steps in options.steps}
    else:
        channels = random.choice(model.layers[options.layer].channels, options.channels, replace=False)
        channels = sorted(channels.tolist())
        print(f"channels {channels} of {options.layer}")
        ours, peer_images, peer_seconds = alternate(model, module, options, channels)
        peer = strengths(model, options.layer, channels, peer_images)
        if options.out:
            sheet(options.out / "torch_lucent.png", peer_images)
    total = sum(peer_seconds)
    low, middle, high = statistics.quantiles(peer_seconds, n=4)
    print(f"torch-lucent, {options.peer_steps} steps: {total:7.1f} s  mean strength {statistics.fmean(peer):7.1f}")
    print(f"  per image {middle:.1f} s ({low:.1f} … {high:.1f})")
    numbers = {"channels": channels, "peer": {"seconds": peer_seconds, "strength": peer}, "ours": {}}
    for steps, (seconds, images) in sorted(ours.items()):
        found = strengths(model, options.layer, channels, images)
        ratio = statistics.median(a / b for a, b in zip(found, peer, strict=True))
        print(
            f"pellucid, {steps:4d} steps:     {seconds:7.1f} s  mean strength {statistics.fmean(found):7.1f}  "
            f"median ratio {ratio:.3f}  {total / seconds:5.2f} × faster"
        )
        numbers["ours"][steps] = {"seconds": seconds, "strength": found}
        if options.out:
            sheet(options.out / f"pellucid_{steps}.png", images)
    if options.out:
        (options.out / "time_to_quality.json").write_text(json.dumps(numbers))


def sheet(path: Path, images: Tensor, columns: int = 8) -> None:
    """Write the images side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tiles = (images.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    blank = np.full((-len(tiles) % columns, *tiles.shape[1:]), 255, np.uint8)
    grid = np.concatenate([tiles, blank]).reshape(-1, columns, *tiles.shape[1:])
    Image.fromarray(np.concatenate([np.concatenate(list(row), 1) for row in grid], 0)).save(path)


if __name__ == "__main__":
    main()
