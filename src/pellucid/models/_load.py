"""Loading a network by name: the known ones, and lazily those of timm and torchvision."""

import csv
import difflib
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import MissingExtraError, ModelError, TargetError, WeightsError, missing_extra
from ..events import Progress, silent
from ._embedded import NAME, WEIGHTS, embedded_folder, load_embedded
from ._inception_v1 import InceptionV1, tensor_names
from ._model import Model, wrap
from ._weights import WeightsSource, file_digest, find_weights, offline, read_tensors, search_places

_INCEPTION_V1 = WeightsSource(
    name="inception_v1",
    files=("inception_v1_2015.safetensors", "tensorflow_inception_graph.pb"),
    url="https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip",
    member="tensorflow_inception_graph.pb",
    max_bytes=256 * 2**20,
)
# Where labels may lie beside the weights; the second comes in the same archive as the frozen graph.
_INCEPTION_V1_LABELS = ("inception_v1_2015_labels.tsv", "imagenet_comp_graph_label_strings.txt")
# What lists the names of a library's models.
_LISTS = {"timm": "timm.list_models()", "torchvision": "torchvision.models.list_models()"}


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
    name: str = NAME,
    *,
    weights: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress = silent,
    **options: Any,
) -> Model:
    """The network of that name, ready to be looked into.

    Args:
        name: `tiny_inception`, which is inside the package; `inception_v1`, `timm:NAME` or `torchvision:NAME`.
        weights: a file or folder. By default those of `tiny_inception` are at hand; those of `inception_v1` are looked
            for in `PELLUCID_DATA`, then in the user's cache, then downloaded. For `timm:` and `torchvision:` a
            `.safetensors` or `.pth` state dict; by default what the library downloads.
        download: whether weights may be fetched where none are found; where PELLUCID_OFFLINE is set they never are.
        progress: receives an event for each piece that is fetched.
        options: passed on to `timm.create_model` or to torchvision's builder; `pretrained=False` gives random weights.

    Raises:
        TargetError: no such network.
        WeightsError: weights are missing, incomplete or not this network's.
        MissingExtraError: the library that has it is not installed.

    Example:
        >>> pellucid.load().layers["mixed4d"].channels
        288
        >>> pellucid.load("inception_v1").layers["mixed4d"].channels   # doctest: +SKIP
        528
    """
    library, _, rest = name.partition(":")
    if rest and library in _ADAPTERS:
        return _ADAPTERS[library](rest, weights, download, options)
    if name in (NAME, "inception_v1") and options:
        raise TypeError(f"load({name!r}) takes no option {sorted(options)[0]!r}.")
    if name == NAME:
        return load_embedded(weights)
    if name == "inception_v1":
        return _load_inception_v1(weights, download, progress)
    names = [known.name for known in known_models()]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise TargetError(f"no model {name!r}; {hint}`pellucid models` lists what can be loaded.")


def known_models() -> list[Known]:
    """What can be loaded, and from where.

    Example:
        >>> [known.name for known in known_models()]
        ['tiny_inception', 'inception_v1', 'timm:NAME', 'torchvision:NAME']
    """
    try:
        where = str(find_weights(_INCEPTION_V1, download=False))
    except WeightsError:
        where = f"not here; downloaded on first use from {_INCEPTION_V1.url}"
    return [
        Known(NAME, "a small GoogLeNet of our own, 100 classes, inside the package", str(embedded_folder() / WEIGHTS)),
        Known("inception_v1", "GoogLeNet as released in 2015, 1008 classes, the articles' network", where),
        Known("timm:NAME", "any of timm's models: timm:resnet50, timm:vit_base_patch16_224 …", _installed("timm")),
        Known(
            "torchvision:NAME",
            "any of torchvision's classifiers: torchvision:googlenet …",
            _installed("torchvision"),
        ),
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
        raise ModelError(
            f"{package} is installed but does not import beside torch {torch.__version__}: {error}; "
            f"install the {package} that was made for that torch."
        ) from error


def _load_inception_v1(weights: str | os.PathLike[str] | None, download: bool, progress: Progress) -> Model:
    path = find_weights(_INCEPTION_V1, weights, download=download, progress=progress)
    with torch.device("meta"):
        empty = InceptionV1()
    names = tensor_names(empty)
    expected = {names[key]: tuple(parameter.shape) for key, parameter in empty.named_parameters()}
    tensors = read_tensors(path)
    if path.suffix == ".pb":
        from ._frozen_graph import inception_v1_tensors

        tensors = inception_v1_tensors(tensors, expected)
    for key, shape in expected.items():
        if key not in tensors or tuple(tensors[key].shape) != shape:
            found = f"has shape {list(tensors[key].shape)}" if key in tensors else "is missing"
            raise WeightsError(f"{path.name} is not InceptionV1: {key} {found}, expected shape {list(shape)}.")
    module = InceptionV1()
    module.load_state_dict({key: tensors[name].float() for key, name in names.items()}, strict=False)
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
    if "/" not in name and not timm.is_model(name):  # a slash is in the addresses of hubs, which timm resolves
        raise _unknown("timm", name, timm.list_models())
    options.setdefault("pretrained", weights is None)
    if options["pretrained"]:
        _require_network(f"timm:{name}", download)
    if weights is not None:
        _state_dict(Path(weights))  # timm would report a damaged file in as many ways as there are formats
        options["checkpoint_path"] = str(weights)
    try:
        module = timm.create_model(name, **options)
    except RuntimeError as error:
        if weights is not None:
            raise WeightsError(f"{weights} does not fit timm's {name}: {_gist(error)}") from error
        raise ModelError(f"timm cannot make {name!r}: {_gist(error)}") from error
    settings = timm.data.resolve_model_data_config(module)
    channels = options.get("in_chans", settings["input_size"][0])
    per_channel = channels == len(settings["mean"])
    return wrap(
        module.eval(),
        size=tuple(settings["input_size"][1:]),
        channels=channels,
        mean=settings["mean"] if per_channel else sum(settings["mean"]) / len(settings["mean"]),
        std=settings["std"] if per_channel else sum(settings["std"]) / len(settings["std"]),
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
    classifiers = models.list_models(module=models)
    if name not in classifiers:
        raise _unknown("torchvision", name, classifiers)
    default = models.get_model_weights(name).DEFAULT
    pretrained = options.pop("pretrained", weights is None)
    if pretrained:
        _require_network(f"torchvision:{name}", download)
    module = models.get_model(name, weights=default if pretrained else None, **options)
    if weights is not None:
        state = _state_dict(Path(weights))
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"{weights} does not fit torchvision's {name}: {_gist(error)}") from error
    preset, labels = default.transforms(), default.meta["categories"]
    return wrap(
        module.eval(),
        size=preset.crop_size[0],
        mean=preset.mean,
        std=preset.std,
        labels=labels if options.get("num_classes", len(labels)) == len(labels) else None,
        name=f"torchvision:{name}",
        source={"torchvision": torchvision.__version__, "weights": str(weights or (default if pretrained else None))},
    )


def _unknown(library: str, name: str, names: list[str]) -> TargetError:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{_LISTS[library]} lists them."
    return TargetError(f"{library} has no model {name!r}; {hint}")


def _require_network(name: str, download: bool) -> None:
    """Refuse to go on without weights: a network of random ones would look as if it had been trained."""
    if not download or offline():
        reason = "PELLUCID_OFFLINE" if download else "download=False"
        raise WeightsError(
            f"no weights for {name}: {reason} forbids fetching them; pass weights= with a file's path, "
            "or pretrained=False for random ones."
        )


def _gist(error: Exception) -> str:
    """What a failure to load a state dict says after its title, cut to a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return textwrap.shorten(lines[min(1, len(lines) - 1)] if lines else type(error).__name__, 200, placeholder=" …")


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
