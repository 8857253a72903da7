"""What is collected, against the network asked directly."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pellucid
from pellucid.atlas import Atlas, build_atlas, open_images
from pellucid.errors import InputError
from tests.atlas.conftest import drawing
from tests.networks import plain_net, seeded


def test_values_are_those_that_record_gives_at_the_stated_positions(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model
):
    images, vectors = open_images(drawings), built.vectors("mixed4a")
    for number in (0, 41, 89):
        source, image, row, column = built.origins("mixed4a", np.array([number]))[0]
        assert source == 0
        pixels = torch.from_numpy(images.load(image, embedded_model.size))[None].float() / 255
        expected = pellucid.record(embedded_model, pixels, "mixed4a")["mixed4a"].values[0, row, column]
        np.testing.assert_allclose(vectors.take(np.array([number]))[0], expected, rtol=2e-3, atol=2e-3)


def test_attribution_is_activation_times_slope_for_every_class(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model
):
    images = open_images(drawings)
    known, attribution = next(built.vectors("mixed4d").attributions())
    for number in (3, 60):
        _, image, row, column = built.origins("mixed4d", known[[number]])[0]
        pixels = torch.from_numpy(images.load(image, embedded_model.size)).float() / 255
        for label in (0, 57):
            whole = pellucid.attribute(embedded_model, pixels, layer="mixed4d", target=f"logits:{label}")
            expected = whole.positions()[row, column]
            assert attribution[number, label] == pytest.approx(expected, rel=5e-3, abs=2e-3)


def test_positions_leave_out_the_edge_and_differ_from_image_to_image(built: Atlas, embedded_model: pellucid.Model):
    places = built.vectors("mixed4d").take(np.arange(90), "place")
    layer = embedded_model.layer("mixed4d")
    assert places.min() >= 1
    assert places[:, 0].max() <= layer.rows - 2
    assert places[:, 1].max() <= layer.columns - 2
    assert len(np.unique(places, axis=0)) > 30


def test_every_position_is_taken_where_that_is_asked_for(drawings: Path, tmp_path: Path):
    model = pellucid.wrap(seeded(plain_net), size=32, labels=[f"class {n}" for n in range(10)])
    atlas = build_atlas(
        model, drawings, tmp_path / "a", layers="8", grids=(3,), per_image=None, projection="pca", icon_size=32,
        icon_steps=1,
    )  # fmt: skip
    layer = model.layer("8")
    assert len(atlas.vectors("8")) == 90 * layer.rows * layer.columns
    first = atlas.vectors("8").take(np.arange(layer.rows * layer.columns), "place")
    assert len(np.unique(first, axis=0)) == layer.rows * layer.columns
    known, _ = next(atlas.vectors("8").attributions())
    assert len(known) == 90 * 8  # attribution is known for some of them


def test_broken_and_repeated_images_are_left_out_and_listed(tmp_path: Path, embedded_model: pellucid.Model):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(6):
        drawing("discs", seed).save(folder / f"{seed}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:60])
    (folder / "copy.png").write_bytes((folder / "3.png").read_bytes())
    atlas = build_atlas(
        embedded_model, folder, tmp_path / "atlas", layers="mixed4d", grids=(2,), projection="pca", icon_size=48,
        icon_steps=1, least=1,
    )  # fmt: skip
    assert atlas.images == len(atlas.vectors("mixed4d")) == 6
    reasons = dict(atlas.skipped)
    assert set(reasons) == {"broken.png", "copy.png"} or set(reasons) == {"broken.png", "3.png"}
    assert any("duplicate" in reason for reason in reasons.values())
    assert "2 left out" in atlas.skipped_sentence()


def test_only_broken_images_are_one_sentence(tmp_path: Path, embedded_model: pellucid.Model):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="none of the images"):
        build_atlas(embedded_model, folder, tmp_path / "atlas", layers="mixed4d", projection="pca")


class _ArgmaxHead(nn.Module):
    """A network without a slope that could be carried forward."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(self.body(x).mean((2, 3)).argmax(1), 4).float()


def test_a_network_without_slopes_is_mapped_without_attribution(drawings: Path, tmp_path: Path):
    model = pellucid.wrap(seeded(_ArgmaxHead), size=24)
    atlas = build_atlas(
        model, drawings, tmp_path / "a", layers="body", grids=(2,), projection="pca", icon_size=24, icon_steps=1
    )
    assert any("no attribution at body" in remark for remark in atlas.remarks)
    assert not atlas.cells("body").attributed.any()


def test_images_from_python_make_the_same_atlas_as_their_files(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model, tmp_path: Path
):
    opened = open_images(drawings)
    pictures = [Image.open(io.BytesIO((drawings / key).read_bytes())) for key in opened.keys]
    atlas = build_atlas(
        embedded_model, pictures, tmp_path / "a", layers="mixed4d", grids=(3,), projection="pca", icon_size=48,
        icon_steps=1,
    )  # fmt: skip
    assert len(atlas.vectors("mixed4d")) == 90
    assert atlas.sources == [None]
