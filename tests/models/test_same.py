"""TensorFlow's layers against numpy written out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from pellucid.models._same import LocalResponseNorm, SameConv2d, SameMaxPool2d, same_padding

SIZES = st.tuples(st.integers(1, 13), st.integers(1, 13))


def windows(images, kernel, stride, fill):
    """[n, c, rows, columns, kernel, kernel]: what each output sees, with TensorFlow's padding as its docs give it."""
    n, channels, *size = images.shape
    padded, outputs, starts = [], [], []
    for length in size:
        total = max(kernel - stride, 0) if length % stride == 0 else max(kernel - length % stride, 0)
        starts.append(total // 2)
        padded.append(length + total)
        outputs.append(int(np.ceil(length / stride)))
    ground = np.full((n, channels, *padded), fill)
    ground[:, :, starts[0] : starts[0] + size[0], starts[1] : starts[1] + size[1]] = images
    result = np.empty((n, channels, *outputs, kernel, kernel))
    for row in range(outputs[0]):
        for column in range(outputs[1]):
            top, left = row * stride, column * stride
            result[:, :, row, column] = ground[:, :, top : top + kernel, left : left + kernel]
    return result


@settings(max_examples=60, deadline=None)
@given(size=SIZES, kernel=st.sampled_from([1, 2, 3, 5, 7]), stride=st.integers(1, 3))
def test_convolution(size, kernel, stride):
    conv = SameConv2d(2, 3, kernel, stride).double()
    images = np.random.default_rng(0).normal(size=(2, 2, *size))
    seen = windows(images, kernel, stride, 0.0)
    expected = np.einsum("ncxykl,ockl->noxy", seen, conv.weight.detach().numpy())
    expected += conv.bias.detach().numpy()[:, None, None]
    output = conv(torch.from_numpy(images)).detach().numpy()
    assert output.shape == expected.shape
    assert np.allclose(output, expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(size=SIZES, stride=st.integers(1, 2))
def test_max_pool(size, stride):
    images = np.random.default_rng(0).normal(size=(2, 3, *size)) - 5  # below zero, so that zeros would win
    expected = windows(images, 3, stride, -np.inf).max((4, 5))
    output = SameMaxPool2d(stride)(torch.from_numpy(images)).numpy()
    assert output.shape == expected.shape
    assert (output == expected).all()


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "padding"),
    [(224, 7, 2, (2, 3)), (112, 3, 2, (0, 1)), (113, 3, 2, (1, 1)), (28, 5, 1, (2, 2)), (5, 1, 2, (0, 0))],
)
def test_padding(length, kernel, stride, padding):
    assert same_padding(length, kernel, stride) == padding


def normalized(images, size=11, alpha=1e-4, k=2.0):
    result = np.empty_like(images)
    for channel in range(images.shape[1]):
        near = images[:, max(0, channel - size // 2) : channel + size // 2 + 1]
        result[:, channel] = images[:, channel] / np.sqrt(k + alpha * np.square(near).sum(1))
    return result


@pytest.mark.parametrize("channels", [1, 4, 11, 30])
def test_response_normalization(channels):
    images = np.random.default_rng(0).normal(0, 200, (2, channels, 3, 4))
    output = LocalResponseNorm(channels).double()(torch.from_numpy(images)).numpy()
    # The band was rounded to float32 before: 1e-4 is not a number there.
    assert np.allclose(output, normalized(images), rtol=1e-6)
    assert not np.allclose(output, images / np.sqrt(2), rtol=1e-2)


def test_response_normalization_as_pytorch_has_it():
    images = 100 * torch.randn(2, 20, 5, 5)
    theirs = torch.nn.LocalResponseNorm(11, alpha=11e-4, beta=0.5, k=2.0)(images)
    assert torch.allclose(LocalResponseNorm(20)(images), theirs, rtol=1e-5, atol=1e-5)


def test_gradient_of_response_normalization():
    norm = LocalResponseNorm(7, size=5, alpha=0.3).double()
    images = torch.randn(2, 7, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, images)
    last = images.to(memory_format=torch.channels_last)
    assert torch.allclose(norm(last), norm(images))


def test_response_normalization_has_no_parameters():
    assert not list(LocalResponseNorm(7).parameters())
    assert not LocalResponseNorm(7).state_dict()
