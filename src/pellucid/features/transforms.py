"""Small random changes of the picture at every step; what survives them is what the network robustly responds to.

All geometric ones in a row are composed into a single sampling of the picture: one interpolation instead of one for
each, sharper and several times cheaper. Every image draws from a random generator of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]


@dataclass(frozen=True)
class Pad:
    """Grey around the picture.

    Args:
        pixels: added on each side, px.
    """

    pixels: int


@dataclass(frozen=True)
class Jitter:
    """A random crop, `pixels` smaller than the picture: a shift by up to that much."""

    pixels: int


@dataclass(frozen=True)
class Scale:
    """A random magnification, drawn from `factors`."""

    factors: tuple[float, ...]


@dataclass(frozen=True)
class Rotate:
    """A random rotation about the centre, drawn from `degrees`."""

    degrees: tuple[float, ...]


@dataclass(frozen=True)
class Flip:
    """A mirror image, in half of the draws."""


@dataclass(frozen=True)
class RandomCrop:
    """A square crop at a random place, enlarged to the picture's size.

    Args:
        mean, deviation: of the crop's side, as a share of the picture's; kept within 0.05 and 1.
    """

    mean: float = 0.25
    deviation: float = 0.1


@dataclass(frozen=True)
class Window:
    """The centre of the picture, as large as the picture that is being optimized (or `size`), whatever came before."""

    size: Size | None = None


@dataclass(frozen=True)
class Noise:
    """Gaussian noise on the pixels.

    Args:
        deviation: in units of the pixel range 0 to 1.
    """

    deviation: float


Transform = Pad | Jitter | Scale | Rotate | Flip | RandomCrop | Window | Noise

GREY = 0.5
"""What lies around the picture."""


def standard() -> tuple[Transform, ...]:
    """Lucid's transforms: pad 12, jitter 8, scale 0.90 to 1.10, rotate ±10° (often not at all), jitter 4.

    Example:
        >>> standard()[:2]
        (Pad(pixels=12), Jitter(pixels=8))
    """
    return (
        Pad(12),
        Jitter(8),
        Scale(tuple(1 + (step - 5) / 50 for step in range(11))),
        Rotate((*range(-10, 11), 0, 0, 0, 0, 0)),
        Jitter(4),
    )


def crops() -> tuple[Transform, ...]:
    """The transforms of magnitude-constrained rendering: crops of about half the side, noise of 0.1.

    Example:
        >>> crops()[0]
        RandomCrop(mean=0.5, deviation=0.1)
    """
    return (RandomCrop(0.5, 0.1), Noise(0.1))


def apply_transforms(images: Tensor, transforms: Sequence[Transform], generators: Sequence[torch.Generator]) -> Tensor:
    """The images after one random draw of each transform.

    Args:
        images: [n, channels, height, width] in [0, 1].
        transforms: in the order in which they act.
        generators: one for each image.

    Example:
        >>> apply_transforms(image[None], [Pad(4), Jitter(8)], [torch.Generator().manual_seed(0)]).shape
        torch.Size([1, 3, 32, 32])
    """
    original = (images.shape[2], images.shape[3])
    size: tuple[float, float] = original
    matrix: Tensor | None = None
    for transform in transforms:
        if isinstance(transform, Noise):
            images = _sample(images, matrix, size)
            noise = [torch.randn(images.shape[1:], generator=generator) for generator in generators]
            images = images + transform.deviation * torch.stack(noise).to(images)
            size, matrix = (images.shape[2], images.shape[3]), None
            continue
        step, size = _affine(transform, size, original, generators)
        matrix = step if matrix is None else matrix @ step
    return _sample(images, matrix, size)


def _affine(
    transform: Transform, size: tuple[float, float], original: Size, generators: Sequence[torch.Generator]
) -> tuple[Tensor, tuple[float, float]]:
    """The map from a pixel after the transform to one before it, about the centre; and the size after it."""
    height, width = size
    count = len(generators)
    matrix = torch.eye(3).repeat(count, 1, 1)
    match transform:
        case Pad(pixels):
            size = (height + 2 * pixels, width + 2 * pixels)
        case Jitter(pixels):
            draws = torch.stack([torch.randint(0, pixels + 1, (2,), generator=g) for g in generators])
            matrix[:, :2, 2] = draws - pixels / 2
            size = (height - pixels, width - pixels)
        case Scale(factors):
            chosen = torch.tensor(factors)[[int(torch.randint(len(factors), (), generator=g)) for g in generators]]
            matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / chosen
        case Rotate(degrees):
            chosen = torch.tensor(
                [float(degrees[int(torch.randint(len(degrees), (), generator=g))]) for g in generators]
            )
            angle = torch.deg2rad(chosen)
            matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle)
            matrix[:, 0, 1], matrix[:, 1, 0] = -torch.sin(angle), torch.sin(angle)
        case Flip():
            matrix[:, 0, 0] = torch.tensor([1.0 if torch.rand((), generator=g) < 0.5 else -1.0 for g in generators])
        case RandomCrop(mean, deviation):
            side = torch.stack([torch.randn((), generator=g) for g in generators]) * deviation + mean
            side = side.clamp(0.05, 1.0)
            place = torch.stack([torch.rand(2, generator=g) - 0.5 for g in generators])
            matrix[:, 0, 0] = matrix[:, 1, 1] = side
            matrix[:, :2, 2] = place * (1 - side)[:, None] * torch.tensor([width, height])
        case Window(wanted):
            size = wanted or original
    return matrix, size


def _sample(images: Tensor, matrix: Tensor | None, size: tuple[float, float]) -> Tensor:
    if matrix is None:
        return images
    count, channels, height, width = images.shape
    rows, columns = math.floor(size[0]), math.floor(size[1])
    # From pixels about the centre to the −1…1 of `grid_sample`, on both sides.
    inner = torch.tensor([2 / width, 2 / height])
    outer = torch.tensor([columns / 2, rows / 2, 1.0])
    theta = (matrix[:, :2] * inner[:, None] * outer).to(images)
    grid = F.affine_grid(theta, [count, channels, rows, columns], align_corners=False)
    # Outside is zero for `grid_sample`, so that is where grey has to be.
    return F.grid_sample(images - GREY, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + GREY
