"""Small pictures that stand for units: one way to make them, so that what was rendered once is found again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..events import Progress, silent
from ..features import Rendering, find_rendered, render
from ..models import Model
from ..store import SHIPPED, RenderCache
from ..targets import Direction, Neuron, Target

# What reads at 60 px for the least work: docs/design/icons.md.
ICON_SIZE = 96
ICON_STEPS = 64


@dataclass(frozen=True)
class Look:
    """How finely an explanation is drawn.

    Args:
        size, steps: of icons: side in px, and optimizer steps.
        strongest: how many channels the dictionary shows at a position.
        alike: groups whose channel factors have this cosine share an icon.
    """

    size: int = ICON_SIZE
    steps: int = ICON_STEPS
    strongest: int = 4
    alike: float = 0.88


FINE = Look()
# A tenth of the work; enough to tell what an icon is about.
QUICK = Look(64, 24, strongest=2, alike=0.8)


def channel_icon(layer: str, channel: int) -> Target:
    """The target of a channel's icon: the channel at the centre of the picture, which gives one object."""
    return Neuron(layer, channel)


def group_icon(layer: str, vector: np.ndarray) -> Target:
    """The target of a group's icon: its channel factor at the centre of the picture, and little beside it."""
    # Rounded, so that the last bits of a factorization do not decide whether an icon is found again.
    return Direction(layer, tuple(np.round(np.asarray(vector, float), 3).tolist()), cosine_power=2.0, centred=True)


def find_icons(
    model: Model, targets: Sequence[Target], *, seed: int = 0, cache: RenderCache | None = SHIPPED
) -> dict[int, np.ndarray]:
    """The fine icons that the cache holds, by place in `targets`."""
    if cache is None:
        return {}
    return find_rendered(model, targets, size=FINE.size, steps=FINE.steps, seed=seed, alpha=True, cache=cache)


def draw_icons(
    model: Model,
    targets: Sequence[Target],
    *,
    look: Look = FINE,
    seed: int = 0,
    cache: RenderCache | None = SHIPPED,
    progress: Progress = silent,
) -> np.ndarray:
    """An icon for each target, float32 [n, side, side, channels + 1] of the finest side; none is drawn twice.

    Args:
        look: of icons that have to be rendered. Fine ones that the cache holds serve every look.

    Raises:
        KeyboardInterrupt: the work was ended early.
    """
    found = find_icons(model, targets, seed=seed, cache=cache)
    missing = [number for number in range(len(targets)) if number not in found]
    if missing:
        drawn = render_icons(
            model,
            [targets[number] for number in missing],
            size=look.size,
            steps=look.steps,
            seed=seed,
            cache=cache,
            progress=progress,
        )
        found |= dict(zip(missing, drawn.images, strict=True))
    side = max(image.shape[0] for image in found.values())
    return np.stack([scaled(found[number], side) for number in range(len(targets))])


def render_icons(
    model: Model,
    targets: Sequence[Target],
    *,
    size: int = ICON_SIZE,
    steps: int = ICON_STEPS,
    seed: int = 0,
    cache: RenderCache | None = SHIPPED,
    progress: Progress = silent,
) -> Rendering:
    """An icon with opacity for each target: from the cache, by default what ships with the package, or rendered.

    Raises:
        KeyboardInterrupt: the work was ended early: icons that are half done explain nothing. Finished ones are kept.
    """
    icons = render(model, list(targets), size=size, steps=steps, seed=seed, alpha=True, cache=cache, progress=progress)
    if icons.provenance["interrupted"]:
        raise KeyboardInterrupt
    return icons


def scaled(image: np.ndarray, side: int) -> np.ndarray:
    """An icon [n, n, channels] at another size."""
    if image.shape[0] == side:
        return image
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    larger = F.interpolate(tensor, (side, side), mode="bicubic", align_corners=False).clamp(0, 1)
    return larger[0].permute(1, 2, 0).numpy()
