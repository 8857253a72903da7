"""Does the evidence find what is known to be there? Rates on networks that were built so that the truth is known.

    python benchmarks/known_truth.py                                         # drawn scenes; minutes
    python benchmarks/known_truth.py --photos ../shared/data/images/tiny_imagenet_100_val.tar

Fooled units: a fooling circuit makes their renderings show another unit, while photos fire them as ever. Detection is
the share of fooled units that a measure speaks against, false alarms the share of honest ones; and no picture of a
fooled unit should hold. Units of two meanings fire for either of two things; detection is the share of which more than
one meaning is counted. The shortcut is a coloured corner that decides a class; detection is the share of pictures whose
evidence points there, false alarms the same for a network that was taught with the same corners, where they mean
nothing.
"""

import argparse
import copy
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from _known_networks import (
    CLEAR,
    FAINT,
    PATTERNS,
    draw_scenes,
    draw_striped,
    fool,
    planted_network,
    points_at_corner,
    train_striped,
    with_two_meanings,
)
from PIL import Image

import pellucid
from pellucid.atlas.sources import open_images
from pellucid.trust import (
    SAME_CAUSE,
    Feature,
    RenderingEvidence,
    Survey,
    holding,
    judge_renderings,
    misleading,
    survey_images,
)


def report_fooled(
    model: pellucid.Model,
    layer: str,
    before: str,
    decoys: dict[int, int],
    honest: Sequence[int],
    circuit_images: torch.Tensor,
    images: np.ndarray,
    steps: int,
    title: str,
) -> None:
    """Print how many fooled and honest units each measure speaks against."""
    began = time.perf_counter()
    fooled = fool(model, layer, before, decoys, circuit_images, steps=steps)
    units = [*decoys, *honest]
    made = pellucid.render(fooled.model, [f"{layer}:{index}" for index in units], steps=steps)
    pictures = torch.from_numpy(made.images).permute(0, 3, 1, 2)
    # Optimization that finds its way to what the circuit takes for a photo shows the truth after all.
    works = fooled.optimized(pictures)[: len(decoys)]
    wrong = fooled.optimized(_floats(images))
    start = time.perf_counter()
    evidence = judge_renderings(fooled.model, made, images)
    judging = time.perf_counter() - start
    targets = [f"rendering:{layer}:{index}" for index in units]
    truly = [target for target, work in zip(targets, works, strict=False) if work]
    fair = targets[len(decoys) :]
    print(
        f"\n{title}: {len(truly)} fooled units of {len(decoys)} built ({wrong.mean():.1%} of photos taken for "
        f"pictures), {len(fair)} honest ones, {len(images):,} images"
    )
    named: dict[str, list[RenderingEvidence]] = {}
    for each in evidence:
        named.setdefault(each.name, []).append(each)
    for name, entries in named.items():
        said = {each.about: each.says for each in entries}
        if set(truly) <= set(said):
            print(f"  {name:28s} {_rates([said[t] for t in truly], [said[f] for f in fair])}")
    warned, held = set(misleading(evidence)), set(holding(evidence))
    values = {each.about: each.value for each in named[SAME_CAUSE]}
    quartiles = [np.quantile([values[target] for target in some], [0.05, 0.5, 0.95]).round(2) for some in (truly, fair)]
    print(
        f"  misleading(): detected {len(warned & set(truly))} of {len(truly)}, "
        f"false alarms {len(warned & set(fair))} of {len(fair)}; "
        f"{SAME_CAUSE}, 5/50/95 %: fooled {quartiles[0]}, honest {quartiles[1]}\n"
        f"  holding(): {len(held & set(truly))} of {len(truly)} fooled, {len(held & set(fair))} of {len(fair)} honest"
    )
    print(f"  {judging:.0f} s to judge {len(units)}, {time.perf_counter() - began:.0f} s in all")


def _rates(fooled: Sequence[str], honest: Sequence[str]) -> str:
    detected, alarms = fooled.count("against"), honest.count("against")
    return (
        f"detects {detected / len(fooled):4.0%}, false alarms {alarms / len(honest):4.0%}; "
        f"says nothing of {fooled.count('nothing') / len(fooled):.0%} and {honest.count('nothing') / len(honest):.0%}"
    )


def report_meanings(
    model: pellucid.Model, layer: str, partners: dict[int, int], single: Sequence[int], images: np.ndarray, title: str
) -> None:
    """Print how many meanings are counted of units of two and of one."""
    both = with_two_meanings(model, layer, partners, _floats(images[:500]))
    survey = survey_images(both, images, layer)
    # Pictures do not matter to this count, so that one grey one stands for each unit.
    units = [*partners, *single]
    grey = np.full((len(units), *both.size, 3), 0.5, np.float32)
    blank = pellucid.Rendering(grey, np.zeros((len(units), 1)), tuple(f"{layer}:{index}" for index in units))
    found = [each for each in judge_renderings(both, blank, survey) if each.name == "meanings"]
    counts = np.array(
        [each.value for each in sorted(found, key=lambda each: units.index(int(each.about.split(":")[2])))]
    )
    # Where all of the strongest images fire one of the two, there is only one to be seen.
    seen = np.array([_parts(model, both, layer, survey, index, other) for index, other in partners.items()])
    two, one = counts[: len(partners)], counts[len(partners) :]
    print(
        f"\n{title}, units of two meanings: more than one counted for {(two > 1)[seen].mean():.0%} of {seen.sum()} "
        f"whose images show both (exactly two for {(two == 2)[seen].mean():.0%}; {len(two)} built); "
        f"for {(one > 1).mean():.0%} of {len(one)} others"
    )


def _parts(model: pellucid.Model, both: pellucid.Model, layer: str, survey: Survey, index: int, other: int) -> bool:
    """Whether at least 3 of the 16 exemplars are of either part."""
    exemplars = survey.exemplars(Feature(layer, index))
    values = pellucid.record(model, survey.load(exemplars, both), layer)[layer].values
    own = sum(bool(values[n, e.row, e.column, index] >= e.value * 0.999) for n, e in enumerate(exemplars))
    return 3 <= own <= len(exemplars) - 3


def report_shortcut(count: int = 100) -> None:
    """Print whether attribution, groups and removal point at the corner that decides."""
    print("\nshortcut: a magenta corner that decides; pictures of class 1 with it")
    for shortcut, contrast in ((True, FAINT), (False, CLEAR)):
        model = train_striped(shortcut)
        scenes, classes = draw_striped(4 * count, contrast=contrast, seed=77)
        found = np.array([points_at_corner(model, scene) for scene in scenes[classes == 1][:count]]).mean(0)
        swapped, truth = draw_striped(400, np.arange(400) % 2 == 0, contrast=contrast, seed=5)
        right = (pellucid.record(model, swapped, "logits")["logits"].values.argmax(1) == truth).mean()
        print(
            f"  {'with' if shortcut else 'without'} the shortcut ({right:.0%} right where corners are by chance):\n"
            f"    attribution is highest there in {found[0]:.0%}, the group that adds most in {found[1]:.0%},\n"
            f"    removal of the corner changes the answer in {found[2]:.0%}, of another in {found[3]:.0%}"
        )


def draw_example(path: Path, rows: int = 3, side: int = 96) -> None:
    """Write renderings of honest units, then of fooled ones, each beside the scenes that fire its unit most."""
    scenes = draw_scenes(600)
    decoys, honest = {9: 36, 20: 50, 34: 13}, [7, 28, 46]
    fooled = fool(planted_network(), "patterns", "parts", decoys, torch.from_numpy(scenes[:200]), steps=64)
    units = [*honest, *decoys][: 2 * rows]
    made = pellucid.render(fooled.model, [f"patterns:{index}" for index in units], size=64, steps=64)
    survey = survey_images(fooled.model, scenes[200:], "patterns")
    evidence = judge_renderings(fooled.model, made, survey)
    sheet = np.ones((len(units) * (side + 6) + 12, 8 * (side + 6) + 12, 3), np.float32)
    for row, (index, image) in enumerate(zip(units, made.images, strict=True)):
        tiles = [image]
        for each in survey.exemplars(Feature("patterns", index), 7):
            # A position of this layer sees 13 px around every second pixel.
            top, left = (min(max(2 * at - 8, 0), 16) for at in (each.row, each.column))
            tiles.append(scenes[200 + each.number, :, top : top + 16, left : left + 16].transpose(1, 2, 0))
        for column, tile in enumerate(tiles):
            above = row * (side + 6) + (12 if row >= len(honest) else 0)
            before = column * (side + 6) + (12 if column else 0)
            sheet[above : above + side, before : before + side] = enlarged(tile, side)
        print(next(each.sentence for each in evidence if each.name == SAME_CAUSE and each.about.endswith(f":{index}")))
    Image.fromarray((sheet * 255).round().astype(np.uint8)).save(path, quality=85, method=6)


def enlarged(tile: np.ndarray, side: int) -> np.ndarray:
    """The tile at `side` px, smoothly."""
    picture = Image.fromarray((tile * 255).round().astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32) / 255


def report_planted() -> None:
    """The network of planted detectors, on drawn scenes."""
    scenes = draw_scenes(600)
    for seed in (0, 1):
        random = np.random.default_rng(seed)
        order = random.permutation(len(PATTERNS)).tolist()
        unlike = {
            index: [o for o in order if all(a != b for a, b in zip(PATTERNS[o], PATTERNS[index], strict=True))]
            for index in order[:24]
        }
        decoys = {index: int(random.choice(others)) for index, others in unlike.items()}
        model = planted_network(seed)
        report_fooled(
            model,
            "patterns",
            "parts",
            decoys,
            order[24:],
            torch.from_numpy(scenes[:200]),
            scenes[200:],
            32,
            f"planted detectors, seed {seed}",
        )
        partners = {index: int(random.choice(others)) for index, others in unlike.items()}
        report_meanings(model, "patterns", partners, order[24:], scenes[200:], f"planted detectors, seed {seed}")


def _floats(images: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(images)
    return tensor.float() / 255 if images.dtype == np.uint8 else tensor


def report_embedded(photos: Path, layers: Sequence[str], tuned: str, *, size: int, fooled: int, honest: int) -> None:
    """The embedded network, on photos: some for the circuit, others for judging."""
    model = dataclasses.replace(pellucid.load(), size=(size, size))
    source = open_images(photos)
    random = np.random.default_rng(0)
    chosen = random.permutation(len(source))[:2000]
    pixels = np.stack([source.load(int(number), model.size, 3) for number in chosen])
    blocks = [name for name in model.layers if name.startswith("mixed") and "." not in name]
    for layer in layers:
        # The same units, whichever other layers are asked for.
        order = copy.deepcopy(random).permutation(model.layers[layer].channels).tolist()
        decoys = dict(zip(order[:fooled], order[fooled : 2 * fooled], strict=True))
        others = order[2 * fooled : 2 * fooled + honest]
        title = f"{layer} of {model.name}{' (thresholds were chosen here)' if layer == tuned else ''}"
        earlier = blocks[blocks.index(layer) - 1]
        report_fooled(model, layer, earlier, decoys, others, _floats(pixels[:1000]), pixels[1000:], 48, title)
        report_meanings(model, layer, decoys, others, pixels[1000:], title)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="tar or folder of natural photos, for the embedded network")
    parser.add_argument("--layers", nargs="+", default=["mixed4b", "mixed4d", "mixed4c"])
    parser.add_argument("--size", type=int, default=64, help="of photos and renderings, px")
    parser.add_argument("--fooled", type=int, default=24, help="units of each layer")
    parser.add_argument("--honest", type=int, default=36, help="units of each layer")
    parser.add_argument("--picture", type=Path, help="write a picture of honest and fooled units here, and no more")
    options = parser.parse_args()
    if options.picture:
        draw_example(options.picture)
        return
    report_planted()
    report_shortcut()
    if options.photos:
        counts = {"size": options.size, "fooled": options.fooled, "honest": options.honest}
        report_embedded(options.photos, options.layers, "mixed4b", **counts)


if __name__ == "__main__":
    main()
