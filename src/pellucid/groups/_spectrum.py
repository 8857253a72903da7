"""The leading singular vectors of a matrix with many more rows or columns than are asked for."""

import torch
from torch import Tensor

# A matrix no larger than this goes through the eigenvectors of its smaller Gram matrix: exact, in milliseconds.
_SHORT_SIDE, _LONG_SIDE = 256, 10_000
_EXTRA = 10
_MOST_PASSES = 100


def leading_vectors(matrix: Tensor, count: int, *, seed: int, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """The first singular vectors and values: float32 U [rows, count], s [count], V [columns, count].

    Small matrices: from the eigenvectors of the smaller Gram matrix, in float64. Others: by subspace iteration from
    seeded Gaussian columns (Halko et al. 2011, arXiv 0909.4061). The entry of each column of V that is furthest from 0
    is positive.

    Args:
        matrix: float32, on any device.
        count: at most the smaller side.
        seed: of the random columns, drawn on the CPU.
        tolerance: the iteration ends when the squares of the singular values asked for move by no more than this share
            of the first.
    """
    if matrix.shape[0] < matrix.shape[1]:
        v, values, u = _of_tall(matrix.T, count, seed, tolerance)
    else:
        u, values, v = _of_tall(matrix, count, seed, tolerance)
    signs = torch.where(v.gather(0, v.abs().argmax(0)[None]) < 0, -1.0, 1.0)
    return u * signs, values, v * signs


def _of_tall(tall: Tensor, count: int, seed: int, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """U, s, V of a matrix with no fewer rows than columns."""
    length, width = tall.shape
    if (width <= _SHORT_SIDE and length <= _LONG_SIDE) or width <= count + _EXTRA:
        exact = tall.cpu().double()
        v = _eigenvectors(exact.T @ exact)[1][:, :count].float().to(tall.device)
    else:
        v = _iterate(tall, count, seed, tolerance)
    scores = tall @ v
    values = scores.norm(dim=0)
    return scores / values.clamp_min(torch.finfo(torch.float32).tiny), values, v


def _iterate(tall: Tensor, count: int, seed: int, tolerance: float) -> Tensor:
    """The first right singular vectors, by subspace iteration."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(tall.shape[1], count + _EXTRA, generator=generator).to(tall.device))[0]
    before = torch.zeros(count, dtype=torch.float64)
    for number in range(_MOST_PASSES):
        # With the few vectors as rows, both products read a row-major matrix in order.
        image = ((basis.T.contiguous() @ tall.T) @ tall).T
        squares, turn = _eigenvectors((basis.T @ image).cpu().double())
        moved = float((squares[:count] - before).abs().max())
        if moved <= tolerance * float(squares[0]) or number + 1 == _MOST_PASSES:
            return basis @ turn[:, :count].float().to(tall.device)
        before, basis = squares[:count], torch.linalg.qr(image)[0]
    raise AssertionError


def _eigenvectors(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, largest first, and eigenvectors as columns."""
    values, vectors = torch.linalg.eigh((symmetric + symmetric.T) / 2)
    return values.flip(0), vectors.flip(1)
