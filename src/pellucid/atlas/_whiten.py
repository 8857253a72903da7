"""Whitening: directions in which a layer rarely differs count as much as those in which it always does."""

import numpy as np
import torch

from ..events import Event, Progress
from ._vectors import Vectors

# Share of the mean eigenvalue that is added to each. What was compared, with pictures: docs/design/atlas.md.
_RIDGE = 0.5


def second_moment(vectors: Vectors, progress: Progress) -> np.ndarray:
    """Mean of h hᵀ over all vectors, float64 [channels, channels]."""
    total = torch.zeros((vectors.channels, vectors.channels), dtype=torch.float64)
    for start, part in vectors.parts():
        for first in range(0, len(part), 8192):
            piece = torch.from_numpy(part[first : first + 8192].astype(np.float32))
            total += (piece.T @ piece).double()
        progress(Event("whitening", start + len(part), len(vectors), "vector"))
    return (total / max(1, len(vectors))).numpy()


def whitening(moment: np.ndarray) -> np.ndarray:
    """The inverse of the second-moment matrix, regularized, as float32 [channels, channels].

    Source: Carter et al., Activation Atlas, Distill 2019, doi 10.23915/distill.00015.
    """
    ridge = _RIDGE * np.trace(moment) / len(moment) + 1e-12
    return np.linalg.inv(moment + ridge * np.eye(len(moment))).astype(np.float32)
