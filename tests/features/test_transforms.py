"""Transforms, composed into one sampling, against each of them done alone and in another way."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from pellucid.features.transforms import (
    Flip,
    Jitter,
    Noise,
    Pad,
    RandomCrop,
    Rotate,
    Scale,
    Window,
    apply_transforms,
    crops,
    standard,
)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def picture(count: int = 2, channels: int = 3, height: int = 20, width: int = 26) -> torch.Tensor:
    return torch.rand((count, channels, height, width), generator=torch.Generator().manual_seed(9))


def close(first, second, atol=5e-6):
    torch.testing.assert_close(first, second, atol=atol, rtol=0)


@given(pixels=st.integers(0, 7), seed=st.integers(0, 1000), height=st.integers(9, 30), width=st.integers(9, 30))
@settings(max_examples=40, deadline=None)
def test_jitter_is_an_exact_crop(pixels, seed, height, width):
    images = picture(1, 3, height, width)
    down, along = _draws(pixels, seed)
    expected = images[:, :, down : down + height - pixels, along : along + width - pixels]
    close(apply_transforms(images, [Jitter(pixels)], generators(seed)), expected, 5e-6)


def _draws(pixels: int, seed: int) -> tuple[int, int]:
    along, down = torch.randint(0, pixels + 1, (2,), generator=torch.Generator().manual_seed(seed)).tolist()
    return down, along


def test_jitter_reaches_every_crop():
    images = torch.arange(36.0).reshape(1, 1, 6, 6) / 36
    seen = {
        round(apply_transforms(images, [Jitter(2)], generators(seed))[0, 0, 0, 0].item() * 36) for seed in range(150)
    }
    assert seen == {0, 1, 2, 6, 7, 8, 12, 13, 14}


def test_pad_is_grey_around_the_picture():
    images = picture()
    padded = apply_transforms(images, [Pad(3)], generators(0, 1))
    close(padded, F.pad(images, (3, 3, 3, 3), value=0.5))


def test_pad_then_jitter_is_a_shift_with_grey_coming_in():
    images = picture(1)
    down, along = _draws(6, 4)
    expected = F.pad(images, (3, 3, 3, 3), value=0.5)[:, :, down : down + 20, along : along + 26]
    close(apply_transforms(images, [Pad(3), Jitter(6)], generators(4)), expected)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, -1), (0, 0)])
def test_quarter_turns_are_exact(degrees, turns):
    images = picture(height=22, width=22)
    turned = apply_transforms(images, [Rotate((degrees,))], generators(0, 1))
    close(turned, torch.rot90(images, turns, (2, 3)), 1e-5)


def test_rotation_matches_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = picture(1, 1, 21, 33)
    turned = apply_transforms(images, [Rotate((17,))], generators(0))[0, 0]
    # scipy's positive angle turns the axes (rows, columns), counter-clockwise as drawn: the same sense.
    expected = ndimage.rotate(images[0, 0].double().numpy(), 17, reshape=False, order=1, mode="constant", cval=0.5)
    np.testing.assert_allclose(turned.numpy()[5:-5, 8:-8], expected[5:-5, 8:-8], atol=1e-5)


def test_scale_magnifies_about_the_centre():
    images = picture(height=16, width=24)
    large = F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)
    close(apply_transforms(images, [Scale((2.0,))], generators(0, 1)), large[:, :, 8:24, 12:36])


def test_scale_down_brings_grey_in():
    images = torch.ones(1, 3, 16, 16)
    small = apply_transforms(images, [Scale((0.5,))], generators(0))
    close(small[:, :, 5:11, 5:11], torch.ones(1, 3, 6, 6))
    close(small[:, :, :3], torch.full((1, 3, 3, 16), 0.5))


@given(seed=st.integers(0, 500))
@settings(max_examples=25, deadline=None)
def test_scale_draws_from_its_factors(seed):
    ramp = torch.linspace(-1, 1, 33).expand(1, 1, 33, 33) / 4 + 0.5
    drawn = apply_transforms(ramp, [Scale((0.8, 1.25))], generators(seed))
    slope = (drawn[0, 0, 16, 20] - drawn[0, 0, 16, 12]) / (ramp[0, 0, 16, 20] - ramp[0, 0, 16, 12])
    assert min(abs(slope.item() - 1 / 0.8), abs(slope.item() - 1 / 1.25)) < 1e-4


def test_flip_mirrors_half_of_the_draws():
    images = picture(40, 1, 6, 7)
    flipped = apply_transforms(images, [Flip()], generators(*range(40)))
    kinds = []
    for before, after in zip(images, flipped, strict=True):
        same, mirrored = torch.allclose(before, after, atol=1e-5), torch.allclose(before.flip(2), after, atol=1e-5)
        assert same != mirrored
        kinds.append(mirrored)
    assert 8 < sum(kinds) < 32


def test_random_crop_enlarges_an_inner_window():
    # Values are coordinates, so that the crop can be read off its corners.
    rows = torch.linspace(0, 1, 41)[:, None].expand(41, 61)
    columns = torch.linspace(0, 1, 61).expand(41, 61)
    images = torch.stack([rows, columns])[None]
    sides = []
    for seed in range(60):
        crop = apply_transforms(images, [RandomCrop(0.4, 0.1)], generators(seed))[0]
        assert crop.shape == (2, 41, 61)
        inner = crop[:, 2:-2, 2:-2]
        assert inner.min() >= -1e-4
        assert inner.max() <= 1 + 1e-4
        down = (inner[0, -1, 0] - inner[0, 0, 0]).item() / (36 / 40)
        along = (inner[1, 0, -1] - inner[1, 0, 0]).item() / (56 / 60)
        assert down == pytest.approx(along, abs=2e-3)  # square in shares of the sides
        sides.append(down)
    assert np.mean(sides) == pytest.approx(0.4, abs=0.05)
    assert np.std(sides) == pytest.approx(0.1, abs=0.04)


def test_random_crop_of_everything_is_the_picture():
    images = picture()
    close(apply_transforms(images, [RandomCrop(5.0, 0.0)], generators(0, 1)), images, 1e-5)


def test_noise_has_its_deviation_and_no_bound():
    images = torch.full((4, 3, 40, 40), 0.5)
    noisy = apply_transforms(images, [Noise(0.2)], generators(0, 1, 2, 3))
    assert (noisy - images).std().item() == pytest.approx(0.2, rel=0.03)
    assert not torch.equal(noisy[0], noisy[1])


@pytest.mark.parametrize(
    ("chain", "size"),
    [
        ((Pad(5),), (30, 36)),
        ((Jitter(3),), (17, 23)),
        ((Pad(5), Jitter(8), Jitter(1)), (21, 27)),
        ((Scale((0.5,)), Rotate((30,)), Flip()), (20, 26)),
        ((Pad(12), Window()), (20, 26)),
        ((Jitter(7), Window()), (20, 26)),
        ((Window((11, 8)),), (11, 8)),
        ((Pad(4), Noise(0.1), Window()), (20, 26)),
        ((Jitter(4), RandomCrop(), Noise(0.1)), (16, 22)),
        (crops(), (20, 26)),
        (standard(), (20 + 24 - 12, 26 + 24 - 12)),
        ((), (20, 26)),
    ],
)
def test_sizes(chain, size):
    assert apply_transforms(picture(), chain, generators(0, 1)).shape[2:] == size


def test_window_is_the_centre():
    images = picture(height=20, width=26)
    close(apply_transforms(images, [Window((10, 16))], generators(0, 1)), images[:, :, 5:15, 5:21])
    close(apply_transforms(images, [Pad(4), Window()], generators(0, 1)), images)


def test_composed_equals_one_after_another_where_both_are_exact():
    images = picture(2, 3, 24, 24)
    chain = [Pad(4), Rotate((90,)), Jitter(4), Rotate((180,)), Flip(), Jitter(3)]
    together = apply_transforms(images, chain, generators(5, 6))
    alone, drawing = images, generators(5, 6)
    for transform in chain:
        alone = apply_transforms(alone, [transform], drawing)
    close(together, alone, 1e-5)


def test_composed_affine_is_close_to_two_samplings_of_a_smooth_picture():
    ramp = torch.linspace(0, 3, 64)
    images = (0.5 + 0.3 * torch.sin(ramp[:, None] + 2 * ramp[None]))[None, None]
    chain = [Rotate((8,)), Scale((1.1,)), Rotate((-3,))]
    together = apply_transforms(images, chain, generators(0))
    alone = images
    for transform in chain:
        alone = apply_transforms(alone, [transform], generators(0))
    close(together[:, :, 10:-10, 10:-10], alone[:, :, 10:-10, 10:-10], 5e-3)


@pytest.mark.parametrize("chain", [standard(), crops(), (Flip(), Jitter(5), Noise(0.1), RandomCrop())])
def test_each_image_has_its_own_randomness(chain):
    same = picture(1).expand(3, -1, -1, -1)
    together = apply_transforms(same, chain, generators(0, 1, 0))
    assert not torch.allclose(together[0], together[1])
    close(together[0], together[2])
    close(apply_transforms(same[:1], chain, generators(1)), together[1:2])


def test_randomness_goes_on_from_step_to_step():
    drawing = generators(0)
    first = apply_transforms(picture(1), standard(), drawing)
    second = apply_transforms(picture(1), standard(), drawing)
    assert not torch.allclose(first, second)


def test_gradients_pass_to_every_pixel_that_is_seen():
    images = picture(1).requires_grad_()
    seen = apply_transforms(images, [Jitter(4)], generators(3))
    (gradient,) = torch.autograd.grad(seen.sum(), images)
    down, along = _draws(4, 3)
    expected = torch.zeros_like(images)
    expected[:, :, down : down + 16, along : along + 22] = 1
    close(gradient, expected, 1e-4)


def test_the_standard_is_lucids():
    pad, first, scale, rotate, last = standard()
    assert (pad, first, last) == (Pad(12), Jitter(8), Jitter(4))
    assert scale.factors == pytest.approx([0.90, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.10])
    assert sorted(rotate.degrees) == sorted([*range(-10, 11), 0, 0, 0, 0, 0])
