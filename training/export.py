"""`python -m training.export training/out/robust.pt`: a trained candidate becomes the files inside the package.

Batch norms are folded into the convolutions and weights rounded to half precision; everything after that is measured
and rendered on the network as the package will load it. Icons are kept in `training/out/icons`, so that the work can be
interrupted and goes on, and come from there as long as the weights and the recipe of an icon are the same.
"""

import argparse
import copy
import csv
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn

from pellucid.explain._icons import ICON_SIZE, ICON_STEPS, channel_icon, render_icons
from pellucid.features._render import as_asked
from pellucid.models import Model
from pellucid.models._embedded import LABELS, SIZE, STATISTICS, WEIGHTS, embedded_folder, load_embedded
from pellucid.models._tiny_inception import MAIN_LAYERS, ConvReLU, TinyInception
from pellucid.record import record
from pellucid.store import Packed, RenderCache, write_file, write_pack
from pellucid.targets import LOGITS

from .card import model_card
from .data import Photos, read_classes, read_photos

OUT = Path(__file__).parent / "out"
_MOST_BYTES = 9_000_000
# What the cards may take of it.
_CARDS = 10_000
_STATISTICS_PHOTOS = 2_000
# Every so manieth photo of the validation set makes the subset that a test classifies again.
_SUBSET = 10


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("candidate", type=Path, help="training/out/NAME.pt, or NAME.checkpoint.pt")
    parser.add_argument("--folder", type=Path, default=embedded_folder(), help="where the files go")
    parser.add_argument("--work", type=Path, default=OUT, help="where photos and finished icons are kept")
    parser.add_argument("--quality", type=int, default=75, help="of the sprites' colours, at most; less if it must fit")
    parser.add_argument(
        "--steps", type=int, default=ICON_STEPS, help="for each icon; others than explain's are a trial"
    )
    parser.add_argument("--channels", type=int, help="render the first so many of each layer: a trial")
    chosen = parser.parse_args(arguments)
    export(**vars(chosen))


def export(candidate: Path, *, folder: Path, work: Path, quality: int, steps: int, channels: int | None) -> None:
    """Write weights, labels, statistics, icons and model card into `folder`, and say what they are worth."""
    trained = _trained(candidate)
    write_file(folder / LABELS, _labels())
    write_file(folder / WEIGHTS, save({key: tensor.half() for key, tensor in fold_norms(trained).items()}))
    model = load_embedded(folder / WEIGHTS)
    val, train = read_photos("val", work), read_photos("train", work)
    original = TinyInception(len(read_classes()), norm=True)
    original.load_state_dict(trained)
    top1 = {str(size): _accuracy(model, val, size) for size in sorted({64, 96, 128, SIZE})}
    card: dict[str, Any] = {
        "candidate": candidate.name.partition(".")[0],
        "weights": model.digest,
        "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
        "size": SIZE,
        "photos": len(val.images),
        "top1": top1,
        "rounding": _rounding(original.eval(), model, val),
        "subset": {"every": _SUBSET, "size": SIZE, "top1": _accuracy(model, _every(val, _SUBSET), SIZE)},
        "statistics": {"photos": _STATISTICS_PHOTOS, "size": SIZE},
    }
    print(f"top-1 {', '.join(f'{value:.1%} at {size} px' for size, value in top1.items())}", flush=True)
    chosen = np.sort(np.random.default_rng(2).permutation(len(train.images))[:_STATISTICS_PHOTOS])
    statistics = channel_statistics(model, Photos(train.images[chosen], train.classes[chosen]))
    write_file(folder / STATISTICS, save(statistics))
    sheets = {layer: _icons(model, layer, steps, channels, work) for layer in MAIN_LAYERS}
    quality = _pack(sheets, folder, quality)
    count = sum(map(len, sheets.values()))
    card["icons"] = {"count": count, "size": ICON_SIZE, "steps": steps, "quality": quality}
    report = candidate.with_name(f"{card['candidate']}.json")
    training = json.loads(report.read_text()) if report.exists() else None
    write_file(folder / "card.json", json.dumps(card, indent=1).encode())
    write_file(folder / "MODEL_CARD.md", model_card(card, training).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size / 1e6:7.3f} MB  {path.relative_to(folder)}")
    print(f"{_size(folder, '**/*') / 1e6:7.3f} MB  together")
    if steps != ICON_STEPS or channels is not None:
        print("a trial: explain looks for every channel at its own number of steps and will render what is not there.")


def fold_norms(trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of `TinyInception(norm=False)` that computes the same as those with batch norms."""
    classes = len(trained["logits.bias"])
    network = TinyInception(classes, norm=True)
    network.load_state_dict(trained)
    state = {"logits.weight": trained["logits.weight"], "logits.bias": trained["logits.bias"]}
    for name, part in network.named_modules():
        if not isinstance(part, ConvReLU):
            continue
        norm = part.norm
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        assert norm.running_mean is not None
        factor = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
        state[f"{name}.conv.weight"] = part.conv.weight.detach() * factor[:, None, None, None]
        state[f"{name}.conv.bias"] = norm.bias.detach() - norm.running_mean * factor
    return {key: state[key].contiguous() for key in TinyInception(classes).state_dict()}


def channel_statistics(model: Model, photos: Photos) -> dict[str, Tensor]:
    """The arrays of `ChannelStatistics` for each main layer and the logits, named `layer/array`."""
    names = (*MAIN_LAYERS, LOGITS)
    means: dict[str, list[np.ndarray]] = {name: [] for name in names}
    peaks: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for images in _views(photos, SIZE):
        recorded = record(model, images, names)
        for name in names:
            values = recorded[name].values
            values = values.reshape(len(values), -1, values.shape[-1])
            means[name].append(values.mean(1, dtype=np.float64))
            peaks[name].append(values.max(1))
    arrays = {}
    for name in names:
        mean, peak = np.concatenate(means[name]), np.concatenate(peaks[name])
        arrays |= {f"{name}/mean": mean.mean(0), f"{name}/deviation": mean.std(0)}
        arrays |= {f"{name}/peak_mean": peak.mean(0), f"{name}/peak_deviation": peak.std(0)}
    return {key: torch.from_numpy(array.astype(np.float32)) for key, array in arrays.items()}


class _Noting(RenderCache):
    """Notes every picture that is found, in order, under the recipe that a pack has to know it by."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, packs=())
        self.found: list[Packed] = []

    def read(self, recipe: Mapping[str, Any]) -> tuple[np.ndarray, list[float]] | None:
        entry = super().read(recipe)
        if entry is not None:
            self.found.append(Packed(as_asked(recipe), entry[0], entry[1][-1]))
        return entry


def _icons(model: Model, layer: str, steps: int, channels: int | None, work: Path) -> list[Packed]:
    began = time.perf_counter()
    targets = [channel_icon(layer, channel) for channel in range(model.layers[layer].channels)][:channels]
    folder = work / "icons"
    rendered = render_icons(model, targets, steps=steps, cache=RenderCache(folder, packs=()))
    noting = _Noting(folder)
    render_icons(model, targets, steps=steps, cache=noting)
    assert len(noting.found) == len(targets)
    fresh = len(targets) - rendered.provenance["from_cache"]
    print(f"{layer}: {len(targets)} icons, {fresh} of them rendered in {time.perf_counter() - began:.0f} s", flush=True)
    return noting.found


def _pack(sheets: Mapping[str, Sequence[Packed]], folder: Path, quality: int) -> int:
    """The quality at which the icons fit beside everything else, and were written."""
    left = _MOST_BYTES - _CARDS - _size(folder, "*.tsv") - _size(folder, "*.safetensors") - _size(folder, "photos/*")
    while write_pack(folder / "icons", sheets, quality=quality) > left:
        quality -= 5
        if quality < 50:
            raise SystemExit(f"the package's data is more than {_MOST_BYTES / 1e6:g} MB with icons of quality 50.")
    return quality


def _trained(candidate: Path) -> dict[str, Tensor]:
    state = torch.load(candidate, weights_only=True, map_location="cpu")
    return state.get("network", state)


def _labels() -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(("index", "wnid", "name"))
    writer.writerows((index, wnid, name) for index, (wnid, name) in enumerate(read_classes()))
    return text.getvalue().encode()


def _every(photos: Photos, step: int) -> Photos:
    return Photos(photos.images[::step], photos.classes[::step])


def _views(photos: Photos, size: int, batch: int = 100) -> Iterator[Tensor]:
    """The photos as `explain` shows them to the network, in batches."""
    for start in range(0, len(photos.images), batch):
        pictures = [Image.fromarray(np.asarray(image)) for image in photos.images[start : start + batch]]
        pictures = [picture.resize((size, size), Image.Resampling.LANCZOS) for picture in pictures]
        array = np.stack([np.asarray(picture, np.float32) / 255 for picture in pictures])
        yield torch.from_numpy(array).permute(0, 3, 1, 2)


@torch.no_grad()
def _accuracy(model: Model, photos: Photos, size: int) -> float:
    network = copy.deepcopy(model.module).to(memory_format=torch.channels_last)  # half the time
    answers = [network(model.preprocess(images)).argmax(1).numpy() for images in _views(photos, size)]
    return float(np.mean(np.concatenate(answers) == photos.classes))


def _rounding(original: nn.Module, model: Model, photos: Photos) -> float:
    """The largest change of a logit by folding and rounding, over the spread of the logits."""
    images = next(_views(_every(photos, 50), 64))
    with torch.no_grad():
        before = original(model.preprocess(images))
        after = model.module(model.preprocess(images))
    return float((before - after).abs().max() / before.std())


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())


if __name__ == "__main__":
    main()
