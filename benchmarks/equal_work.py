"""Time of one optimization step, side by side with torch-lucent: same network, image size, transforms and optimizer.

    python benchmarks/equal_work.py                         # InceptionV1 with the released weights, or random ones
    python benchmarks/equal_work.py --model torchvision:googlenet

Runs of the peer and of Pellucid alternate; each figure is the median over all steps of all rounds, per image, with the
quartiles. torch-lucent takes one channel at a time ("alone") or a batch made by hand.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import _peer
import numpy as np
import torch
from torch import Tensor, nn

import pellucid
from pellucid.features._optimize import Job, Settings, optimize
from pellucid.features.objectives import channel
from pellucid.record import slice_network

_LAYERS = {
    "inception_v1": ["mixed3a", "mixed4a", "mixed4d", "mixed5b"],
    "torchvision:googlenet": ["inception3a", "inception4a", "inception4d", "inception5b"],
}
_WARM_UP = 3


class Preprocessed(nn.Module):
    """A network that takes images in [0, 1], as torch-lucent hands them over."""

    def __init__(self, model: pellucid.Model) -> None:
        super().__init__()
        self.net, self.model = model.module, [model]

    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.model[0].preprocess(images))


def load(name: str) -> pellucid.Model:
    if name == "inception_v1":
        try:
            return pellucid.load(name, download=False)
        except pellucid.WeightsError:
            from pellucid.models import InceptionV1

            torch.manual_seed(0)
            return pellucid.wrap(InceptionV1().eval(), mean=117 / 255, std=1 / 255, name=name)
    return pellucid.load(name, weights=None, init_weights=False)


def timed(run: Callable[[Callable[[], None]], object], images: int) -> list[float]:
    """Milliseconds per image of each step but the first few."""
    marks: list[float] = []
    run(lambda: marks.append(time.perf_counter()))
    return [1000 * (b - a) / images for a, b in zip(marks[_WARM_UP:-1], marks[_WARM_UP + 1 :], strict=True)]


def _cases(
    model: pellucid.Model, module: Preprocessed, layer: str, chosen: list[int], options: argparse.Namespace
) -> dict[str, Callable[[], list[float]]]:
    """Each measurement of one layer, by its title."""

    def ours(channels: list[int], precision: str) -> list[float]:
        # The transforms as they are: Lucid's, composed. Setting up (tracing, copying weights) is not in the steps.
        settings = Settings(size=(options.size,) * 2, steps=options.steps, precision=precision)  # type: ignore[arg-type]
        network = slice_network(model, [layer], size=settings.size, dtype=getattr(torch, precision))
        jobs = [Job(channel(layer, index), 1, str(index)) for index in channels]
        narrow = network.narrowed({layer: channels})
        return timed(lambda mark: optimize(model, narrow, [layer], jobs, settings, lambda _: mark()), len(jobs))

    def lucent(channels: list[int]) -> list[float]:
        return timed(
            lambda mark: _peer.lucent_steps(
                module, f"net.{layer}", channels, size=options.size, steps=options.steps, on_step=mark
            ),
            len(channels),
        )

    return {
        "torch-lucent, alone": lambda: lucent(chosen[:1]),
        f"torch-lucent, batch of {options.batch} by hand": lambda: lucent(chosen),
        "pellucid float32, alone": lambda: ours(chosen[:1], "float32"),
        f"pellucid float32, batch of {options.batch}": lambda: ours(chosen, "float32"),
        "pellucid bfloat16, alone": lambda: ours(chosen[:1], "bfloat16"),
        f"pellucid bfloat16, batch of {options.batch}": lambda: ours(chosen, "bfloat16"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="inception_v1", choices=sorted(_LAYERS))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    _peer.install()
    model = load(options.model)
    module = Preprocessed(model)
    random = np.random.default_rng(0)
    results: dict[str, dict[str, list[float]]] = {}
    for layer in _LAYERS[options.model]:
        chosen = sorted(random.choice(model.layers[layer].channels, options.batch, replace=False).tolist())

        cases = _cases(model, module, layer, chosen, options)
        collected: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(options.rounds):
            for case, run in cases.items():
                collected[case] += run()
        results[layer] = collected
        base = statistics.median(collected["torch-lucent, alone"])
        print(f"\n{layer} of {options.model}, {options.size} px: ms per image and step")
        for case, times in collected.items():
            low, middle, high = statistics.quantiles(times, n=4)
            print(f"  {case:34s} {middle:7.1f}  ({low:.1f} … {high:.1f})   {base / middle:5.2f} ×")
    if options.json:
        options.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
