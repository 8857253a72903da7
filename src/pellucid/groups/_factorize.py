"""Activations divided into groups, for one number of groups or for many at once."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ._groups import Groups, as_groups
from ._matrix import Matrix, as_matrix, checked_counts
from ._nmf import MOST_PASSES, improve, nndsvd
from ._spectrum import leading_vectors

Method = Literal["nmf", "pca"]

# Matrices of more than twice as many rows are first factorized on a sample of this size.
_SAMPLE = 5000
# scikit-learn's tolerance. A sample's factors are only a start, and after it each pass gains little.
_TOLERANCE, _SAMPLE_TOLERANCE, _POLISH_TOLERANCE = 1e-4, 1e-3, 5e-3
# Singular values below this share of the first are rounding.
_NOTHING = 1e-5
_NNDSVD_TOLERANCE, _PCA_TOLERANCE = 1e-3, 1e-6


def factorize(
    activations: Any, n_groups: int = 6, *, method: Method = "nmf", seed: int = 0, progress: Progress = silent
) -> Groups:
    """The activations as a sum of groups: each a spatial factor (where) times a channel factor (what).

    `nmf` finds non-negative factors, groups of channels that fire together and add up; it needs non-negative
    activations. From an NNDSVD start by accelerated HALS, it has no other randomness than the sample on which matrices
    of more than 10,000 positions start. `pca` keeps the first principal components: the least error of any, also for
    negative activations, but of groups that cancel one another. They are not centred: zero, where a ReLU is silent,
    stays the origin, so that the groups alone add up to the reconstruction. The entry of each channel factor that is
    furthest from 0 is positive.

    Args:
        activations: `Activations` of a grid or token layer, or an array or tensor on any device, [n, rows, columns,
            channels] or [rows, columns, channels]. Several images share the channel factors.
        n_groups: from 1 to the smaller of the numbers of positions and channels.
        method: `nmf` or `pca`.
        seed: of the sample and of the singular vectors' random start.
        progress: receives an event for each pass over the activations.

    Returns:
        The groups, the largest magnitude first. Where the activations have fewer than `n_groups` independent parts, the
        last groups can be of magnitude 0.

    Raises:
        InputError: activations of another shape, not finite, all zero, or negative with `nmf`; a vector layer; a number
            of groups below 1 or above that of positions or channels; an unknown method.

    Source: Olah et al., The Building Blocks of Interpretability, Distill 2018, doi 10.23915/distill.00010.

    Example:
        >>> import numpy as np
        >>> groups = pellucid.factorize(np.random.default_rng(0).random((7, 7, 12)), 3)
        >>> groups.spatial.shape, groups.channels.shape
        ((1, 7, 7, 3), (3, 12))
    """
    return factorize_range(activations, [n_groups], method=method, seed=seed, progress=progress)[n_groups]


def factorize_range(
    activations: Any,
    counts: Iterable[int] = range(2, 13),
    *,
    method: Method = "nmf",
    seed: int = 0,
    progress: Progress = silent,
) -> dict[int, Groups]:
    """The groups for several numbers of groups, each as `factorize` gives them; singular vectors are found once.

    Args:
        activations: as for `factorize`.
        counts: numbers of groups; repeated ones count once.
        method, seed, progress: as for `factorize`.

    Returns:
        Groups by their number, in ascending order.

    Raises:
        InputError: as for `factorize`; no numbers at all.

    Example:
        >>> import numpy as np
        >>> found = pellucid.factorize_range(np.random.default_rng(0).random((7, 7, 12)), [2, 3, 4])
        >>> [len(groups.channels) for groups in found.values()]
        [2, 3, 4]
    """
    if method not in ("nmf", "pca"):
        raise InputError(f"no method {method!r} of factorization; give 'nmf' or 'pca'.")
    matrix = as_matrix(activations, non_negative=method == "nmf")
    numbers = checked_counts(counts, matrix)
    if method == "pca":
        u, values, v = leading_vectors(matrix.values, numbers[-1], seed=seed, tolerance=_PCA_TOLERANCE)
        progress(Event(f"factorizing {matrix.name}", len(numbers), len(numbers), "factorization"))
        return {k: as_groups(matrix, (u * values)[:, :k].T, v[:, :k].T, method=method) for k in numbers}
    return _many_nmf(matrix, numbers, seed, progress)


def _many_nmf(matrix: Matrix, numbers: list[int], seed: int, progress: Progress) -> dict[int, Groups]:
    """A factorization for each number of groups."""
    rows, task = matrix.values, f"factorizing {matrix.name}"
    sample = _sample(rows, seed)
    singular = leading_vectors(sample, numbers[-1], seed=seed, tolerance=_NNDSVD_TOLERANCE)
    if sample is not rows and bool(singular[1][-1] <= _NOTHING * singular[1][0]):
        # The sample has fewer parts than are asked for; the whole may have more.
        sample, singular = rows, leading_vectors(rows, numbers[-1], seed=seed, tolerance=_NNDSVD_TOLERANCE)
    found: dict[int, Groups] = {}
    for done, number in enumerate(numbers):
        passes = itertools.count(1)

        def on_pass(done: int = done, passes: Iterator[int] = passes) -> None:
            progress(Event(task, done + next(passes) / (2 * MOST_PASSES), len(numbers), "factorization"))

        w, h = nndsvd(*(part[..., :number] for part in singular))
        improve(sample, w, h, tolerance=_TOLERANCE if sample is rows else _SAMPLE_TOLERANCE, on_pass=on_pass)
        if sample is not rows:
            w = rows.new_zeros(number, len(rows))
            improve(rows, w, h, tolerance=_POLISH_TOLERANCE, on_pass=on_pass)
        found[number] = as_groups(matrix, w, h, method="nmf")
        progress(Event(task, done + 1, len(numbers), "factorization"))
    return found


def _sample(rows: Tensor, seed: int) -> Tensor:
    """Some of the rows where there are very many, and else the rows themselves."""
    if len(rows) <= 2 * _SAMPLE:
        return rows
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:_SAMPLE].to(rows.device)
    return rows[chosen]
