"""Icons of cells: what the mean activation of a cell looks like, and whether the network agrees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..events import Event, Progress
from ..features import render
from ..features.images import Fourier
from ..models import Layer, Model, borrowed
from ..record import run
from ..store import RenderCache
from ..targets import Direction
from ._cells import Cells
from ._folder import Settings

# What was compared for these, with pictures: docs/design/atlas.md.
_COSINE_POWER = 4.0
_DETAIL = 0.6
# Enough to keep the batches full, few enough that little is lost when the work is ended.
_CHUNK = 192


@dataclass(frozen=True, eq=False)
class CellIcons:
    """A picture of each cell.

    Args:
        images: uint8 [n, side, side, 3].
        answers: float32 [n, channels]: what the layer says at the centre of each picture.
    """

    images: np.ndarray
    answers: np.ndarray


def draw_cells(
    model: Model,
    layer: Layer,
    cells: Cells,
    whitening: np.ndarray,
    settings: Settings,
    *,
    parents: tuple[Cells, CellIcons] | None,
    cache: RenderCache | None,
    progress: Progress,
    title: str,
) -> CellIcons:
    """An icon for each cell, rendered in batches; of several tries the one that answers most like the cell.

    The target is the mean of the cell times the inverse second-moment matrix, at the centre of the picture, weighted
    with the 4th power of the cosine. Cells of a finer grid start from the picture of the cell that they lie in.

    Args:
        parents: cells of the coarser grid and their icons, where to start from.
        cache: keeps each picture, so that interrupted work goes on and unchanged cells are not drawn again.

    Raises:
        KeyboardInterrupt: the work was ended early; what was finished is in the cache.

    Source: Carter et al., Activation Atlas, Distill 2019, doi 10.23915/distill.00015.
    """
    made: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    for first in range(0, len(cells), _CHUNK):
        chosen = np.arange(first, min(first + _CHUNK, len(cells)))
        targets = [cell_target(layer.name, cells.means[number], whitening) for number in chosen]
        best: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        for attempt in range(settings.tries):
            images = _rendered(model, targets, cells, chosen, settings, attempt, parents, cache)
            said = centre_activations(model, layer, images)
            likeness = _cosine(said, cells.means[chosen])
            if best is None:
                best = images, said, likeness
            else:
                better = likeness > best[2]
                best = (
                    np.where(better[:, None, None, None], images, best[0]),
                    np.where(better[:, None], said, best[1]),
                    np.maximum(likeness, best[2]),
                )
        assert best is not None
        made.append(best[0])
        answers.append(best[1])
        progress(Event(title, int(chosen[-1]) + 1, len(cells), "icon"))
    return CellIcons(np.concatenate(made), np.concatenate(answers))


def cell_target(layer: str, mean: np.ndarray, whitening: np.ndarray) -> Direction:
    """What the icon of a cell of this mean activation is optimized for."""
    vector = whitening @ mean
    vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    # Rounded, so that the last bits of a sum do not decide whether an icon is found again.
    return Direction(layer, tuple(np.round(vector.astype(float), 4).tolist()), cosine_power=_COSINE_POWER, centred=True)


def _rendered(
    model: Model,
    targets: Sequence[Direction],
    cells: Cells,
    chosen: np.ndarray,
    settings: Settings,
    attempt: int,
    parents: tuple[Cells, CellIcons] | None,
    cache: RenderCache | None,
) -> np.ndarray:
    """uint8 [n, side, side, 3]."""
    above = parent_numbers(cells, chosen, parents[0]) if parents is not None and attempt == 0 else None
    images = np.zeros((len(targets), settings.icon_size, settings.icon_size, 3), np.uint8)
    groups = [(np.arange(len(targets)), None)]
    if above is not None and parents is not None:
        warm, cold = np.flatnonzero(above >= 0), np.flatnonzero(above < 0)
        groups = [(cold, None), (warm, parents[1].images[above[warm]].astype(np.float32).transpose(0, 3, 1, 2) / 255)]
    for rows, start in groups:
        if not len(rows):
            continue
        rendering = render(
            model,
            [targets[int(row)] for row in rows],
            size=settings.icon_size,
            # Half the way is already done where a picture starts from its parent's.
            steps=settings.icon_steps if start is None else max(1, settings.icon_steps // 2),
            seed=settings.seed + attempt,
            start=start,
            parametrization=Fourier(detail=_DETAIL),
            cache=cache,
        )
        if rendering.provenance["interrupted"]:
            raise KeyboardInterrupt
        shown = rendering.images
        if shown.shape[3] != 3:
            shown = np.repeat(shown.mean(3, keepdims=True), 3, 3)
        images[rows] = np.rint(shown * 255).astype(np.uint8)
    return images


def parent_numbers(cells: Cells, chosen: np.ndarray, coarse: Cells) -> np.ndarray:
    """For each cell the one of a coarser grid that its centre lies in, as a place in the lists; -1 for none."""
    place = np.full((coarse.rows, coarse.columns), -1, np.int64)
    place[coarse.places[:, 1], coarse.places[:, 0]] = np.arange(len(coarse))
    middle = cells.places[chosen] + 0.5
    column = (middle[:, 0] / cells.columns * coarse.columns).astype(int)
    row = (middle[:, 1] / cells.rows * coarse.rows).astype(int)
    return place[row, column]


def centre_activations(model: Model, layer: Layer, images: np.ndarray) -> np.ndarray:
    """float32 [n, channels]: what a layer says at the centre of pictures, uint8 [n, side, side, 3]."""
    found = []
    with borrowed(model.module), torch.no_grad():
        for start in range(0, len(images), 64):
            batch = torch.from_numpy(images[start : start + 64]).permute(0, 3, 1, 2).float() / 255
            if model.input_channels == 1:
                batch = batch.mean(1, keepdim=True)
            grid = run(model, batch.to(model.device), [layer.name])[layer.name].float()
            found.append(grid[:, :, grid.shape[2] // 2, grid.shape[3] // 2].cpu().numpy())
    return np.concatenate(found)


def _cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(1) / np.maximum(lengths, 1e-12)
