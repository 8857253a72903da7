"""Images in Python objects: datasets, sequences, batches."""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from PIL import Image

from ...errors import InputError
from ._source import IMAGE_COLUMNS, LABEL_COLUMNS, Item, Source, content_of, digest_of, label_of, read_pixels

# Python objects are told apart by the content of so many of their items.
_SAMPLES = 32


class Objects(Source):
    """A dataset, a sequence or a batch in memory.

    Items are fetched one at a time, since a dataset need not bear two threads. Their class is taken from the dataset's
    list of classes where it has one, and otherwise seen when the item is.
    """

    def __init__(self, source: Any) -> None:
        count = _count(source)
        super().__init__(f"the {type(source).__name__} of {count:,} images", reopens=False)
        self.remarks = []
        self._objects = source
        self._lock = threading.Lock()
        self._names = _class_names(source)
        self._contents: dict[int, str] = {}
        self._seen: dict[int, str | None] = {}
        known = _known_classes(source)
        self.keys = [str(number) for number in range(count)]
        self.labels = _Labels(self) if known is None else [label_of(value, self._names) for value in known]
        self.digest = digest_of("objects", [self.where, *map(str, known or ()), *self._samples()])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    def load(self, index: int, size: tuple[int, int], channels: int = 3) -> np.ndarray:
        item = self._item(index)
        if not isinstance(item, (Path, bytes)):  # what may have taken long to make
            self._contents[index] = content_of(item, self._name(index))
        return read_pixels(item, self._name(index), size, channels)

    def content(self, index: int) -> str:
        if index not in self._contents:
            self._contents[index] = super().content(index)
        return self._contents[index]

    def label(self, index: int) -> str | None:
        """The class that comes with an item."""
        index = range(len(self))[index]
        if index not in self._seen:
            try:
                self._item(index)
            except InputError:
                return self._seen.setdefault(index, None)
        return self._seen[index]

    def _item(self, index: int) -> Item:
        index = range(len(self))[index]
        name = self._name(index)
        with self._lock:
            try:
                image, label = _image_and_label(self._objects[index])
                if isinstance(image, Image.Image):
                    image.load()  # here, as it may read a file that all have open
            except Exception as error:  # a dataset's own code may raise anything
                raise InputError(f"{name} cannot be read: {type(error).__name__}: {error}.") from error
            self._seen[index] = label_of(label, self._names)
        return _as_item(image, name)

    def _samples(self) -> list[str]:
        """Content of some items, spread evenly."""
        contents: list[str] = []
        errors: list[InputError] = []
        for index in sorted({number * (len(self) - 1) // (_SAMPLES - 1) for number in range(_SAMPLES)}):
            try:
                contents.append(self.content(index))
            except InputError as error:
                errors.append(error)
        if not contents:
            raise errors[0]
        return contents


class _Labels(Sequence[str | None]):
    """Classes that are looked up in the items."""

    def __init__(self, images: Objects) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...
    def __getitem__(self, index: int | slice) -> str | list[str | None] | None:
        if isinstance(index, slice):
            return [self._images.label(number) for number in range(len(self))[index]]
        return self._images.label(index)


def _count(source: Any) -> int:
    kind = type(source).__name__
    if isinstance(source, (np.ndarray, torch.Tensor)):
        if source.ndim != 4:
            shape = list(source.shape)
            raise InputError(
                f"the array is {shape}; expected a batch [n, channels, height, width] or [n, height, width, 3]."
            )
    elif isinstance(source, Mapping):
        keys = ", ".join(map(str, list(source)[:5]))
        raise InputError(f"a {kind} of {keys} is not a row of images; give one of its parts.")
    elif isinstance(source, (bytes, bytearray, Image.Image)):
        raise InputError(f"a single {kind} is not a row of images; put it in a list.")
    try:
        count = len(source)
    except (TypeError, NotImplementedError):
        count = None
    if count is None or not hasattr(source, "__getitem__"):
        raise InputError(
            f"images cannot be read from a {kind}; expected a path, or a sequence or dataset with a length and places."
        )
    if not count:
        raise InputError(f"the {kind} is empty.")
    return count


def _image_and_label(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image = next((item[name] for name in IMAGE_COLUMNS if name in item), item)
        return image, next((item[name] for name in LABEL_COLUMNS if name in item), None)
    if isinstance(item, (tuple, list)):
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _as_item(image: Any, name: str) -> Item:
    if isinstance(image, Mapping) and {"bytes", "path"} & image.keys():  # of Hugging Face, not decoded
        image = image.get("bytes") or image.get("path")
    if isinstance(image, (str, os.PathLike)):
        return Path(os.fspath(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        return (image.float() if image.is_floating_point() else image).numpy()
    if isinstance(image, (Image.Image, np.ndarray)):
        return image
    kind = f"dictionary of {', '.join(map(str, image))}" if isinstance(image, Mapping) else type(image).__name__
    raise InputError(f"{name} is a {kind}; expected a Pillow image, a path, bytes, or an array.")


def _known_classes(source: Any) -> list[Any] | None:
    """The class of each item as a dataset lists them, without reading the items."""
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        column = next((name for name in LABEL_COLUMNS if name in features), None)
        return None if column is None else list(source[column])
    for attribute in ("targets", "labels"):
        values = getattr(source, attribute, None)
        values = values.tolist() if isinstance(values, (np.ndarray, torch.Tensor)) else values
        if isinstance(values, list) and len(values) == len(source) and all(isinstance(each, int) for each in values):
            return values
    parts = getattr(source, "datasets", None)  # of torch.utils.data.ConcatDataset
    if isinstance(parts, (list, tuple)):
        lists = [_known_classes(part) for part in parts]
        return None if None in lists else [value for values in lists for value in values or ()]
    inner, indices = getattr(source, "dataset", None), getattr(source, "indices", None)  # of its Subset
    if inner is not None and indices is not None:
        known = _known_classes(inner)
        return None if known is None else [known[int(index)] for index in indices]
    return None


def _class_names(source: Any) -> list[str]:
    """The names of a dataset's classes, in the order of their numbers."""
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        column = next((name for name in LABEL_COLUMNS if name in features), None)
        return list(getattr(features.get(column), "names", None) or [])
    names = getattr(source, "classes", None)
    if isinstance(names, (list, tuple)):
        return [name if isinstance(name, str) else ", ".join(map(str, name)) for name in names]
    parts = getattr(source, "datasets", None) or [getattr(source, "dataset", None)]
    return _class_names(parts[0]) if parts[0] is not None else []
