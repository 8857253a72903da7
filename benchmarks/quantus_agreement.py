"""Pellucid's measures beside those of Quantus, on the same inputs: what they give, and how long they take.

    pip install quantus --constraint constraints.txt
    PELLUCID_DATA=../shared/data OMP_NUM_THREADS=1 python benchmarks/quantus_agreement.py

Where both define the same number they are compared to the last digits, for every method of attribution; _quantus.py
says how. Quantus randomizes weights otherwise than Pellucid does; there the correlation over methods and photos counts.
Printed are the median (largest) relative difference, and the median of the processor's seconds for one map. The photos
are drawn as in methods_compared.py.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import quantus
import torch
from _quantus import Both, curves, each_position, noise, random_sets, randomization
from methods_compared import ARCHIVES, photos
from torch import Tensor

import pellucid
from pellucid.attribution import Method
from pellucid.models import Model
from pellucid.models._view import view
from pellucid.record import Tail
from pellucid.trust import correlation


def compare(model: Model, image: Tensor, layer: str, randomized: bool) -> Iterator[tuple[str, Both]]:
    """Every measure for every method, on one image."""
    tail = Tail(model, image, layer=layer)
    label = int(tail.outputs["logits"].argmax())
    method: Method
    for method in get_args(Method):

        def map_of(seen: Tensor, network: Model = model, method: Method = method) -> np.ndarray:
            found = pellucid.attribute(network, seen, layer=layer, target=label, method=method, steps=8)
            return found.positions()

        values = map_of(image)
        yield from curves(model, image, tail, values, label, 1).items()
        yield "each position, FaithfulnessEstimate", each_position(model, image, tail, values, label)
        size = round(0.3 * values.size)
        yield "30% of positions, FaithfulnessCorrelation", random_sets(tail, values, label, size, 100)
        yield "largest change under noise, MaxSensitivity", noise(model, image, map_of, 4)
        if randomized and method != "removal":
            yield "randomized weights, MPRT", randomization(model, image, lambda network: map_of(image, network))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(ARCHIVES), default="tiny_inception")
    parser.add_argument("--layer", default="mixed4d")
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--randomized", type=int, default=3, help="photos for randomized weights")
    options = parser.parse_args()
    model = pellucid.load(options.model, download=False)
    archive = Path(os.environ["PELLUCID_DATA"]) / "images" / ARCHIVES[options.model]
    found: dict[str, list[Both]] = {}
    for number, (_, photo) in enumerate(photos(archive, 20, options.photos)):
        for name, both in compare(model, view(model, photo).image, options.layer, number < options.randomized):
            found.setdefault(name, []).append(both)
    print(f"{model.name}, {options.layer}, {options.photos} photos; quantus {quantus.__version__}\n")
    print("| measure | maps | relative difference | correlation | seconds, Pellucid | Quantus |\n|" + " --- |" * 6)
    for name, pairs in found.items():
        apart = [np.abs(p.ours - p.theirs).max() / max(np.abs(p.ours).max(), 1e-12) for p in pairs]
        alike = correlation(np.concatenate([p.ours for p in pairs]), np.concatenate([p.theirs for p in pairs]))
        seconds = np.median([p.seconds for p in pairs], 0)
        print(
            f"| {name} | {len(pairs)} | {np.median(apart):.1e} ({max(apart):.1e}) | {alike:.6f} | "
            f"{seconds[0]:.2f} | {seconds[1]:.2f} |"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
