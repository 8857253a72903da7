"""Renderings in folders: whole, distinct, and read again."""

import errno
import json
import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.errors import BundleError, InputError, ResourceError
from pellucid.features import Rendering, load_rendering
from pellucid.figures import sheet


def drawn(*targets: str, channels: int = 3, snapshots: tuple[int, ...] = ()) -> Rendering:
    rng = np.random.default_rng(0)
    shape = (len(targets), 6, 9, channels)
    return Rendering(
        images=rng.random(shape, np.float32),
        objective=rng.normal(size=(len(targets), 4)).astype(np.float32),
        targets=targets,
        snapshots={step: rng.random(shape, np.float32) for step in snapshots},
        provenance={"model": "small", "seed": 3, "remarks": []},
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_saved_and_loaded(tmp_path, channels):
    rendering = drawn("mixed4d:426", "logits:Labrador retriever", channels=channels, snapshots=(2, 10))
    folder = rendering.save(str(tmp_path / "deep" / "out"))
    again = load_rendering(folder)
    assert again.targets == rendering.targets
    np.testing.assert_allclose(again.images, rendering.images, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(again.objective, rendering.objective, atol=1e-5)
    assert sorted(again.snapshots) == [2, 10]
    np.testing.assert_allclose(again.snapshots[10], rendering.snapshots[10], atol=0.5 / 255 + 1e-6)
    assert again.provenance == rendering.provenance


def test_a_real_rendering_survives(small, tmp_path):
    rendering = pellucid.render(small, ["block:1", "-last:2"], size=20, steps=3, precision="float32", snapshots=(1,))
    again = load_rendering(rendering.save(tmp_path))
    assert again.provenance == json.loads(json.dumps(rendering.provenance))
    np.testing.assert_allclose(again.images, rendering.images, atol=0.5 / 255 + 1e-6)


def test_repeated_targets_have_files_of_their_own(tmp_path):
    long = "0.5 * (" + " + ".join(f"channel('mixed4d', {i})" for i in range(20)) + ")"
    rendering = drawn("a:1", "a:1", "a 1", "A:1", "a:1~2", "a:1@2,3", "a:1", "-a:1", "…", ":", long + "1", long + "2")
    files = rendering.files()
    assert len({name.casefold() for name in files}) == len(files)
    assert max(map(len, files)) < 140
    assert files[0] == "a_1.png"
    again = load_rendering(rendering.save(tmp_path))
    np.testing.assert_allclose(again.images, rendering.images, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("target", ["../../etc/passwd", "/abs:1", "a/b:1", "a\\b:1", "..", "layer:1\n", "NUL\0:1"])
def test_a_target_cannot_leave_the_folder(tmp_path, target):
    folder = drawn(target).save(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert len(list(folder.iterdir())) == 2


def test_five_channels_are_saved_as_their_mean(tmp_path):
    folder = drawn("a:1", channels=5).save(tmp_path)
    with Image.open(folder / "a_1.png") as picture:
        assert picture.mode == "L"


def test_a_full_disk_leaves_earlier_files_whole(tmp_path, monkeypatch):
    drawn("a:1").save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ResourceError, match="the disk is full"):
        drawn("b:1", "c:1").save(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"b_1.png"}
    with Image.open(tmp_path / "b_1.png") as picture:
        picture.load()
    assert load_rendering(tmp_path).targets == ("a:1",)


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(InputError, match="cannot write"):
            drawn("a:1").save(folder)


WHOLE = {
    "schema": 1,
    "targets": [{"file": "a_1.png", "target": "a"}],
    "objective": [[1]],
    "snapshots": [],
    "provenance": {},
}
DOCUMENTS = ["", "{", "[]", "null", "{}", '{"schema": 1}'] + [
    json.dumps({**WHOLE, **change})
    for change in (
        {"schema": 2},
        {"targets": []},
        {"targets": ["a"]},
        {"targets": [{"file": 3, "target": "a"}]},
        {"targets": [{"file": "no.png", "target": "a"}]},
        {"objective": ["x"]},
        {"snapshots": 3},
        {"snapshots": [9]},
    )
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_damaged_document_is_said(tmp_path, document):
    drawn("a:1").save(tmp_path)
    (tmp_path / "render.json").write_text(document)
    with pytest.raises(BundleError, match=tmp_path.name):
        load_rendering(tmp_path)


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: d[: len(d) // 2], lambda d: d[:40] + b"\0" * 40 + d[80:]])
def test_a_damaged_picture_is_said(tmp_path, damage):
    drawn("a:1").save(tmp_path)
    path = tmp_path / "a_1.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BundleError, match="no rendering that can be read"):
        load_rendering(tmp_path)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(BundleError, match="no rendering that can be read"):
        load_rendering(tmp_path / "nowhere")


def test_the_sheet_holds_every_image(tmp_path):
    rendering = drawn("a:1", "a:2", "a:3", "a:4", "a:5")
    sheet = rendering.sheet(columns=2, gap=3)
    assert sheet.shape == (3 * 9 - 3, 2 * 12 - 3, 3)
    np.testing.assert_array_equal(sheet[9:15, 12:21], rendering.images[3])
    assert (sheet[18:, 12:] == 1).all()
    assert drawn("a:1").sheet().shape == (6, 9, 3)


def test_a_notebook_shows_every_image_with_its_target():
    rendering = drawn("a:1", "a:2", "a:3")
    shown = Image.open(BytesIO(rendering._repr_png_()))
    assert shown.tobytes() == rendering.picture().tobytes()
    assert shown.tobytes() == sheet(rendering.images, ["a:1", "a:2", "a:3"], side=144).tobytes()
    assert rendering.picture(["x", "y", "z"], columns=3, side=120).width == 3 * 120 + 2 * 8
    with pytest.raises(InputError, match="3 pictures and 1 captions"):
        rendering.picture(["x"])


def test_it_says_what_it_is():
    assert repr(drawn("a:1", "a:2")) == "<Rendering of a:1, a:2: [2, 6, 9, 3]>"
    assert repr(drawn(*"abcde")).startswith("<Rendering of a, b, c, d …")
    assert len(drawn("a:1", "a:2")) == 2
