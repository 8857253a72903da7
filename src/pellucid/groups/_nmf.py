"""Non-negative matrix factorization, V ≈ Wᵀ·H with W, H ≥ 0: accelerated HALS from an NNDSVD start."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# Sweeps over a factor's rows for each product with the matrix, which in a large one costs far more (Gillis & Glineur).
_SWEEPS, _LARGE_SWEEPS, _LARGE = 2, 4, 2**20
# A factor that starts from nothing first has to get anywhere near.
_FIRST_SWEEPS = 10
# Rows that stay in the processor's cache from the first product of a pass to the second; a GPU gets them in one go.
_BLOCK, _GPU_BLOCK = 2048, 2**17

# Rows of a factor up to this length go through numpy.
_SHORT = 4096

# scikit-learn's limit.
MOST_PASSES = 200


def nndsvd(u: Tensor, values: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Non-negative factors W [k, rows] and H [k, columns] to start from, of the first k singular vectors.

    Of each pair of vectors, the positive or the negative halves, whichever carry more. Group i is the same for every k.

    Args:
        u, values, v: [rows, k], [k], [columns, k].

    Source: Boutsidis & Gallopoulos, SVD based initialization, 2008, doi 10.1016/j.patcog.2007.09.010.
    """
    sides = [(u.clamp_min(0), v.clamp_min(0)), ((-u).clamp_min(0), (-v).clamp_min(0))]
    carried = torch.stack([left.norm(dim=0) * right.norm(dim=0) for left, right in sides])
    positive = carried[0] >= carried[1]
    length = (values * carried.amax(0)).sqrt()

    def factor(this: Tensor, other: Tensor) -> Tensor:
        half = torch.where(positive, this, other)
        return (half * (length / half.norm(dim=0).clamp_min(1e-30))).T.contiguous()

    return factor(sides[0][0], sides[1][0]), factor(sides[0][1], sides[1][1])


@torch.inference_mode()
def improve(matrix: Tensor, w: Tensor, h: Tensor, *, tolerance: float, on_pass: Callable[[], None]) -> None:
    """Bring ‖matrix − Wᵀ·H‖ to a minimum, in place, from the factors given.

    Hierarchical alternating least squares: each row of W, then of H, is set to its best value with all others held,
    several times for each pass over the matrix, which is read in blocks.

    Args:
        matrix: [rows, columns], not negative.
        w: [k, rows]; zeros are a start too, from which W finds its best for H.
        h: [k, columns].
        tolerance: ends when the sum of the projected gradient's absolute values has fallen to this share of what it was
            in the first pass: scikit-learn's rule.
        on_pass: called after each pass.

    Source: Gillis & Glineur, Accelerated multiplicative updates and HALS, 2012, arXiv 1107.5194.
    """
    sweeps = _LARGE_SWEEPS if matrix.numel() > _LARGE else _SWEEPS
    block = _GPU_BLOCK if matrix.is_cuda else _BLOCK
    fresh = not bool(w.any())
    first = 0.0
    for number in range(1, MOST_PASSES + 1):
        gram = h @ h.T
        product, own, violation = torch.zeros_like(h), torch.zeros_like(gram), h.new_zeros(())
        for start in range(0, len(matrix), block):
            rows = matrix[start : start + block]
            factor = w[:, start : start + block].contiguous()
            target = h @ rows.T
            violation += _violation(factor, target, gram)
            _sweep(factor, target, gram, _FIRST_SWEEPS if fresh and number == 1 else sweeps)
            w[:, start : start + block] = factor
            product.addmm_(factor, rows)
            own.addmm_(factor, factor.T)
        violation += _violation(h, product, own)
        _sweep(h, product, own, sweeps)
        on_pass()
        now = float(violation)
        first = first or now
        if now <= tolerance * first:
            return


def _sweep(factor: Tensor, target: Tensor, gram: Tensor, times: int) -> None:
    """Set each row in turn to its best, the others held: x ← max(0, x + (target − gram·factor) / diagonal)."""
    diagonal = gram.diagonal()
    alive = diagonal > 0
    inverse = torch.where(alive, 1 / diagonal, 0.0)[:, None]
    weights = gram * inverse
    # The row's own x cancels; where its partner is zero, nothing can be said, and it stays.
    weights.diagonal().copy_(alive.to(gram.dtype) - 1)
    goals = target * inverse
    if factor.is_cpu and factor.shape[1] <= _SHORT:
        _sweep_short(factor.numpy(), goals.numpy(), weights.numpy(), times)
        return
    rows = list(zip(factor.unbind(0), goals.unbind(0), weights.unbind(0), strict=True))
    columns, moved = factor.T, torch.empty_like(factor[0])
    for _ in range(times):
        for row, goal, weight in rows:
            torch.addmv(goal, columns, weight, alpha=-1, out=moved)
            torch.clamp_min(moved, 0, out=row)


def _sweep_short(factor: np.ndarray, goals: np.ndarray, weights: np.ndarray, times: int) -> None:
    """The same in numpy, which takes half as long to start on short rows: most of the time for one photo."""
    rows, moved = list(zip(factor, goals, weights, strict=True)), np.empty_like(factor[0])
    for _ in range(times):
        for row, goal, weight in rows:
            np.dot(weight, factor, out=moved)
            np.subtract(goal, moved, out=moved)
            np.maximum(moved, 0, out=row)


def _violation(factor: Tensor, target: Tensor, gram: Tensor) -> Tensor:
    """The sum of the projected gradient's absolute values: 0 where nothing can improve."""
    slope = torch.addmm(target, gram, factor, beta=-1)
    return torch.where(factor > 0, slope, slope.clamp_max(0)).abs().sum()
