"""Whether a map stays the same when the photo changes so little that nobody would mind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..models import Model
from ..models._view import Picture, view
from ._evidence import Evidence, as_said, correlation

MapOf = Callable[[Tensor], np.ndarray]


@dataclass(frozen=True, eq=False)
class Stability:
    """How much a map changes with small changes of the photo.

    Args:
        changes: what was done to the photo, in words.
        correlations: [changes]: of the map of the changed photo with that of the photo.
        moved: [changes]: length of the difference of the two maps, as a share of the length of the photo's.
        control: correlation with another map: of `stability`, that of the photo turned by half, which shows the same
            things elsewhere.
    """

    changes: tuple[str, ...]
    correlations: np.ndarray
    moved: np.ndarray
    control: float

    def evidence(
        self, about: str, what: str = "the map", control_is: str = "that of the photo turned upside down"
    ) -> Evidence:
        """The least correlation beside the control.

        Args:
            about: which picture: `spatial:mixed4d:208`.
            what, control_is: what was compared, and with what for the control, in words: one thing each.
        """
        worst = int(self.correlations.argmin())
        value = float(self.correlations[worst])
        return Evidence(
            about=about,
            name="stability under small changes",
            value=round(value, 4),
            control=round(self.control, 4),
            sentence=(
                f"Of {len(self.changes)} small changes of the photo, this one changes {what} most: "
                f"{self.changes[worst]}. Before and after, it correlates at {as_said(value)}; with {control_is}, at "
                f"{as_said(self.control)}."
            ),
        )


def stability(
    model: Model,
    image: Picture,
    map_of: MapOf,
    *,
    noise: float = 0.02,
    brightness: float = 0.05,
    contrast: float = 0.1,
    shift: int = 1,
    copies: int = 4,
    seed: int = 0,
) -> Stability:
    """How stable a map is under noise, changes of brightness and contrast, and shifts of the photo.

    Args:
        model: whose view of the photo is changed.
        image: a file, a Pillow image, or an array [channels, height, width], sRGB in [0, 1].
        map_of: the map of a view [channels, height, width] in [0, 1]: any array, of one shape for all views.
        noise: standard deviation of what is added to every number of the photo; `copies` times, anew.
        brightness: what is added to all numbers, and subtracted.
        contrast: by what share the distance from the mean grows, and falls.
        shift: by how many px the photo is moved to each of four sides; what comes in repeats the edge.
        copies: how many photos with noise.
        seed: of the noise.

    Returns:
        Stability; a change of size 0, or no copies, leaves those changes out. Numbers that would leave [0, 1] are
        clipped.

    Raises:
        InputError: the image cannot be read or does not fit; no change is left; maps that differ in shape or hold
            numbers that are not finite.

    Source: sensitivity to perturbations as in Yeh et al. 2019, arXiv 1901.09392; here the least correlation.

    Example:
        >>> def map_of(view):
        ...     return pellucid.attribute(model, view, layer="3", target=2).positions()
        >>> found = stability(model, image, map_of, copies=1)
        >>> found.changes[:2], found.correlations.shape
        (('noise of 0.02', 'brighter by 0.05'), (9,))
    """
    whole = view(model, image).image
    changed = small_changes(
        whole, noise=noise, brightness=brightness, contrast=contrast, shift=shift, copies=copies, seed=seed
    )
    if not changed:
        raise InputError("no change is left: give noise, brightness, contrast or shift a size.")
    usual = _checked(map_of(whole), None)
    maps = [_checked(map_of(each), usual) for _, each in changed]
    return compared([what for what, _ in changed], usual, maps, _checked(map_of(turned(whole)), usual))


def small_changes(
    whole: Tensor, *, noise: float, brightness: float, contrast: float, shift: int, copies: int, seed: int
) -> list[tuple[str, Tensor]]:
    """What `stability` does to a photo: in words, and as a view; numbers are clipped to [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    changed: list[tuple[str, Tensor]] = []
    if noise:
        changed += [
            (f"noise of {noise:g}", whole + noise * torch.randn(whole.shape, generator=generator))
            for _ in range(copies)
        ]
    if brightness:
        changed += [
            (f"brighter by {brightness:g}", whole + brightness),
            (f"darker by {brightness:g}", whole - brightness),
        ]
    if contrast:
        mean = whole.mean()
        changed += [
            (f"contrast {word} by {contrast:.0%}", mean + (1 + sign * contrast) * (whole - mean))
            for word, sign in (("raised", 1), ("lowered", -1))
        ]
    if shift:
        sides = {"down": (shift, 0), "up": (-shift, 0), "right": (0, shift), "left": (0, -shift)}
        changed += [(f"moved {side} by {shift} px", _moved(whole, *by)) for side, by in sides.items()]
    return [(what, each.clamp(0, 1)) for what, each in changed]


def turned(whole: Tensor) -> Tensor:
    """The photo turned by half: the same things elsewhere."""
    return whole.flip(1, 2)


def compared(changes: Sequence[str], usual: np.ndarray, maps: Sequence[np.ndarray], control: np.ndarray) -> Stability:
    """The stability of a map.

    Args:
        changes: what was done to the photo, in words.
        usual: the photo's map.
        maps: those of the changed photos.
        control: another, such as that of the photo turned by half.
    """
    length = max(float(np.linalg.norm(usual)), 1e-12)
    return Stability(
        tuple(changes),
        np.array([correlation(each, usual) for each in maps]),
        np.array([float(np.linalg.norm(each - usual)) / length for each in maps]),
        correlation(control, usual),
    )


def _moved(image: Tensor, down: int, right: int) -> Tensor:
    rows = (torch.arange(image.shape[1]) - down).clamp(0, image.shape[1] - 1)
    columns = (torch.arange(image.shape[2]) - right).clamp(0, image.shape[2] - 1)
    return image[:, rows][:, :, columns]


def _checked(values: np.ndarray, like: np.ndarray | None) -> np.ndarray:
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        raise InputError("map_of gave numbers that are not finite.")
    if like is not None and values.shape != like.shape:
        raise InputError(f"map_of gave {list(values.shape)} for one view and {list(like.shape)} for another.")
    return values
