"""The patch laboratory: does a piece of the map, pasted on real photos, make the network see something else?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..events import Event, Progress, silent
from ..models import Model
from ._atlas import Atlas
from ._cells import Cells
from ._folder import key_of
from ._pasting import (
    CORNERS,
    FEWEST,
    SIZES,
    Photos,
    Share,
    as_bytes,
    as_patches,
    flips_of,
    noise_patch,
    paste,
    share_of,
)
from .sources import Images, open_images

STAGE = "trials"
_CANDIDATES = 4
_EXAMPLES = 6
_RANDOM_CELLS = 12
_NOISES = 4
_FINDING, _FINDING_EACH = 6000, 32
_SCREENED, _SCREENED_ON = 20, 12
# A cell is no surprise for a class that more of its images than this are of.
_OWN = 0.25


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

    Which of a few cells that argue for `aim` and against `source` is pasted, in which of three sizes and four corners,
    is chosen on images of the atlas: that which leads its controls by most. Then the shares are counted on the photos
    given, all that the network reads as `source`. Controls, in the same place and size: noise, patches of random
    cells, and crops of real photos that are read as `aim`. Where the atlas's images are gone, or are the photos given,
    one half of these is for the choice and the other for the count.

    Args:
        atlas, model: the atlas and its network.
        images: photos, as for `build_atlas`.
        source, aim: the class of the photos, and the one aimed at.
        layer: by default the atlas's last.
        cell: column and row of the cell to try, on `grid`; by default the best candidate.
        grid: cells a side; by default the atlas's finest.
        seed: of samples, the noise and the random cells.
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
    laboratory = _Laboratory(atlas, model, open_images(images), layer, grid or atlas.grids[-1], seed, progress)
    return laboratory.trial(pair, cell, keep)


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

    Pairs are ranked on images of the atlas alone: by what a cell adds to B over A against how far apart photos of A
    keep the two; then, of the first, by how far the patch leads its controls on a few images. The best of them are
    tried as `try_patch` does. Those that beat every control come first.

    Args:
        atlas, model, images, layer, grid, seed, keep, progress: as for `try_patch`.
        count: how many pairs to try.

    Raises:
        InputError: no attribution is known, or there are too few photos.

    Example:
        >>> pellucid.atlas.search_patches(atlas, model, "photos/", count=4)[0].sentence  # doctest: +SKIP
    """
    laboratory = _Laboratory(
        atlas, model, open_images(images), layer or atlas.layers[-1], grid or atlas.grids[-1], seed, progress
    )
    ranked = laboratory.screened(laboratory.ranked()[: _SCREENED * count], progress)[:count]
    trials: list[Trial] = []
    for number, (pair, place) in enumerate(ranked):
        progress(Event("trying patches", number, len(ranked), "pair"))
        trials.append(laboratory.trial(pair, place, keep))
    progress(Event("trying patches", len(ranked), len(ranked), "pair"))
    return _in_order(trials)


def kept_trials(atlas: Atlas) -> list[Trial]:
    """Every trial that the atlas keeps; those that beat their controls first, the strongest of them first."""
    found = []
    for key in atlas.folder.keys(STAGE):
        notes, arrays = atlas.folder.notes(STAGE, key), atlas.folder.read(STAGE, key)
        if notes["layer"] in atlas.layers:
            shares = tuple(Share(**share) for share in notes.pop("shares"))
            notes["place"] = tuple(notes["place"])
            found.append(Trial(**notes, shares=shares, patch=arrays["patch"], examples=arrays["examples"]))
    return _in_order(found)


def _in_order(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: (not trial.found, -trial.shares[0].value))


class _Laboratory:
    """One atlas, the photos to choose patches on, and those to count on."""

    def __init__(
        self, atlas: Atlas, model: Model, images: Images, layer: str, grid: int, seed: int, progress: Progress
    ) -> None:
        self.atlas, self.model, self.layer, self.grid, self.seed = atlas, model, layer, grid, seed
        self.cells, self.icons = atlas.cells(layer, grid), atlas.icons(layer, grid).images
        self.testing = Photos.read(atlas.folder, model, images, progress=progress)
        own = next((source for source in atlas.sources if source is not None and source.digest != images.digest), None)
        self.finding = (
            Photos.read(atlas.folder, model, own, most=_FINDING, seed=seed, progress=progress) if own else None
        )

    def photos(self, label: int) -> tuple[Tensor, Tensor]:
        """Photos of a class to choose on and to count on: [n, channels, height, width]."""
        random = np.random.default_rng(self.seed)
        counted = random.permutation(self.testing.of(label))
        if len(counted) < FEWEST:
            name = self.model.label(label)
            raise InputError(f"{len(counted)} of the photos are read as {name}; a trial needs {FEWEST} at least.")
        if self.finding is not None:
            chosen = random.permutation(self.finding.of(label))[:_FINDING_EACH]
            if len(chosen):
                return self.finding.pixels(chosen), self.testing.pixels(counted)
        half = len(counted) // 2
        return self.testing.pixels(counted[:half]), self.testing.pixels(counted[half:])

    def crops(self, label: int, count: int) -> Tensor | None:
        """Middles of real photos that are read as a class, half as wide and high; `None` where there are none."""
        source = self.finding or self.testing
        places = source.of(label)
        if not len(places):
            return None
        pixels = source.pixels(np.random.default_rng(self.seed).choice(places, count))
        height, width = pixels.shape[2:]
        return pixels[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]

    def trial(self, pair: tuple[int, int], cell: tuple[int, int] | None, keep: bool) -> Trial:
        model, aim = self.model, pair[1]
        choosing, counting = self.photos(pair[0])
        number, size, corner = self._choose(self._candidates(pair, cell), choosing, aim)
        patch = as_patches(self.icons[[number]], model)
        setting = f"{size:.0%} of the side, {corner}"
        flips = flips_of(model, counting, patch, aim, size, corner)
        shares = [share_of("patch", setting, flips)]
        shares += [
            share_of(
                name, setting, np.concatenate([flips_of(model, counting, one, aim, size, corner) for one in pasted])
            )
            for name, pasted in self._controls(number, counting, patch, aim)
        ]
        found = bool(flips.any()) and all(shares[0].low > control.high for control in shares[1:])
        anywhere = np.zeros(len(counting), bool)
        for one in SIZES:
            for place in CORNERS:
                anywhere |= flips_of(model, counting, patch, aim, one, place)
        shares.append(share_of("patch", "any", anywhere))
        own = self._own_share(number, aim)
        column, row = self.cells.places[number].tolist()
        trial = Trial(
            layer=self.layer,
            source=pair[0],
            aim=aim,
            place=(column, row),
            columns=self.grid,
            patch=self.icons[number],
            shares=tuple(shares),
            found=found,
            examples=as_bytes(paste(counting, patch, size, corner)[np.flatnonzero(flips)[:_EXAMPLES]]),
            own=own,
            sentence=_sentence(model, pair, shares, found, own),
        )
        if keep:
            key = key_of(
                cells=self.atlas.key("icons", self.layer, self.grid),
                photos=self.testing.images.digest,
                pair=list(pair),
                place=[column, row],
                seed=self.seed,
            )
            arrays = {"patch": trial.patch, "examples": trial.examples}
            self.atlas.folder.write(STAGE, key, arrays, trial.to_json())
        return trial

    def _candidates(self, pair: tuple[int, int], cell: tuple[int, int] | None) -> list[int]:
        if cell is not None:
            number = self.cells.number_at(*cell)
            if number is None:
                raise InputError(f"{self.layer} has no cell {cell[0]},{cell[1]} on the {self.grid} × {self.grid} grid.")
            return [number]
        _require_attribution(self.atlas, self.cells, self.layer)
        lead = self.cells.attribution[:, pair[1]] - self.cells.attribution[:, pair[0]]
        return np.argsort(-lead, kind="stable")[:_CANDIDATES].tolist()

    def _choose(self, candidates: Sequence[int], photos: Tensor, aim: int) -> tuple[int, float, str]:
        """The cell, size and corner whose patch leads its controls by most; of equals, that which flips most photos."""
        settings = [(number, size, corner) for size in SIZES for corner in CORNERS for number in candidates]
        leads = [self._lead(photos, aim, *setting) for setting in settings]
        return settings[max(range(len(settings)), key=lambda place: leads[place])]

    def _lead(self, photos: Tensor, aim: int, number: int, size: float, corner: str) -> tuple[float, float]:
        """By how much larger a share of photos a patch flips than noise and real crops do, and that share."""
        noise = noise_patch((len(photos), photos.shape[1], *self.icons.shape[1:3]), self.seed)
        against, crops = [noise], self.crops(aim, len(photos))
        if crops is not None:
            against.append(crops)
        patch = as_patches(self.icons[[number]], self.model)
        flips = [flips_of(self.model, photos, pasted, aim, size, corner).mean() for pasted in (patch, *against)]
        return float(flips[0] - max(flips[1:])), float(flips[0])

    def _controls(self, number: int, photos: Tensor, patch: Tensor, aim: int) -> Iterator[tuple[str, list[Tensor]]]:
        """Name of each control and what is pasted for it."""
        shape = (len(photos), photos.shape[1], *patch.shape[2:])
        yield "noise", [noise_patch(shape, self.seed + turn) for turn in range(_NOISES)]
        others = np.delete(np.arange(len(self.cells)), number)
        if len(others):
            count = min(_RANDOM_CELLS, len(others))
            drawn = np.random.default_rng(self.seed).choice(others, count, replace=False)
            yield "random cells", [as_patches(self.icons[[other]], self.model) for other in drawn]
        crops = self.crops(aim, len(photos))
        if crops is not None:
            yield "real photo", [crops]

    def ranked(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """(source, aim) and the cell's place, the most promising first; one entry for each pair of classes."""
        _require_attribution(self.atlas, self.cells, self.layer)
        photos = self.finding or self.testing
        best = photos.logits.argmax(1)
        enough = np.bincount(best, minlength=photos.logits.shape[1]) >= FEWEST
        enough &= np.bincount(self.testing.logits.argmax(1), minlength=photos.logits.shape[1]) >= FEWEST
        classes = np.flatnonzero(enough)
        if len(classes) < 2:
            raise InputError(f"fewer than two classes have {FEWEST} photos that are read as them; give more photos.")
        names = {int(label): photos.name_of(int(label)) for label in classes}
        # How far apart the photos of a class keep it from every other, on the mean.
        answers = np.stack([photos.logits[best == label].mean(0) for label in classes])
        scored = []
        for number, called in enumerate(cell_labels(self.atlas, self.layer, self.cells)):
            argued = self.cells.attribution[number]
            for aim in np.argsort(-argued, kind="stable")[:3].tolist():
                if aim not in names or argued[aim] <= 0 or _share_called(called, names[aim]) > _OWN:
                    continue
                gaps = answers[np.arange(len(classes)), classes] - answers[:, aim]
                pushes = (argued[aim] - argued[classes]) / np.maximum(gaps, 1e-3)
                scored += [
                    (float(push), int(source), aim, number)
                    for source, push in zip(classes, pushes, strict=True)
                    if source != aim
                ]
        scored.sort(key=lambda entry: -entry[0])
        taken: set[tuple[int, int]] = set()
        used: dict[int, int] = {}
        ranked = []
        for _, source, aim, number in scored:
            # Different stories rather than one cell again and again.
            if (source, aim) not in taken and used.get(number, 0) < 2:
                taken.add((source, aim))
                used[number] = used.get(number, 0) + 1
                column, row = self.cells.places[number].tolist()
                ranked.append(((source, aim), (column, row)))
        return ranked

    def screened(
        self, ranked: Sequence[tuple[tuple[int, int], tuple[int, int]]], progress: Progress
    ) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """The same pairs, those first whose patch leads its controls by most on a few photos, in one corner."""
        source = self.finding or self.testing
        leads = []
        for number, (pair, place) in enumerate(ranked):
            photos = source.pixels(source.of(pair[0])[:_SCREENED_ON])
            cell = self.cells.number_at(*place)
            assert cell is not None
            leads.append(max(self._lead(photos, pair[1], cell, size, CORNERS[2])[0] for size in SIZES[1:]))
            progress(Event("looking for patches", number + 1, len(ranked), "pair"))
        return [ranked[place] for place in np.argsort(-np.asarray(leads), kind="stable")]

    def _own_share(self, number: int, aim: int) -> float | None:
        """Share of a cell's exemplars that their source calls as it does photos of a class."""
        photos = self.finding or self.testing
        name = photos.name_of(aim)
        one = Cells(self.grid, self.grid, **{key: value[[number]] for key, value in self.cells.lists().items()})
        (called,) = cell_labels(self.atlas, self.layer, one)
        return _share_called(called, name) if name is not None and any(called) else None


def cell_labels(atlas: Atlas, layer: str, cells: Cells) -> list[list[str | None]]:
    """What the images of each cell's exemplars are called in their source."""
    sources = [None if source is None else source.labels for source in atlas.sources]
    origins = atlas.origins(layer, cells.exemplars[cells.exemplars >= 0])
    labels = [sources[source] for source, _, _, _ in origins]
    names = iter(
        None if known is None else known[image] for known, (_, image, _, _) in zip(labels, origins, strict=True)
    )
    return [[next(names) for number in row if number >= 0] for row in cells.exemplars]


def _share_called(names: Sequence[str | None], wanted: str | None) -> float:
    known = [name for name in names if name is not None]
    return sum(name == wanted for name in known) / len(known) if known and wanted is not None else 0.0


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
