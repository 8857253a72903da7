"""Which parametrization gives pictures that fire a unit as photos do? Every one, judged by the evidence of renderings.

    PELLUCID_DATA=../shared/data OMP_NUM_THREADS=1 python benchmarks/parametrizations_compared.py --results pictures/
    … --models inception_v1 --units 6 --again 0 --steps 96 --photos 300 --results pictures/
    … --models timm:deit_tiny_patch16_224 --layers blocks.6 --units 24 --again 0 --steps 96 --photos 300 \\
        --only Fourier --results pictures/
    … --results pictures/ --sheet docs/images/parametrizations_compared.webp

Some channels of a layer, drawn by seed, are rendered with each parametrization, and the pictures judged by
`pellucid.trust.judge_renderings` with photos: tiny_imagenet_100_val.tar for the embedded network, imagenet_1000.tar for
others. Controls are a default picture of another unit, and one of the same unit of the network with all weights
shuffled; a photo that fires the unit, the one after its exemplars, shows what is within reach. For the first few units
a second seed tells how alike the routes of two pictures of one unit are. Printed are medians and quartiles over units.
Pictures are kept in the results folder, and not rendered again; no photos are.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

import pellucid
from pellucid.features.images import CPPN, Fourier, Laplacian, Pixel, Shared
from pellucid.features.transforms import crops
from pellucid.models import Model
from pellucid.trust import (
    ACTIVATION,
    IDENTIFICATION,
    SAME_CAUSE,
    Survey,
    as_feature,
    holding,
    judge_renderings,
    misleading,
    survey_images,
)
from pellucid.trust._randomized import _from_the_top, _shuffle
from pellucid.trust._routes import layers_before, read_routes

_ARCHIVES = {"tiny_inception": "tiny_imagenet_100_val.tar"}
_WEIGHTS = {"timm:deit_tiny_patch16_224": "deit_tiny_patch16_224.safetensors"}
_EXEMPLARS = 16
_DEFAULT = "Fourier"
_WAYS: dict[str, dict[str, Any]] = {
    _DEFAULT: {},
    "Fourier, twice the steps": {"longer": 2},
    "Fourier, no transforms": {"transforms": ()},
    "Fourier, crops and noise": {"transforms": crops()},
    "Fourier, decay 1.5": {"parametrization": Fourier(decay=1.5)},
    "Alpha": {"alpha": True},
    "Shared": {"parametrization": Shared()},
    "Laplacian": {"parametrization": Laplacian()},
    "Pixel": {"parametrization": Pixel()},
    "Pixel, no transforms": {"parametrization": Pixel(), "transforms": ()},
    "CPPN": {"parametrization": CPPN()},
    "MagnitudeConstrained": {"magnitude": True},
    "MagnitudeConstrained, twice the steps": {"magnitude": True, "longer": 2},
    "MagnitudeConstrained, half the side": {"magnitude": True, "own_size": True},
}
_OTHER, _SHUFFLED, _PHOTO = "control: picture of another unit", "control: shuffled weights", "photo"
_VERDICTS = {"holds": holding, "misleading": misleading}
_MEASURES = (SAME_CAUSE, "path", ACTIVATION, IDENTIFICATION, "of the strongest photo")
_SIDE, _GAP, _LABEL = 88, 4, 265


class Pictures(NamedTuple):
    """Pictures of units, [units, height, width, 3], and the processor's seconds for each."""

    images: np.ndarray
    seconds: float


def loaded(name: str, data: Path) -> Model:
    """The model, its weights from the folder of data where it is not Pellucid's own."""
    weights = _WEIGHTS.get(name)
    return pellucid.load(name, weights=data / "models" / weights) if weights else pellucid.load(name, download=False)


def rendered(model: Model, layer: str, units: Sequence[int], steps: int, seed: int, way: dict[str, Any]) -> Pictures:
    """Pictures of some channels of a layer, opacity laid over grey."""
    settings = {name: value for name, value in way.items() if name not in ("longer", "magnitude", "own_size")}
    if way.get("own_size"):
        settings["size"] = model.size
    render = pellucid.render_magnitude_constrained if way.get("magnitude") else pellucid.render
    started = time.process_time()
    goals = [f"{layer}:{unit}" for unit in units]
    images = render(model, goals, steps=steps * way.get("longer", 1), seed=seed, **settings).images
    seconds = (time.process_time() - started) / len(units)
    opacity = images[..., 3:] if images.shape[3] == 4 else 1.0
    return Pictures(images[..., :3] * opacity + 0.5 * (1 - opacity), seconds)


def kept(file: Path, make: Callable[[], Pictures]) -> Pictures:
    """What the file holds, or what is made now and kept there."""
    if not file.exists():
        made = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, images=(made.images * 255).round().astype(np.uint8), seconds=made.seconds)
    with np.load(file) as found:
        return Pictures(found["images"].astype(np.float32) / 255, float(found["seconds"]))


def shuffled(model: Model) -> Model:
    """The network with the numbers of each weight in another order."""
    other = replace(model, module=deepcopy(model.module), name=f"{model.name}, shuffled")
    generator = torch.Generator().manual_seed(0)
    for path in _from_the_top(other):
        _shuffle(other.module.get_submodule(path), generator)
    return other


def judged(
    model: Model, layer: str, units: Sequence[int], survey: Survey, pictures: dict[str, np.ndarray]
) -> dict[str, dict[str, list[float]]]:
    """By way and measure, what each picture is worth; a verdict is 1 where it is said of the picture."""
    ways = list(pictures)
    texts = [f"{layer}:{unit}~{number}" for number, _ in enumerate(ways, 2) for unit in units]
    images = np.concatenate(list(pictures.values()))
    evidence = judge_renderings(model, pellucid.Rendering(images, np.zeros((len(images), 1)), tuple(texts)), survey)
    said = {name: set(verdict(evidence)) for name, verdict in _VERDICTS.items()}
    last = f"path at {layers_before(model, model.layer(layer))[-1]}"
    values = {(each.about, "path" if each.name == last else each.name): each.value for each in evidence}
    firing = pellucid.record(model, torch.from_numpy(images).permute(0, 3, 1, 2), layer)[layer].values
    peaks = firing.reshape(len(images), -1, firing.shape[-1]).max(1)
    found: dict[str, dict[str, list[float]]] = {way: {} for way in ways}
    for place, text in enumerate(texts):
        way, unit = ways[place // len(units)], units[place % len(units)]
        about = f"rendering:{text}"
        strongest = float(survey.values(as_feature(model, f"{layer}:{unit}")).max())
        row = {measure: values.get((about, measure), np.nan) for measure in _MEASURES[:-1]}
        row |= {name: float(about in those) for name, those in said.items()}
        row[_MEASURES[-1]] = float(peaks[place, unit]) / strongest
        for measure, value in row.items():
            found[way].setdefault(measure, []).append(value)
    return found


def agreement(model: Model, layer: str, units: Sequence[int], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of the routes of two pictures of each unit, and of two pictures of different units: [units, 2]."""
    name = layers_before(model, model.layer(layer))[-1]
    features = [as_feature(model, f"{layer}:{unit}") for unit in units]

    def directions(images: np.ndarray) -> np.ndarray:
        routes = read_routes(model, torch.from_numpy(images).permute(0, 3, 1, 2), features, [name]).routes[name]
        return routes / np.maximum(np.linalg.norm(routes, axis=1, keepdims=True), 1e-12)

    one, two, other = directions(first), directions(second), directions(np.roll(second, 1, 0))
    return np.stack([(one * two).sum(1), (one * other).sum(1)], 1)


def compare(model: Model, name: str, layer: str, survey: Survey, options: argparse.Namespace) -> None:
    """Render, judge and print one layer's table."""
    units = np.random.default_rng(0).permutation(model.layer(layer).channels)[: options.units].tolist()
    again = units[: options.again]
    folder = options.results / f"{name.replace(':', '_')}-{layer}-{options.steps}"

    def pictures_of(way: str, some: Sequence[int], seed: int, network: Model = model) -> Pictures:
        return kept(
            folder / f"{way}-{len(some)}-{seed}.npz",
            lambda: rendered(network, layer, some, options.steps, seed, _WAYS.get(way, {})),
        )

    made = {way: pictures_of(way, units, 0) for way in _WAYS if not options.only or way in options.only}
    alike = {}
    for way in made if again else ():
        second = pictures_of(way, again, 1).images
        alike[way] = agreement(model, layer, again, made[way].images[: len(again)], second)
    pictures = {way: each.images for way, each in made.items()}
    pictures[_OTHER] = np.roll(pictures[_DEFAULT], 1, 0)
    pictures[_SHUFFLED] = pictures_of(_SHUFFLED, units, 0, shuffled(model)).images
    nth = [survey.exemplars(as_feature(model, f"{layer}:{unit}"), _EXEMPLARS + 1)[-1] for unit in units]
    pictures[_PHOTO] = survey.load(nth, model).permute(0, 2, 3, 1).numpy()
    started = time.process_time()
    found = {}
    for shape in {images.shape for images in pictures.values()}:  # each at its own size, as `Rendering.judged` does
        alike_in_size = {way: images for way, images in pictures.items() if images.shape == shape}
        found |= judged(model, layer, units, survey, alike_in_size)
    per_picture = (time.process_time() - started) / sum(map(len, pictures.values()))
    heads = [*_VERDICTS, *_MEASURES, "routes of two seeds (of two units)", "seconds"]
    print(f"\n{name}, {layer}: {len(units)} units, {options.steps} steps, {len(survey):,} photos: median (quartiles)\n")
    print("| | " + " | ".join(heads) + " |\n|" + " --- |" * (len(heads) + 1))
    for way in pictures:
        measures = found[way]
        cells = [f"{np.mean(measures[verdict]):.0%}" for verdict in _VERDICTS]
        for measure in _MEASURES:
            low, middle, high = np.nanquantile(measures[measure], (0.25, 0.5, 0.75))
            cells.append(f"{middle:.2f} ({low:.2f}–{high:.2f})")
        cells.append("{:.2f} ({:.2f})".format(*np.median(alike[way], 0)) if way in alike else "")
        cells.append(f"{made[way].seconds:.1f}" if way in made else "")
        print(f"| {way} | {' | '.join(cells)} |")
    print(f"\n{per_picture:.2f} s of the processor to judge a picture", flush=True)


def sheet(folder: Path, columns: int) -> Image.Image:
    """A row for each way, the first units of each network that was rendered in several ways side by side."""
    ways = list(_WAYS)
    parts = [part for part in sorted(folder.iterdir(), reverse=True) if len(list(part.glob("*-0.npz"))) > 2]
    width = _LABEL + len(parts) * (columns * (_SIDE + _GAP) + 2 * _GAP)
    page = Image.new("RGB", (width, len(ways) * (_SIDE + _GAP)), "white")
    draw = ImageDraw.Draw(page)
    for row, way in enumerate(ways):
        top = row * (_SIDE + _GAP)
        draw.text((0, top + _SIDE // 2 - 8), way, "black", font_size=14)
        for part, place in enumerate(parts):
            (file,) = [each for each in place.glob("*-0.npz") if each.name.rsplit("-", 2)[0] == way] or [None]
            if file is None:
                continue
            with np.load(file) as found:
                images = found["images"][:columns]
            for column, image in enumerate(images):
                left = _LABEL + (part * columns + column) * (_SIDE + _GAP) + 2 * _GAP * part
                page.paste(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), (left, top))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tiny_inception"])
    parser.add_argument("--layers", nargs="+", default=["mixed4d"])
    parser.add_argument("--units", type=int, default=24)
    parser.add_argument("--again", type=int, default=4, help="units that a second seed renders too")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=list(_WAYS), help="these ways alone; Fourier must be among them")
    parser.add_argument("--results", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--sheet", type=Path, help="where to put the pictures of the results folder, and no more")
    options = parser.parse_args()
    if options.sheet:
        sheet(options.results, 6).save(options.sheet, quality=75, method=6)
        return
    data = Path(os.environ["PELLUCID_DATA"])
    for name in options.models:
        model = loaded(name, data)
        archive = data / "images" / _ARCHIVES.get(name, "imagenet_1000.tar")
        survey = survey_images(model, archive, options.layers, most=options.photos)
        for layer in options.layers:
            compare(model, name, layer, survey, options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
