"""Projection: activation vectors as points of a square, those that are alike close together."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError, MissingExtraError

# What a projection looks at: so many leading principal directions of the vectors, of length 1 each.
REDUCED = 64
_NEAREST = 12
_MARGIN = 0.1


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the vectors of a layer lie, and what is needed to place others among them.

    Args:
        basis: float32 [channels, k]: leading principal directions.
        anchors: float16 [m, k]: vectors that the layout was computed for, in that basis, of length 1.
        positions: float32 [m, 2]: where they lie; x to the right, y down; [0, 1] is the map.
        numbers: int64 [m]: which of the layer's vectors they are, rising.
    """

    basis: np.ndarray
    anchors: np.ndarray
    positions: np.ndarray
    numbers: np.ndarray

    def place(self, values: np.ndarray) -> np.ndarray:
        """Where vectors [n, channels] lie, float32 [n, 2]: the mean of the nearest anchors, weighted by likeness.

        Works with every projection, and needs nothing of it but the result.
        """
        anchors = torch.from_numpy(self.anchors).float()
        where = torch.from_numpy(self.positions)
        found = []
        step = max(16, 2**27 // max(1, len(anchors)) // 4)
        count = min(_NEAREST, len(anchors))
        for start in range(0, len(values), step):
            part = torch.from_numpy(reduce(values[start : start + step], self.basis))
            likeness, nearest = (part @ anchors.T).topk(count, dim=1)
            # The farthest of the nearest has no say, so that places change smoothly; the square favours the very close.
            weight = (likeness - likeness[:, -1:] + 1e-6).clamp(min=0) ** 2
            weight = weight / weight.sum(1, keepdim=True)
            found.append((where[nearest] * weight[..., None]).sum(1))
        return torch.cat(found).numpy() if found else np.zeros((0, 2), np.float32)


def principal_basis(moment: np.ndarray) -> np.ndarray:
    """The leading directions of a second-moment matrix, float32 [channels, at most 64]."""
    _, directions = np.linalg.eigh(moment)
    return np.ascontiguousarray(directions[:, ::-1][:, :REDUCED]).astype(np.float32)


def reduce(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Vectors in a basis, of length 1: float32 [n, k]."""
    reduced = torch.from_numpy(values.astype(np.float32)) @ torch.from_numpy(basis)
    return F.normalize(reduced, dim=1).numpy()


Projection = Callable[[np.ndarray, int, int, np.ndarray | None], np.ndarray]
"""Points [n, k] of length 1, number of neighbours, seed, and where to start or `None`; gives [n, 2]."""


def project(
    points: np.ndarray, *, method: str = "umap", neighbours: int = 50, seed: int = 0, start: np.ndarray | None = None
) -> np.ndarray:
    """Points in the plane, float32 [n, 2], in the projection's own units.

    Args:
        points: float32 [n, k], of length 1, so that near in space is alike in direction.
        method: `umap`, `pacmap`, `tsne`, `pca`, or `cuml` (UMAP on a GPU); all but `pca` need `pellucid[atlas]`.
        neighbours: how many nearest points each one is kept close to.
        seed: of all randomness.
        start: [n, 2] to start from, where the method can.

    Raises:
        InputError: no such method, or too few points for it.
        MissingExtraError: its library is not installed.

    Example:
        >>> project(np.eye(5, dtype=np.float32), method="pca").shape
        (5, 2)
    """
    if method not in METHODS:
        raise InputError(f"projection is {method!r}; expected {', '.join(METHODS)}.")
    if len(points) < 3:
        raise InputError(f"a map needs at least 3 activation vectors, and there are {len(points)}.")
    neighbours = min(neighbours, len(points) - 1)
    if start is not None:
        start = _as_start(start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few points, of one thread where a seed is given, and the like
        found = METHODS[method](points, neighbours, seed, start)
    return np.asarray(found, dtype=np.float32)


def _as_start(where: np.ndarray) -> np.ndarray:
    """Positions with mean 0 and the spread that UMAP and its like start from."""
    centred = where - where.mean(0)
    return (10 * centred / max(float(np.abs(centred).max()), 1e-9)).astype(np.float32)


def _umap(points: np.ndarray, neighbours: int, seed: int, start: np.ndarray | None) -> Any:
    umap = _library("umap", "umap-learn")
    # Of points of length 1, the Euclidean distance orders neighbours as the cosine does, and is quicker.
    reducer = umap.UMAP(
        n_neighbors=neighbours,
        min_dist=0.05,
        metric="euclidean",
        random_state=seed,
        init="spectral" if start is None else start,
        n_jobs=1,
    )
    return reducer.fit_transform(points)


def _pacmap(points: np.ndarray, neighbours: int, seed: int, start: np.ndarray | None) -> Any:
    pacmap = _library("pacmap", "pacmap")
    return pacmap.PaCMAP(n_neighbors=min(neighbours, 15), random_state=seed).fit_transform(
        points, init="pca" if start is None else start
    )


def _tsne(points: np.ndarray, neighbours: int, seed: int, start: np.ndarray | None) -> Any:
    opentsne = _library("openTSNE", "opentsne")
    perplexity = max(2.0, min(float(neighbours), (len(points) - 1) / 3))
    initial = "pca" if start is None else start * (1e-4 / max(float(start[:, 0].std()), 1e-9))
    return opentsne.TSNE(perplexity=perplexity, random_state=seed, initialization=initial, n_jobs=2).fit(points)


def _pca(points: np.ndarray, neighbours: int, seed: int, start: np.ndarray | None) -> np.ndarray:
    centred = points - points.mean(0)
    _, directions = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    chosen = directions[:, ::-1][:, :2]
    # The sign of a principal direction is a matter of chance; here the largest part is positive.
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(0), [0, 1]])
    return centred @ chosen


def _cuml(points: np.ndarray, neighbours: int, seed: int, start: np.ndarray | None) -> Any:
    cuml = _library("cuml.manifold", "cuml")
    return cuml.UMAP(n_neighbors=neighbours, min_dist=0.05, random_state=seed).fit_transform(points)


METHODS: Mapping[str, Projection] = {
    "umap": _umap,
    "pacmap": _pacmap,
    "tsne": _tsne,
    "pca": _pca,
    "cuml": _cuml,
}


def _library(name: str, package: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"this projection needs {package}; pip install 'pellucid[atlas]', or choose the projection pca."
        ) from error


def into_square(points: np.ndarray) -> np.ndarray:
    """Points scaled so that the 1st to 99th percentile of each axis, and a margin of a tenth, fill [0, 1]; float32."""
    low, high = np.percentile(points, [1, 99], axis=0)
    margin = _MARGIN * (high - low) + 1e-9
    low, high = low - margin, high + margin
    return ((points - low) / (high - low)).astype(np.float32)


def turned_like(points: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Points turned and mirrored, about their mean, to lie as close as possible to `other` (orthogonal Procrustes)."""
    centred, wanted = points - points.mean(0), other - other.mean(0)
    left, _, right = np.linalg.svd(centred.T.astype(np.float64) @ wanted)
    return (centred @ (left @ right)).astype(np.float32)
