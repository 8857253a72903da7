"""Maps of classes and photos on the map, against counting by hand."""

import shutil

import numpy as np
import pytest
import torch

import pellucid
from pellucid.atlas import Atlas, class_atlas, compare_classes, place_photo
from pellucid.atlas._classes import CLASS_STAGE, PAIR_STAGE, class_maps
from pellucid.atlas._place import placed_photos
from pellucid.errors import InputError, TargetError
from tests.atlas.conftest import drawing


@pytest.fixture(scope="module")
def mapped(built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """A copy of the atlas, to keep maps and photos in."""
    copy = tmp_path_factory.mktemp("mapped") / "atlas"
    shutil.copytree(built.folder.path, copy)
    return pellucid.open_atlas(copy)


def strongest_classes(atlas: Atlas) -> tuple[np.ndarray, np.ndarray]:
    """Attribution of every vector, and the classes that argue most for anything, the most common first."""
    (_, attribution), *_ = atlas.vectors("mixed4d").attributions()
    labels, counts = np.unique(attribution.argmax(1), return_counts=True)
    return attribution.astype(np.float32), labels[np.argsort(-counts, kind="stable")]


def test_a_class_atlas_holds_what_argues_for_the_class_and_nothing_else(mapped: Atlas, embedded_model: pellucid.Model):
    attribution, labels = strongest_classes(mapped)
    found = class_atlas(mapped, embedded_model, int(labels[0]), grid=3)
    # There are fewer vectors than the strongest 3,000, so all that argue for it are in.
    assert found.cells.counts.sum() <= (attribution[:, labels[0]] > 0).sum()
    assert found.cells.counts.sum() > 0.8 * (attribution[:, labels[0]] > 0).sum()  # the rest lies in too empty cells
    assert (found.cells.attribution[:, labels[0]] > 0).all()
    (kept,) = [one for one in class_maps(mapped, CLASS_STAGE) if one.classes == (labels[0],)]
    np.testing.assert_array_equal(kept.icons.images, found.icons.images)
    assert found.picture(side=20).size == (60, 60)


def test_to_the_right_lies_what_argues_for_the_second_class(mapped: Atlas, embedded_model: pellucid.Model):
    _, labels = strongest_classes(mapped)
    first, second = int(labels[0]), int(labels[1])
    found = compare_classes(mapped, embedded_model, first, second, grid=4)
    lead = found.cells.attribution[:, second] - found.cells.attribution[:, first]
    columns = found.cells.places[:, 0]
    assert len(np.unique(columns)) >= 2
    # A cell's column is what its mean lead says: x = 1/2 + lead / (2 reach).
    expected = np.floor((0.5 + 0.5 * np.clip(lead / found.reach, -1, 1)) * 4).clip(0, 3)
    np.testing.assert_array_equal(columns, expected)
    turned = compare_classes(mapped, embedded_model, second, first, grid=4)
    assert turned.reach == pytest.approx(found.reach)
    assert len(class_maps(mapped, PAIR_STAGE)) == 2


def test_maps_of_classes_that_cannot_be_are_one_sentence(mapped: Atlas, embedded_model: pellucid.Model):
    with pytest.raises(InputError, match="named twice"):
        compare_classes(mapped, embedded_model, "lemon", "lemon")
    with pytest.raises(TargetError, match="did you mean"):
        class_atlas(mapped, embedded_model, "lemmon")
    with pytest.raises(TargetError, match="no layer"):
        class_atlas(mapped, embedded_model, "lemon", layer="mixed5b")


def test_a_photo_of_the_atlas_lies_where_the_atlas_has_it(mapped: Atlas, embedded_model: pellucid.Model):
    images = mapped.sources[0]
    assert images is not None
    pixels = torch.from_numpy(images.load(17, embedded_model.size)).float() / 255
    placed = {one.layer: one for one in place_photo(mapped, embedded_model, pixels, keep=False)}
    # One position of it is a vector of the layout itself.
    images_of = mapped.vectors("mixed4d").take(np.arange(90), "image")
    (number,) = np.flatnonzero(images_of == 17)
    _, _, row, column = mapped.origins("mixed4d", np.array([number]))[0]
    own = mapped.positions("mixed4d")[number].clip(0, 1)
    others = np.linalg.norm(mapped.positions("mixed4d") - own, axis=1)
    distance = np.linalg.norm(placed["mixed4d"].positions[row, column] - own)
    assert distance < np.median(others) / 3
    assert sum(visit[2] for visit in placed["mixed4d"].visits) == placed["mixed4d"].positions[..., 0].size


def test_placed_photos_are_kept(mapped: Atlas, embedded_model: pellucid.Model):
    found = place_photo(mapped, embedded_model, drawing("discs", 500))
    kept = [one for one in placed_photos(mapped) if one.title == "picture"]
    assert [one.layer for one in kept] == mapped.layers
    np.testing.assert_allclose(kept[0].positions, found[0].positions)
    assert [visit[:2] for visit in kept[0].visits] == [visit[:2] for visit in found[0].visits]
