"""Loading a network by name: the known ones, and lazily those of timm and torchvision."""

import csv
import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import MissingExtraError, ModelError, TargetError, WeightsError, missing_extra
from ..events import Progress, silent
from ._inception_v1 import InceptionV1, tensor_names
from ._model import Model, wrap
from ._weights import WeightsSource, file_digest, find_weights, read_tensors, search_places

_INCEPTION_V1 = WeightsSource(
    name="inception_v1",
    files=("inception_v1_2015.safetensors", "tensorflow_inception_graph.pb"),
    url="https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip",
    member="tensorflow_inception_graph.pb",
    max_bytes=256 * 2**20,
)
# Where labels may lie beside the weights; the second comes in the same archive as the frozen graph.
_INCEPTION_V1_LABELS = ("inception_v1_2015_labels.tsv", "imagenet_comp_graph_label_strings.txt")


@dataclass(frozen=True)
class Known:
    """One line of `pellucid models`.

    Args:
        name: what `pellucid.load` takes.
        summary: what it is.
        where: the weights' file where they are at hand, else how they are had.
    """

    name: str
    summary: str
    where: str


def load(
    name: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress = silent,
    **options: Any,
) -> Model:
    """The network of that name, ready to be looked into.

    Args:
        name: `inception_v1`, `timm:NAME` or `torchvision:NAME`.
        weights: a file or folder; by default looked for in `PELLUCID_DATA`, then in the user's cache, then
            downloaded. For `timm:` and `torchvision:` a `.safetensors` or `.pth` state dict.
        download: whether weights may be fetched where none are found.
        progress: receives an event for each piece that is fetched.
        options: passed on to `timm.create_model` or to torchvision's builder (`pretrained=False`, `weights=None`).

    Raises:
        TargetError: no such network.
        WeightsError: weights are missing, incomplete or not this network's.
        MissingExtraError: the library that has it is not installed.

    Example:
        >>> model = pellucid.load("inception_v1")                      # doctest: +SKIP
        >>> model.layers["mixed4d"].channels                           # doctest: +SKIP
        528
    """
    library, _, rest = name.partition(":")
    if rest and library in _ADAPTERS:
        return _ADAPTERS[library](rest, weights, download, options)
    if name == "inception_v1":
        if options:
            raise TypeError(f"load('inception_v1') takes no option {sorted(options)[0]!r}.")
        return _load_inception_v1(weights, download, progress)
    names = [known.name for known in known_models()]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise TargetError(f"no model {name!r}; {hint}`pellucid models` lists what can be loaded.")


def known_models() -> list[Known]:
    """What can be loaded, and from where.

    Example:
        >>> [known.name for known in known_models()]
        ['inception_v1', 'timm:NAME', 'torchvision:NAME']
    """
    try:
        where = str(find_weights(_INCEPTION_V1, download=False))
    except WeightsError:
        where = f"not here; downloaded on first use from {_INCEPTION_V1.url}"
    return [
        Known("inception_v1", "GoogLeNet as released in 2015, 1008 classes, the articles' network", where),
        Known("timm:NAME", "any of timm's models: timm:resnet50, timm:vit_base_patch16_224 …", _installed("timm")),
        Known("torchvision:NAME", "any of torchvision's classifiers: torchvision:googlenet …", _installed("torchvision")),
    ]


def _installed(package: str) -> str:
    try:
        return f"{package} {_imported(package).__version__}"
    except (MissingExtraError, ModelError) as error:
        return str(error)


def _imported(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == package:
            raise missing_extra(package, package) from error
        raise
    except (RuntimeError, OSError) as error:  # a build that does not fit the installed torch fails in many ways
        raise ModelError(f"{package} is installed but does not import beside torch {torch.__version__}: {error}") from error


def _load_inception_v1(weights: str | os.PathLike[str] | None, download: bool, progress: Progress) -> Model:
    path = find_weights(_INCEPTION_V1, weights, download=download, progress=progress)
    with torch.device("meta"):
        expected = {tensor_names(InceptionV1())[key]: tuple(p.shape) for key, p in InceptionV1().named_parameters()}
    tensors = read_tensors(path)
    if path.suffix == ".pb":
        from ._frozen_graph import inception_v1_tensors

        tensors = inception_v1_tensors(tensors, expected)
    for key, shape in expected.items():
        if key not in tensors or tuple(tensors[key].shape) != shape:
            found = f"has shape {list(tensors[key].shape)}" if key in tensors else "is missing"
            raise WeightsError(f"{path.name} is not InceptionV1: {key} {found}, expected shape {list(shape)}.")
    module = InceptionV1()
    module.load_state_dict({key: tensors[name].float() for key, name in tensor_names(module).items()}, strict=False)
    return wrap(
        module.eval(),
        size=224,
        mean=117 / 255,
        std=1 / 255,
        labels=_inception_v1_labels(path.parent),
        name="inception_v1",
        default_layer="mixed4d",
        source={"file": path.name, "sha256": file_digest(path)},
    )


def _inception_v1_labels(beside: Path) -> list[str] | None:
    for folder in (beside, *search_places()):
        for name in _INCEPTION_V1_LABELS:
            path = folder / name
            if not path.is_file():
                continue
            if path.suffix == ".txt":
                return path.read_text(encoding="utf-8").splitlines()
            with path.open(encoding="utf-8", newline="") as file:
                return [row["name"] for row in csv.DictReader(file, delimiter="\t")]
    return None


def _load_timm(name: str, weights: str | os.PathLike[str] | None, download: bool, options: dict[str, Any]) -> Model:
    timm = _imported("timm")
    options.setdefault("pretrained", weights is None and download)
    if weights is not None:
        options["checkpoint_path"] = str(weights)
    try:
        module = timm.create_model(name, **options)
    except RuntimeError as error:
        near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near and name not in timm.list_models() else ""
        raise ModelError(f"timm cannot make {name!r}: {str(error).splitlines()[0]}{hint}") from error
    except FileNotFoundError as error:
        raise WeightsError(f"no weights at {weights}: {error}.") from error
    settings = timm.data.resolve_model_data_config(module)
    return wrap(
        module.eval(),
        size=tuple(settings["input_size"][1:]),
        channels=settings["input_size"][0],
        mean=settings["mean"],
        std=settings["std"],
        labels=_imagenet_labels_of_timm(timm, getattr(module, "num_classes", 0)),
        name=f"timm:{name}",
        source={"timm": timm.__version__, **{key: str(value) for key, value in options.items()}},
    )


def _imagenet_labels_of_timm(timm: Any, classes: int) -> list[str] | None:
    if classes != 1000:
        return None
    info = timm.data.ImageNetInfo()
    return [info.index_to_description(index) for index in range(classes)]


def _load_torchvision(
    name: str, weights: str | os.PathLike[str] | None, download: bool, options: dict[str, Any]
) -> Model:
    torchvision = _imported("torchvision")
    models = torchvision.models
    if name not in models.list_models():
        near = difflib.get_close_matches(name, models.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise TargetError(f"torchvision has no model {name!r}{hint}")
    default = models.get_model_weights(name).DEFAULT
    options.setdefault("weights", default if weights is None and download else None)
    module = models.get_model(name, **options)
    if weights is not None:
        state = _state_dict(Path(weights))
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"{weights} does not fit torchvision's {name}: {str(error).splitlines()[0]}") from error
    preset = default.transforms()
    return wrap(
        module.eval(),
        size=preset.crop_size[0],
        mean=preset.mean,
        std=preset.std,
        labels=default.meta["categories"],
        name=f"torchvision:{name}",
        source={"torchvision": torchvision.__version__, "weights": str(weights or options["weights"])},
    )


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix in (".pth", ".pt"):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise WeightsError(f"no weights at {path}.") from error
        except Exception as error:  # a damaged pickle raises anything
            raise WeightsError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    return read_tensors(path)


_ADAPTERS: dict[str, Callable[[str, Any, bool, dict[str, Any]], Model]] = {
    "timm": _load_timm,
    "torchvision": _load_torchvision,
}
