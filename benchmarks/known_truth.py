"""Does the evidence find what is known to be there? Rates on networks that were built so that the truth is known.

    python benchmarks/known_truth.py                                         # drawn scenes; minutes
    python benchmarks/known_truth.py --photos ../shared/data/images/tiny_imagenet_100_val.tar

Fooled units: a fooling circuit makes their renderings show another unit, while photos fire them as ever. Detection is
the share of fooled units that a measure speaks against, false alarms the share of honest ones. Units of two meanings
fire for either of two things; detection is the share of which more than one meaning is counted. The shortcut is a
coloured corner that decides a class; detection is the share of pictures whose evidence points there, false alarms the
same for a network that was taught with the same corners, where they mean nothing.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from _known_networks import (
    CLEAR,
    FAINT,
    MARK,
    PATTERNS,
    draw_scenes,
    draw_striped,
    fool,
    planted_network,
    train_striped,
    with_two_meanings,
)

import pellucid
from pellucid.atlas.sources import open_images
from pellucid.trust import (
    SAME_CAUSE,
    RenderingEvidence,
    Survey,
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
    warned = set(misleading(evidence))
    values = {each.about: each.value for each in named[SAME_CAUSE]}
    quartiles = [np.quantile([values[target] for target in some], [0.05, 0.5, 0.95]).round(2) for some in (truly, fair)]
    print(
        f"  misleading(): detected {len(warned & set(truly))} of {len(truly)}, "
        f"false alarms {len(warned & set(fair))} of {len(fair)}; "
        f"{SAME_CAUSE}, 5/50/95 %: fooled {quartiles[0]}, honest {quartiles[1]}"
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
    exemplars = survey.exemplars(pellucid.trust.Feature(layer, index))
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


def points_at_corner(model: pellucid.Model, scene: np.ndarray, layer: str = "things") -> tuple[bool, bool, bool, bool]:
    """Whether the corner is where attribution is highest, where the group that adds most is strongest, and whether the
    answer changes when it is removed, or when as large a place in the opposite corner is."""
    image = torch.from_numpy(scene)
    recorded = pellucid.record(model, scene[None], layer)[layer]
    rows, columns = recorded.values.shape[1:3]
    size = -(-MARK * rows // scene.shape[1]) + 1  # what the square reaches
    found = pellucid.attribute(model, image, layer=layer, target="logits:1")
    first = np.unravel_index(found.positions().argmax(), (rows, columns))
    groups = pellucid.factorize(recorded, 4)
    leading = int(found.by_group(groups).argmax())
    place = np.unravel_index(groups.spatial[0, :, :, leading].argmax(), (rows, columns))
    inside = [bool(row >= rows - size and column >= columns - size) for row, column in (first, place)]
    changes = [
        pellucid.intervene(model, image, layer=layer, remove=[pellucid.Region(top, left, size, size)], fill="mean")
        for top, left in ((rows - size, columns - size), (0, 0))
    ]
    flips = [bool(each.logits_before.argmax() == 1 and each.logits_after.argmax() == 0) for each in changes]
    return inside[0], inside[1], flips[0], flips[1]


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


def report_embedded(photos: Path, layers: Sequence[str], tuned: str) -> None:
    """The embedded network, on photos: some for the circuit, others for judging."""
    model = pellucid.load()
    source = open_images(photos)
    random = np.random.default_rng(0)
    chosen = random.permutation(len(source))[:3500]
    pixels = np.stack([source.load(int(number), model.size, 3) for number in chosen])
    before = dict(zip(model.layers, [None, *model.layers], strict=False))
    blocks = [name for name in before if name.startswith("mixed") and "." not in name]
    for layer in layers:
        order = random.permutation(model.layers[layer].channels).tolist()
        decoys = dict(zip(order[:30], order[30:60], strict=True))
        title = f"{layer} of {model.name}{' (thresholds were chosen here)' if layer == tuned else ''}"
        earlier = blocks[blocks.index(layer) - 1]
        report_fooled(model, layer, earlier, decoys, order[60:120], _floats(pixels[:1500]), pixels[1500:], 64, title)
        partners = dict(zip(order[:30], order[30:60], strict=True))
        report_meanings(model, layer, partners, order[60:120], pixels[1500:], title)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="tar or folder of natural photos, for the embedded network")
    parser.add_argument("--layers", nargs="+", default=["mixed4b", "mixed4a", "mixed4c", "mixed4d"])
    options = parser.parse_args()
    report_planted()
    report_shortcut()
    if options.photos:
        report_embedded(options.photos, options.layers, "mixed4b")


if __name__ == "__main__":
    main()
