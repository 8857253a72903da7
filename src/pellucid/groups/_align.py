"""Groups of an earlier layer that correspond, one by one, to the groups of a later one."""

import itertools
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ._groups import Groups, as_groups
from ._matrix import Matrix, as_matrix, as_tensor, checked_counts
from ._nmf import MOST_PASSES, improve, nndsvd
from ._spectrum import leading_vectors

_TOLERANCE = 1e-4


def align_groups(lower: Any, attributions: Any, *, seed: int = 0, progress: Progress = silent) -> Groups:
    """An earlier layer's groups, of which group i is the one that feeds group i of a later layer.

    Each activation is split into N copies, in proportion to |its attribution to each of N later groups|. Side by side,
    the copies are a matrix [positions, N · channels], which is factorized into N groups; then the copies are summed
    back. The factorization starts with group i as the best single product for copy i, and with nothing in the other
    copies, so that it stays with its later group. Where the factorization drifts all the same, two groups change places
    if more |attribution| then goes from each group to its own later group.

    Args:
        lower: the earlier layer on one image, not negative: `Activations`, or an array or tensor [rows, columns,
            channels].
        attributions: of each activation to each later group, [N, rows, columns, channels]; only proportions within one
            activation count. An activation that feeds none of them is split evenly.
        seed: of the singular vectors' random start.
        progress: receives an event for each pass over the activations.

    Returns:
        N groups in the order of `attributions`, not of magnitude; `error` is of `lower` itself. A later group that
        nothing is attributed to gets a group of magnitude 0.

    Raises:
        InputError: activations as `factorize` refuses them, or of several images; attributions of another shape, or not
            finite; more later groups than positions or channels.

    Source: Olah et al., The Building Blocks of Interpretability, Distill 2018, doi 10.23915/distill.00010.

    Example:
        >>> import numpy as np
        >>> random = np.random.default_rng(0)
        >>> pellucid.align_groups(random.random((7, 7, 12)), random.normal(size=(3, 7, 7, 12))).channels.shape
        (3, 12)
    """
    matrix = as_matrix(lower, non_negative=True)
    weights = _weights(matrix, attributions)
    copies = _split(matrix.values, weights)
    count, positions, channels = copies.shape
    starts = [nndsvd(*leading_vectors(copy, 1, seed=seed, tolerance=1e-4)) for copy in copies]
    w = torch.cat([start[0] for start in starts])
    h = torch.zeros(count, count, channels, device=w.device)
    for group, (_, own) in enumerate(starts):
        h[group, group] = own[0]
    task = f"aligning {matrix.name}"
    h = h.flatten(1)
    wide = copies.transpose(0, 1).reshape(positions, -1)
    passes = itertools.count(1)
    improve(wide, w, h, tolerance=_TOLERANCE, on_pass=lambda: progress(Event(task, next(passes), MOST_PASSES, "pass")))
    progress(Event(task, MOST_PASSES, MOST_PASSES, "pass"))
    h = h.unflatten(1, (count, channels)).sum(1)
    order = _order(_flow(matrix.values, weights, w, h))
    return as_groups(matrix, w[order], h[order], method="aligned", ordered=False)


def _weights(matrix: Matrix, attributions: Any) -> Tensor:
    """|attribution| as float32 [N, positions, channels], the largest being 1."""
    given = as_tensor(attributions, "attributions").to(matrix.values.device)
    images, *grid = matrix.grid
    expected = [*grid, matrix.values.shape[1]]
    if images != 1:
        raise InputError(f"there are activations of {images} images; align the groups of one image at a time.")
    if given.ndim != 4 or list(given.shape[1:]) != expected:
        raise InputError(f"attributions have shape {list(given.shape)}; these activations need {['N', *expected]}.")
    checked_counts([len(given)], matrix)
    if not bool(torch.isfinite(given).all()):
        raise InputError("attributions hold numbers that are not finite; look for NaN or overflow in the gradients.")
    weights = given.flatten(1, 2).abs()
    return weights / weights.amax().clamp_min(torch.finfo(torch.float32).tiny)


def _split(values: Tensor, weights: Tensor) -> Tensor:
    """The copies, [N, positions, channels], which add up to the values."""
    total = weights.sum(0)
    return values * torch.where(total > 0, weights / total, 1 / len(weights))


def _flow(values: Tensor, weights: Tensor, w: Tensor, h: Tensor) -> Tensor:
    """|Attribution| of each group to each later one, [N, N]: its share of every activation times that one's own."""
    slopes = torch.where(values > 0, weights / values, 0.0)
    return torch.einsum("gp,gc,npc->gn", w, h, slopes)


def _order(flow: Tensor) -> list[int]:
    """Which group goes to each place: pairs are exchanged while that makes the sum of the diagonal larger."""
    gain, order = flow.tolist(), list(range(len(flow)))
    moved = True
    while moved:
        moved = False
        for i in range(len(order)):
            for j in range(i):
                a, b = order[i], order[j]
                kept, exchanged = gain[a][i] + gain[b][j], gain[b][i] + gain[a][j]
                if exchanged > kept + 1e-6 * (abs(kept) + abs(exchanged)):
                    order[i], order[j], moved = b, a, True
    return order
