"""The network inside the package, with its labels, what its channels do on natural photos, and photos to try it on."""

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from ..errors import WeightsError
from ._model import Model, wrap
from ._tiny_inception import TinyInception
from ._weights import WeightsSource, file_digest, find_weights, read_tensors

NAME = "tiny_inception"
# Side in px of its usual input. It was trained at 48 and 64 px and takes any size; larger ones have more positions.
SIZE = 96
# Of the photos that it was trained on, sRGB in [0, 1]: `training/data.py`.
MEAN, STD = (0.468, 0.435, 0.378), (0.267, 0.258, 0.272)

# A cup that it is sure of, and a cat that it takes for a dog.
_PHOTOS = ("coffee", "chelsea")

WEIGHTS, LABELS, STATISTICS = f"{NAME}.safetensors", "labels.tsv", "channels.safetensors"
_SOURCE = WeightsSource(name=NAME, files=(WEIGHTS,), url=None, member=None, max_bytes=2**25)


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """What the channels of a layer do on natural photos; all arrays are float32 [channels].

    Args:
        mean, deviation: mean and standard deviation, over photos, of a channel's mean over positions.
        peak_mean, peak_deviation: the same of its largest value over positions.
    """

    mean: np.ndarray
    deviation: np.ndarray
    peak_mean: np.ndarray
    peak_deviation: np.ndarray


def embedded_folder() -> Path:
    """Where the package keeps its network."""
    return Path(__file__).parents[1] / "embedded"


def load_embedded(weights: str | os.PathLike[str] | None = None) -> Model:
    """The network inside the package: a small GoogLeNet of our own for a hundred classes.

    Args:
        weights: a file of the same tensors, or a folder that holds one, to take instead; `labels.tsv` beside it counts.

    Raises:
        WeightsError: a file is missing, damaged or another network's.

    Example:
        >>> load_embedded().default_layer
        'mixed4d'
    """
    if weights is None:
        path = embedded_folder() / WEIGHTS
        with _whole_package():
            tensors = read_tensors(path)
    else:
        path = find_weights(_SOURCE, weights)
        tensors = read_tensors(path)
    labels = _labels(path.parent)
    with torch.device("meta"):
        module = TinyInception(len(labels))
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    for key, shape in expected.items():
        if key not in tensors or tuple(tensors[key].shape) != shape:
            found = f"has shape {list(tensors[key].shape)}" if key in tensors else "is missing"
            raise WeightsError(f"{path.name} is not {NAME}: {key} {found}, expected shape {list(shape)}.")
    module.load_state_dict({key: tensors[key].float() for key in expected}, assign=True)
    return wrap(
        module.eval(),
        size=SIZE,
        mean=MEAN,
        std=STD,
        labels=labels,
        name=NAME,
        default_layer="mixed4d",
        source={"file": path.name, "sha256": file_digest(path)},
    )


def load_channel_statistics() -> Mapping[str, ChannelStatistics]:
    """What each channel of the embedded network's main layers and each of its logits does on natural photos, by layer.

    Measured over 2,000 photos of its training set, at its usual size.

    Raises:
        WeightsError: the package's file is missing or damaged.

    Example:
        >>> statistics = load_channel_statistics()["mixed4d"]
        >>> statistics.mean.shape == statistics.peak_mean.shape
        True
    """
    with _whole_package():
        tensors = read_tensors(embedded_folder() / STATISTICS)
    layers: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in tensors.items():
        layer, _, name = key.partition("/")
        layers.setdefault(layer, {})[name] = tensor.float().numpy()
    return MappingProxyType({layer: ChannelStatistics(**arrays) for layer, arrays in layers.items()})


def example_photos() -> Mapping[str, Path]:
    """Photos that come with the package, by name, the one that `pellucid explain` takes by default first.

    They may be passed on: `LICENCES.md` beside them says whose they are.

    Example:
        >>> list(example_photos())
        ['coffee', 'chelsea']
    """
    return MappingProxyType({name: embedded_folder() / "photos" / f"{name}.jpg" for name in _PHOTOS})


@contextmanager
def _whole_package() -> Iterator[None]:
    """Says of a file of the package that cannot be read what helps: another copy of the package."""
    try:
        yield
    except WeightsError as error:
        what = str(error).partition("; ")[0].rstrip(".")
        raise WeightsError(
            f"the network inside the package is damaged: {what}; "
            "install it again with pip install --force-reinstall --no-deps pellucid."
        ) from error


def _labels(beside: Path) -> list[str]:
    """Those beside the weights, or the package's own."""
    path = beside / LABELS if (beside / LABELS).is_file() else embedded_folder() / LABELS
    with _whole_package():
        try:
            with path.open(encoding="utf-8", newline="") as file:
                labels = [row["name"] for row in csv.DictReader(file, delimiter="\t")]
        except (OSError, ValueError, KeyError, csv.Error) as error:
            raise WeightsError(f"{path} cannot be read ({type(error).__name__})") from error
        if not labels or not all(labels):
            raise WeightsError(f"{path} names no classes")
        return labels
