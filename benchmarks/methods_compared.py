"""Every method of attribution on the same photos: what it predicts, how stable its maps are, what they cost.

    PELLUCID_DATA=../shared/data OMP_NUM_THREADS=1 python benchmarks/methods_compared.py --results methods.jsonl
    PELLUCID_DATA=../shared/data python benchmarks/methods_compared.py --sheet docs/images/methods.webp
    PELLUCID_DATA=../shared/data python benchmarks/methods_compared.py --references --sets 40 --channels 0 --closer 0 \\
        --models inception_v1 --layers mixed4d mixed5a --photos 30 --results references.jsonl

For each photo and layer, the positions are set to zero one at a time, in squares of 3 × 3, and in random sets of 10, 30
and 50 % of them, and some channels one at a time; the rest of the network is run again. What the top class's logit lost
is correlated with the sum of a map over what was removed. Random sets are held out from every method; `removal` is made
of positions and squares, so that these do not judge it. Correlations are over sets of one size: that more places matter
more is no merit. The gap is that of `pellucid.trust.removal_curves`, in 8 steps.

On the first photos also: the least correlation of the map with that of the photo slightly changed
(`pellucid.trust.stability`), and how much of its likeness the map loses when weights are randomized
(`pellucid.trust.randomize_cascade`, 4 stages). Controls are the strength of activation, and random numbers. With
--references come maps that measure h from other references than zero, and removals to the layer's mean.

Photos are drawn from imagenet_1000.tar (InceptionV1) or tiny_imagenet_100_val.tar (the embedded network); the first 20
of the draw served to choose the methods' settings and are left out. Printed are medians and quartiles over the photos,
and the median of the processor's seconds for a map, the making of the tail left out. What is in the results file is not
measured again.
"""

import argparse
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import torch
from PIL import Image, ImageDraw

import pellucid
from pellucid.attribution import Attribution, Method, from_removals
from pellucid.attribution._methods import difference
from pellucid.attribution._removal import measure_removals, square_members
from pellucid.models import Model
from pellucid.models._view import view
from pellucid.record import Tail
from pellucid.targets import Logit
from pellucid.trust import correlation, intervene_each, randomize_cascade, stability

ARCHIVES = {"tiny_inception": "tiny_imagenet_100_val.tar", "inception_v1": "imagenet_1000.tar"}
_LAYERS = {"tiny_inception": ("mixed4a", "mixed4d"), "inception_v1": ("mixed4d", "mixed5a")}
_CLOSER = "mixed4d"
_TUNED = 20
_SHARES = (0.1, 0.3, 0.5)
_STEPS, _CURVE_STEPS, _STAGES, _FITTED, _BATCH = 16, 8, 4, 256, 16
_METHODS: tuple[Method, ...] = get_args(Method)
_STRENGTH, _RANDOM = "strength of activation alone", "random numbers"
_SETS = tuple(f"{share:.0%} of positions" for share in _SHARES)
_TO_MEAN = ("each position, to the mean", "30% of positions, to the mean")
_MEASURES = (
    "each channel",
    "each position",
    "each square",
    *_SETS,
    *_TO_MEAN,
    "gap",
    "stability",
    "turned by half",
    "sensitivity",
)
_SUPPORT, _INHIBIT = np.array([0.0, 0.49, 0.45]), np.array([0.85, 0.37, 0.01])
_CLASSES = ("espresso", "Egyptian cat")
_CELL, _MARGIN, _HEAD = 168, 6, 22


class Sums(NamedTuple):
    """A map summed over channels, [rows, columns], and over positions, [channels], where it knows them apart."""

    positions: np.ndarray
    channels: np.ndarray | None = None


Way = Callable[[], Sums]


def photos(archive: Path, first: int, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Some of a draw of the archive's photos, with their names."""
    with tarfile.open(archive) as packed:
        members = sorted((member for member in packed.getmembers() if member.isfile()), key=lambda each: each.name)
        members = [member for member in members if member.name.lower().endswith((".jpeg", ".jpg"))]
        for place in np.random.default_rng(7).permutation(len(members))[first : first + count]:
            file = packed.extractfile(members[place])
            yield members[place].name, Image.open(io.BytesIO(file.read() if file else b"")).convert("RGB")


class OnPhoto:
    """One photo, one layer, and what becomes of a class's logit, or the top one's, when parts are removed."""

    def __init__(self, model: Model, photo: Image.Image, layer: str, label: str | None = None) -> None:
        self.model, self.layer = model, layer
        self.image = view(model, photo).image
        self.tail = Tail(model, self.image, layer=layer)
        self.top = int(self.tail.outputs["logits"].argmax()) if label is None else model.class_index(label)
        self.shape: tuple[int, int] = tuple(self.tail.grid.shape[2:])  # type: ignore[assignment]
        self.count = self.shape[0] * self.shape[1]
        self.before = float(difference(Logit(self.top), None, self.tail.outputs))
        started = time.process_time()
        self.alone = self.lost(np.eye(self.count, dtype=bool))
        self.seconds_alone = time.process_time() - started
        self.squares = self.lost(square_members(*self.shape))
        self.seconds = time.process_time() - started

    def lost(self, removed: np.ndarray) -> np.ndarray:
        """What the logit is less without sets of positions: [sets] for bool [sets, positions]."""
        return measure_removals(self.tail, [(Logit(self.top), None)], removed, batch_size=_BATCH)[0]

    def lost_to_mean(self, removed: np.ndarray) -> np.ndarray:
        """The same where what is removed becomes the layer's mean."""
        grid = self.tail.grid
        mean = grid.mean((2, 3), keepdim=True)
        after = []
        for start in range(0, len(removed), _BATCH):
            kept = torch.from_numpy(~removed[start : start + _BATCH]).to(grid).view(-1, 1, *self.shape)
            with torch.no_grad():
                after.append(self.tail(mean + kept * (grid - mean))["logits"].flatten(1)[:, self.top].numpy())
        return self.before - np.concatenate(after)

    def attributed(self, method: Method) -> Attribution:
        """The top class attributed to the layer; `removal` is made of what has been measured."""
        if method == "removal":
            return from_removals(
                self.attributed("sampled"), *(x.reshape(self.shape) for x in (self.alone, self.squares))
            )
        return pellucid.attribute(
            self.model, self.image, layer=self.layer, target=self.top, method=method, steps=_STEPS, tail=self.tail
        )

    def gap(self, values: np.ndarray) -> float:
        """The gap of `pellucid.trust.Curves` for the order of a map [positions]."""
        rank = np.argsort(np.argsort(-values, kind="stable"))
        taken = np.unique(np.round(np.linspace(0, self.count, _CURVE_STEPS + 1)).astype(int))
        first = rank[None] < taken[:, None]
        deleted, inserted = np.split(self.lost(np.concatenate([first, ~first])), 2)
        return float(np.trapezoid(deleted - inserted, taken / self.count) / abs(deleted[-1]))


def ways(on: OnPhoto, chance: np.random.Generator) -> dict[str, tuple[Way, float]]:
    """For each method and control, what makes its map, and the seconds that were spent on measuring for it."""

    def attributed(method: Method) -> Way:
        def work() -> Sums:
            found = on.attributed(method)
            return Sums(found.positions(), found.by_channel())

        return work

    grid = on.tail.grid[0].numpy()
    noise = Sums(chance.standard_normal(on.shape), chance.standard_normal(len(grid)))
    return {
        **{method: (attributed(method), on.seconds if method == "removal" else 0.0) for method in _METHODS},
        _STRENGTH: (lambda: Sums(np.linalg.norm(grid, axis=0), grid.sum((1, 2))), 0.0),
        _RANDOM: (lambda: noise, 0.0),
    }


def references(on: OnPhoto, usual: np.ndarray) -> dict[str, tuple[Way, float]]:
    """The same for maps of h less something, for a fit, and for removals as they are."""
    rows, columns = on.shape

    def around(channel: np.ndarray) -> np.ndarray:
        return (square_members(rows, columns) @ channel.ravel()).reshape(rows, columns)

    def neighbours(values: np.ndarray) -> np.ndarray:
        sums = np.stack([around(channel) for channel in np.moveaxis(values, 2, 0)], 2)
        return (sums - values) / np.maximum(around(np.ones((rows, columns)))[:, :, None] - 1, 1)

    def linear_from(reference: Callable[[np.ndarray], np.ndarray]) -> Way:
        def work() -> Sums:
            found = on.attributed("linear")
            return Sums((found.gradient * (found.activations - reference(found.activations))).sum(2))

        return work

    def fitted() -> Sums:
        """The map that best predicts removals of random sets, drawn towards `linear`: ridge regression, dual."""
        removed = np.random.default_rng(1).random((_FITTED, on.count)) < 0.3
        lost, estimate = on.lost(removed), on.attributed("linear").positions().ravel()
        sets = removed - removed.mean(0)
        error = lost - lost.mean() - sets @ estimate
        found = estimate + sets.T @ np.linalg.solve(sets @ sets.T + 3 * np.eye(len(sets)), error)
        return Sums(found.reshape(rows, columns))

    return {
        "linear, h less the layer's mean": (linear_from(lambda values: values.mean((0, 1))), 0.0),
        "linear, h less its neighbours' mean": (linear_from(neighbours), 0.0),
        f"linear, h less the mean of {_TUNED} photos": (linear_from(lambda _: usual), 0.0),
        f"ridge fit to {_FITTED} random sets, from linear": (fitted, 0.0),
        "single removals as they are": (lambda: Sums(on.alone.reshape(rows, columns)), on.seconds_alone),
    }


def predicts(on: OnPhoto, sets: int, channels: int, usual: np.ndarray | None, chance: np.random.Generator) -> dict:
    """How each method's sums agree with what was measured: correlations and gaps by method, and its seconds."""
    generator = np.random.default_rng(0)
    drawn = [np.argsort(generator.random((sets, on.count)), axis=1) < round(share * on.count) for share in _SHARES]
    alone = np.eye(on.count, dtype=bool)
    truth = {
        "each position": (alone, on.alone),
        "each square": (square_members(*on.shape), on.squares),
        **{name: (removed, on.lost(removed)) for name, removed in zip(_SETS, drawn, strict=True)},
    }
    if usual is not None:
        truth |= {name: (each, on.lost_to_mean(each)) for name, each in zip(_TO_MEAN, (alone, drawn[1]), strict=True)}
    some = np.sort(chance.permutation(on.tail.grid.shape[1])[:channels])
    after = intervene_each(on.model, on.image, layer=on.layer, units=some.tolist(), tail=on.tail, batch_size=_BATCH)
    found: dict[str, dict[str, float]] = {}
    for name, (work, spent) in (ways(on, chance) | ({} if usual is None else references(on, usual))).items():
        started = time.process_time()
        sums = work()
        seconds = time.process_time() - started + spent
        flat = sums.positions.ravel().astype(float)
        found[name] = {what: correlation(removed @ flat, lost) for what, (removed, lost) in truth.items()}
        found[name] |= {"gap": on.gap(flat), "seconds": seconds}
        if len(some) and sums.channels is not None:
            found[name]["each channel"] = correlation(sums.channels[some], on.before - after[:, on.top])
    return found


def closer(model: Model, photo: Image.Image, layer: str) -> dict:
    """How stable each method's map is, and how it takes randomized weights: by method."""
    image = view(model, photo).image
    top = int(Tail(model, image, layer=layer).outputs["logits"].argmax())

    def map_of(network: Model, seen: torch.Tensor, name: str) -> np.ndarray:
        if name == _STRENGTH:
            return np.linalg.norm(pellucid.record(network, seen[None], layer)[layer].values[0], axis=2)
        method: Method = name  # type: ignore[assignment]
        return pellucid.attribute(network, seen, layer=layer, target=top, method=method, steps=_STEPS).positions()

    found = {}
    for name in (*_METHODS, _STRENGTH):
        changed = stability(model, image, lambda seen, name=name: map_of(model, seen, name), copies=1)
        random = randomize_cascade(model, lambda network, name=name: map_of(network, image, name), stages=_STAGES)
        found[name] = {
            "stability": float(changed.correlations.min()),
            "turned by half": changed.control,
            "sensitivity": random.sensitivity,
        }
    return found


def usual_activations(model: Model, layer: str, archive: Path) -> np.ndarray:
    """Each channel's mean over the photos that are not measured: [channels]."""
    some = [view(model, photo).image for _, photo in photos(archive, 0, _TUNED)]
    return pellucid.record(model, torch.stack(some), layer)[layer].values.mean((0, 1, 2))


class Results:
    """What has been measured, one line of JSON for each photo, layer and question."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.known = {json.dumps(each["key"]): each["found"] for each in map(json.loads, lines)}

    def get(self, key: Sequence[object], measure: Callable[[], dict]) -> dict:
        """What is known under a key, or is measured now."""
        text = json.dumps(key)
        if text not in self.known:
            self.known[text] = measure()
            with self.path.open("a") as file:
                file.write(json.dumps({"key": list(key), "found": self.known[text]}) + "\n")
        return self.known[text]


def table(title: str, found: Sequence[Mapping[str, Mapping[str, float]]], quartiles: bool) -> None:
    """A Markdown table of medians, with quartiles in brackets, over photos."""
    names = list(dict.fromkeys(name for each in found for name in each))

    def values(name: str, what: str) -> list[float]:
        return [each[name][what] for each in found if what in each.get(name, {})]

    whats = [what for what in (*_MEASURES, "seconds") if any(values(name, what) for name in names)]
    print(f"\n{title}\n\n| method | " + " | ".join(whats) + " |\n|" + " --- |" * (len(whats) + 1))
    for name in names:
        cells = []
        for what in whats:
            low, middle, high = np.quantile(values(name, what) or [np.nan], (0.25, 0.5, 0.75))
            spread = f" ({low:.2f}–{high:.2f})" if quartiles and what != "seconds" else ""
            cells.append("" if np.isnan(middle) else f"{middle:.2f}{spread}")
        print(f"| {name} | {' | '.join(cells)} |")


def entries(
    results: Results,
    model: Model,
    layer: str,
    photo: tuple[str, Image.Image],
    usual: np.ndarray | None,
    number: int,
    options: argparse.Namespace,
) -> Iterator[dict]:
    """What there is to know about one layer on one photo, measured where it is not known yet."""
    name, picture = photo
    chance = np.random.default_rng([number, len(layer), ord(layer[-1])])
    settings = [options.sets, options.channels, options.references]
    yield results.get(
        ["predicts", model.name, layer, name, *settings],
        lambda: predicts(OnPhoto(model, picture, layer), options.sets, options.channels, usual, chance),
    )
    if number < options.closer and layer == _CLOSER:
        yield results.get(["closer", model.name, layer, name], lambda: closer(model, picture, layer))


def measured(options: argparse.Namespace) -> None:
    """Measure photo by photo, so that all layers go on alike, and print the tables."""
    results = Results(options.results)
    folder = Path(os.environ["PELLUCID_DATA"]) / "images"
    found: dict[tuple[str, str], list[dict]] = {}
    for name in options.models:
        model = pellucid.load(name, download=False)
        archive, layers = folder / ARCHIVES[name], options.layers or _LAYERS[name]
        usual = {layer: usual_activations(model, layer, archive) for layer in layers if options.references}
        for number, photo in enumerate(photos(archive, _TUNED, options.photos)):
            for layer in layers:
                some = entries(results, model, layer, photo, usual.get(layer), number, options)
                found.setdefault((name, layer), []).extend(some)
        for layer in layers:
            table(f"{name}, {layer}, {options.photos} photos: median (quartiles)", found[name, layer], quartiles=True)
    table("all of them: medians", [entry for part in found.values() for entry in part], quartiles=False)


def tile(photo: Image.Image, map_: np.ndarray) -> Image.Image:
    """The photo in grey, over it teal where the map supports and orange where it inhibits, on a scale of its own."""
    grey = np.asarray(photo.convert("L").resize((_CELL, _CELL)), float)[:, :, None] / 255 * 0.5 + 0.5
    scaled = Image.fromarray((map_ / (np.abs(map_).max() or 1)).astype(np.float32))
    value = np.asarray(scaled.resize((_CELL, _CELL), Image.Resampling.BILINEAR)).clip(-1, 1)[:, :, None]
    opacity = np.abs(value) ** 0.7 * 0.9
    colour = np.where(value > 0, _SUPPORT, _INHIBIT)
    return Image.fromarray(((grey * (1 - opacity) + colour * opacity) * 255).astype(np.uint8))


def both_photos(model: Model) -> Image.Image:
    """The middles of the package's two photos, one above the other, as large as the model's view."""
    height, width = model.size
    whole = Image.new("RGB", (width, height))
    for place, path in enumerate(pellucid.example_photos().values()):
        photo = view(model, path).photo.resize((width, height))
        top = (height // 6, height // 4)[place]  # where the cup and the face begin
        whole.paste(photo.crop((0, top, width, top + height // 2)), (0, place * (height // 2)))
    return whole


def sheet(model: Model, layers: Sequence[str]) -> Image.Image:
    """A row for each layer and class, and a column for each method, over a picture that holds both classes."""
    photo = both_photos(model)
    rows = [(layer, label) for layer in layers for label in _CLASSES]
    side = _CELL + _MARGIN
    page = Image.new("RGB", (len(_METHODS) * side - _MARGIN, _HEAD + len(rows) * (side + _HEAD)), "white")
    draw = ImageDraw.Draw(page)
    for column, method in enumerate(_METHODS):
        draw.text((column * side, 0), method.replace("_", " "), "#555", font_size=14)
    for row, (layer, label) in enumerate(rows):
        on = OnPhoto(model, photo, layer, label)
        top = _HEAD + row * (side + _HEAD)
        draw.text((0, top), f"{layer}: {label}", "black", font_size=15)
        for column, method in enumerate(_METHODS):
            page.paste(tile(photo, on.attributed(method).positions()), (column * side, top + _HEAD))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(ARCHIVES), default=list(ARCHIVES))
    parser.add_argument("--layers", nargs="+", help="by default two of each network")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--sets", type=int, default=16, help="random sets of each size")
    parser.add_argument("--channels", type=int, default=96, help="drawn anew for each photo")
    parser.add_argument("--closer", type=int, default=3, help="photos for stability and sensitivity, in mixed4d only")
    parser.add_argument("--references", action="store_true", help="other references than zero, a fit, bare removals")
    parser.add_argument("--results", type=Path, help="one line of JSON for each photo and layer")
    parser.add_argument("--sheet", type=Path, help="where to draw maps of the photos in the package, and no more")
    options = parser.parse_args()
    if options.sheet:
        drawn = sheet(pellucid.load("inception_v1", download=False), options.layers or ("mixed4a", "mixed4d"))
        drawn.save(options.sheet, quality=80)
    elif options.results:
        measured(options)
    else:
        parser.error("give --results or --sheet")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
