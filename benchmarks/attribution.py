"""Attribution beside captum and interventions beside hooks on the whole network, in one run: seconds and agreement.

    PELLUCID_DATA=../shared/data python benchmarks/attribution.py --layers mixed4a mixed4d --rounds 3

With PELLUCID_DATA the network is InceptionV1 at 224 px and the photo `dog_cat`; without, the embedded network and its
first photo. captum gets batches as large as Pellucid's, which it runs through the whole network; Pellucid makes a tail
of the network each time, which is part of its seconds. Rounds alternate between the ways. The least seconds of all
rounds come first: what else the machine does can only add to them.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradientXActivation, LayerIntegratedGradients
from torch import Tensor

import pellucid
from pellucid.models import Model
from pellucid.models._view import view

_BATCH = 16
_CLASSES = 8
_GROUP_COUNTS = range(2, 13)

Way = Callable[[], np.ndarray]


def network() -> tuple[Model, Tensor]:
    photo = Path(os.environ.get("PELLUCID_DATA", "absent")) / "reference" / "photos" / "dog_cat.jpeg"
    if photo.is_file():
        model = pellucid.load("inception_v1", download=False)
        return model, view(model, photo).image
    model = pellucid.load()
    return model, view(model, next(iter(pellucid.example_photos().values()))).image


def to_array(grid: Any) -> np.ndarray:
    """[n, rows, columns, channels] of a tensor [n, channels, rows, columns]."""
    return grid.detach().permute(0, 2, 3, 1).numpy()


def path_ways(model: Model, image: Tensor, layer: str, target: int, steps: int) -> dict[str, Way]:
    """One class along a path of `steps` points; all but the first follow the same path."""
    captum = LayerIntegratedGradients(model.module, model.module.get_submodule(model.layer(layer).path))
    pixels = model.preprocess(image[None])

    def own(method: Any) -> Way:
        return lambda: (
            pellucid.attribute(
                model,
                image,
                layer=layer,
                target=target,
                method=method,
                steps=steps,
            ).values
        )

    def peer(batch: int) -> Way:
        return lambda: to_array(
            captum.attribute(pixels, baselines=0, target=target, n_steps=steps, internal_batch_size=batch)
        )[0]

    return {
        "Pellucid, from zero": own("integrated"),
        "Pellucid, from the mean colour": own("integrated_gradients"),
        f"captum, batches of {_BATCH}": peer(_BATCH),
        f"captum, a batch of {steps}": peer(steps),
    }


def class_ways(model: Model, image: Tensor, layer: str, classes: list[int]) -> dict[str, Way]:
    """The linear attribution of several classes."""
    captum = LayerGradientXActivation(model.module, model.module.get_submodule(model.layer(layer).path))
    pixels = model.preprocess(image[None])

    def own() -> np.ndarray:
        return np.stack([each.values for each in pellucid.attribute_many(model, image, layer=layer, targets=classes)])

    def peer() -> np.ndarray:
        return to_array(captum.attribute(pixels.expand(len(classes), -1, -1, -1), target=classes))

    def one_by_one() -> np.ndarray:
        return np.concatenate([to_array(captum.attribute(pixels, target=each)) for each in classes])

    return {"Pellucid": own, "captum, one batch": peer, "captum, one by one": one_by_one}


def place_ways(model: Model, image: Tensor, lower: str, upper: str) -> dict[str, Way]:
    """Every position of a later layer, attributed to an earlier one."""
    rows, columns = model.layer(upper).rows, model.layer(upper).columns
    places = [f"{upper}@{row},{column}" for row in range(rows or 0) for column in range(columns or 0)]

    def own() -> np.ndarray:
        return np.stack(
            [each.positions() for each in pellucid.attribute_many(model, image, layer=lower, targets=places)]
        )

    return {f"Pellucid, {len(places)} positions": own}


def removal_ways(model: Model, image: Tensor, layer: str) -> dict[str, Way]:
    """All positions and channels of a layer removed one at a time, by the tail and by a hook on the whole network."""
    place = model.layer(layer)
    recorded = pellucid.record(model, image[None], layer)[layer]
    groups = pellucid.factorize_range(recorded, _GROUP_COUNTS)
    parts = [(each, number) for count, each in groups.items() for number in range(count)]
    rows, columns = recorded.values.shape[1:3]
    pixels = model.preprocess(image[None])

    def own(units: Any) -> Way:
        return lambda: pellucid.intervene_each(model, image, layer=layer, units=units)

    def hooked() -> np.ndarray:
        found = []
        for start in range(0, rows * columns, 32):
            flat = range(start, min(start + 32, rows * columns))

            def remove(_module: object, _inputs: object, output: Tensor, flat: range = flat) -> Tensor:
                output = output.clone()
                for number, position in enumerate(flat):
                    output[number, :, position // columns, position % columns] = 0
                return output

            with torch.no_grad(), model.module.get_submodule(place.path).register_forward_hook(remove):
                found.append(model.module(pixels.expand(len(flat), -1, -1, -1)).numpy())
        return np.concatenate(found)

    return {
        f"Pellucid, {rows * columns} positions": own("positions"),
        f"hook on the whole network, {rows * columns} positions": hooked,
        f"Pellucid, {place.channels} channels": own("channels"),
        f"Pellucid, {len(parts)} groups": own(parts),
    }


def compare(title: str, ways: dict[str, Way], rounds: int, reference: str = "") -> None:
    """Print the seconds of each way, and how near it comes to `reference`, where the same thing is computed."""
    wall: dict[str, list[float]] = {way: [] for way in ways}
    processor: dict[str, list[float]] = {way: [] for way in ways}
    results: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for way, work in ways.items():
            start, used = time.perf_counter(), time.process_time()
            results[way] = work()
            wall[way].append(time.perf_counter() - start)
            processor[way].append(time.process_time() - used)
    for way, result in results.items():
        expected = results.get(reference)
        near = ""
        if expected is not None and expected.shape == result.shape and way != reference:
            near = f", correlation with {reference} {np.corrcoef(result.ravel(), expected.ravel())[0, 1]:.6f}"
        print(
            f"{title}: {way}: {min(wall[way]):.2f} s (median {statistics.median(wall[way]):.2f}), "
            f"processor {min(processor[way]):.2f} s (median {statistics.median(processor[way]):.2f}){near}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", default=["mixed4a", "mixed4d"])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model, image = network()
    model.module.eval()
    with torch.no_grad():
        classes = model.module(model.preprocess(image[None]))[0].topk(_CLASSES).indices.tolist()
    print(f"{model.name} at {image.shape[1]}×{image.shape[2]} px, {torch.get_num_threads()} threads", flush=True)
    batched = f"captum, batches of {_BATCH}"
    for layer in options.layers:
        ways = path_ways(model, image, layer, classes[0], options.steps)
        compare(f"{layer}, {options.steps} steps", ways, options.rounds, batched)
        ways = class_ways(model, image, layer, classes)
        compare(f"{layer}, {len(classes)} classes, linear", ways, options.rounds, "captum, one by one")
        compare(f"{layer}, removed", removal_ways(model, image, layer), options.rounds)
    for lower, upper in zip(options.layers, options.layers[1:], strict=False):
        compare(f"{upper} to {lower}", place_ways(model, image, lower, upper), options.rounds)


if __name__ == "__main__":
    main()
