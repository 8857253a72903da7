"""The render cache: the same picture or none at all, whatever happened to the files."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import pellucid
from pellucid.features.images import Fourier
from pellucid.features.transforms import Jitter
from pellucid.store import RenderCache, cache_folder

QUICK = {"size": 16, "steps": 3, "precision": "float32"}


@pytest.fixture
def cache(tmp_path) -> RenderCache:
    return RenderCache(tmp_path / "renders")


def render(model, targets, cache, **settings):
    return pellucid.render(model, targets, cache=cache, **{**QUICK, **settings})


def files(cache: RenderCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def test_a_hit_is_the_same_picture(tiny, cache):
    first = render(tiny, ["1:0", "1:1"], cache)
    again = render(tiny, ["1:1", "1:0"], cache)
    assert first.provenance["from_cache"] == 0
    assert again.provenance["from_cache"] == 2
    np.testing.assert_array_equal(again.images[::-1], first.images)
    np.testing.assert_allclose(again.objective[::-1], first.objective, atol=1e-4)
    assert again.targets == ("1:1", "1:0")


def test_a_hit_renders_nothing(tiny, cache):
    render(tiny, "1:0", cache)
    events = []
    render(tiny, "1:0", cache, progress=events.append)
    assert events == []


def test_some_are_there_and_some_are_not(tiny, cache):
    render(tiny, ["1:0", "1:2"], cache)
    mixed = render(tiny, ["1:0", "1:1", "1:2"], cache)
    assert mixed.provenance["from_cache"] == 2
    fresh = render(tiny, ["1:0", "1:1", "1:2"], None)
    np.testing.assert_allclose(mixed.images, fresh.images, atol=1 / 255)


@pytest.mark.parametrize("settings", [{}, {"alpha": True}, {"copies": 2}, {"size": (16, 21)}], ids=str)
def test_every_shape_comes_back(tiny, cache, settings):
    first, again = (render(tiny, "1:0", cache, **settings) for _ in range(2))
    assert again.provenance["from_cache"] == 1
    np.testing.assert_array_equal(again.images, first.images)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("opaque", [False, True])
def test_pictures_come_back_exactly(cache, channels, opaque):
    image = np.random.default_rng(0).integers(0, 256, (9, 13, channels)).astype(np.float32) / 255
    if channels in (2, 4):
        image[0, 0, -1] = 0  # colour under full transparency counts too
    if opaque:
        image[:, :, -1] = 1
    assert cache.write({"a": 1}, image, [1.0, 2.5])
    found, objective = cache.read({"a": 1})
    np.testing.assert_array_equal(found, image)
    assert objective == [1.0, 2.5]
    assert cache.read({"a": 2}) is None


def test_five_channels_are_not_kept(cache):
    assert not cache.write({"a": 1}, np.zeros((4, 4, 5), np.float32), [])
    assert cache.read({"a": 1}) is None


def test_a_picture_too_large_for_the_format_is_not_kept(cache):
    assert not cache.write({"a": 1}, np.zeros((2, 16400, 3), np.float32), [])
    assert cache.read({"a": 1}) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"steps": 4},
        {"size": 17},
        {"learning_rate": 0.04},
        {"transforms": (Jitter(2),)},
        {"parametrization": Fourier(decay=1.1)},
        {"schedule": "constant"},
        {"betas": (0.8, 0.999)},
        {"optimizer": "nadam"},
        {"alpha": True},
        {"copies": 2},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_every_setting_counts(tiny, cache, settings):
    render(tiny, "1:0", cache)
    assert render(tiny, "1:0", cache, **settings).provenance["from_cache"] == 0


def test_the_weights_and_the_preprocessing_count(tiny, cache):
    render(tiny, "1:0", cache)
    other = pellucid.wrap(tiny.module, size=16, mean=0.1, name="tiny")
    assert render(other, "1:0", cache).provenance["from_cache"] == 0
    with torch.no_grad():
        tiny.module[0].bias += 1
    moved = pellucid.wrap(tiny.module, size=16, name="tiny")
    assert render(moved, "1:0", cache).provenance["from_cache"] == 0


def test_the_batch_does_not_count(tiny, cache):
    render(tiny, ["1:0", "1:1"], cache, batch_size=2)
    assert render(tiny, ["1:0", "1:1"], cache, batch_size=1).provenance["from_cache"] == 2


DAMAGE = {
    "cut picture": ("webp", lambda data: data[: len(data) // 2]),
    "empty picture": ("webp", lambda data: b""),
    "other bytes": ("webp", lambda data: b"x" * len(data)),
    "cut json": ("json", lambda data: data[:-5]),
    "empty json": ("json", lambda data: b""),
    "json of something else": ("json", lambda data: b"[1, 2]"),
    "json null": ("json", lambda data: b"null"),
    "json without fields": ("json", lambda data: b"{}"),
    "json not text": ("json", lambda data: b"\xff\xfe\x00"),
    "a curve that is none": ("json", lambda data: b'{"channels": 3, "objective": "rising"}'),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_rendered_again(tiny, cache, name):
    kind, damage = DAMAGE[name]
    first = render(tiny, "1:0", cache)
    (path,) = [path for path in files(cache) if path.suffix == f".{kind}"]
    path.write_bytes(damage(path.read_bytes()))
    again = render(tiny, "1:0", cache)
    assert again.provenance["from_cache"] == 0
    np.testing.assert_array_equal(again.images, first.images)
    assert render(tiny, "1:0", cache).provenance["from_cache"] == 1  # and the entry is whole again


@pytest.mark.parametrize("kind", ["webp", "json"])
def test_half_an_entry_is_none(tiny, cache, kind):
    render(tiny, "1:0", cache)
    next(path for path in files(cache) if path.suffix == f".{kind}").unlink()
    assert render(tiny, "1:0", cache).provenance["from_cache"] == 0


def test_a_folder_that_cannot_be_written_is_harmless(tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = RenderCache(tmp_path / "file" / "renders")
    first, again = render(tiny, "1:0", cache), render(tiny, "1:0", cache)
    assert again.provenance["from_cache"] == 0
    np.testing.assert_array_equal(first.images, again.images)


def test_a_full_disk_is_harmless(tiny, cache, monkeypatch):
    from pellucid.errors import ResourceError
    from pellucid.store import _render_cache

    def full(path, data):
        raise ResourceError("the disk is full")

    monkeypatch.setattr(_render_cache, "write_file", full)
    render(tiny, "1:0", cache)
    monkeypatch.undo()
    assert render(tiny, "1:0", cache).provenance["from_cache"] == 0


def test_what_was_interrupted_is_not_kept(tiny, cache):
    def stop(event):
        if event.done == 2:
            raise KeyboardInterrupt

    assert render(tiny, "1:0", cache, progress=stop).provenance["interrupted"]
    assert files(cache) == []


def test_pictures_with_a_start_or_snapshots_do_not_come_from_the_cache(tiny, cache):
    render(tiny, "1:0", cache)
    assert sorted(render(tiny, "1:0", cache, snapshots=(2,)).snapshots) == [2]
    started = render(tiny, "1:0", cache, start=torch.full((3, 16, 16), 0.9))
    assert started.provenance["from_cache"] == 0
    assert started.images.mean() > 0.7


def test_the_folder_is_found_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    assert RenderCache().folder == tmp_path / "renders"
    monkeypatch.delenv("PELLUCID_CACHE")
    assert cache_folder().name == "pellucid"


def _write_often(folder: str, number: int) -> None:
    image = np.full((40, 40, 3), 0.2, np.float32)
    for _ in range(40):
        RenderCache(folder).write({"shared": True}, image, [1.0])
        RenderCache(folder).write({"own": number}, image, [float(number)])


def test_two_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write_often, args=(str(tmp_path), number)) for number in range(2)]
    for worker in workers:
        worker.start()
    cache = RenderCache(tmp_path)
    seen = 0
    while any(worker.is_alive() for worker in workers) or not seen:
        entry = cache.read({"shared": True})
        if entry is not None:  # whole, whenever it is looked at
            seen += 1
            assert entry[0].shape == (40, 40, 3)
            assert entry[1] == [1.0]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert [cache.read({"own": number})[1] for number in range(2)] == [[0.0], [1.0]]
    assert not [path for path in files(cache) if path.suffix == ".part"]


def test_entries_are_readable_files(tiny, cache):
    render(tiny, "1:0", cache)
    modes = {os.stat(path).st_mode & 0o777 for path in files(cache)}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {0o666 & ~umask}
