"""A map over positions that agrees with what removing them does, as far as any sum over positions can."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..record import Tail
from ..targets import Target
from ._attribution import Attribution
from ._methods import difference

# How much the error at a square of 3 × 3 and the distance from the estimate count beside the error at a position.
# Chosen on 16 photos that benchmarks/methods_compared.py leaves out; half or twice as much changes little.
_SQUARE, _ESTIMATE = 1 / 25, 0.3


def from_removals(estimate: Attribution, positions: np.ndarray, squares: np.ndarray) -> Attribution:
    """An attribution whose sums over positions agree with measured removals; the method is then `removal`.

    Of all maps w it takes the one with the least Σ (w_p − a_p)² + Σ (Σ_{q ∈ square p} w_q − s_p)² / 25 +
    .3 Σ (w_p − e_p)², where a and s are what y lost without a position or a square, and e is the estimate, which
    decides where the two contradict each other. A position where the layer is zero adds nothing. Of all gradients
    with these sums, the one nearest to the estimate's is taken.

    Args:
        estimate: an attribution of the same target, best one of method `sampled`.
        positions: [rows, columns]: what y is less without each position: y(h) − y(h without it).
        squares: [rows, columns]: the same without the 3 × 3 positions around each, cut at the edge.

    Raises:
        InputError: the arrays do not fit the layer, or hold numbers that are not finite; the estimate is a plain
            gradient, which divides nothing among positions.

    Example:
        >>> whole = pellucid.record(model, image[None], "logits")["logits"].values[0, 2]
        >>> lost = [
        ...     whole - pellucid.intervene_each(model, image, layer="8", units=units)[:, 2].reshape(10, 10)
        ...     for units in ("positions", "squares")
        ... ]
        >>> estimate = pellucid.attribute(model, image, layer="8", target=2, method="sampled")
        >>> from_removals(estimate, *lost).positions().shape
        (10, 10)
    """
    if estimate.method == "gradient":
        raise InputError("a plain gradient is no estimate of what positions add; give one of method='sampled'.")
    shape = estimate.gradient.shape[:2]
    alone, square = np.asarray(positions, float), np.asarray(squares, float)
    for each in (alone, square):
        if each.shape != shape or not np.isfinite(each).all():
            raise InputError(f"removals are {list(each.shape)}, expected finite numbers {list(shape)}.")
    activations = estimate.activations.astype(np.float64)
    guess = (estimate.gradient * activations).sum(2).ravel()
    length = (activations**2).sum(2).ravel()
    there = length > 0
    around = square_members(*shape)[:, there].astype(float)
    matrix = _SQUARE * around.T @ around + (1 + _ESTIMATE) * np.eye(int(there.sum()))
    wanted = alone.ravel()[there] + _SQUARE * around.T @ square.ravel() + _ESTIMATE * guess[there]
    steps = np.zeros(guess.shape)
    steps[there] = (np.linalg.solve(matrix, wanted) - guess[there]) / length[there]
    gradient = estimate.gradient + steps.reshape(*shape, 1) * activations
    return replace(estimate, method="removal", gradient=gradient.astype(np.float32))


def square_members(rows: int, columns: int) -> np.ndarray:
    """Which positions lie in the 3 × 3 around each: bool [positions, positions]."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    return (np.abs(row[:, None] - row) <= 1) & (np.abs(column[:, None] - column) <= 1)


@torch.no_grad()
def measure_removals(
    tail: Tail, pairs: Sequence[tuple[Target, Target | None]], removed: np.ndarray, *, batch_size: int
) -> np.ndarray:
    """What each target − versus is less without sets of positions: float64 [pairs, sets].

    Args:
        removed: bool [sets, positions].
    """
    before = [float(difference(*pair, tail.outputs)[0]) for pair in pairs]
    kept = torch.from_numpy(~removed).to(tail.grid).view(-1, 1, *tail.grid.shape[2:])
    parts: list[Tensor] = []
    for start in range(0, len(kept), batch_size):
        outputs = tail(tail.grid * kept[start : start + batch_size])
        parts.append(torch.stack([difference(*pair, outputs) for pair in pairs]).double().cpu())
    return np.array(before)[:, None] - torch.cat(parts, 1).numpy()
