"""Parametrizations: what is optimized, and how it becomes a picture.

Each takes unbounded parameters to values in (0, 1), [images, channels, height, width]. The channels of a colour image
are optimized in a space where natural images have none of their correlations, so that one step changes all colours by
as much as they vary in the world (Olah et al., Feature Visualization, 2017, doi 10.23915/distill.00007).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

Shape = tuple[int, int, int]
"""(channels, height, width)"""

# Square root of the covariance of natural colours, as Lucid published it.
_COLOUR = torch.tensor([[0.5628, 0.1948, 0.0433], [0.5845, 0.0, -0.1082], [0.5845, -0.1948, 0.0649]])


@runtime_checkable
class Parametrization(Protocol):
    """Turns a list of parameters, each with the images of a batch along its first axis, into pictures."""

    learning_rate: ClassVar[float]
    betas: ClassVar[tuple[float, float]]

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        """Parameters of `copies` images that are optimized together; first axis `copies`, or 1 where they share."""
        ...

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        """The pictures: [images, channels, height, width], values in (0, 1)."""
        ...


def to_colours(decorrelated: Tensor) -> Tensor:
    """Pixels in (0, 1) from decorrelated, unbounded ones; other than 3 channels are taken as they are.

    Example:
        >>> to_colours(torch.zeros(1, 3, 2, 2)).unique()
        tensor([0.5000])
    """
    if decorrelated.shape[1] == 3:
        decorrelated = _mix(_COLOUR, decorrelated)
    return torch.sigmoid(decorrelated)


def from_colours(pixels: Tensor) -> Tensor:
    """Inverse of `to_colours`; pixels closer than 1/512 to 0 or 1 are moved there, since the inverse has no bound.

    Example:
        >>> from_colours(to_colours(torch.ones(1, 3, 2, 2))).allclose(torch.ones(1, 3, 2, 2))
        True
    """
    unbounded = torch.logit(pixels, eps=1 / 512)
    if pixels.shape[1] == 3:
        return _mix(torch.linalg.inv(_COLOUR), unbounded)
    return unbounded


def _mix(matrix: Tensor, image: Tensor) -> Tensor:
    """A matrix applied to the channels; as a matrix product, since a convolution would first rearrange the image."""
    count, channels, height, width = image.shape
    return torch.matmul(matrix.to(image), image.reshape(count, channels, height * width)).view(image.shape)


def frequencies(height: int, width: int) -> Tensor:
    """Spatial frequency of each entry of a real 2-D spectrum, cycles per pixel: [height, width // 2 + 1].

    Example:
        >>> frequencies(4, 4)[0]
        tensor([0.0000, 0.2500, 0.5000])
    """
    return torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :])


def _spectrum_scale(height: int, width: int, decay: float) -> Tensor:
    lowest = 1 / max(height, width)
    return math.sqrt(height * width) / frequencies(height, width).clamp(min=lowest) ** decay


@dataclass(frozen=True)
class Fourier:
    """The image's spectrum, scaled so that a step changes each frequency as much as nature does.

    Args:
        deviation: standard deviation of the first random spectrum; larger starts give more contrast at once.
        decay: exponent of 1/f; above 1 gives smoother, below 1 finer pictures.
        detail: share of the spectrum that is optimized, from the lowest frequency up; below 1 the finest
            frequencies stay empty and the picture is smooth.
    """

    deviation: float = 0.01
    decay: float = 1.0
    detail: float = 1.0
    learning_rate: ClassVar[float] = 0.07
    betas: ClassVar[tuple[float, float]] = (0.0, 0.9)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        channels, height, width = shape
        size = (copies, channels, height, width // 2 + 1, 2)
        return [torch.randn(size, generator=generator) * self.deviation]

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        return to_colours(self.plain(parameters[0], shape))

    def plain(self, spectrum: Tensor, shape: Shape) -> Tensor:
        """The picture before colours and bounds."""
        _, height, width = shape
        scale = _spectrum_scale(height, width, self.decay).to(spectrum)
        if self.detail < 1:
            scale = scale * (frequencies(height, width).to(spectrum) <= 0.5 * self.detail)
        # Lucid divides by 4 so that the first picture is a soft grey; irfft2 divides by height · width.
        return torch.fft.irfft2(torch.view_as_complex(spectrum) * (scale / 4), s=(height, width))

    def encode(self, pixels: Tensor) -> list[Tensor]:
        """The parameters whose picture this is (an image to start from), up to frequencies that `detail` leaves out."""
        height, width = pixels.shape[-2:]
        scale = _spectrum_scale(height, width, self.decay) / 4
        return [torch.view_as_real(torch.fft.rfft2(from_colours(pixels)) / scale).contiguous()]


@dataclass(frozen=True)
class Pixel:
    """The pixels themselves: high frequencies win, and pictures are noisy. For comparison."""

    deviation: float = 0.01
    learning_rate: ClassVar[float] = 0.07
    betas: ClassVar[tuple[float, float]] = (0.0, 0.9)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        return [torch.randn((copies, *shape), generator=generator) * self.deviation]

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        return to_colours(parameters[0])

    def encode(self, pixels: Tensor) -> list[Tensor]:
        """The parameters whose picture this is."""
        return [from_colours(pixels)]


@dataclass(frozen=True)
class Laplacian:
    """A sum of images of falling size, each enlarged to the whole: coarse structure moves as fast as fine."""

    levels: int = 4
    deviation: float = 0.01
    learning_rate: ClassVar[float] = 0.07
    betas: ClassVar[tuple[float, float]] = (0.0, 0.9)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        channels, height, width = shape
        sizes = [(max(1, height >> level), max(1, width >> level)) for level in range(self.levels)]
        return [torch.randn((copies, channels, *size), generator=generator) * self.deviation for size in sizes]

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        return to_colours(self.plain(parameters, shape))

    def plain(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        """The picture before colours and bounds."""
        return torch.stack([_enlarge(level, shape) for level in parameters]).sum(0)


def _enlarge(image: Tensor, shape: Shape) -> Tensor:
    return F.interpolate(image, shape[1:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class CPPN:
    """A small network from coordinates to colours: smooth at any size (compositional pattern-producing network).

    Coordinates run to ±√3 (unit variance); activations are [atan(x)/0.67, atan(x)²/0.6]; the last layer starts at zero.
    """

    layers: int = 8
    width: int = 24
    learning_rate: ClassVar[float] = 0.005
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        parameters, inputs = [], 2
        for _ in range(self.layers):
            parameters.append(torch.randn((copies, self.width, inputs), generator=generator) / math.sqrt(inputs))
            parameters.append(torch.zeros(copies, self.width, 1))
            inputs = 2 * self.width
        parameters += [torch.zeros(copies, shape[0], inputs), torch.zeros(copies, shape[0], 1)]
        return parameters

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        _, height, width = shape
        side = math.sqrt(3)
        rows = torch.linspace(-side, side, height).to(parameters[0])
        columns = torch.linspace(-side, side, width).to(parameters[0])
        values = torch.stack(torch.meshgrid(columns, rows, indexing="xy")).flatten(1)
        values = values.expand(len(parameters[0]), -1, -1)
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            angle = torch.atan(torch.baddbmm(bias, weight, values))
            values = torch.cat([angle / 0.67, angle.square() / 0.6], 1)
        return torch.sigmoid(torch.baddbmm(parameters[-1], parameters[-2], values)).unflatten(2, (height, width))


# Amplitude of the spectrum of natural photos in the decorrelated, unbounded colours of `to_colours`, as a / f^b for
# f in cycles per pixel and an orthonormal transform; fitted by `benchmarks/natural_spectrum.py`.
_NATURAL_SPECTRUM = ((0.148, 1.238), (0.188, 1.021), (0.263, 0.969))


@dataclass(frozen=True)
class MagnitudeConstrained:
    """Only the phase of the spectrum is optimized; its magnitude is that of natural photos (MACO, arXiv 2306.06805).

    Meant for `optimizer="nadam"` and several crops at each step: `render_magnitude_constrained`.

    Args:
        contrast: standard deviation of the picture before colours, at any size; photos have 1.3 to 1.8 of it.
    """

    contrast: float = 1.0
    learning_rate: ClassVar[float] = 0.3
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        channels, height, width = shape
        size = (copies, channels, height, width // 2 + 1)
        return [(torch.rand(size, generator=generator) * 2 - 1) * math.pi]

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        channels, height, width = shape
        phase = parameters[0]
        frequency = frequencies(height, width).clamp(min=1 / max(height, width))
        fits = _NATURAL_SPECTRUM if channels == 3 else (_NATURAL_SPECTRUM[0],) * channels
        magnitude = torch.stack([amplitude / frequency**decay for amplitude, decay in fits]).to(phase)
        magnitude[:, 0, 0] = 0  # mid-grey on average
        twice = torch.full((width // 2 + 1,), 2.0)  # but for the columns that a real picture's spectrum holds once
        twice[[0, -1] if width % 2 == 0 else [0]] = 1
        deviation = ((magnitude.square() * twice.to(phase)).sum() / (channels * height * width)).sqrt()
        magnitude = magnitude * (self.contrast / deviation)
        return to_colours(torch.fft.irfft2(torch.polar(magnitude, phase), s=(height, width), norm="ortho"))


@dataclass(frozen=True)
class Alpha:
    """A picture with a fourth channel that says where it is opaque; the rest is shown on changing backgrounds.

    What the target does not need costs nothing to leave transparent, so pictures become single objects.

    Args:
        colour: how the colours are parametrized.
        start_at: opacity at the start, in (0, 1).
    """

    colour: Fourier = field(default_factory=Fourier)
    start_at: float = 0.5
    learning_rate: ClassVar[float] = 0.07
    betas: ClassVar[tuple[float, float]] = (0.0, 0.9)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        _, height, width = shape
        return [
            *self.colour.start(shape, copies, generator),
            *self.colour.start((1, height, width), copies, generator),
        ]

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        _, height, width = shape
        *colour, opacity = parameters
        plain = self.colour.plain(opacity, (1, height, width)) + math.log(self.start_at / (1 - self.start_at))
        return torch.cat([self.colour.decode(colour, shape), torch.sigmoid(plain)], 1)


@dataclass(frozen=True)
class Shared:
    """Images of one job that share their coarse structure, so that they stay aligned (interpolations, animations).

    Args:
        own: parametrization of what each image has to itself.
        factors: for each shared part, how many times smaller than the picture it is.
    """

    own: Fourier = field(default_factory=Fourier)
    factors: tuple[int, ...] = (4, 8)
    learning_rate: ClassVar[float] = 0.07
    betas: ClassVar[tuple[float, float]] = (0.0, 0.9)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        parameters = self.own.start(shape, copies, generator)
        for factor in self.factors:
            parameters += self.own.start(self._smaller(shape, factor), 1, generator)
        return parameters

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        own, *shared = parameters
        plain = self.own.plain(own, shape)
        for factor, part in zip(self.factors, shared, strict=True):
            coarse = _enlarge(self.own.plain(part, self._smaller(shape, factor)), shape)
            plain = plain + coarse.repeat_interleave(len(own) // len(part), 0)
        return to_colours(plain)

    @staticmethod
    def _smaller(shape: Shape, factor: int) -> Shape:
        return shape[0], max(2, shape[1] // factor), max(2, shape[2] // factor)


def encode_image(parametrization: Parametrization, pixels: Tensor) -> list[Tensor]:
    """Parameters whose picture is `pixels`, [images, channels, height, width] in [0, 1].

    Raises:
        InputError: this parametrization has no inverse.

    Example:
        >>> encode_image(Pixel(), image[None])[0].shape
        torch.Size([1, 3, 32, 32])
    """
    encode: Any = getattr(parametrization, "encode", None)
    if encode is None:
        raise InputError(f"{type(parametrization).__name__} cannot start from an image; Fourier and Pixel can.")
    return encode(pixels)
