"""Small pictures that stand for units: one way to make them, so that what was rendered once is found again."""

from collections.abc import Sequence

from ..events import Progress, silent
from ..features import Rendering, render
from ..models import Model
from ..store import SHIPPED, RenderCache
from ..targets import Neuron, Target

# What reads at 60 px for the least work: docs/design/icons.md.
ICON_SIZE = 96
ICON_STEPS = 64


def channel_icon(layer: str, channel: int) -> Target:
    """The target of a channel's icon: the channel at the centre of the picture, which gives one object."""
    return Neuron(layer, channel)


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
