"""Collecting: activation vectors of many images, with what each of them argues for, in shards."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..errors import InputError, ModelError, TargetError
from ..events import Event, Progress
from ..models import Layer, Model, borrowed
from ..record import Tail, run
from ..targets import LOGITS
from ._folder import Folder, Settings, Source, key_of
from .sources import Images

STAGE = "vectors"
_SHARD_VECTORS = 32_768
_BATCH = 64
_LARGEST_HALF = 60_000.0
# From this many rows or columns up the outermost positions, which see padding, are left out, as in the article.
_EDGED = 5


@dataclass(frozen=True)
class Shard:
    """A run of a source's images: one file for each layer.

    Args:
        source: place of the source in the manifest.
        first, last: images, the last not among them.
        keys: of the layers' files, in the order of the settings.
    """

    source: int
    first: int
    last: int
    keys: tuple[str, ...]


def shards_of(sources: Sequence[Source], digest: str, size: tuple[int, int], settings: Settings) -> list[Shard]:
    """Every shard that an atlas of these sources is made of, in order."""
    made = []
    before = ""
    length = min(max(_SHARD_VECTORS // (settings.per_image or 256), _BATCH), 2048)
    for number, source in enumerate(sources):
        for first in range(0, source.count, length):
            last = min(first + length, source.count)
            common = {
                "engine": 1,
                "model": digest,
                "size": list(size),
                "source": source.digest,
                "range": [first, last],
                "per_image": settings.per_image,
                "attributed": settings.attributed,
                "seed": settings.seed,
                # Which images are duplicates depends on those that came before.
                "before": before,
            }
            keys = tuple(key_of(layer=layer, **common) for layer in settings.layers)
            made.append(Shard(number, first, last, keys))
            before = key_of(**common)
    return made


def collect(
    folder: Folder,
    model: Model,
    sources: Sequence[Images | None],
    shards: Sequence[Shard],
    settings: Settings,
    progress: Progress,
) -> None:
    """None, after every shard is on the disk.

    Args:
        sources: images of each source; `None` for those that cannot be opened again and are all collected.

    Raises:
        InputError: a shard is missing whose images cannot be opened.
        ResourceError: the disk is full; shards that are finished stay.
    """
    total = sum(shard.last - shard.first for shard in shards)
    seen: set[str] = set()
    done = 0
    reader: _Reader | None = None
    for shard in shards:
        missing = [place for place, key in enumerate(shard.keys) if not folder.has(STAGE, key)]
        if not missing:
            seen.update(folder.notes(STAGE, shard.keys[0])["contents"])
        else:
            images = sources[shard.source]
            if images is None:
                raise InputError("the images of this atlas were objects of Python; give them again to go on.")
            reader = reader or _Reader(model, settings)
            on_images = partial(_tell_more, progress, done, total)
            reader.read(folder, images, shard, missing, seen, on_images)
        done += shard.last - shard.first
        _tell(progress, done, total)


def _tell_more(progress: Progress, before: int, total: int, count: int) -> None:
    _tell(progress, before + count, total)


def _tell(progress: Progress, done: int, total: int) -> None:
    progress(Event("collecting activations", done, total, "image"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's warning about its own use of TorchScript where derivatives are carried forward."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class _Reader:
    """Runs images through the model and writes what its layers say."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self.model, self.settings = model, settings
        self.layers = [model.layer(name) for name in settings.layers]
        self.tails: dict[str, Tail | None] = {}
        self.remarks: list[str] = []

    def read(
        self,
        folder: Folder,
        images: Images,
        shard: Shard,
        missing: Sequence[int],
        seen: set[str],
        on_images: Callable[[int], None],
    ) -> None:
        """None, after the files of the layers at `missing` are written."""
        layers = [self.layers[place] for place in missing]
        parts: list[dict[str, list[np.ndarray]]] = [{} for _ in layers]
        skipped: list[tuple[str, str]] = []
        contents: list[str] = []
        done = 0
        for numbers, batch, fresh, broken in self._batches(images, shard, seen):
            skipped += broken
            contents += fresh
            if numbers:
                for kept, layer in zip(parts, self._layers(layers, batch, numbers, images.digest), strict=True):
                    for name, array in layer.items():
                        kept.setdefault(name, []).append(array)
            done += len(numbers) + len(broken)
            on_images(done)
        for place, layer, kept in zip(missing, layers, parts, strict=True):
            joined = {name: np.concatenate(arrays) for name, arrays in kept.items()} if kept else self._nothing(layer)
            if "attribution" in joined:
                joined["attributed"] = np.flatnonzero(joined["attributed"]).astype(np.int32)
            notes = {"contents": contents, "skipped": skipped, "remarks": [*images.remarks, *self.remarks]}
            folder.write(STAGE, shard.keys[place], joined, notes)

    def _nothing(self, layer: Layer) -> dict[str, np.ndarray]:
        return {
            "values": np.zeros((0, layer.channels), np.float16),
            "image": np.zeros(0, np.int32),
            "place": np.zeros((0, 2), np.int16),
        }

    def _batches(
        self, images: Images, shard: Shard, seen: set[str]
    ) -> Iterator[tuple[list[int], Tensor, list[str], list[tuple[str, str]]]]:
        """Numbers of the images, the images [n, c, h, w], digests of their files, and what was left out and why."""

        def load(number: int) -> np.ndarray | str:
            try:
                return images.load(number, self.model.size, self.model.input_channels)
            except InputError as error:
                return str(error)

        def content(number: int) -> str:
            try:
                return images.content(number)
            except InputError as error:
                return f"!{error}"

        with ThreadPoolExecutor(2) as pool:
            numbers = range(shard.first, shard.last)
            ahead = None
            for start in range(0, len(numbers), _BATCH):
                now = list(numbers[start : start + _BATCH])
                loads = ahead or (now, [pool.submit(load, n) for n in now], [pool.submit(content, n) for n in now])
                following = list(numbers[start + _BATCH : start + 2 * _BATCH])
                ahead = (
                    (following, [pool.submit(load, n) for n in following], [pool.submit(content, n) for n in following])
                    if following
                    else None
                )
                kept, pixels, fresh, broken = [], [], [], []
                for number, loaded, digest in zip(*loads, strict=True):
                    picture, code = loaded.result(), digest.result()
                    if isinstance(picture, str):
                        broken.append((images.keys[number], picture))
                    elif code in seen:
                        broken.append((images.keys[number], "a duplicate of an earlier image"))
                    else:
                        seen.add(code)
                        fresh.append(code)
                        kept.append(number)
                        pixels.append(picture)
                batch = torch.from_numpy(np.stack(pixels)) if pixels else torch.zeros(0)
                yield kept, batch, fresh, broken

    def _layers(
        self, layers: Sequence[Layer], batch: Tensor, numbers: Sequence[int], source: str
    ) -> Iterator[dict[str, np.ndarray]]:
        """For each layer: values, image numbers, places, and attribution where the model has classes."""
        images = batch.to(self.model.device).float() / 255
        names = [layer.name for layer in layers]
        with borrowed(self.model.module), torch.no_grad():
            grids = run(self.model, images, names)
            for layer in layers:
                grid = grids[layer.name].float()
                rows, columns = grid.shape[2:]
                chosen = np.stack([self._positions(rows, columns, f"{source}|{number}") for number in numbers])
                where = torch.from_numpy(chosen).to(grid.device)
                taken = grid.permute(0, 2, 3, 1)[torch.arange(len(grid))[:, None], where[..., 0], where[..., 1]]
                values = taken.cpu().numpy().reshape(-1, grid.shape[1])
                largest = float(np.abs(values).max(initial=0))
                count = chosen.shape[1]
                made = {
                    "values": values.astype(np.float16 if largest < _LARGEST_HALF else np.float32),
                    "image": np.repeat(np.asarray(numbers, np.int32), count),
                    "place": chosen.reshape(-1, 2).astype(np.int16),
                }
                share = min(self.settings.attributed, count)
                if share:
                    attribution = self._attribution(layer, images, grid, where[:, :share])
                    if attribution is not None:
                        made["attribution"] = attribution.astype(np.float16)
                        made["attributed"] = np.tile(np.arange(count) < share, len(numbers))
                yield made

    def _positions(self, rows: int, columns: int, name: str) -> np.ndarray:
        """Row and column of the positions that are taken from one image, [n, 2], in an order of chance."""
        random = np.random.default_rng(int(key_of(name=name, seed=self.settings.seed)[:15], 16))
        edge = 1 if self.settings.per_image is not None and min(rows, columns) >= _EDGED else 0
        height, width = rows - 2 * edge, columns - 2 * edge
        count = min(self.settings.per_image or rows * columns, height * width)
        picked = random.permutation(height * width)[:count]
        return np.stack([edge + picked // width, edge + picked % width], 1)

    def _attribution(self, layer: Layer, images: Tensor, grid: Tensor, where: Tensor) -> np.ndarray | None:
        """[images · positions, classes]: h · ∂logit/∂h at each position, for all classes.

        A derivative in the direction of h at one position and of nothing elsewhere, carried forward, gives all classes
        at once; backwards it would take a run for each class.
        """
        found = []
        every = torch.arange(len(grid))
        try:
            rest = self._tail(layer, images)
            for number in range(where.shape[1]):
                rows, columns = where[:, number].T
                direction = torch.zeros_like(grid)
                direction[every, :, rows, columns] = grid[every, :, rows, columns]
                with _quiet(), forward_ad.dual_level():
                    if rest is not None:
                        logits = rest(forward_ad.make_dual(grid, direction))[LOGITS]
                    else:
                        edits = {layer.name: lambda g, d=direction: forward_ad.make_dual(g.clone(), d.to(g))}
                        logits = run(self.model, images, [LOGITS], edits=edits)[LOGITS]
                    tangent = forward_ad.unpack_dual(logits).tangent
                    if tangent is None:
                        raise ModelError(f"the classes do not depend on {layer.name}")
                    found.append(tangent.flatten(1).float().cpu().numpy())
        except (NotImplementedError, RuntimeError, ModelError, TargetError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            remark = f"no attribution at {layer.name}: {str(error).splitlines()[0]}"
            if remark not in self.remarks:
                self.remarks.append(remark)
            return None
        return np.stack(found, 1).reshape(-1, found[0].shape[1])

    def _tail(self, layer: Layer, images: Tensor) -> Tail | None:
        """The rest of the model from a layer on, where it needs nothing else of the image."""
        if layer.name not in self.tails:
            tail = Tail(self.model, images[0], layer=layer.name)
            self.tails[layer.name] = tail if tail.fits_any_image else None
        return self.tails[layer.name]
