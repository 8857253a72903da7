"""The patch laboratory against counting by hand, and on a network whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pellucid
from pellucid.atlas import Atlas, build_atlas, paste, search_patches, try_patch, wilson
from pellucid.atlas._patches import kept_trials
from pellucid.errors import InputError, TargetError


def test_intervals_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for flipped, total in ((0, 8), (5, 10), (17, 20), (30, 30)):
        expected = stats.binomtest(flipped, total).proportion_ci(method="wilson")
        assert wilson(flipped, total) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [
        ("upper left", slice(0, 4), slice(0, 4)),
        ("upper right", slice(0, 4), slice(8, 12)),
        ("lower left", slice(6, 10), slice(0, 4)),
        ("lower right", slice(6, 10), slice(8, 12)),
    ],
)
def test_a_patch_covers_its_corner_and_nothing_else(corner, rows, columns):
    photos = torch.zeros(2, 3, 10, 12)
    changed = paste(photos, torch.ones(1, 3, 7, 7), 0.4, corner)
    expected = torch.zeros(2, 3, 10, 12)
    expected[:, :, rows, columns] = 1
    torch.testing.assert_close(changed, expected)
    assert not photos.any()


class MostColour(nn.Module):
    """Says which of red, green and blue is strongest on the mean."""

    def __init__(self) -> None:
        super().__init__()
        # Each position looks at most of the picture, so that an icon is of one colour all over.
        self.colours = nn.Conv2d(3, 3, 24, 4, padding=10, bias=False)
        with torch.no_grad():
            self.colours.weight.zero_()
            for channel in range(3):
                self.colours.weight[channel, channel] = 1 / 24**2
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * self.relu(self.colours(x)).mean((2, 3))


def colours(folder: Path, count: int, first: int = 0) -> Path:
    """Photos of a colour each, somewhat mottled: red, green, blue."""
    for number, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            random = np.random.default_rng(100 * number + seed)
            pixels = random.integers(0, 60, (8, 8, 3))
            pixels[..., number] += random.integers(16, 26)
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).resize((32, 32))
            picture.save(folder / name / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def model() -> pellucid.Model:
    return pellucid.wrap(MostColour(), size=32, labels=["red", "green", "blue"])


@pytest.fixture(scope="module")
def atlas(model: pellucid.Model, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("colours")
    return build_atlas(
        model, colours(folder / "photos", 20), folder / "atlas", layers="relu", grids=(3,), projection="pca",
        icon_size=32, icon_steps=48, least=2,
    )  # fmt: skip


def test_a_patch_of_blue_has_red_photos_read_as_blue_and_grey_noise_does_not(
    atlas: Atlas, model: pellucid.Model, tmp_path: Path
):
    trial = try_patch(atlas, model, colours(tmp_path, 16, first=50), "red", "blue")
    shares = {share.name: share for share in trial.shares if share.setting != "any"}
    assert trial.patch.reshape(-1, 3).mean(0).argmax() == 2
    assert shares["patch"].total == 16
    assert shares["patch"].value == 1.0
    assert shares["noise"].value == 0.0
    assert len(trial.examples) == 6
    assert trial.examples[0].shape == (32, 32, 3)
    # Counted again by hand, with the corner and size that the trial names.
    size, _, corner = shares["patch"].setting.partition(" of the side, ")
    photos = np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / "red").iterdir())])
    pixels = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
    patch = torch.from_numpy(trial.patch).permute(2, 0, 1)[None].float() / 255
    read = model.module(paste(pixels, patch, float(size.rstrip("%")) / 100, corner)).argmax(1)
    assert (read == 2).sum() == shares["patch"].flipped
    (kept,) = [one for one in kept_trials(atlas) if one.aim == 2 and one.source == 0]
    assert kept.to_json() == trial.to_json()


def test_a_patch_that_a_control_equals_is_no_finding(atlas: Atlas, model: pellucid.Model, tmp_path: Path):
    trial = try_patch(atlas, model, colours(tmp_path, 16, first=50), "red", "blue", keep=False)
    worst = max(share.high for share in trial.shares if share.name != "patch")
    assert trial.found == (trial.shares[0].low > worst)
    cells = atlas.cells("relu", 3)
    red = int((cells.attribution[:, 0] - cells.attribution[:, 2]).argmax())
    against = try_patch(
        atlas, model, colours(tmp_path, 16, first=50), "red", "blue", cell=tuple(cells.places[red]), keep=False
    )
    assert not against.found
    assert against.shares[0].flipped == 0
    assert "does not beat" in against.sentence


def test_the_search_leaves_out_cells_made_of_the_class_itself(atlas: Atlas, model: pellucid.Model, tmp_path: Path):
    trials = search_patches(atlas, model, colours(tmp_path, 16, first=50), count=3, keep=False)
    assert all(trial.own is None or trial.own <= 0.25 for trial in trials)
    assert [trial.found for trial in trials] == sorted((trial.found for trial in trials), reverse=True)


def test_what_cannot_be_tried_is_one_sentence(atlas: Atlas, model: pellucid.Model, tmp_path: Path):
    few = colours(tmp_path, 2)
    with pytest.raises(InputError, match="needs 8 at least"):
        try_patch(atlas, model, few, "red", "blue")
    with pytest.raises(InputError, match="named twice"):
        try_patch(atlas, model, few, "red", "red")
    with pytest.raises(TargetError, match="no class"):
        try_patch(atlas, model, few, "red", "purple")
    with pytest.raises(InputError, match="no cell"):
        try_patch(atlas, model, colours(tmp_path / "more", 10), "red", "blue", cell=(90, 0))
