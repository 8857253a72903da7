"""Numbers survive packing within half a step, and what cannot be packed is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays

from pellucid.bundle import Numbers, pack_numbers, unpack_numbers
from pellucid.errors import BundleError, InputError

SHAPES = arrays.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4)


@given(arrays.arrays(np.float64, SHAPES, elements=strategies.floats(-1e300, 1e300)))
def test_rounding_is_at_most_half_the_scale(array: np.ndarray) -> None:
    numbers = pack_numbers(array)
    again = unpack_numbers(numbers)
    assert again.shape == array.shape
    assert again.dtype == np.float64
    assert np.abs(again - array).max(initial=0.0) <= numbers.scale / 2 * (1 + 1e-9)
    assert numbers.scale <= max(np.abs(array).max(initial=0.0) / 32767 * (1 + 1e-12), np.finfo(np.float64).tiny)


def test_integers_are_signed_and_low_byte_first() -> None:
    numbers = pack_numbers([[0.0, 1.0], [-1.0, 0.5]])
    assert numbers.shape == [2, 2]
    assert numbers.data == "AAD/fwGAAEA="  # 0000 7FFF 8001 4000, each with its low byte first
    assert numbers.scale == 1 / 32767


def test_zeros() -> None:
    numbers = pack_numbers(np.zeros((2, 3)))
    assert numbers.scale == 0
    assert unpack_numbers(numbers).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("array", [torch.arange(4.0).half(), [0, 1, 2, 3], np.arange(4, dtype=np.uint8)])
def test_what_can_be_packed(array: object) -> None:
    assert unpack_numbers(pack_numbers(array)).round(3).tolist() == [0, 1, 2, 3]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("array", "says"),
    [
        ([1.0, np.nan], "not finite"),
        ([np.inf], "not finite"),
        (3.0, "0 axes"),
        (np.zeros((1,) * 6), "6 axes"),
        (["a"], "an array of numbers"),
        ([[1.0], [1.0, 2.0]], "an array of numbers"),
    ],
)
def test_what_cannot(array: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        pack_numbers(array)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("data", "says"),
    [("", "hold 0 bytes, not the 4 of 2"), ("AAAAAAA", "base64"), ("AAA AAA=", "base64"), ("ä", "base64")],
)
def test_damaged_data(data: str, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        unpack_numbers(Numbers(shape=[2], scale=1.0, data=data))
