"""Questions that need more than one image, or an image to start from: each is a composition of `render`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..models import Model, borrowed
from ..record import run
from ._render import Goal, height_and_width, render
from ._rendering import Rendering
from .images import Fourier, MagnitudeConstrained, Shared
from .objectives import (
    Alignment,
    Caricature,
    Difference,
    Interpolation,
    Likeness,
    Magnitude,
    Objective,
    Style,
    Sum,
    as_objective,
)
from .transforms import Jitter, Scale, Transform, Window, crops


def render_diverse(
    model: Model, target: Goal, *, copies: int = 4, diversity: float = 0.5, layer: str | None = None, **settings: Any
) -> Rendering:
    """Several images of one target, pushed apart: what else does this unit respond to?

    Args:
        target: text, target or objective.
        copies: images.
        diversity: what full likeness costs, as a share of the target's own strength; 0 gives plain repeats.
        layer: where the images are compared (Gram matrices); by default the target's own layer.
        settings: passed on to `render`.

    Source: Feature Visualization, 2017, section Diversity.

    Example:
        >>> pellucid.render_diverse(model, "8:1", copies=2, size=32, steps=4).images.shape
        (2, 32, 32, 3)
    """
    objective = as_objective(target).checked(model)
    place = layer or next(iter(objective.needs()))
    return render(model, objective - diversity * Likeness(place) * Magnitude(objective), copies=copies, **settings)


def render_interpolation(
    model: Model,
    first: Goal,
    second: Goal,
    *,
    copies: int = 6,
    alignment: float = 0.0,
    layer: str | None = None,
    **settings: Any,
) -> Rendering:
    """Images between two targets, aligned so that one turns into the next: how do two units interact?

    Args:
        first, second: text, targets or objectives; the first image shows `first` alone, the last `second` alone.
        copies: images.
        alignment: how much likeness of neighbours in `layer` counts, on top of sharing their coarse structure.
        layer: where likeness is measured; by default the layer of `first`.
        settings: passed on to `render`.

    Example:
        >>> pellucid.render_interpolation(model, "8:1", "8:2", copies=3, size=32, steps=4).images.shape
        (3, 32, 32, 3)
    """
    start = as_objective(first).checked(model)
    objective = Interpolation(start, as_objective(second).checked(model))
    if alignment:
        place = layer or next(iter(start.needs()))
        objective = objective + alignment * Alignment(place)
    settings.setdefault("parametrization", Shared())
    return render(model, objective, copies=copies, **settings)


def render_caricature(
    model: Model,
    image: Tensor | np.ndarray,
    layer: str,
    *,
    power: float = 1.0,
    from_image: bool = False,
    **settings: Any,
) -> Rendering:
    """What a layer made of an image, exaggerated: a new image with the same activations, only more so.

    Args:
        image: [channels, height, width], sRGB in [0, 1]; the rendering has its size.
        layer: whose activations are exaggerated.
        power: of the cosine; higher stays nearer to the image's own pattern.
        from_image: start from the image (accentuation) instead of from noise.
        settings: passed on to `render`; the transforms are small by default, so that things stay in place.

    Example:
        >>> pellucid.render_caricature(model, torch.rand(3, 32, 32), "8", steps=4).images.shape
        (1, 32, 32, 3)
    """
    picture, reference = _reference(model, image, layer)
    return _from_reference(model, Caricature(layer, reference, power), picture, from_image, settings)


def render_inversion(model: Model, image: Tensor | np.ndarray, layer: str, **settings: Any) -> Rendering:
    """An image that a layer cannot tell from the given one: what has been kept up to there?

    Args:
        image: [channels, height, width], sRGB in [0, 1]; the rendering has its size.
        layer: whose activations are matched.
        settings: passed on to `render`.

    Example:
        >>> pellucid.render_inversion(model, torch.rand(3, 32, 32), "8", steps=4).images.shape
        (1, 32, 32, 3)
    """
    picture, reference = _reference(model, image, layer)
    return _from_reference(model, -Difference(layer, reference), picture, False, settings)


def render_accentuation(
    model: Model, image: Tensor | np.ndarray, target: Goal, *, steps: int = 64, **settings: Any
) -> Rendering:
    """The image with more of what makes a target fire.

    Args:
        image: [channels, height, width], sRGB in [0, 1]; the rendering has its size.
        target: text, target or objective.
        steps: fewer stay nearer to the image.
        settings: passed on to `render`.

    Example:
        >>> pellucid.render_accentuation(model, torch.rand(3, 32, 32), "8:1", steps=4).images.shape
        (1, 32, 32, 3)
    """
    picture = model.check_images(torch.as_tensor(image)[None])[0].float()
    settings.setdefault("size", tuple(picture.shape[1:]))
    return render(model, target, start=picture, steps=steps, **settings)


def render_style(
    model: Model,
    style: Tensor | np.ndarray,
    layers: Sequence[str],
    *,
    content: Tensor | np.ndarray | None = None,
    content_layer: str | None = None,
    style_weight: float = 1.0,
    **settings: Any,
) -> Rendering:
    """A picture with the texture of one image and, where given, the content of another (Gatys et al., 2015).

    Args:
        style: [channels, height, width], sRGB in [0, 1]; any size.
        layers: whose Gram matrices are matched; early ones give fine texture, later ones larger patterns.
        content: [channels, height, width]; the rendering starts from it and has its size.
        content_layer: where content is matched; by default the last of `layers`.
        style_weight: of the texture against the content.
        settings: passed on to `render`.

    Example:
        >>> pellucid.render_style(model, torch.rand(3, 40, 40), ["6"], size=32, steps=4).images.shape
        (1, 32, 32, 3)
    """
    objective = style_weight * style_objective(model, style, layers)
    if content is None:
        return render(model, objective, **settings)
    place = content_layer or layers[-1]
    picture, reference = _reference(model, content, place)
    # Relative to how much the layer does at all, so that one weight suits all layers.
    scale = 1 / max(float(np.square(reference).mean()), 1e-12)
    return _from_reference(model, objective - scale * Difference(place, reference), picture, True, settings)


def render_magnitude_constrained(
    model: Model,
    targets: Goal | Sequence[Goal],
    *,
    size: int | tuple[int, int] | None = None,
    draws: int = 2,
    alpha: bool = False,
    **settings: Any,
) -> Rendering:
    """Images with the spectrum of natural photos, of which only the phase is optimized (MACO, arXiv 2306.06805).

    The network sees crops of half the side, scaled to its own size, `draws` of them at each step, with noise. NAdam,
    annealed. Published are crops of a quarter of the side, 6 to 32 at each step, at a constant learning rate of 1.0;
    what that costs and gives: `docs/features.md`.

    Args:
        targets: as for `render`.
        size: height and width of the images, px; by default twice the model's own, of which a crop is as large as what
            the network sees.
        draws: crops at each step; cost grows with it, and hardly with `size`.
        alpha: give the images a fourth channel, opacity, by the gradient that reached each pixel; see `render`.
        settings: passed on to `render`.

    Example:
        >>> pellucid.render_magnitude_constrained(model, "8:1", size=32, steps=4).images.shape
        (1, 32, 32, 3)
    """
    height, width = height_and_width((2 * model.size[0], 2 * model.size[1]) if size is None else size)
    crop, *rest = crops()
    # A crop is enlarged to the picture's size: from there to the network's, whose sides it covers.
    fit = (Scale((max(model.size[0] / height, model.size[1] / width),)), Window(model.size))
    for name, value in (
        ("parametrization", MagnitudeConstrained()),
        ("transforms", (crop, *fit, *rest)),
        ("optimizer", "nadam"),
    ):
        settings.setdefault(name, value)
    opacity = "gradient" if alpha else False
    return render(model, targets, size=(height, width), draws=draws, alpha=opacity, **settings)


def style_objective(
    model: Model, style: Tensor | np.ndarray, layers: Sequence[str], *, together: bool = False
) -> Objective:
    """Minus the distance of some layers' Gram matrices from those of an image: what `render_style` maximizes.

    Args:
        style: [channels, height, width], sRGB in [0, 1]; any size.
        layers: whose Gram matrices are compared.
        together: as in `objectives.Style`.
    """
    if not layers:
        raise InputError("style needs at least one layer.")
    parts = [-Style(name, _reference(model, style, name)[1], together) for name in layers]
    return Sum(tuple(parts)) if len(parts) > 1 else parts[0]


STEADY: tuple[Transform, ...] = (Jitter(2), Jitter(2))


def _reference(model: Model, image: Tensor | np.ndarray, layer: str) -> tuple[Tensor, np.ndarray]:
    """The image, and a layer's [channels, rows, columns] on it."""
    picture = model.check_images(torch.as_tensor(image)[None]).float()
    with borrowed(model.module), torch.no_grad():
        grid = run(model, picture, [layer])[model.layer(layer).name]
    return picture[0], grid[0].float().cpu().numpy()


def _from_reference(
    model: Model, objective: Goal, picture: Tensor, from_image: bool, settings: dict[str, Any]
) -> Rendering:
    """Render at the picture's size; a jitter by less than a stride, undone on average, keeps things in their place."""
    settings.setdefault("size", tuple(picture.shape[1:]))
    settings.setdefault("transforms", (*STEADY, Window()))
    settings.setdefault("parametrization", Fourier())
    return render(model, objective, start=picture if from_image else None, **settings)
