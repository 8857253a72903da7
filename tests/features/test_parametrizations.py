"""Parametrizations against their formulas written in numpy, and against their own inverses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from pellucid.errors import InputError
from pellucid.features import images
from pellucid.features.images import (
    CPPN,
    Alpha,
    Fourier,
    Laplacian,
    MagnitudeConstrained,
    Parametrization,
    Pixel,
    Shared,
    encode_image,
    from_colours,
    to_colours,
)

COLOUR = np.array([[0.5628, 0.1948, 0.0433], [0.5845, 0, -0.1082], [0.5845, -0.1948, 0.0649]])
SHAPES = [(3, 32, 32), (3, 17, 24), (1, 24, 17), (5, 9, 13), (3, 8, 31)]
EVERY = [Fourier(), Pixel(), Laplacian(), CPPN(), MagnitudeConstrained(), Alpha(), Shared()]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def colours(plain: np.ndarray) -> np.ndarray:
    if plain.shape[1] == 3:
        plain = np.einsum("dc,nchw->ndhw", COLOUR, plain)
    return sigmoid(plain)


def natural_scale(height: int, width: int, decay: float = 1.0) -> np.ndarray:
    frequency = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None] ** 2)
    return np.sqrt(width * height) / np.maximum(frequency, 1 / max(width, height)) ** decay


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("decay", [1.0, 1.5])
def test_fourier_is_the_scaled_inverse_transform(shape, decay):
    fourier = Fourier(deviation=0.05, decay=decay)
    (spectrum,) = fourier.start(shape, 2, generator())
    values = spectrum.numpy().astype(np.float64)
    scaled = (values[..., 0] + 1j * values[..., 1]) * natural_scale(*shape[1:], decay)
    expected = colours(np.fft.irfft2(scaled, s=shape[1:]) / 4)
    np.testing.assert_allclose(fourier.decode([spectrum], shape).numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 33, 50)])
def test_fourier_starts_as_soft_grey_of_the_stated_deviation(shape):
    (spectrum,) = Fourier().start(shape, 4, generator())
    assert spectrum.shape == (4, *shape[:2], shape[2] // 2 + 1, 2)
    assert spectrum.std().item() == pytest.approx(0.01, rel=0.05)
    assert spectrum.mean().abs().item() < 1e-3
    picture = Fourier().decode([spectrum], shape)
    assert (picture - 0.5).abs().mean().item() < 0.1


def test_fourier_detail_leaves_the_finest_frequencies_empty():
    shape = (1, 32, 48)
    (spectrum,) = Fourier().start(shape, 1, generator())
    plain = Fourier(detail=0.5).plain(spectrum, shape)
    found = np.abs(np.fft.rfft2(plain.numpy()[0, 0]))
    frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.rfftfreq(48)[None])
    assert found[frequency > 0.25].max() < 1e-5
    assert found[(frequency <= 0.25) & (frequency > 0)].min() > 1e-4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parametrization", [Fourier(), Fourier(decay=0.5), Pixel()])
def test_a_picture_comes_back_from_its_parameters(shape, parametrization):
    picture = torch.rand((2, *shape), generator=generator()) * 0.9 + 0.05
    parameters = encode_image(parametrization, picture)
    assert all(part.shape[0] == 2 for part in parameters)
    back = parametrization.decode(parameters, shape)
    torch.testing.assert_close(back, picture, atol=2e-5, rtol=0)


@given(height=st.integers(2, 40), width=st.integers(2, 40), channels=st.sampled_from([1, 3, 5]))
@settings(max_examples=40, deadline=None)
def test_round_trip_at_any_size(height, width, channels):
    picture = torch.rand((1, channels, height, width), generator=generator(height * 41 + width)) * 0.9 + 0.05
    back = Fourier().decode(Fourier().encode(picture), (channels, height, width))
    torch.testing.assert_close(back, picture, atol=5e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_encoded_parameters_have_the_shape_of_started_ones(shape):
    for parametrization in (Fourier(), Pixel()):
        started = parametrization.start(shape, 2, generator())
        encoded = encode_image(parametrization, torch.rand(2, *shape))
        assert [part.shape for part in encoded] == [part.shape for part in started]


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_colours_are_invertible(channels):
    plain = torch.randn((2, channels, 6, 7), generator=generator())
    torch.testing.assert_close(from_colours(to_colours(plain)), plain, atol=1e-4, rtol=0)


def test_colours_match_the_published_matrix():
    plain = torch.randn((2, 3, 4, 5), generator=generator())
    np.testing.assert_allclose(to_colours(plain).numpy(), colours(plain.numpy()), atol=1e-6)


def test_black_and_white_are_moved_inwards_and_stay_finite():
    picture = torch.zeros(1, 3, 4, 4)
    picture[:, :, 2:] = 1
    back = to_colours(from_colours(picture))
    assert torch.isfinite(from_colours(picture)).all()
    torch.testing.assert_close(back, picture.clamp(1 / 512, 1 - 1 / 512), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(3, 32, 24), (1, 17, 9), (5, 16, 16)])
def test_laplacian_is_a_sum_of_enlarged_levels(shape):
    parameters = Laplacian(deviation=0.3).start(shape, 2, generator())
    assert [tuple(level.shape[2:]) for level in parameters] == [
        (max(1, shape[1] >> level), max(1, shape[2] >> level)) for level in range(4)
    ]
    expected = sum(_bilinear(level.numpy(), shape[1:]) for level in parameters)
    np.testing.assert_allclose(Laplacian().decode(parameters, shape).numpy(), colours(expected), atol=1e-5)


def _bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    for axis, length in ((2, size[0]), (3, size[1])):
        before = image.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * before / length - 0.5, 0, before - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, before - 1)
        share = (place - low).reshape([-1 if i == axis else 1 for i in range(4)])
        image = np.take(image, low, axis) * (1 - share) + np.take(image, high, axis) * share
    return image


@pytest.mark.parametrize("shape", [(3, 12, 20), (1, 7, 7), (5, 9, 4)])
def test_cppn_starts_grey_and_is_the_stated_network(shape):
    cppn = CPPN(layers=3, width=6)
    parameters = cppn.start(shape, 2, generator())
    torch.testing.assert_close(cppn.decode(parameters, shape), torch.full((2, *shape), 0.5))

    parameters = [torch.randn(part.shape, generator=generator(1)) * 0.5 for part in parameters]
    rows = np.linspace(-math.sqrt(3), math.sqrt(3), shape[1])
    columns = np.linspace(-math.sqrt(3), math.sqrt(3), shape[2])
    for image in range(2):
        at = np.stack([np.tile(columns, shape[1]), np.repeat(rows, shape[2])])
        weights = [part[image].double().numpy() for part in parameters]
        for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            angle = np.arctan(weight @ at + bias)
            at = np.concatenate([angle / 0.67, angle**2 / 0.6])
        expected = sigmoid(weights[-2] @ at + weights[-1]).reshape(shape)
        np.testing.assert_allclose(cppn.decode(parameters, shape)[image].numpy(), expected, atol=1e-5)


def test_cppn_has_the_stated_size():
    parameters = CPPN().start((3, 8, 8), 1, generator())
    assert len(parameters) == 2 * (8 + 1)
    assert [part.shape[1] for part in parameters[:-2:2]] == [24] * 8
    assert not parameters[-2].any()
    assert not parameters[-1].any()


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 15, 22), (1, 16, 20)])
def test_magnitude_is_fixed_whatever_the_phase(shape):
    maco = MagnitudeConstrained()
    spectra = []
    for seed in range(2):
        (phase,) = maco.start(shape, 1, generator(seed))
        assert phase.shape == (1, shape[0], shape[1], shape[2] // 2 + 1)
        assert phase.abs().max() <= math.pi
        spectra.append(torch.fft.rfft2(from_colours(maco.decode([phase], shape)), norm="ortho").abs())
    # On the axes that a real picture's spectrum mirrors (column 0, and the last of an even width), free phases cannot
    # all be kept; everywhere else the magnitude is exact.
    inside = slice(1, (shape[2] + 1) // 2)
    torch.testing.assert_close(spectra[0][..., inside], spectra[1][..., inside], rtol=2e-3, atol=1e-4)


def test_magnitude_falls_with_frequency_and_has_no_mean():
    shape = (3, 32, 32)
    picture = MagnitudeConstrained().decode(MagnitudeConstrained().start(shape, 3, generator()), shape)
    plain = from_colours(picture)
    assert plain.mean((2, 3)).abs().max() < 1e-4
    magnitude = torch.fft.rfft2(plain, norm="ortho").abs().mean((0, 1))
    assert magnitude[0, 1] > magnitude[0, 4] > magnitude[0, 12]


@pytest.mark.parametrize("side", [32, 96, 225, 448])
@pytest.mark.parametrize("contrast", [0.5, 1.0])
def test_contrast_is_the_same_at_any_size(side, contrast):
    maco, shape = MagnitudeConstrained(contrast), (3, side, side + side % 3)
    plain = from_colours(maco.decode(maco.start(shape, 8, generator()), shape))
    # What phases by chance lose on the axes of the spectrum is most at small sizes.
    assert 0.85 * contrast < plain.square().mean().sqrt().item() < 1.02 * contrast


@pytest.mark.parametrize("colour_channels", [1, 3])
def test_alpha_adds_a_channel_of_opacity(colour_channels):
    shape = (colour_channels, 20, 31)
    alpha = Alpha(start_at=0.25)
    parameters = alpha.start(shape, 3, generator())
    picture = alpha.decode(parameters, shape)
    assert picture.shape == (3, colour_channels + 1, 20, 31)
    assert picture[:, -1].mean().item() == pytest.approx(0.25, abs=0.05)
    torch.testing.assert_close(picture[:, :-1], Fourier().decode(parameters[:1], shape))
    flat = [parameters[0], torch.zeros_like(parameters[1])]
    torch.testing.assert_close(alpha.decode(flat, shape)[:, -1], torch.full((3, 20, 31), 0.25))


def test_shared_copies_have_their_coarse_structure_in_common():
    shape = (3, 32, 48)
    shared = Shared(own=Fourier(deviation=0.05))
    parameters = shared.start(shape, 3, generator())
    assert [len(part) for part in parameters] == [3, 1, 1]
    alone = [torch.zeros_like(parameters[0]), *parameters[1:]]
    picture = shared.decode(alone, shape)
    torch.testing.assert_close(picture, picture[:1].expand_as(picture))
    assert picture.std() > 1e-3  # and there is something that they share
    moved = [parameters[0], parameters[1] + 0.01, parameters[2]]
    change = from_colours(shared.decode(moved, shape)) - from_colours(shared.decode(parameters, shape))
    torch.testing.assert_close(change, change[:1].expand_as(change), atol=1e-3, rtol=0)


def test_shared_parts_of_two_jobs_stay_apart():
    shape = (3, 16, 16)
    shared = Shared()
    first, second = shared.start(shape, 2, generator(0)), shared.start(shape, 2, generator(1))
    joined = [torch.cat(parts) for parts in zip(first, second, strict=True)]
    both = torch.cat([shared.decode(first, shape), shared.decode(second, shape)])
    torch.testing.assert_close(shared.decode(joined, shape), both)


@pytest.mark.parametrize("parametrization", EVERY, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 13, 22), (5, 10, 7)])
def test_every_parametrization(parametrization, shape):
    assert isinstance(parametrization, Parametrization)
    parameters = [part.requires_grad_() for part in parametrization.start(shape, 2, generator())]
    picture = parametrization.decode(parameters, shape)
    extra = 1 if isinstance(parametrization, Alpha) else 0
    assert picture.shape == (2, shape[0] + extra, *shape[1:])
    assert picture.min() > 0
    assert picture.max() < 1
    gradients = torch.autograd.grad((picture * torch.rand(picture.shape)).sum(), parameters)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert gradients[0].any() or isinstance(parametrization, CPPN)
    same = parametrization.start(shape, 2, generator())
    other = parametrization.start(shape, 2, generator(1))
    assert all(torch.equal(a, b) for a, b in zip(parameters, same, strict=True))
    assert not torch.equal(parameters[0], other[0])


@pytest.mark.parametrize("parametrization", [Laplacian(), CPPN(), MagnitudeConstrained(), Alpha(), Shared()])
def test_what_has_no_inverse_says_so(parametrization):
    with pytest.raises(InputError, match=rf"{type(parametrization).__name__} cannot start from an image; Fourier"):
        images.encode_image(parametrization, torch.rand(1, 3, 8, 8))


def test_settings_are_values():
    assert Fourier(detail=0.5) == Fourier(detail=0.5)
    assert hash(Alpha()) == hash(Alpha())
    assert repr(Shared(factors=(2,))) == "Shared(own=Fourier(deviation=0.01, decay=1.0, detail=1.0), factors=(2,))"
