"""Building: the same result however often it is interrupted, and nothing lost to what goes wrong."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.atlas import Atlas, _icons as icons_module, add_images, build_atlas, open_atlas
from pellucid.errors import BundleError, InputError, ResourceError, TargetError
from tests.atlas.conftest import SETTINGS, write_drawings


def contents(folder: Path) -> dict[str, str]:
    """Digest of every array file by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
    }


class Killed(BaseException):
    """As sudden as a process that ends."""


@pytest.mark.parametrize(
    "stage",
    ["collecting", "placing mixed4a", "rendering the 3", "whitening 2", "rendering the 6 × 6 cells of mixed4d"],
)
def test_a_build_that_is_killed_goes_on_to_the_same_result(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model, tmp_path: Path, stage
):
    task, _, turn = stage.partition(" 2")
    events = []

    def stop(event):
        if event.task.startswith(task):
            events.append(event)
            if len(events) > (1 if turn else 0):
                raise Killed

    with pytest.raises(Killed):
        build_atlas(embedded_model, drawings, tmp_path / "a", **SETTINGS, progress=stop)
    again = build_atlas(embedded_model, drawings, tmp_path / "a", **SETTINGS, resume=True)
    assert contents(again.folder.path) == contents(built.folder.path)


def test_a_killed_process_leaves_a_folder_that_can_be_resumed(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model, tmp_path: Path
):
    code = (
        "import os, sys, pellucid\n"
        "from tests.atlas.conftest import SETTINGS\n"
        "def stop(event):\n"
        "    if event.task.startswith('rendering the 6'): os._exit(9)\n"
        "pellucid.build_atlas(pellucid.load(), sys.argv[1], sys.argv[2], **SETTINGS, progress=stop)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(drawings), str(tmp_path / "a")], cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 9
    again = build_atlas(embedded_model, drawings, tmp_path / "a", **SETTINGS, resume=True)
    assert contents(again.folder.path) == contents(built.folder.path)


def test_nothing_is_computed_twice(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model, tmp_path: Path, monkeypatch
):
    copy = tmp_path / "copy"
    shutil.copytree(built.folder.path, copy)

    def refuse(*_args, **_options):
        raise AssertionError("rendered again")

    monkeypatch.setattr(icons_module, "render", refuse)
    again = build_atlas(embedded_model, drawings, copy, **SETTINGS, resume=True)
    assert contents(copy) == contents(built.folder.path)
    assert again.images == 90


def test_a_shard_cut_short_is_collected_again(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model, tmp_path: Path
):
    copy = tmp_path / "copy"
    shutil.copytree(built.folder.path, copy)
    shard = sorted((copy / "vectors").iterdir())[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(BundleError, match="missing or damaged"):
        open_atlas(copy).vectors("mixed4a"), open_atlas(copy).vectors("mixed4d")
    build_atlas(embedded_model, drawings, copy, **SETTINGS, resume=True)
    assert contents(copy) == contents(built.folder.path)


def test_a_second_build_in_the_same_folder_is_refused(drawings: Path, embedded_model: pellucid.Model, tmp_path: Path):
    def build_beside(_event):
        with pytest.raises(InputError, match="another build is at work"):
            build_atlas(embedded_model, drawings, tmp_path / "a", **SETTINGS, resume=True)
        raise Killed

    with pytest.raises(Killed):
        build_atlas(embedded_model, drawings, tmp_path / "a", **SETTINGS, progress=build_beside)


def test_a_full_disk_is_one_sentence_and_finished_shards_stay(
    built: Atlas, drawings: Path, embedded_model: pellucid.Model, tmp_path: Path, monkeypatch
):
    real, written = os.fsync, []

    def fsync(file):
        written.append(file)
        if len(written) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ResourceError, match="disk is full"):
        build_atlas(embedded_model, drawings, tmp_path / "a", **SETTINGS)
    monkeypatch.undo()
    left = contents(tmp_path / "a")
    assert left
    assert left.items() <= contents(built.folder.path).items()
    build_atlas(embedded_model, drawings, tmp_path / "a", **SETTINGS, resume=True)
    assert contents(tmp_path / "a") == contents(built.folder.path)


def test_an_older_version_and_a_damaged_manifest_are_one_sentence(built: Atlas, tmp_path: Path):
    shutil.copy(built.folder.path / "atlas.json", tmp_path / "atlas.json")
    found = json.loads((tmp_path / "atlas.json").read_text())
    (tmp_path / "atlas.json").write_text(json.dumps({**found, "schema": 0}))
    with pytest.raises(BundleError, match="of version 0"):
        open_atlas(tmp_path)
    (tmp_path / "atlas.json").write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        open_atlas(tmp_path)
    with pytest.raises(BundleError, match="no atlas"):
        open_atlas(tmp_path / "nowhere")


def test_more_images_are_placed_among_the_old_and_unchanged_cells_keep_their_icons(
    built: Atlas, embedded_model: pellucid.Model, tmp_path: Path, monkeypatch
):
    copy = tmp_path / "copy"
    shutil.copytree(built.folder.path, copy)
    rendered = []
    real = icons_module.render

    def count(model, targets, **options):
        made = real(model, targets, **options)
        rendered.append(len(targets) - made.provenance["from_cache"])
        return made

    monkeypatch.setattr(icons_module, "render", count)
    more = add_images(embedded_model, write_drawings(tmp_path / "more", 1, first=100), copy)
    assert more.images == 93
    before, after = built.positions("mixed4d"), more.positions("mixed4d")
    np.testing.assert_array_equal(after[:90], before)
    assert len(after) == 93
    # Three vectors change at most three cells of a grid, and those drawn from them.
    assert 0 < sum(rendered) < sum(len(more.cells(layer, grid)) for layer in more.layers for grid in more.grids)
    assert more.cells("mixed4d", 3).counts.sum() >= built.cells("mixed4d", 3).counts.sum()
    with pytest.raises(InputError, match="already in the atlas"):
        add_images(embedded_model, tmp_path / "more", copy)


def test_layers_share_a_layout_as_far_as_they_can(built: Atlas):
    first, second = built.positions("mixed4a"), built.positions("mixed4d")
    chance = np.random.default_rng(0).permutation(len(second))
    apart = np.linalg.norm(first - second, axis=1).mean()
    assert apart < 0.9 * np.linalg.norm(first - second[chance], axis=1).mean()


def test_icons_are_pictures_of_their_cells(built: Atlas):
    icons = built.icons("mixed4d", 3)
    cells = built.cells("mixed4d", 3)
    assert icons.images.shape == (len(cells), 48, 48, 3)
    assert icons.answers.shape == cells.means.shape
    assert icons.images.std(axis=(1, 2, 3)).min() > 2  # none is grey


def test_a_map_as_one_picture_has_each_icon_in_its_cell(built: Atlas):
    cells, icons, side = built.cells("mixed4a", 6), built.icons("mixed4a", 6), 40
    whole = built.picture("mixed4a", 6, side=side)
    assert whole.size == (6 * side, 6 * side)
    pixels, fullest = np.asarray(whole).astype(int), int(cells.counts.argmax())
    column, row = cells.places[fullest]
    icon = Image.fromarray(icons.images[fullest]).resize((side, side), Image.Resampling.LANCZOS)
    cell = pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]
    np.testing.assert_array_equal(cell, np.asarray(icon), "the fullest cell's icon fills it")
    taken = {(int(column), int(row)) for column, row in cells.places}
    for row, column in np.ndindex(6, 6):
        cell = pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert (cell == 255).all() == ((column, row) not in taken)
    assert built.picture().size == (3 * 64, 3 * 64), "by default the last layer's coarsest grid"
    with pytest.raises(InputError, match="no grid of 5"):
        built.picture(grid=5)
    with pytest.raises(InputError, match="side of a cell is 0"):
        built.picture(side=0)


def test_evidence_stands_beside_the_maps(built: Atlas):
    names = {entry.name for entry in built.evidence if entry.about == "atlas:mixed4d"}
    assert {"icons in their own cell", "class coherence of cells"} <= names
    for entry in built.evidence:
        assert entry.control is not None
        assert 0 <= entry.value <= 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"layers": "mixed9"}, TargetError, "mixed9"),
        ({"layers": "logits"}, TargetError, "no positions"),
        ({"grids": (0,)}, InputError, "grids"),
        ({"projection": "magic"}, InputError, "projection"),
        ({"per_image": 0}, InputError, "per_image"),
        ({"icon_steps": 0}, InputError, "icon_steps"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(
    drawings: Path, embedded_model: pellucid.Model, tmp_path: Path, change, error, words
):
    with pytest.raises(error, match=words):
        build_atlas(embedded_model, drawings, tmp_path / "a", **{**SETTINGS, **change})
    assert not (tmp_path / "a").exists()


def test_other_images_and_other_folders_are_refused(built: Atlas, embedded_model: pellucid.Model, tmp_path: Path):
    others = write_drawings(tmp_path / "others", 2, first=50)
    with pytest.raises(InputError, match="resume it"):
        build_atlas(embedded_model, others, built.folder.path, **SETTINGS)
    with pytest.raises(InputError, match="add them to it"):
        build_atlas(embedded_model, others, built.folder.path, **SETTINGS, resume=True)
    with pytest.raises(InputError, match="holds other things"):
        build_atlas(embedded_model, others, others, **SETTINGS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        build_atlas(embedded_model, tmp_path / "empty", tmp_path / "b", **SETTINGS)


def test_fewer_activations_than_cells_and_one_image_of_each_class_make_a_small_map(
    embedded_model: pellucid.Model, tmp_path: Path
):
    few = write_drawings(tmp_path / "few", 2)
    atlas = build_atlas(embedded_model, few, tmp_path / "a", **{**SETTINGS, "grids": (20,), "layers": ["mixed4d"]})
    assert 1 <= len(atlas.cells("mixed4d")) <= 6


@pytest.mark.slow
def test_memory_stays_small_beside_the_vectors(tmp_path: Path):
    """200,000 vectors of 832 channels, 320 MB on the disk, are whitened, placed and summed up in a fraction of that."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from pellucid.atlas._cells import cell_of, sum_up
from pellucid.atlas._folder import Folder
from pellucid.atlas._project import Layout, principal_basis, project, reduce, into_square
from pellucid.atlas._vectors import Vectors
from pellucid.atlas._whiten import second_moment
from pellucid.events import silent

folder, random = Folder(Path(sys.argv[1])), np.random.default_rng(0)
mix = random.gamma(0.5, size=(20, 832)).astype(np.float32)
keys, each = [], 20_000
for number in range(10):
    values = random.gamma(0.3, size=(each, 20)).astype(np.float32) @ mix
    images = np.arange(number * each, (number + 1) * each, dtype=np.int32)
    keys.append(f"{number:024}")
    folder.write("vectors", keys[-1], {"values": values.astype(np.float16), "image": images})
vectors = Vectors(folder, tuple(keys), tuple(range(0, 200_001, each)), 832, 0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
moment = second_moment(vectors, silent)
basis = principal_basis(moment)
chosen = np.sort(random.permutation(200_000)[:5_000])
points = reduce(vectors.take(chosen), basis)
layout = Layout(basis, points.astype(np.float16), into_square(project(points, method="pca")), chosen)
positions = np.concatenate([layout.place(part) for _, part in vectors.parts()])
cells = sum_up(vectors, cell_of(positions, 40, 40), 40, 40, least=5)
assert cells.counts.sum() > 180_000, cells.counts.sum()
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    before, peak = (int(part) / 1024 for part in done.stdout.split())
    print(f"resident: {before:.0f} MB before, {peak:.0f} MB at most")
    assert peak - before < 1200  # 1,000,000 need no more: only positions and labels, 30 MB, grow with their number
    assert peak < 4096
