"""Arrays of numbers as 16-bit integers in base64: a fifth of the size of the same numbers in JSON."""

import base64
import binascii
import math

import numpy as np
from numpy.typing import ArrayLike

from ..errors import BundleError, InputError
from ._explanation import Numbers

_LARGEST = 32767
_AXES = 5


def pack_numbers(array: ArrayLike) -> Numbers:
    """`array` as integers of 16 bits and one scale; no entry moves by more than half the scale.

    The scale is the largest absolute value over 32767, so rounding is at most 1.6e-5 of it. An array of zeros has
    scale 0.

    Args:
        array: one to five axes of finite real numbers; a torch tensor must be on the CPU and without gradient.

    Raises:
        InputError: `array` has no axis or more than five, or holds something that is not a finite number.

    Example:
        >>> pack_numbers([[0.0, -2.0], [1.0, 2.0]]).shape
        [2, 2]
    """
    try:
        values = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"an array of numbers was expected, not {type(array).__name__} ({error}).") from error
    if not 1 <= values.ndim <= _AXES:
        raise InputError(f"an array with {values.ndim} axes cannot be packed; give it one to {_AXES}.")
    if not np.isfinite(values).all():
        raise InputError("numbers that are not finite cannot be packed; replace NaN and infinity first.")
    largest = float(np.abs(values).max(initial=0.0))
    # A quotient below the normal range would lose the digits that the bound on rounding needs.
    scale = max(largest / _LARGEST, float(np.finfo(np.float64).tiny)) if largest else 0.0
    steps = np.rint(values / scale) if scale else np.zeros(values.shape)
    data = base64.b64encode(steps.astype("<i2").tobytes()).decode("ascii")
    return Numbers(shape=list(values.shape), scale=scale, data=data)


def unpack_numbers(numbers: Numbers) -> np.ndarray:
    """The array that `numbers` holds: float64 of its shape.

    Args:
        numbers: what `pack_numbers` made, or read from a manifest.

    Raises:
        BundleError: the data is not base64, or not as long as the shape says.

    Example:
        >>> unpack_numbers(pack_numbers([[0.0, -2.0], [1.0, 2.0]])).round(3).tolist()
        [[0.0, -2.0], [1.0, 2.0]]
    """
    problem = numbers_problem(numbers)
    if problem:
        raise BundleError(f"packed numbers {problem}.")
    integers = np.frombuffer(base64.b64decode(numbers.data), dtype="<i2")
    return integers.astype(np.float64).reshape(numbers.shape) * numbers.scale


def numbers_problem(numbers: Numbers) -> str:
    """What is wrong with the data of `numbers`, as the end of a sentence; empty when nothing is.

    Args:
        numbers: what a manifest holds.

    Example:
        >>> numbers_problem(pack_numbers([1.0]))
        ''
    """
    try:
        found = len(binascii.a2b_base64(numbers.data, strict_mode=True))
    except (binascii.Error, ValueError):
        return "are not base64"
    expected = 2 * math.prod(numbers.shape)
    if found != expected:
        shape = " × ".join(str(length) for length in numbers.shape)
        return f"hold {found} bytes, not the {expected} of {shape} integers"
    return ""
