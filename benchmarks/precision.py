"""Is bfloat16 good enough? Its gradients beside float32's, and the strength of what comes out, on trained weights.

    python benchmarks/precision.py --steps 128

For four layers of InceptionV1: the cosine between the two gradients of the picture's spectrum, at a grey start and on a
half-finished picture; and the mean strength (see time_to_quality.py) of renderings made in each precision.
"""

import argparse
import statistics

import numpy as np
import torch
from time_to_quality import strengths

import pellucid
from pellucid.features.images import Fourier
from pellucid.record import slice_network

_LAYERS = ["mixed3a", "mixed4a", "mixed4d", "mixed5b"]


def gradients(model: pellucid.Model, layer: str, channels: list[int], spectra: torch.Tensor, dtype: torch.dtype):
    """The gradient of each channel's mean for its own spectrum, flat."""
    size = model.size
    network = slice_network(model, [layer], size=size, dtype=dtype)
    leaf = spectra.clone().requires_grad_()
    grid = network(Fourier().decode([leaf], (3, *size)))[layer].float()
    sum(grid[n, index].mean() for n, index in enumerate(channels)).backward()  # type: ignore[union-attr]
    assert leaf.grad is not None
    return leaf.grad.flatten(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = pellucid.load("inception_v1")
    random = np.random.default_rng(options.seed)
    for layer in _LAYERS:
        channels = sorted(random.choice(model.layers[layer].channels, options.channels, replace=False).tolist())
        goals = [f"{layer}:{index}" for index in channels]
        made = {
            precision: torch.from_numpy(
                pellucid.render(model, goals, steps=options.steps, precision=precision, seed=options.seed).images
            ).permute(0, 3, 1, 2)
            for precision in ("float32", "bfloat16")
        }
        cosines = []
        grey = Fourier().start((3, *model.size), len(channels), torch.Generator().manual_seed(0))[0]
        for spectra in (grey, Fourier().encode(made["float32"])[0]):
            exact, rough = (gradients(model, layer, channels, spectra, d) for d in (torch.float32, torch.bfloat16))
            cosines.append(torch.nn.functional.cosine_similarity(exact, rough).median().item())
        strong = {key: strengths(model, layer, channels, images) for key, images in made.items()}
        ratio = statistics.median(a / b for a, b in zip(strong["bfloat16"], strong["float32"], strict=True))
        print(
            f"{layer}: cosine {cosines[0]:.3f} at a grey start, {cosines[1]:.3f} on a picture; strength "
            f"{statistics.fmean(strong['float32']):.1f} in float32, "
            f"{statistics.fmean(strong['bfloat16']):.1f} in bfloat16, median ratio {ratio:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
