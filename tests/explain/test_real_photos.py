"""InceptionV1 on two photos: what argues for a class lies on the thing that the class names."""

from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.errors import WeightsError
from pellucid.models import view

pytestmark = pytest.mark.slow

DOGS = ("Labrador retriever", "golden retriever")
CATS = ("tiger cat", "tabby", "Egyptian cat")


@pytest.fixture(scope="module")
def inception(data: Path):
    try:
        return pellucid.load("inception_v1", weights=data / "models", download=False)
    except WeightsError as error:
        pytest.skip(str(error))


def photo(data: Path, name: str) -> Path:
    path = data / "reference" / "photos" / f"{name}.jpeg"
    if not path.is_file():
        pytest.skip(f"needs reference/photos/{name}.jpeg")
    return path


def box(top: float, bottom: float, left: float, right: float) -> np.ndarray:
    """The positions of a 14 × 14 grid whose centres lie in a box, drawn by hand, in shares of the photo's side."""
    place = (np.arange(14) + 0.5) / 14
    return ((place >= top) & (place <= bottom))[:, None] & ((place >= left) & (place <= right))[None]


DOG, CAT = box(0, 0.86, 0, 0.5), box(0.33, 0.86, 0.6, 0.97)
LEMONS, VASE, TULIPS = box(0.76, 0.97, 0.38, 0.97), box(0.42, 0.76, 0.24, 0.72), box(0.05, 0.38, 0.25, 0.68)


@pytest.mark.parametrize("method", ["linear", "relaxed"])
@pytest.mark.parametrize("layer", ["mixed4a", "mixed4d"])
def test_dogs_are_argued_for_by_the_dog_and_cats_by_the_cat(inception, data, layer, method):
    image = photo(data, "dog_cat")
    found = pellucid.attribute_many(inception, image, layer=layer, targets=[*DOGS, *CATS], method=method)
    for label, attribution in zip((*DOGS, *CATS), found, strict=True):
        map_ = attribution.positions()
        own, other = (DOG, CAT) if label in DOGS else (CAT, DOG)
        assert own[np.unravel_index(map_.argmax(), map_.shape)], label
        assert map_[own].sum() > 0 > map_[other].sum(), label
        support = np.maximum(map_, 0)
        assert support[own].sum() > 1.4 * support[other].sum(), label


def test_removing_the_dogs_groups(inception, data):
    """The dogs vanish from the answers and cats rise above them, though weasels and otters rise further."""
    image = view(inception, photo(data, "dog_cat")).image  # as `explain` sees it
    groups = pellucid.factorize(pellucid.record(inception, image[None], "mixed4d")["mixed4d"], 6)
    spatial = groups.spatial[0]
    on_dog = [number for number in range(6) if spatial[DOG, number].sum() > 0.6 * spatial[..., number].sum()]
    on_cat = [number for number in range(6) if spatial[CAT, number].sum() > 0.6 * spatial[..., number].sum()]
    assert on_dog
    assert on_cat
    effect = pellucid.intervene(inception, image, layer="mixed4d", remove=[(groups, number) for number in on_dog])
    assert effect.top(1, by="before")[0].label == "golden retriever"
    after = {label: effect.probabilities_after[inception.class_index(label)] for label in (*DOGS, *CATS, "tiger")}
    assert max(after[label] for label in (*CATS, "tiger")) > 2 * max(after[label] for label in DOGS)
    for label in CATS:
        change = [
            pellucid.intervene(inception, image, layer="mixed4d", remove=[(groups, number) for number in numbers])
            for numbers in (on_dog, on_cat)
        ]
        assert change[1].change(label) < 0
        assert change[0].change(label) > change[1].change(label)


def test_lemons_vase_and_tulips_are_different_groups(inception, data):
    image = view(inception, photo(data, "flowers")).image
    groups = pellucid.factorize(pellucid.record(inception, image[None], "mixed4d")["mixed4d"], 6)
    spatial = groups.spatial[0]
    shares = [
        [spatial[place, number].sum() / spatial[..., number].sum() for number in range(6)]
        for place in (LEMONS, VASE, TULIPS)
    ]
    first = [int(np.argmax(share)) for share in shares]
    assert len(set(first)) == 3
    assert all(share[number] > 0.6 for share, number in zip(shares, first, strict=True))
