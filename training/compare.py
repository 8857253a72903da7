"""`python -m training.compare`: the two candidates side by side, in numbers and pictures, for `docs/network.md`.

Prints, for each: top-1, also against perturbations; the share of renderings whose own channel is, of all channels of
its layer, the most raised above its mean on photos, in standard deviations; and how well spatial attribution agrees
with the removal of each position. Writes the pictures into the folder of `--out`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import pellucid
from pellucid.attribution import attribute
from pellucid.explain._icons import channel_icon, render_icons
from pellucid.models import Model
from pellucid.models._tiny_inception import TinyInception
from pellucid.pictures import to_picture
from pellucid.trust import correlation, intervene_each

from .data import MEAN, STD, Photos, read_classes, read_photos
from .export import OUT, channel_statistics, fold_norms

_LAYERS = ("mixed3b", "mixed4a", "mixed4d", "mixed5b")
_CHANNELS = 64
_CLASSES = 24
_PHOTOS = 60


def candidate(name: str) -> Model:
    """One of `plain` and `robust`, as it would be shipped, at the size that it was trained at."""
    state = torch.load(OUT / f"{name}.pt", weights_only=True, map_location="cpu")
    labels = [label for _, label in read_classes()]
    module = TinyInception(len(labels))
    module.load_state_dict(fold_norms(state))
    return pellucid.wrap(module.eval(), size=64, mean=MEAN, std=STD, labels=labels, name=name, default_layer="mixed4d")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    cache = pellucid.RenderCache(OUT / "comparison", packs=())
    train, val = read_photos("train", OUT), read_photos("val", OUT)
    order = np.random.default_rng(2).permutation(len(train.images))
    some = Photos(train.images[np.sort(order[:2000])], train.classes[np.sort(order[:2000])])
    pictures: dict[str, list[np.ndarray]] = {"icons": [], "classes": [], "gradients": []}
    for name in ("plain", "robust"):
        model = candidate(name)
        measured = json.loads((OUT / f"{name}.json").read_text())
        print(f"{name}: top-1 {measured['val_accuracy']:.1%}, perturbed {measured['robust_accuracy']}")
        statistics = channel_statistics(model, some)
        for layer in _LAYERS:
            chosen = np.random.default_rng(0).permutation(model.layers[layer].channels)[:_CHANNELS]
            targets = [pellucid.Channel(layer, int(channel)) for channel in np.sort(chosen)]
            made = pellucid.render(model, targets, size=96, steps=128, cache=cache)
            images = torch.from_numpy(made.images).permute(0, 3, 1, 2)
            values = pellucid.record(model, images, layer)[layer].values.mean((1, 2))
            raised = (values - statistics[f"{layer}/mean"].numpy()) / (statistics[f"{layer}/deviation"].numpy() + 1e-6)
            own = [target.index for target in targets]
            right = float(np.mean(raised.argmax(1) == own))
            grey = float(np.mean(made.images.std((1, 2)).mean(1) < 0.03))
            print(
                f"  {layer}: {right:.0%} of {len(own)} renderings are of their own channel, {grey:.0%} grey", flush=True
            )
        targets = [channel_icon("mixed4d", channel) for channel in range(_CHANNELS)]
        icons = render_icons(model, targets, cache=cache)
        shown = icons.images[..., :3] * icons.images[..., 3:] + 0.95 * (1 - icons.images[..., 3:])
        pictures["icons"].append(_sheet(shown, 16))
        classes = np.linspace(0, len(read_classes()) - 1, _CLASSES).round().astype(int)
        logits = [pellucid.Logit(int(index)) for index in classes]
        made = pellucid.render(model, logits, size=96, steps=192, cache=cache)
        pictures["classes"].append(_sheet(made.images, 12))
        pictures["gradients"].append(_gradients(model))
        agreements = _agreements(model, val)
        for layer, values in agreements.items():
            low, middle, high = np.percentile(values, (25, 50, 75))
            print(f"  {layer}: attribution agrees with removal at r = {middle:.2f} ({low:.2f}–{high:.2f})", flush=True)
    for name, (plain, robust) in pictures.items():
        path = out / f"candidate_{name}.webp"
        gap = np.ones((12, *plain.shape[1:]), np.float32)
        to_picture(np.concatenate([plain, gap, robust])).convert("RGB").save(path, "WEBP", quality=85)
        print(path)


def _agreements(model: Model, val: Photos) -> dict[str, list[float]]:
    """For each photo, the correlation of the top class's map with the loss when each position is removed."""
    found: dict[str, list[float]] = {"mixed4a": [], "mixed4d": []}
    for index in np.linspace(0, len(val.images) - 1, _PHOTOS).round().astype(int):
        image = torch.from_numpy(val.images[index].copy()).permute(2, 0, 1).float() / 255
        logits = pellucid.record(model, image[None], "logits")["logits"].values[0]
        top = int(logits.argmax())
        for layer, values in found.items():
            map_ = attribute(model, image, layer=layer, target=top).positions()
            lost = logits[top] - intervene_each(model, image, layer=layer, units="positions")[:, top]
            values.append(correlation(map_.ravel(), lost))
    return found


def _gradients(model: Model) -> np.ndarray:
    """The photos of the package, and beside each the gradient of the most probable class for its pixels."""
    tiles = []
    for path in pellucid.example_photos().values():
        image = pellucid.load_image(path, size=96).requires_grad_()
        logits = model.module(model.preprocess(image[None]))[0]
        (gradient,) = torch.autograd.grad(logits.max(), image)
        gradient = gradient / gradient.abs().quantile(0.995)
        tiles += [image.detach(), (0.5 + 0.5 * gradient).clamp(0, 1)]
    return _sheet(torch.stack(tiles).permute(0, 2, 3, 1).numpy(), len(tiles))


def _sheet(images: np.ndarray, columns: int) -> np.ndarray:
    return pellucid.Rendering(images, np.zeros((len(images), 0)), ("",) * len(images)).sheet(columns)


if __name__ == "__main__":
    main()
