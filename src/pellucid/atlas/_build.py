"""Building an atlas: collect, whiten, project, grid, render; each stage goes on where it was."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..errors import InputError, TargetError
from ..events import Event, Progress, silent
from ..models import Model
from ..store import RenderCache
from ._atlas import Atlas, reopened
from ._cells import cell_of, sum_up
from ._collect import collect
from ._folder import Folder, Manifest, Settings, Source
from ._icons import draw_cells
from ._measure import measure_atlas
from ._project import METHODS, into_square, principal_basis, project, reduce, turned_like
from ._whiten import second_moment, whitening
from .sources import Images, open_images


def build_atlas(
    model: Model,
    images: Any,
    out: str | Path,
    *,
    layers: str | Sequence[str] | None = None,
    grids: Sequence[int] = (10, 20, 40),
    per_image: int | None = 1,
    projection: str = "umap",
    icon_size: int | None = None,
    icon_steps: int = 64,
    tries: int = 1,
    least: int = 5,
    fitted: int = 200_000,
    seed: int = 0,
    resume: bool = False,
    weights: str | None = None,
    progress: Progress = silent,
) -> Atlas:
    """A map of everything that some layers saw in many images, on the disk.

    Whatever ends the work, the same call with `resume=True` goes on with it and gives the same result.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        images: a folder (sub-folders may be classes), a tar or WebDataset, a Parquet file, a Hugging Face dataset, a
            torch dataset, or a batch of images; see `open_images`.
        out: folder for the atlas.
        layers: names of layers with positions; by default the model's usual one.
        grids: cells a side, coarse to fine.
        per_image: activation vectors of each image, at positions of chance; `None` for all positions.
        projection: `umap`, `pacmap`, `tsne`, `pca` or `cuml`.
        icon_size, icon_steps: of the cells' icons, px (by default half the model's own size, 96 at least) and
            optimizer steps; cells of finer grids start from their parent's and take half of them.
        tries: renderings of each cell, of which the best is kept.
        least: a cell of fewer activations is left out.
        fitted: the layout is computed for at most so many vectors; others are placed among them.
        seed: of all randomness.
        resume: go on with an atlas that is there.
        weights: what `load` was given as weights, so that later commands can load the model again.
        progress: receives events of every stage.

    Raises:
        InputError: no readable image, a setting does not fit, or another build is at work in the folder.
        TargetError: no such layer, or one without positions.
        ResourceError: the disk is full; what is finished stays.

    Source: Carter et al., Activation Atlas, Distill 2019, doi 10.23915/distill.00015.

    Example:
        >>> atlas = pellucid.build_atlas(model, "photos/", "atlas/", layers="mixed4d")  # doctest: +SKIP
        >>> atlas.cells("mixed4d", 10)  # doctest: +SKIP
    """
    folder = Folder(Path(out))
    settings = Settings(
        layers=_layer_names(model, layers),
        grids=_grids(grids),
        per_image=per_image,
        projection=projection,
        fitted=fitted,
        least=least,
        icon_size=icon_size or min(*model.size, max(96, min(model.size) // 2)),
        icon_steps=icon_steps,
        tries=tries,
        seed=seed,
    )
    _check(settings)
    if folder.exists and not resume:
        raise InputError(f"there is an atlas at {folder.path}; resume it, add images to it, or name another folder.")
    opened = open_images(images)
    with folder.locked():
        manifest = Manifest(
            title=f"What {model.name} sees",
            model=model.name,
            weights=weights,
            digest=model.digest,
            size=model.size,
            labels=_labels(model),
            settings=settings,
            sources=[_source(opened)],
            founders=1,
        )
        if folder.exists:
            manifest = _continued(folder.read_manifest(), manifest)
        folder.write_manifest(manifest)
        return _run(folder, model, manifest, [opened, *map(reopened, manifest.sources[1:])], progress)


def add_images(
    model: Model, images: Any, atlas: Atlas | str | Path, *, refit: bool = False, progress: Progress = silent
) -> Atlas:
    """The atlas with more images in it; only what changes is computed again.

    The layout stays as it is and the new activations are placed in it; icons of cells that receive none stay.

    Args:
        model: the one that the atlas is of.
        images: as for `build_atlas`.
        atlas: what to add to.
        refit: compute the layout anew from all images.
        progress: receives events of every stage.

    Raises:
        InputError: another model, images that are already in it, or another build is at work in the folder.
        BundleError: there is no atlas.

    Example:
        >>> pellucid.atlas.add_images(model, "more photos/", "atlas/")  # doctest: +SKIP
    """
    folder = atlas.folder if isinstance(atlas, Atlas) else Folder(Path(atlas))
    opened = open_images(images)
    with folder.locked():
        manifest = folder.read_manifest()
        if manifest.digest != model.digest:
            raise InputError(f"the atlas at {folder.path} is of {manifest.model} with other weights than this model's.")
        if opened.digest in {source.digest for source in manifest.sources}:
            raise InputError(f"{opened.where} is already in the atlas.")
        sources = [*manifest.sources, _source(opened)]
        founders = len(sources) if refit else manifest.founders
        manifest = msgspec.structs.replace(manifest, sources=sources, founders=founders)
        return _run(folder, model, manifest, [*map(reopened, manifest.sources[:-1]), opened], progress)


def _run(
    folder: Folder, model: Model, manifest: Manifest, sources: Sequence[Images | None], progress: Progress
) -> Atlas:
    seconds = dict(manifest.seconds)
    settings = manifest.settings
    atlas = Atlas(folder, manifest)
    with _timed(seconds, "collect"):
        collect(folder, model, sources, atlas.shards, settings, progress)
    if not len(atlas.vectors(settings.layers[0])):
        where = manifest.sources[-1].where
        raise InputError(f"none of the images of {where} could be read; {atlas.skipped_sentence()}")
    before: str | None = None
    for name in settings.layers:
        stages = _Stages(atlas, name, seconds, progress)
        stages.whiten()
        stages.lay_out(before)
        stages.place()
        stages.draw(model)
        before = name
    with _timed(seconds, "measure"):
        evidence = [entry for name in settings.layers for entry in measure_atlas(atlas, name)]
    rounded = {key: round(value, 2) for key, value in seconds.items()}
    manifest = msgspec.structs.replace(manifest, seconds=rounded, evidence=evidence)
    folder.write_manifest(manifest)
    return Atlas(folder, manifest, model)


class _Stages:
    """The stages of one layer; each makes only what is not there."""

    def __init__(self, atlas: Atlas, layer: str, seconds: dict[str, float], progress: Progress) -> None:
        self.atlas, self.layer, self.seconds, self.progress = atlas, layer, seconds, progress
        self.settings = atlas.manifest.settings

    def _once(self, stage: str, key: str, make: Callable[[], dict[str, np.ndarray]]) -> None:
        if self.atlas.folder.has(stage, key):
            return
        with _timed(self.seconds, f"{stage}:{self.layer}"):
            self.atlas.folder.write(stage, key, make())

    def whiten(self) -> None:
        vectors = self.atlas.vectors(self.layer, founding=True)
        key = self.atlas.key("moments", self.layer)
        self._once("moments", key, lambda: {"moment": second_moment(vectors, self.progress)})

    def lay_out(self, before: str | None) -> None:
        self._once("layouts", self.atlas.key("layouts", self.layer), lambda: self._layout(before))

    def _layout(self, before: str | None) -> dict[str, np.ndarray]:
        settings, vectors = self.settings, self.atlas.vectors(self.layer, founding=True)
        basis = principal_basis(self.atlas.moment(self.layer))
        random = np.random.default_rng(settings.seed)
        count = min(len(vectors), settings.fitted)
        chosen = np.sort(random.permutation(len(vectors))[:count])
        self.progress(Event(f"laying out {self.layer}", 0, None, "vector"))
        points = reduce(vectors.take(chosen), basis)
        start = self.atlas.same_images(self.layer, before, chosen) if before is not None else None
        found = project(
            points, method=settings.projection, neighbours=settings.neighbours, seed=settings.seed, start=start
        )
        if start is not None:
            found = turned_like(found, start)
        self.progress(Event(f"laying out {self.layer}", count, count, "vector"))
        return {
            "basis": basis,
            "anchors": points.astype(np.float16),
            "positions": into_square(found),
            "numbers": chosen,
        }

    def place(self) -> None:
        vectors, layout = self.atlas.vectors(self.layer), self.atlas.layout(self.layer)
        keys = self.atlas.place_keys(self.layer)
        for (start, part), key in zip(vectors.parts(), keys, strict=True):

            def places(start: int = start, part: np.ndarray = part) -> dict[str, np.ndarray]:
                positions = np.full((len(part), 2), np.nan, np.float32)
                first, last = np.searchsorted(layout.numbers, [start, start + len(part)])
                positions[layout.numbers[first:last] - start] = layout.positions[first:last]
                others = np.isnan(positions[:, 0])
                positions[others] = layout.place(part[others])
                return {"positions": positions}

            self._once("places", key, places)
            self.progress(Event(f"placing {self.layer}", start + len(part), len(vectors), "vector"))

    def draw(self, model: Model) -> None:
        settings, place = self.settings, model.layer(self.layer)
        matrix = whitening(self.atlas.moment(self.layer))
        cache = RenderCache(self.atlas.folder.path / "renders")
        vectors, positions = self.atlas.vectors(self.layer), self.atlas.positions(self.layer)
        parents = None
        for grid in settings.grids:
            where = cell_of(positions, grid, grid)

            def cells(where: np.ndarray = where, grid: int = grid) -> dict[str, np.ndarray]:
                return sum_up(vectors, where, grid, grid, least=settings.least).arrays()

            self._once("cells", self.atlas.key("cells", self.layer, grid), cells)
            found = self.atlas.cells(self.layer, grid)

            def icons(found: Any = found, parents: Any = parents, grid: int = grid) -> dict[str, np.ndarray]:
                title = f"rendering the {grid} × {grid} cells of {self.layer}"
                drawn = draw_cells(
                    model, place, found, matrix, settings,
                    parents=parents, cache=cache, progress=self.progress, title=title,
                )  # fmt: skip
                return {"images": drawn.images, "answers": drawn.answers}

            self._once("icons", self.atlas.key("icons", self.layer, grid), icons)
            parents = (found, self.atlas.icons(self.layer, grid))


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - began


def _source(images: Images) -> Source:
    if not len(images):
        raise InputError(f"{images.where} holds no images.")
    return Source(where=images.where, path=images.reopen(), digest=images.digest, count=len(images))


def _continued(found: Manifest, wanted: Manifest) -> Manifest:
    """The manifest of a build that goes on: its images are those that are there, its settings may have changed."""
    if found.digest != wanted.digest:
        raise InputError(f"the atlas is of {found.model} with other weights than this model's; name another folder.")
    if wanted.sources[0].digest != found.sources[0].digest:
        raise InputError(
            f"the atlas is of {found.sources[0].where}, not of {wanted.sources[0].where} (or those have changed); "
            "add them to it, or name another folder."
        )
    return msgspec.structs.replace(found, settings=wanted.settings)


def _layer_names(model: Model, layers: str | Sequence[str] | None) -> list[str]:
    """The layers' own names in the order of the network."""
    names = [layers] if isinstance(layers, str) else list(layers or [model.default_layer or _deepest(model)])
    for name in names:
        if model.layer(name).kind == "vector":
            raise TargetError(
                f"{name} has no positions; choose a layer that `pellucid layers` lists as grid or tokens."
            )
    own = {model.layer(name).name for name in names}
    return [name for name in model.layers if name in own]


def _deepest(model: Model) -> str:
    grids = [layer for layer in model.layers.values() if layer.kind != "vector"]
    placed = [layer.name for layer in grids if min(layer.rows, layer.columns) > 1]
    if not placed:
        raise TargetError(f"{model.name} has no layer with positions to map.")
    return placed[-1]


def _grids(grids: Sequence[int]) -> list[int]:
    wanted = sorted({int(grid) for grid in grids})
    if not wanted or wanted[0] < 1 or wanted[-1] > 1000:
        raise InputError(f"grids are {list(grids)}; expected numbers of cells a side, such as 10, 20, 40.")
    return wanted


def _check(settings: Settings) -> None:
    for name in ("icon_size", "icon_steps", "tries", "least", "fitted"):
        if getattr(settings, name) < 1:
            raise InputError(f"{name} is {getattr(settings, name)}; expected 1 or more.")
    if settings.per_image is not None and settings.per_image < 1:
        raise InputError(f"per_image is {settings.per_image}; expected 1 or more, or None for every position.")
    if settings.projection not in METHODS:
        raise InputError(f"projection is {settings.projection!r}; expected {', '.join(METHODS)}.")


def _labels(model: Model) -> list[str]:
    count = model.layer("logits").channels
    return [model.label(index) for index in range(count)]
