"""The model card: what a person should know of the embedded network before believing it."""

from collections.abc import Mapping
from typing import Any

_CARD = """\
# tiny_inception

A small GoogLeNet of Pellucid's own ({parameters:,} parameters, weights {weights}), made to be looked into:
`pellucid.load()`. It is there so that everything in Pellucid works offline at once, and no substitute for a network
that you care about.

## What it is

- The plan of GoogLeNet (blocks `mixed3a` … `mixed5b`) at a twentieth of its size, ReLU, average pooling throughout.
- It takes RGB pictures of any size from 32 px up, {size} px by default.
- Batch norms are folded into the convolutions; weights are stored in half precision (largest change of a logit by both:
  {rounding:.1%} of the logits' spread).
- A hundred classes of Tiny ImageNet, listed in `labels.tsv`.

## How it was trained

{training}

`python -m training` and `python -m training.export training/out/{candidate}.pt` in Pellucid's repository make it again.

## How good it is

Top-1 on the {validation:,} validation photos of those classes (64×64 px, enlarged where a larger size is named):
{top1}.
{robust}
On every {every}th of them, in the order of their names, at {subset_size} px: {subset:.1%}.

## Limits

- Photos of 64 px show little: it knows textures, colours and coarse shapes, and mistakes what they share.
- It knows nothing but its hundred classes, and answers with one of them whatever it is shown.
- Its photos come from the web, with all that the web over- and underrepresents. It must not be used to decide anything
  about people, or anything that matters.

## What lies beside it

- `channels.safetensors`: mean and deviation of each channel, and of its peak, on {statistics:,} training photos.
- `icons/`: {icons:,} channels as they look for things, rendered at {icon_size} px in {icon_steps} steps.
- `photos/`: photos of others, with their licences.

## Licence

The weights, statistics and icons are part of Pellucid, Apache-2.0. No photo that it was trained on is in the package.
"""


def model_card(card: Mapping[str, Any], training: Mapping[str, Any] | None) -> str:
    """The card as Markdown.

    Args:
        card: what `training.export` measured.
        training: what `training.train` wrote beside the candidate, or `None` where it has not been finished.
    """
    top1 = ", ".join(f"{value:.1%} at {size} px" for size, value in card["top1"].items())
    robust = ""
    if training is not None:
        robust = "\n".join(
            f"Moved against it within an L2 ball of radius {radius} (at 64 px, sRGB in [0, 1]): {value:.1%}."
            for radius, value in training["robust_accuracy"].items()
        )
    return _CARD.format(
        parameters=card["parameters"],
        weights=card["weights"],
        size=card["size"],
        rounding=card["rounding"],
        candidate=card["candidate"],
        training=_training(training),
        validation=card["photos"],
        top1=top1,
        robust=f"\n{robust}\n" if robust else "",
        every=card["subset"]["every"],
        subset_size=card["subset"]["size"],
        subset=card["subset"]["top1"],
        statistics=card["statistics"]["photos"],
        icons=card["icons"]["count"],
        icon_size=card["icons"]["size"],
        icon_steps=card["icons"]["steps"],
    )


def _training(training: Mapping[str, Any] | None) -> str:
    if training is None:
        return "Taken from training before it was finished."
    recipe = training["recipe"]
    sizes = " and ".join(str(size) for size in sorted(set(recipe["sizes"])))
    lines = [
        f"{len(training['epochs'])} epochs over 50,000 photos of Tiny ImageNet's training set (100 classes, 64×64 px, "
        f"shown at {sizes} px), mirrored, moved and enlarged at random; SGD with one cycle of the learning rate. "
        f"{recipe['soft']:.0%} of the target are the answers of a "
        "DeiT-Tiny (Touvron et al., arXiv 2012.12877) whose head was fitted to these classes."
    ]
    if recipe["epsilon"]:
        lines.append(
            f"{_start(recipe)}Every photo was first moved against the network within an L2 ball of radius "
            f"{recipe['epsilon']} (Madry et al., arXiv 1706.06083): its features and attributions become much clearer, "
            "at the price of some accuracy (Engstrom et al., arXiv 1906.00945)."
        )
    return "\n\n".join(lines)


def _start(recipe: Mapping[str, Any]) -> str:
    return f"It started from the candidate `{recipe['start']}`. " if recipe["start"] else ""
