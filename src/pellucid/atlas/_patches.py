"""The patch laboratory: does a piece of the map, pasted on real photos, make the network see something else?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ..models import Model, borrowed
from ..record import run
from ..targets import LOGITS
from ._atlas import Atlas
from ._cells import Cells
from ._folder import key_of
from ._sources import Images, open_images

STAGE = "trials"
SIZES = (0.2, 0.4, 0.7)
CORNERS = ("upper left", "upper right", "lower left", "lower right")
_CANDIDATES = 4
_FEWEST = 8
_EXAMPLES = 6
_RANDOM_CELLS = 12


@dataclass(frozen=True)
class Share:
    """How many photos were read as the class aimed at.

    Args:
        name: what was pasted: `patch`, `noise`, `random cells`, `real photo` or `nothing`.
        setting: size and corner, or `any` where a photo counts that some setting flipped.
        flipped, total: photos so read, and all that were tried.
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


@dataclass(frozen=True, eq=False)
class Trial:
    """A cell's icon pasted on photos of one class, to have them read as another.

    Args:
        layer: of the atlas.
        source, aim: numbers of the class of the photos, and of the one aimed at.
        place: column and row of the cell, on the grid of `columns` cells a side.
        columns: cells a side.
        patch: uint8 [side, side, 3].
        shares: the patch and its controls, on photos that had no part in the choice of cell, size and corner.
        found: whether the patch beat every control: its interval lies above all of theirs.
        examples: uint8 [n, height, width, 3]: photos with the patch that were read as the class aimed at.
        own: share of the cell's known images that are of the class aimed at; `None` where the images have no labels.
        sentence: what came out.
    """

    layer: str
    source: int
    aim: int
    place: tuple[int, int]
    columns: int
    patch: np.ndarray
    shares: tuple[Share, ...]
    found: bool
    examples: np.ndarray
    own: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Its numbers, without the pictures."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)}
        return {**plain, "place": list(self.place), "shares": [vars(share) for share in self.shares]}


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


def try_patch(
    atlas: Atlas,
    model: Model,
    images: Any,
    source: int | str,
    aim: int | str,
    *,
    layer: str | None = None,
    cell: tuple[int, int] | None = None,
    grid: int | None = None,
    seed: int = 0,
    keep: bool = True,
    progress: Progress = silent,
) -> Trial:
    """Whether the icon of a cell, pasted on photos of one class, has them read as another, beside controls.

    Photos that the network reads as `source` are divided by chance. On one half, the best of a few cells that argue
    for `aim` and against `source` is chosen, with the best of three sizes and four corners; the shares are counted
    on the other half. Controls, in the same place and size: noise, patches of random cells, and a real photo that is
    read as `aim`.

    Args:
        atlas, model: the atlas and its network.
        images: photos, as for `build_atlas`.
        source, aim: the class of the photos, and the one aimed at.
        layer: by default the atlas's last.
        cell: column and row of the cell to try, on `grid`; by default the best candidate.
        grid: cells a side; by default the atlas's finest.
        seed: of the division, the noise and the random cells.
        keep: whether to keep the trial in the atlas and show it on its page.
        progress: receives events.

    Raises:
        TargetError: no such class or layer.
        InputError: the same class twice, no such cell, or too few photos that are read as `source`.

    Example:
        >>> pellucid.atlas.try_patch(atlas, model, "photos/", "grey whale", "great white shark")  # doctest: +SKIP
    """
    pair, layer = (model.class_index(source), model.class_index(aim)), layer or atlas.layers[-1]
    if pair[0] == pair[1]:
        raise InputError(f"{model.label(pair[0])} is named twice; name two classes.")
    photos = Photos.read(model, open_images(images), progress)
    return _trial(atlas, model, photos, pair, layer, cell, grid or atlas.grids[-1], seed, keep)


def search_patches(
    atlas: Atlas,
    model: Model,
    images: Any,
    *,
    layer: str | None = None,
    grid: int | None = None,
    count: int = 10,
    seed: int = 0,
    keep: bool = True,
    progress: Progress = silent,
) -> list[Trial]:
    """Surprising patches over all pairs of classes: cells that argue for B though their images are of other classes.

    Pairs are ranked by what a cell is expected to add to B over A, against how far apart photos of A keep the two; the
    first of them are tried as `try_patch` does. Those that beat every control come first.

    Args:
        atlas, model, images, layer, grid, seed, keep, progress: as for `try_patch`.
        count: how many pairs to try.

    Raises:
        InputError: no attribution is known, or there are too few photos.
    """
    layer, grid = layer or atlas.layers[-1], grid or atlas.grids[-1]
    photos = Photos.read(model, open_images(images), progress)
    cells = atlas.cells(layer, grid)
    _require_attribution(atlas, cells, layer)
    labelled = cell_labels(atlas, layer, cells)
    ranked = _rank_pairs(model, photos, cells, labelled)
    trials: list[Trial] = []
    for number, (pair, place) in enumerate(ranked[:count]):
        progress(Event("trying patches", number, min(count, len(ranked)), "pair"))
        trials.append(_trial(atlas, model, photos, pair, layer, place, grid, seed, keep))
    progress(Event("trying patches", min(count, len(ranked)), min(count, len(ranked)), "pair"))
    return sorted(trials, key=lambda trial: (not trial.found, -trial.shares[0].value))


def kept_trials(atlas: Atlas) -> list[Trial]:
    """Every trial that the atlas keeps; those that beat their controls first, the strongest of them first."""
    found = []
    for key in atlas.folder.keys(STAGE):
        notes, arrays = atlas.folder.notes(STAGE, key), atlas.folder.read(STAGE, key)
        if notes["layer"] in atlas.layers:
            shares = tuple(Share(**share) for share in notes.pop("shares"))
            notes["place"] = tuple(notes["place"])
            found.append(Trial(**notes, shares=shares, patch=arrays["patch"], examples=arrays["examples"]))
    return sorted(found, key=lambda trial: (not trial.found, -trial.shares[0].value))


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos and what the network makes of them.

    Args:
        images: what they are read from.
        numbers: which of them could be read.
        logits: float32 [n, classes].
    """

    model: Model
    images: Images
    numbers: np.ndarray
    logits: np.ndarray

    @classmethod
    def read(cls, model: Model, images: Images, progress: Progress) -> "Photos":
        """Every photo that can be read, with the network's answer."""
        numbers, logits = [], []
        for first in range(0, len(images), 64):
            kept, pixels = [], []
            for number in range(first, min(first + 64, len(images))):
                try:
                    pixels.append(images.load(number, model.size, model.input_channels))
                    kept.append(number)
                except InputError:
                    continue
            if kept:
                logits.append(_logits(model, torch.from_numpy(np.stack(pixels)).float() / 255))
                numbers += kept
            progress(Event("reading photos", min(first + 64, len(images)), len(images), "image"))
        if not numbers:
            raise InputError(f"none of the photos of {images.where} can be read.")
        return cls(model, images, np.asarray(numbers), np.concatenate(logits))

    def of(self, label: int) -> np.ndarray:
        """Places of the photos that the network reads as a class; of other classes where their folder says so."""
        mine = np.flatnonzero(self.logits.argmax(1) == label)
        names = [self.images.labels[self.numbers[place]] for place in mine]
        own = [place for place, name in zip(mine, names, strict=True) if name == self.folder_of(label)]
        return np.asarray(own) if len(own) >= _FEWEST else mine

    def folder_of(self, label: int) -> str | None:
        """The label that most photos of a class carry in their source."""
        names = [self.images.labels[number] for number in self.numbers[self.logits.argmax(1) == label]]
        known = [name for name in names if name is not None]
        return max(set(known), key=known.count) if known else None

    def pixels(self, places: np.ndarray) -> Tensor:
        """[n, channels, height, width] in [0, 1]."""
        loaded = [
            self.images.load(int(self.numbers[place]), self.model.size, self.model.input_channels) for place in places
        ]
        return torch.from_numpy(np.stack(loaded)).float() / 255


def _trial(
    atlas: Atlas,
    model: Model,
    photos: Photos,
    pair: tuple[int, int],
    layer: str,
    cell: tuple[int, int] | None,
    grid: int,
    seed: int,
    keep: bool,
) -> Trial:
    cells, icons = atlas.cells(layer, grid), atlas.icons(layer, grid).images
    mine = photos.of(pair[0])
    if len(mine) < _FEWEST:
        raise InputError(
            f"{len(mine)} of the photos are read as {model.label(pair[0])}; a trial needs {_FEWEST} at least."
        )
    random = np.random.default_rng(seed)
    mine = random.permutation(mine)
    choosing, testing = mine[: len(mine) // 2], mine[len(mine) // 2 :]
    if cell is None:
        _require_attribution(atlas, cells, layer)
        lead = cells.attribution[:, pair[1]] - cells.attribution[:, pair[0]]
        candidates = np.argsort(-lead, kind="stable")[:_CANDIDATES].tolist()
    else:
        number = cells.number_at(*cell)
        if number is None:
            raise InputError(f"{layer} has no cell at {cell[0]}, {cell[1]} of the {grid} × {grid} grid.")
        candidates = [number]
    pixels = photos.pixels(choosing)
    chosen, size, corner = max(
        ((number, size, corner) for number in candidates for size in SIZES for corner in CORNERS),
        key=lambda entry: _flips(
            model, pixels, _as_patches(icons[entry[0]][None], model), pair[1], entry[1], entry[2]
        ).mean(),
    )
    patch = _as_patches(icons[chosen][None], model)
    pixels = photos.pixels(testing)
    setting = f"{size:.0%} of the side, {corner}"
    flips = _flips(model, pixels, patch, pair[1], size, corner)
    any_setting = np.zeros(len(pixels), bool)
    for one in SIZES:
        for place in CORNERS:
            any_setting |= _flips(model, pixels, patch, pair[1], one, place)
    others = np.delete(np.arange(len(cells)), chosen)
    drawn = random.choice(others, min(_RANDOM_CELLS, len(others)), replace=False) if len(others) else []
    cells_drawn = [_flips(model, pixels, _as_patches(icons[n][None], model), pair[1], size, corner) for n in drawn]
    noise = [
        _flips(
            model, pixels, torch.rand(pixels.shape[:2] + patch.shape[2:], generator=generator), pair[1], size, corner
        )
        for generator in (torch.Generator().manual_seed(seed + n) for n in range(4))
    ]
    shares = [_share("patch", setting, flips), _share("noise", setting, np.concatenate(noise))]
    if cells_drawn:
        shares.append(_share("random cells", setting, np.concatenate(cells_drawn)))
    aimed = photos.of(pair[1])
    if len(aimed):
        real = photos.pixels(random.choice(aimed, len(pixels)))
        shares.append(_share("real photo", setting, _flips(model, pixels, real, pair[1], size, corner)))
    controls = shares[1:]
    found = bool(flips.any()) and all(shares[0].low > control.high for control in controls)
    shares.append(_share("patch", "any", any_setting))
    own = _own_share(atlas, layer, cells, chosen, photos, pair[1])
    examples = paste(pixels, patch, size, corner)[torch.from_numpy(np.flatnonzero(flips)[:_EXAMPLES])]
    column, row = cells.places[chosen].tolist()
    trial = Trial(
        layer=layer,
        source=pair[0],
        aim=pair[1],
        place=(column, row),
        columns=grid,
        patch=icons[chosen],
        shares=tuple(shares),
        found=found,
        examples=_as_bytes(examples),
        own=own,
        sentence=_sentence(model, pair, shares, found, own),
    )
    if keep:
        key = key_of(cells=atlas.key("icons", layer, grid), pair=list(pair), place=[column, row], seed=seed)
        atlas.folder.write(STAGE, key, {"patch": trial.patch, "examples": trial.examples}, trial.to_json())
    return trial


def cell_labels(atlas: Atlas, layer: str, cells: Cells) -> list[list[str | None]]:
    """What the images of each cell's exemplars are called in their source."""
    sources = [None if source is None else source.labels for source in atlas.sources]
    origins = atlas.origins(layer, cells.exemplars[cells.exemplars >= 0])
    labels = [sources[source] for source, _, _, _ in origins]
    names = iter(
        None if known is None else known[image] for known, (_, image, _, _) in zip(labels, origins, strict=True)
    )
    return [[next(names) for number in row if number >= 0] for row in cells.exemplars]


def _own_share(atlas: Atlas, layer: str, cells: Cells, chosen: int, photos: Photos, aim: int) -> float | None:
    """Share of a cell's exemplars that their source calls what photos read as `aim` are called."""
    wanted = photos.folder_of(aim)
    one = Cells(
        cells.columns, cells.rows, cells.places[[chosen]], cells.counts[[chosen]], cells.means[[chosen]],
        cells.attribution[[chosen]], cells.attributed[[chosen]], cells.exemplars[[chosen]],
    )  # fmt: skip
    (names,) = cell_labels(atlas, layer, one)
    known = [name for name in names if name is not None]
    return sum(name == wanted for name in known) / len(known) if known and wanted is not None else None


def _rank_pairs(
    model: Model, photos: Photos, cells: Cells, labelled: Sequence[Sequence[str | None]]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(source, aim) and the cell's place, the most promising first; one entry for each pair of classes."""
    best = photos.logits.argmax(1)
    counts = np.bincount(best, minlength=photos.logits.shape[1])
    classes = np.flatnonzero(counts >= _FEWEST)
    folders = {int(label): photos.folder_of(int(label)) for label in classes}
    # How far apart photos of a class keep it from every other.
    margins = {int(a): photos.logits[best == a].mean(0) for a in classes}
    scored = []
    for number in range(len(cells)):
        argued = cells.attribution[number]
        for aim in np.argsort(-argued, kind="stable")[:2]:
            if int(aim) not in folders or argued[aim] <= 0:
                continue
            names = labelled[number]
            known = [name for name in names if name is not None]
            if known and sum(name == folders[int(aim)] for name in known) / len(known) > 0.25:
                continue  # no surprise: the cell is made of that class
            for source in classes:
                if source == aim:
                    continue
                gap = margins[int(source)][source] - margins[int(source)][aim]
                push = argued[aim] - argued[source]
                scored.append((push / max(float(gap), 1e-3), int(source), int(aim), number))
    scored.sort(key=lambda entry: -entry[0])
    taken: set[tuple[int, int]] = set()
    used: dict[int, int] = {}
    ranked = []
    for _, source, aim, number in scored:
        # Different stories rather than one cell again and again.
        if (source, aim) in taken or used.get(number, 0) >= 2:
            continue
        taken.add((source, aim))
        used[number] = used.get(number, 0) + 1
        column, row = cells.places[number].tolist()
        ranked.append(((source, aim), (column, row)))
    return ranked


def _flips(model: Model, photos: Tensor, patches: Tensor, aim: int, size: float, corner: str) -> np.ndarray:
    """bool [n]: whether each photo, with its patch, is read as the class aimed at."""
    return _logits(model, paste(photos, patches, size, corner)).argmax(1) == aim


def _logits(model: Model, images: Tensor) -> np.ndarray:
    with borrowed(model.module), torch.no_grad():
        found = [run(model, part.to(model.device), [LOGITS])[LOGITS].flatten(1) for part in images.split(64)]
    return torch.cat(found).float().cpu().numpy()


def _noise(shape: Sequence[int], seed: int) -> Tensor:
    return torch.rand(tuple(shape), generator=torch.Generator().manual_seed(seed))


def _as_patches(icons: np.ndarray, model: Model) -> Tensor:
    """[n, channels, side, side] in [0, 1] of icons, uint8 [n, side, side, 3]."""
    patches = torch.from_numpy(icons).permute(0, 3, 1, 2).float() / 255
    return patches.mean(1, keepdim=True) if model.input_channels == 1 else patches


def _as_bytes(images: Tensor) -> np.ndarray:
    """uint8 [n, height, width, 3]."""
    shown = images if images.shape[1] == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return (shown.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


def _share(name: str, setting: str, flips: np.ndarray) -> Share:
    low, high = wilson(int(flips.sum()), len(flips))
    return Share(name, setting, int(flips.sum()), len(flips), low, high)


def _require_attribution(atlas: Atlas, cells: Cells, layer: str) -> None:
    if not cells.attributed.any():
        raise InputError(f"for {layer} no attribution is known: {'; '.join(atlas.remarks) or 'none was asked for'}.")


def _sentence(model: Model, pair: tuple[int, int], shares: Sequence[Share], found: bool, own: float | None) -> str:
    patch, controls = shares[0], [share for share in shares[1:] if share.name != "patch"]
    beside = ", ".join(f"{share.name} {share.value:.0%}" for share in controls)
    verdict = "It beats every control" if found else "It does not beat every control by more than chance"
    origin = "" if own is None else f" Of the images that make up this cell, {own:.0%} are of {model.label(pair[1])}."
    return (
        f"The patch has {patch.flipped} of {patch.total} photos of {model.label(pair[0])} read as "
        f"{model.label(pair[1])} ({patch.value:.0%}; {patch.low:.0%} to {patch.high:.0%}); {beside}. {verdict}.{origin}"
    )
