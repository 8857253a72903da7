"""Pasting patches on photos and counting what the network then reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress
from ..models import Model, borrowed
from ..record import run
from ..targets import LOGITS
from ._folder import Folder, key_of
from .sources import Images

SIZES = (0.2, 0.4, 0.7)
CORNERS = ("upper left", "upper right", "lower left", "lower right")
FEWEST = 8
_ANSWERS = "answers"


@dataclass(frozen=True)
class Share:
    """How many photos were read as the class aimed at.

    Args:
        name: what was pasted: `patch`, `noise`, `random cells`, `real photo` or `nothing`.
        setting: size and corner, or `any` where a photo counts that some setting flipped.
        flipped, total: photos so read, and all that were tried; of controls that are drawn several times, in all draws.
        low, high: 95 % interval of the share (Wilson).
    """

    name: str
    setting: str
    flipped: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.flipped / self.total


def wilson(flipped: int, total: int) -> tuple[float, float]:
    """95 % interval of a share.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.

    Example:
        >>> [round(end, 3) for end in wilson(5, 10)]
        [0.237, 0.763]
    """
    z = 1.959964
    share, spread = flipped / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def paste(photos: Tensor, patches: Tensor, size: float, corner: str) -> Tensor:
    """Photos with a square pasted into a corner.

    Args:
        photos: [n, channels, height, width] in [0, 1].
        patches: [n or 1, channels, side, side] in [0, 1].
        size: side of the square as a share of the photo's shorter side.
        corner: one of `CORNERS`.

    Example:
        >>> paste(torch.zeros(1, 3, 10, 10), torch.ones(1, 3, 4, 4), 0.2, "lower right")[0, 0, 8:, 8:].sum()
        tensor(4.)
    """
    height, width = photos.shape[2:]
    side = max(1, round(size * min(height, width)))
    scaled = F.interpolate(patches, (side, side), mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)
    changed = photos.clone()
    rows = slice(0, side) if corner.startswith("upper") else slice(height - side, height)
    columns = slice(0, side) if corner.endswith("left") else slice(width - side, width)
    changed[:, :, rows, columns] = scaled
    return changed


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos and what the network makes of them.

    Args:
        model: the network.
        images: what they are read from.
        numbers: which of them.
        logits: float32 [n, classes].
    """

    model: Model
    images: Images
    numbers: np.ndarray
    logits: np.ndarray

    @classmethod
    def read(
        cls, folder: Folder, model: Model, images: Images, *, most: int | None = None, seed: int = 0, progress: Progress
    ) -> "Photos":
        """The photos that can be read, or `most` of them by chance, with the network's answer, which is kept.

        Raises:
            InputError: none can be read.
        """
        wanted = np.arange(len(images))
        if most is not None and most < len(images):
            wanted = np.sort(np.random.default_rng(seed).permutation(len(images))[:most])
        key = key_of(model=model.digest, images=images.digest, size=list(model.size), most=most, seed=seed)
        if not folder.has(_ANSWERS, key):
            numbers, logits = [], []
            for first in range(0, len(wanted), 64):
                kept, pixels = [], []
                for number in wanted[first : first + 64].tolist():
                    try:
                        pixels.append(images.load(number, model.size, model.input_channels))
                        kept.append(number)
                    except InputError:
                        continue
                if kept:
                    logits.append(logits_of(model, torch.from_numpy(np.stack(pixels)).float() / 255))
                    numbers += kept
                progress(Event("reading photos", min(first + 64, len(wanted)), len(wanted), "image"))
            if not numbers:
                raise InputError(f"none of the photos of {images.where} can be read.")
            arrays = {"numbers": np.asarray(numbers, np.int64), "logits": np.concatenate(logits)}
            folder.write(_ANSWERS, key, arrays)
        return cls(model, images, **folder.read(_ANSWERS, key))

    def of(self, label: int) -> np.ndarray:
        """Places of the photos that the network reads as a class, and rightly so where their labels say."""
        mine = np.flatnonzero(self.logits.argmax(1) == label)
        name = self.name_of(label)
        own = [place for place in mine if self.images.labels[self.numbers[place]] == name]
        return np.asarray(own) if len(own) >= FEWEST else mine

    def name_of(self, label: int) -> str | None:
        """What most photos that are read as a class are called in their source, such as the name of their folder."""
        names = [self.images.labels[number] for number in self.numbers[self.logits.argmax(1) == label]]
        known = [name for name in names if name is not None]
        return max(set(known), key=known.count) if known else None

    def pixels(self, places: np.ndarray) -> Tensor:
        """[n, channels, height, width] in [0, 1]."""
        loaded = [
            self.images.load(int(self.numbers[place]), self.model.size, self.model.input_channels) for place in places
        ]
        return torch.from_numpy(np.stack(loaded)).float() / 255


def flips_of(model: Model, photos: Tensor, patches: Tensor, aim: int, size: float, corner: str) -> np.ndarray:
    """bool [n]: whether each photo, with its patch, is read as the class aimed at."""
    return logits_of(model, paste(photos, patches, size, corner)).argmax(1) == aim


def logits_of(model: Model, images: Tensor) -> np.ndarray:
    """float32 [n, classes] of images [n, channels, height, width] in [0, 1]."""
    with borrowed(model.module), torch.no_grad():
        found = [run(model, part.to(model.device), [LOGITS])[LOGITS].flatten(1) for part in images.split(64)]
    return torch.cat(found).float().cpu().numpy()


def noise_patch(shape: Sequence[int], seed: int) -> Tensor:
    """Every pixel of chance."""
    return torch.rand(tuple(shape), generator=torch.Generator().manual_seed(seed))


def as_patches(icons: np.ndarray, model: Model) -> Tensor:
    """[n, channels, side, side] in [0, 1] of icons, uint8 [n, side, side, 3]."""
    patches = torch.from_numpy(icons).permute(0, 3, 1, 2).float() / 255
    return patches.mean(1, keepdim=True) if model.input_channels == 1 else patches


def as_bytes(images: Tensor) -> np.ndarray:
    """uint8 [n, height, width, 3]."""
    shown = images if images.shape[1] == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return (shown.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


def share_of(name: str, setting: str, flips: np.ndarray) -> Share:
    """The share of `flips`, bool [n], with its interval."""
    low, high = wilson(int(flips.sum()), len(flips))
    return Share(name, setting, int(flips.sum()), len(flips), low, high)
