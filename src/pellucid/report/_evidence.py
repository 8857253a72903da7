"""What is said of a layer as a whole: of its groups, and of whether its maps are steady and about what was learned."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from ..attribution import attribute
from ..errors import InputError, ModelError
from ..models import Model
from ..record import Tail, record
from ..targets import LOGITS
from ..trust import Evidence, randomize_cascade, stability
from ..trust._evidence import as_said
from ._methods import Agreement

# How far down the network is random: the last third of its parts with weights, two thirds, all of it.
_STAGES = 3


def group_evidence(layer: str, count: int, photos: Sequence[Agreement]) -> Iterator[Evidence]:
    """What groups hold of the layer and carry of the decision, on the median photo."""
    told = [each.groups for each in photos if each.groups]
    sentences = {
        "reconstruction by the groups": (
            "On the median of {photos} photos, {count} groups hold {value:.0%} of the layer's activations, by their "
            "length; as many of channels that were shuffled among the positions hold {control:.0%}."
        ),
        "logit carried by the groups": (
            "The rest of the network was run on {count} groups alone: on the median of {photos} photos they carry "
            "{value:.0%} of what the layer adds to the most probable class; as many groups of shuffled channels carry "
            "{control:.0%}."
        ),
    }
    for name, sentence in sentences.items() if told else ():
        value, control = np.median([each[name] for each in told], axis=0).tolist()
        yield Evidence(
            about=f"groups:{layer}",
            name=name,
            value=round(value, 4),
            control=round(control, 4),
            sentence=sentence.format(photos=len(told), count=count, value=value, control=control),
        )


def map_evidence(model: Model, layer: str, images: Sequence[Tensor], seed: int) -> Iterator[Evidence]:
    """Whether linear maps stay when a photo hardly changes, and fall when the network forgets what it learned."""
    steady, random = [], []
    for image in images:
        top = int(Tail(model, image, layer=layer).outputs[LOGITS].flatten(1).argmax())

        def map_of(network: Model, seen: Tensor, top: int = top) -> np.ndarray:
            return attribute(network, seen, layer=layer, target=top).positions()

        def strength_of(network: Model, image: Tensor = image) -> np.ndarray:
            return np.linalg.norm(record(network, image[None], layer)[layer].values[0], axis=2)

        found = stability(model, image, lambda seen: map_of(model, seen), contrast=0, copies=1, seed=seed)
        steady.append((float(found.correlations.min()), found.control))
        try:
            cascade = randomize_cascade(
                model,
                lambda network, image=image: map_of(network, image),
                control_of=strength_of,
                stages=_STAGES,
                seed=seed,
            )
        except (InputError, ModelError):  # a network that cannot be copied, or whose numbers overflow when random
            continue
        assert cascade.controls is not None
        random.append((cascade.sensitivity, float(1 - np.abs(cascade.controls).mean())))
    for name, pairs, sentence in (
        (
            "stability under small changes, linear",
            steady,
            "Photos were changed so little that nobody would mind; in the worst case, maps before and after correlate "
            "at {value} on the median of {photos} photos; with those of the photo turned upside down, at {control}.",
        ),
        (
            "sensitivity to randomized weights, linear",
            random,
            "The network's weights were made random, from the last part down: on the median of {photos} photos, maps "
            "lose {value} of their likeness to those of the trained network; mere strength of activation loses "
            "{control}.",
        ),
    ):
        if pairs:
            value, control = np.median(pairs, axis=0).tolist()
            said = sentence.format(photos=len(pairs), value=as_said(value), control=as_said(control))
            yield Evidence(f"spatial:{layer}", name, round(value, 4), round(control, 4), said)
