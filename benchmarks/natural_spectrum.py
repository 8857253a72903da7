"""The amplitude spectrum of natural photos that `MagnitudeConstrained` uses, fitted as a / f^b for each colour channel.

python benchmarks/natural_spectrum.py --photos ../shared/data/images/imagenet_1000.tar
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from self_identification import photos

from pellucid.features.images import frequencies, from_colours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    images = photos(options.photos, options.count, (options.size, options.size))
    # Photos have hard edges at their borders, which would add a cross to the spectrum; a Hann window takes it away.
    window = torch.hann_window(options.size, periodic=False)
    window = window[:, None] * window
    total = torch.zeros(3, options.size, options.size // 2 + 1)
    for image in images:
        plain = from_colours(image[None])[0]
        plain = (plain - plain.mean((1, 2), keepdim=True)) * window / window.square().mean().sqrt()
        total += torch.fft.rfft2(plain, norm="ortho").abs()
    amplitude = (total / len(images)).numpy()
    frequency = frequencies(options.size, options.size).numpy()
    inside = (frequency > 2 / options.size) & (frequency < 0.5)
    for name, values in zip(("light", "blue–yellow", "green–red"), amplitude, strict=True):
        slope, intercept = np.polyfit(np.log(frequency[inside]), np.log(values[inside]), 1)
        residual = np.std(np.log(values[inside]) - slope * np.log(frequency[inside]) - intercept)
        print(f"{name:12s} ({np.exp(intercept):.4f}, {-slope:.3f})   residual of the logarithm {residual:.2f}")


if __name__ == "__main__":
    main()
