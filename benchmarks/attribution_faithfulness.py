"""Which map over a layer's positions predicts what removing positions does?

    PELLUCID_DATA=../shared/data python benchmarks/attribution_faithfulness.py --model tiny_inception --photos 60 \\
        --layers mixed4a mixed4d --results /tmp/tiny.jsonl
    PELLUCID_DATA=../shared/data python benchmarks/attribution_faithfulness.py --model inception_v1 --photos 30 \\
        --layers mixed4d mixed5a --results /tmp/inception.jsonl

For each photo, the positions of a layer are set to zero one at a time, in squares of 3 × 3, and in random sets of 10,
30 and 50 % of them, and the rest of the network is run again. What the top class's logit lost is correlated with the
sum of a map over what was removed. Random sets are held out from every method; `removal` is made of positions and
squares, so that only the random sets judge it. Correlations are over sets of one size: that more places matter more is
no merit.

Photos are drawn from imagenet_1000.tar (InceptionV1) or tiny_imagenet_100_val.tar (the embedded network); the first 20
of the draw served to choose the methods' settings and are left out. Printed are the median and the quartiles over the
photos, and the median of the processor's seconds for a map, the making of the tail left out. What is in the results
file is not measured again.
"""

import argparse
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import pellucid
from pellucid.attribution import Attribution, Method, from_removals
from pellucid.attribution._methods import difference
from pellucid.attribution._removal import measure_removals, square_members
from pellucid.models import Model
from pellucid.models._view import view
from pellucid.record import Tail
from pellucid.targets import Logit
from pellucid.trust import correlation, intervene_each

_ARCHIVES = {"inception_v1": "imagenet_1000.tar", "tiny_inception": "tiny_imagenet_100_val.tar"}
_TUNED = 20
_SHARES = (0.1, 0.3, 0.5)
_SETS, _STEPS, _FITTED = 40, 16, 256
_METHODS: tuple[Method, ...] = (
    "linear",
    "relaxed",
    "integrated",
    "integrated_gradients",
    "grad_cam",
    "sampled",
    "removal",
)
_MEASURES = ("positions", "squares", *(f"sets {share:.0%}" for share in _SHARES), "to mean", "sets 30% to mean")


def photos(archive: Path, first: int, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Some of a draw of the archive's photos, with their names."""
    with tarfile.open(archive) as packed:
        members = sorted((member for member in packed.getmembers() if member.isfile()), key=lambda each: each.name)
        members = [member for member in members if member.name.lower().endswith((".jpeg", ".jpg"))]
        for place in np.random.default_rng(7).permutation(len(members))[first : first + count]:
            file = packed.extractfile(members[place])
            yield members[place].name, Image.open(io.BytesIO(file.read() if file else b"")).convert("RGB")


def usual_activations(model: Model, layer: str, archive: Path) -> np.ndarray:
    """Each channel's mean over the photos that are not measured: [channels]."""
    some = [view(model, photo).image for _, photo in photos(archive, 0, _TUNED)]
    return pellucid.record(model, torch.stack(some), layer)[layer].values.mean((0, 1, 2))


def around(map_: np.ndarray) -> np.ndarray:
    """The sum over the 3 × 3 positions around each, cut at the edge."""
    return (square_members(*map_.shape) @ map_.ravel()).reshape(map_.shape)


def fitted(removed: np.ndarray, lost: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """The map that best predicts removals of random sets, drawn towards an estimate: ridge regression, dual."""
    sets = removed - removed.mean(0)
    error = lost - lost.mean() - sets @ estimate
    return estimate + sets.T @ np.linalg.solve(sets @ sets.T + 3 * np.eye(len(sets)), error)


def ways(tail: Tail, model: Model, image: torch.Tensor, top: int, usual: np.ndarray) -> dict[str, Callable]:
    """For each method that measures nothing that is measured anyway, what makes its map [rows, columns]."""
    layer, (rows, columns) = tail.layer.name, tail.grid.shape[2:]
    pair = [(Logit(top), None)]

    def attributed(method: Method) -> Callable:
        return lambda: pellucid.attribute(
            model, image, layer=layer, target=top, method=method, steps=_STEPS, tail=tail
        ).positions()

    def linear_from(reference: Callable[[np.ndarray], np.ndarray]) -> Callable:
        def work() -> np.ndarray:
            found = pellucid.attribute(model, image, layer=layer, target=top, tail=tail)
            return (found.gradient * (found.activations - reference(found.activations))).sum(2)

        return work

    def neighbours(values: np.ndarray) -> np.ndarray:
        sums = np.stack([around(channel) for channel in np.moveaxis(values, 2, 0)], 2)
        count = around(np.ones((rows, columns)))[:, :, None]
        return (sums - values) / np.maximum(count - 1, 1)

    def random_sets() -> np.ndarray:
        removed = np.random.default_rng(1).random((_FITTED, rows * columns)) < 0.3
        lost = measure_removals(tail, pair, removed, batch_size=32)[0]
        return fitted(removed, lost, attributed("linear")().ravel()).reshape(rows, columns)

    return {
        **{method: attributed(method) for method in _METHODS if method != "removal"},
        "linear, from the layer's mean": linear_from(lambda values: values.mean((0, 1))),
        "linear, from the neighbours' mean": linear_from(neighbours),
        "linear, from the mean of other photos": linear_from(lambda _: usual),
        f"fit to {_FITTED} random sets": random_sets,
        "strength alone": lambda: np.linalg.norm(tail.grid[0].numpy(), axis=0),
    }


def measured(model: Model, photo: Image.Image, layer: str, usual: np.ndarray, channels: bool) -> dict:
    """Correlations by method and measure, and seconds by method."""
    image = view(model, photo).image
    tail = Tail(model, image, layer=layer)
    top = int(tail.outputs["logits"].argmax())
    rows, columns = tail.grid.shape[2:]
    count = rows * columns
    pair = [(Logit(top), None)]
    before = float(difference(*pair[0], tail.outputs))

    found: dict = {"correlations": {}, "seconds": {}}

    def lost(removed: np.ndarray) -> np.ndarray:
        return measure_removals(tail, pair, removed, batch_size=32)[0]

    def lost_to_mean(removed: np.ndarray) -> np.ndarray:
        mean = tail.grid.mean((2, 3), keepdim=True)
        after = []
        for start in range(0, len(removed), 32):
            kept = torch.from_numpy(~removed[start : start + 32]).to(tail.grid).view(-1, 1, rows, columns)
            with torch.no_grad():
                after.append(tail(mean + kept * (tail.grid - mean))["logits"].flatten(1)[:, top].numpy())
        return before - np.concatenate(after)

    generator = np.random.default_rng(0)
    sets = []
    for share in _SHARES:
        order = np.argsort(generator.random((_SETS, count)), axis=1)
        sets.append(order < round(share * count))
    alone, squares = np.eye(count, dtype=bool), square_members(rows, columns)
    started = time.process_time()
    lost_alone = lost(alone)
    then = time.process_time()
    lost_squares = lost(squares)
    spent = time.process_time() - started
    truth = [
        (alone, lost_alone),
        (squares, lost_squares),
        *((each, lost(each)) for each in sets),
        (alone, lost_to_mean(alone)),
        (sets[1], lost_to_mean(sets[1])),
    ]

    def add(name: str, work: Callable, more: float = 0.0) -> None:
        started = time.process_time()
        map_ = work().ravel().astype(float)
        found["seconds"][name] = time.process_time() - started + more
        found["correlations"][name] = {
            what: correlation(removed @ map_, lost) for what, (removed, lost) in zip(_MEASURES, truth, strict=True)
        }

    def removal() -> Attribution:
        estimate = pellucid.attribute(model, image, layer=layer, target=top, method="sampled", steps=_STEPS, tail=tail)
        return from_removals(estimate, lost_alone.reshape(rows, columns), lost_squares.reshape(rows, columns))

    for name, work in ways(tail, model, image, top, usual).items():
        add(name, work)
    add("single removals alone", lambda: lost_alone, then - started)
    add("removal", lambda: removal().positions(), spent)
    if channels:
        change = before - intervene_each(model, image, layer=layer, units="channels", tail=tail)[:, top]
        for method in _METHODS:
            map_ = (
                removal()
                if method == "removal"
                else pellucid.attribute(model, image, layer=layer, target=top, method=method, steps=_STEPS, tail=tail)
            )
            found["correlations"][method]["channels"] = correlation(map_.by_channel(), change)
    return found


def table(layer: str, found: list[dict]) -> None:
    """Medians, and quartiles in brackets, over the photos."""
    print(f"\n{layer}, {len(found)} photos: median (quartiles) of r, and seconds of one core for a map")
    whats = [*_MEASURES, "channels"]
    print("| method | " + " | ".join(whats) + " | seconds |\n|" + " --- |" * (len(whats) + 2))
    for name in found[0]["correlations"]:
        cells = []
        for what in whats:
            values = [each["correlations"][name][what] for each in found if what in each["correlations"][name]]
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)) if values else (np.nan,) * 3
            cells.append(f"{middle:.2f} ({low:.2f}–{high:.2f})" if values else "")
        seconds = np.median([each["seconds"][name] for each in found])
        print(f"| {name} | {' | '.join(cells)} | {seconds:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(_ARCHIVES), default="tiny_inception")
    parser.add_argument("--layers", nargs="+", default=["mixed4a", "mixed4d"])
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--channels", type=int, default=10, help="on how many photos every channel is removed as well")
    parser.add_argument("--results", type=Path, required=True, help="one line of JSON for each photo and layer")
    options = parser.parse_args()
    archive = Path(os.environ["PELLUCID_DATA"]) / "images" / _ARCHIVES[options.model]
    model = pellucid.load(options.model, download=False)
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    known = {(each["layer"], each["photo"]): each for each in map(json.loads, lines)}
    for layer in options.layers:
        usual = usual_activations(model, layer, archive)
        found = []
        for number, (name, photo) in enumerate(photos(archive, _TUNED, options.photos)):
            if (layer, name) not in known:
                entry = measured(model, photo, layer, usual, number < options.channels)
                known[layer, name] = {"layer": layer, "photo": name, **entry}
                with options.results.open("a") as file:
                    file.write(json.dumps(known[layer, name]) + "\n")
            found.append(known[layer, name])
        table(layer, found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
