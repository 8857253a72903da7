"""`Atlas`: a map that was built, to look at and to ask."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..app import frame_html, output_below, output_beside, page_html
from ..bundle import EvidenceEntry
from ..errors import InputError, PellucidError, TargetError
from ..models import Model, load
from ._cells import Cells, cell_of
from ._collect import STAGE, Shard, shards_of
from ._folder import Folder, Manifest, Source, key_of
from ._icons import CellIcons
from ._pictures import draw_map
from ._project import Layout
from ._vectors import Vectors, vectors_of
from .sources import Images, open_images

if TYPE_CHECKING:
    from ..widget import AtlasWidget


class Atlas:
    """A map of what some layers saw in many images; made by `build_atlas` and `open_atlas`.

    Args:
        folder: where it lies.
        manifest: what it says of itself.
        model: the network that it is of, where it is at hand.

    Example:
        >>> atlas = pellucid.open_atlas("atlas/")  # doctest: +SKIP
        >>> atlas.cells("mixed4d", 20).counts.sum()  # doctest: +SKIP
        49812
    """

    def __init__(self, folder: Folder, manifest: Manifest, model: Model | None = None) -> None:
        self.folder, self.manifest, self.model = folder, manifest, model

    def __repr__(self) -> str:
        settings = self.manifest.settings
        return f"<Atlas {self.folder.path}: {self.manifest.model}, {', '.join(settings.layers)}>"

    @property
    def layers(self) -> list[str]:
        """Names of the layers, from the first to the last."""
        return list(self.manifest.settings.layers)

    @property
    def grids(self) -> list[int]:
        """Cells a side of each grid, coarse to fine."""
        return list(self.manifest.settings.grids)

    @property
    def labels(self) -> list[str]:
        """Name of each class."""
        return list(self.manifest.labels)

    @property
    def images(self) -> int:
        """How many images were read; without those that were left out."""
        return sum(len(contents) for contents in self._notes("contents"))

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Images that were left out: name and reason."""
        return [(name, reason) for entries in self._notes("skipped") for name, reason in entries]

    @property
    def evidence(self) -> list[EvidenceEntry]:
        """What was measured about the maps, each beside a control."""
        return list(self.manifest.evidence)

    @property
    def remarks(self) -> list[str]:
        """What the person who reads the map should know of how it was made."""
        return list(dict.fromkeys(remark for remarks in self._notes("remarks") for remark in remarks))

    def skipped_sentence(self) -> str:
        """How many images were left out, and why the first was."""
        skipped = self.skipped
        if not skipped:
            return "no image was left out."
        name, reason = skipped[0]
        return f"{len(skipped)} left out, the first of them {name}: {reason.rstrip('.')}."

    def _notes(self, name: str) -> Iterator[Any]:
        for shard in self.shards:
            yield self.folder.notes(STAGE, shard.keys[0])[name]

    @cached_property
    def shards(self) -> list[Shard]:
        """The runs of images that the vectors are kept in."""
        manifest = self.manifest
        return shards_of(manifest.sources, manifest.digest, manifest.size, manifest.settings)

    @cached_property
    def sources(self) -> list[Images | None]:
        """The images, opened again; `None` for those that are gone, have changed, or were objects of Python."""
        return [reopened(source) for source in self.manifest.sources]

    def layer_place(self, layer: str) -> int:
        """Place of a layer in the list."""
        if layer not in self.layers:
            raise TargetError(f"the atlas has no layer {layer!r}; it has {', '.join(self.layers)}.")
        return self.layers.index(layer)

    def vectors(self, layer: str, *, founding: bool = False) -> Vectors:
        """The activation vectors of a layer.

        Args:
            layer: one of the atlas's.
            founding: only those that the layout was made of.
        """
        shards = self.shards
        if founding:
            shards = [shard for shard in shards if shard.source < self.manifest.founders]
        return vectors_of(self.folder, shards, self.layer_place(layer))

    def key(self, stage: str, layer: str, grid: int = 0) -> str:
        """Name of a stage's file for one layer: it stands for everything that the file depends on."""
        settings, place = self.manifest.settings, self.layer_place(layer)
        founding = [shard.keys[place] for shard in self.shards if shard.source < self.manifest.founders]
        if stage == "moments":
            return key_of(stage=stage, vectors=founding)
        if stage == "layouts":
            return key_of(
                stage=stage,
                engine=1,
                vectors=founding,
                projection=settings.projection,
                neighbours=settings.neighbours,
                fitted=settings.fitted,
                seed=settings.seed,
                before=self.key("layouts", settings.layers[place - 1]) if place else None,
            )
        if stage == "cells":
            return key_of(stage=stage, engine=1, places=self.place_keys(layer), grid=grid, least=settings.least)
        if stage == "icons":
            coarser = [other for other in settings.grids if other < grid]
            return key_of(
                stage=stage,
                engine=1,
                cells=self.key("cells", layer, grid),
                moments=self.key("moments", layer),
                size=settings.icon_size,
                steps=settings.icon_steps,
                tries=settings.tries,
                seed=settings.seed,
                before=self.key("icons", layer, coarser[-1]) if coarser else None,
            )
        raise ValueError(f"there is no stage {stage!r}")

    def place_keys(self, layer: str) -> list[str]:
        """Names of the files that hold where the vectors lie, one a shard."""
        place, layout = self.layer_place(layer), self.key("layouts", layer)
        return [key_of(stage="places", layout=layout, vectors=shard.keys[place]) for shard in self.shards]

    def moment(self, layer: str) -> np.ndarray:
        """Mean of h hᵀ over the layer's vectors, float64 [channels, channels]."""
        return self.folder.read("moments", self.key("moments", layer))["moment"]

    def layout(self, layer: str) -> Layout:
        """Where the layer's vectors lie, and how others are placed among them."""
        return Layout(**self.folder.read("layouts", self.key("layouts", layer)))

    def positions(self, layer: str) -> np.ndarray:
        """Where every vector lies, float32 [n, 2]: x to the right, y down; the map is [0, 1]."""
        parts = [self.folder.read("places", key)["positions"] for key in self.place_keys(layer)]
        return np.concatenate(parts) if parts else np.zeros((0, 2), np.float32)

    def cells(self, layer: str, grid: int | None = None) -> Cells:
        """The cells of one grid; by default of the coarsest.

        Raises:
            TargetError: the atlas has no such layer.
            InputError: it has no such grid.
        """
        grid = self.grids[0] if grid is None else grid
        if grid not in self.grids:
            raise InputError(f"the atlas has no grid of {grid}; it has {', '.join(map(str, self.grids))}.")
        return Cells.from_arrays(self.folder.read("cells", self.key("cells", layer, grid)))

    def select(self, layer: str, *, grid: int, cells: Sequence[tuple[int, int]]) -> np.ndarray:
        """Numbers of the vectors that lie in some cells, int64, rising: what the page's lasso copies for Python.

        Args:
            layer: one of the atlas's.
            grid: cells a side.
            cells: column and row of each.

        Example:
            >>> numbers = atlas.select("mixed4d", grid=20, cells=[(3, 4), (3, 5)])  # doctest: +SKIP
            >>> atlas.origins("mixed4d", numbers)[0]  # doctest: +SKIP
            (0, 1712, 5, 8)
        """
        where = cell_of(self.positions(layer), grid, grid)
        return np.flatnonzero(np.isin(where, [row * grid + column for column, row in cells]))

    def cell_classes(self, layer: str, grid: int, number: int, most: int = 3) -> str:
        """The classes that a cell argues for most, as words; empty where none is known."""
        cells = self.cells(layer, grid)
        if not cells.attributed[number]:
            return ""
        argued = cells.attribution[number]
        best = np.argsort(-argued, kind="stable")[:most]
        return ", ".join(self.labels[label] for label in best if argued[label] > 0)

    def icons(self, layer: str, grid: int | None = None) -> CellIcons:
        """The pictures of the cells of one grid, in their order."""
        return CellIcons(**self.folder.read("icons", self.key("icons", layer, self.grids[0] if grid is None else grid)))

    def picture(self, layer: str | None = None, grid: int | None = None, *, side: int = 64) -> Image.Image:
        """A whole map as one RGB Pillow image on white; the side of an icon grows with its activations.

        Args:
            layer: one of the atlas's; by default the last.
            grid: cells a side; by default the coarsest.
            side: of a cell, px.

        Raises:
            TargetError: the atlas has no such layer.
            InputError: it has no such grid, or the side is below 1.

        Example:
            >>> atlas.picture("mixed4d", 20).save("atlas.png")  # doctest: +SKIP
        """
        layer = layer or self.layers[-1]
        return draw_map(self.cells(layer, grid), self.icons(layer, grid).images, side=side)

    def origins(self, layer: str, numbers: np.ndarray) -> list[tuple[int, int, int, int]]:
        """For vectors of a layer: the source, the image in it, and row and column of the position."""
        vectors = self.vectors(layer)
        if not len(numbers):
            return []
        shards = np.searchsorted(vectors.starts, numbers, side="right") - 1
        images, places = vectors.take(numbers, "image"), vectors.take(numbers, "place")
        return [
            (self.shards[shard].source, int(image), int(row), int(column))
            for shard, image, (row, column) in zip(shards, images, places, strict=True)
        ]

    def same_images(self, layer: str, other: str, numbers: np.ndarray) -> np.ndarray:
        """For vectors of one layer, the mean place of another layer's vectors of the same images, float32 [n, 2]."""
        keys, where = self._pictures(other), self.positions(other)
        names, place = np.unique(keys, return_inverse=True)
        sums = np.zeros((len(names), 2))
        np.add.at(sums, place, where[: len(keys)])
        means = sums / np.bincount(place)[:, None]
        wanted = self._pictures(layer)[numbers]
        found = np.searchsorted(names, wanted).clip(0, len(names) - 1)
        return means[found].astype(np.float32)

    def widget(self, model: Model | None = None) -> "AtlasWidget":
        """The page as a notebook's widget, whose traits say which cells a person drew a loop round; what the end of a
        cell shows. It is the same one until it is closed.

        Args:
            model: the network that the atlas is of; by default the one that it was built with, or the one of its name.

        Raises:
            MissingExtraError: anywidget is not installed.
            InputError: the network has other weights than the atlas's.
            TargetError, WeightsError: the network cannot be found by its name.

        Example:
            >>> widget = atlas.widget()  # doctest: +SKIP
            >>> atlas.origins(widget.layer, widget.selected())  # doctest: +SKIP
        """
        from ..widget import AtlasWidget

        self.model = self._network(model or self.model)
        return AtlasWidget.of(self)

    def _network(self, model: Model | None) -> Model:
        found = model or load(self.manifest.model, weights=self.manifest.weights)
        if found.digest != self.manifest.digest:
            raise InputError(f"the atlas is of {self.manifest.model} with other weights than those of {found.name}.")
        return found

    def _repr_html_(self) -> str | None:
        """The page in a frame, where the network is at hand: what a notebook shows that has no widgets."""
        from ._page import to_bundle

        try:
            page = page_html(to_bundle(self, self._network(self.model)))
        except PellucidError:
            return None
        return frame_html(page, self.manifest.title)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """What Jupyter shows and keeps: the widget, and the page in a frame for where it has no kernel."""
        return output_below(self, **kwargs)

    def _display_(self) -> Any:
        """What marimo shows."""
        return output_beside(self)

    def _pictures(self, layer: str) -> np.ndarray:
        """Which image each founding vector is of, as one number."""
        parts = self.vectors(layer, founding=True).parts("image")
        return np.concatenate([(np.int64(place) << 32) + image for place, (_, image) in enumerate(parts)])


def reopened(source: Source) -> Images | None:
    """The images of a source where they are still the same."""
    try:
        images = open_images(source.path) if source.path is not None else None
    except InputError:
        return None
    return images if images is not None and images.digest == source.digest else None


def open_atlas(path: str | Path) -> Atlas:
    """The atlas that lies in a folder.

    Raises:
        BundleError: there is none, it is damaged, or of another version.

    Example:
        >>> pellucid.open_atlas("atlas/")  # doctest: +SKIP
    """
    folder = Folder(Path(path))
    return Atlas(folder, folder.read_manifest())
