"""Which natural images make a unit fire, and where: one pass over the images for all units of a layer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, TargetError
from ..events import Event, Progress, silent
from ..models import Layer, Model, borrowed
from ..record import run
from ..targets import Channel, Direction, Group, Logit, Neuron, Position, Target, parse_target

_BATCH = 64


@dataclass(frozen=True)
class Feature:
    """What fires: a channel of a layer, or a direction in it, wherever it is.

    Args:
        layer: its name.
        index: of the channel; of a direction −1.
        vector: of a direction: one number for each channel; of a channel empty.
    """

    layer: str
    index: int
    vector: tuple[float, ...] = ()

    def weights(self, channels: int) -> np.ndarray:
        """float32 [channels]: with what the layer is multiplied, position by position."""
        if self.vector:
            return np.asarray(self.vector, np.float32)
        return np.eye(1, channels, self.index, dtype=np.float32)[0]


def as_feature(model: Model, target: Target | str) -> Feature:
    """The unit behind a target; that of a neuron is its channel, since exemplars may have it anywhere.

    Raises:
        TargetError: the model has no such unit, or the target is a position.

    Example:
        >>> as_feature(model, "8:1@2,2")
        Feature(layer='8', index=1, vector=())
    """
    target = model.check(parse_target(target) if isinstance(target, str) else target)
    match target:
        case Channel(layer, index) | Neuron(layer, index):
            return Feature(layer, index)
        case Logit(label):
            return Feature("logits", int(label))
        case Direction(layer, vector) | Group(layer, vector):
            return Feature(layer, -1, vector)
        case Position():
            raise TargetError(f"{target} is a place and no unit; name a channel, a class or a direction.")


@dataclass(frozen=True)
class Exemplar:
    """One image that makes a unit fire.

    Args:
        key: the image's name within its source.
        number: its place there, from 0.
        value: the unit's largest activation on it.
        row, column: where that is in the unit's layer.
    """

    key: str
    number: int
    value: float
    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Survey:
    """How strongly the units of some layers fire on natural images; made by `survey_images`.

    Args:
        images: where they come from: what `open_images` gives.
        numbers: which of them were read, int [n].
        peaks: by layer: the largest activation of each channel over positions, float32 [n, channels].
        places: by layer: at which position, row by row, int32 [n, channels].
        directions: by unit: the same two for directions, each [n].
        grids: by layer: its rows and columns on these images.
        remarks: images that were left out, and why.
    """

    images: Any = field(repr=False)
    numbers: np.ndarray
    peaks: Mapping[str, np.ndarray]
    places: Mapping[str, np.ndarray]
    directions: Mapping[Feature, tuple[np.ndarray, np.ndarray]]
    grids: Mapping[str, tuple[int, int]]
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        return f"<Survey of {len(self):,} images: {', '.join(self.peaks)}>"

    def values(self, unit: Feature) -> np.ndarray:
        """float32 [n]: the unit's largest activation on each image.

        Raises:
            TargetError: the survey did not look at this unit.
        """
        return self._read(unit)[0]

    def exemplars(self, unit: Feature, count: int = 16) -> tuple[Exemplar, ...]:
        """The images on which a unit fires most, first the strongest.

        Args:
            unit: as `as_feature` gives it.
            count: how many; fewer where there are no more images.

        Raises:
            TargetError: the survey did not look at this unit.
        """
        values, places = self._read(unit)
        columns = self.grids[unit.layer][1]
        return tuple(
            Exemplar(
                self.images.keys[self.numbers[at]],
                int(self.numbers[at]),
                float(values[at]),
                int(places[at]) // columns,
                int(places[at]) % columns,
            )
            for at in np.argsort(-values, kind="stable")[:count]
        )

    def load(self, exemplars: Sequence[Exemplar], model: Model) -> Tensor:
        """float32 [n, channels, height, width] in [0, 1]: the exemplars' images as the model sees them."""
        return self.load_numbers([each.number for each in exemplars], model)

    def load_numbers(self, numbers: Iterable[int], model: Model) -> Tensor:
        """The same for images by their place in the source."""
        images = [self.images.load(int(number), model.size, model.input_channels) for number in numbers]
        return torch.from_numpy(np.stack(images)).float() / 255

    def _read(self, unit: Feature) -> tuple[np.ndarray, np.ndarray]:
        if unit in self.directions:
            return self.directions[unit]
        if unit.layer not in self.peaks or unit.vector:
            raise TargetError(f"this survey is of {', '.join(self.peaks)}; name the unit in survey_images(…, targets).")
        return self.peaks[unit.layer][:, unit.index], self.places[unit.layer][:, unit.index]


def survey_images(
    model: Model,
    images: Any,
    targets: str | Target | Sequence[str | Target],
    *,
    most: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> Survey:
    """How strongly units fire on natural images, from one pass over them.

    Args:
        model: it comes back as it was.
        images: a folder, a tar, arrays, or whatever else `pellucid.atlas.sources.open_images` takes.
        targets: layers by name (`mixed4d`), and units (`mixed4d:426`, targets): of each layer that is named, every
            channel is kept.
        most: of more images, so many are taken by chance.
        seed: of that chance.
        progress: receives an event for each batch.

    Raises:
        InputError: no images, or none that can be read.
        TargetError: the model has no such layer or unit.

    Example:
        >>> photos = pellucid.trust.survey_images(model, np.random.rand(20, 3, 32, 32).astype("float32"), "8")
        >>> len(photos.exemplars(pellucid.trust.as_feature(model, "8:1"), 3))
        3
    """
    from ..atlas.sources import open_images

    source = open_images(images)
    units, layers = _wanted(model, [targets] if isinstance(targets, str | Target) else list(targets))
    numbers = np.sort(np.random.default_rng(seed).permutation(len(source))[:most])
    peaks: dict[str, list[Tensor]] = {name: [] for name in layers}
    places: dict[str, list[Tensor]] = {name: [] for name in layers}
    along: dict[Feature, tuple[list[Tensor], list[Tensor]]] = {unit: ([], []) for unit in units}
    grids: dict[str, tuple[int, int]] = {}
    kept: list[int] = []
    remarks: list[str] = []
    with borrowed(model.module), torch.no_grad():
        for read, batch, broken in _batches(source, numbers, model):
            remarks += broken
            if not read:
                continue
            kept += read
            found = run(model, batch, list(layers))
            for name in layers:
                grid = found[name].float()
                grids[name] = (grid.shape[2], grid.shape[3])
                value, place = grid.flatten(2).max(2)
                peaks[name].append(value.cpu())
                places[name].append(place.to(torch.int32).cpu())
                for unit in (unit for unit in units if unit.layer == name):
                    weights = torch.from_numpy(unit.weights(grid.shape[1])).to(grid)
                    value, place = torch.einsum("nchw,c->nhw", grid, weights).flatten(1).max(1)
                    along[unit][0].append(value.cpu())
                    along[unit][1].append(place.to(torch.int32).cpu())
            progress(Event(f"looking for exemplars with {model.name}", len(kept), len(numbers), "image"))
    if not kept:
        raise InputError(remarks[0] if remarks else f"{source.where} holds no images.")
    return Survey(
        images=source,
        numbers=np.asarray(kept),
        peaks={name: torch.cat(parts).numpy() for name, parts in peaks.items()},
        places={name: torch.cat(parts).numpy() for name, parts in places.items()},
        directions={unit: (torch.cat(a).numpy(), torch.cat(b).numpy()) for unit, (a, b) in along.items()},
        grids=grids,
        remarks=tuple(remarks),
    )


def _wanted(model: Model, targets: Sequence[str | Target]) -> tuple[list[Feature], dict[str, Layer]]:
    """The directions, and the layers, that some names and targets speak of."""
    units: list[Feature] = []
    layers: dict[str, Layer] = {}
    for target in targets:
        if isinstance(target, str) and ":" not in target:
            layer = model.layer(target)
        else:
            unit = as_feature(model, target)
            layer = model.layer(unit.layer)
            if unit.vector:
                units.append(unit)
        layers[layer.name] = layer
    if not layers:
        raise InputError("a survey needs at least one layer or unit.")
    return list(dict.fromkeys(units)), layers


def _batches(source: Any, numbers: np.ndarray, model: Model) -> Iterator[tuple[list[int], Tensor, list[str]]]:
    """Numbers of the images that can be read, those images, and why others cannot; the next batch is read meanwhile."""

    def load(number: int) -> np.ndarray | str:
        try:
            return source.load(number, model.size, model.input_channels)
        except InputError as error:
            return str(error)

    parts = [numbers[start : start + _BATCH].tolist() for start in range(0, len(numbers), _BATCH)]
    with ThreadPoolExecutor(1) as pool:
        ahead = [[pool.submit(load, number) for number in part] for part in parts[:1]]
        for place, part in enumerate(parts):
            now = ahead.pop()
            if place + 1 < len(parts):
                ahead.append([pool.submit(load, number) for number in parts[place + 1]])
            loaded = [(number, each.result()) for number, each in zip(part, now, strict=True)]
            good = [(number, pixels) for number, pixels in loaded if not isinstance(pixels, str)]
            batch = torch.from_numpy(np.stack([pixels for _, pixels in good])).float() / 255 if good else torch.empty(0)
            yield [number for number, _ in good], batch, [error for _, error in loaded if isinstance(error, str)]
