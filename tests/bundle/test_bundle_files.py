"""Writing and reading bundles: round trips, damage, and disks that are full."""

import errno
import json
import os
import zipfile
from pathlib import Path

import msgspec
import pytest

import pellucid.store._files as atomic
from pellucid.bundle import Bundle, read_bundle, write_bundle
from pellucid.errors import BundleError, InputError, ResourceError


@pytest.fixture(params=["bundle", "bundle.zip"])
def written(request: pytest.FixtureRequest, bundle: Bundle, tmp_path: Path) -> Path:
    return write_bundle(bundle.manifest, bundle.files, tmp_path / "made" / request.param)


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    return write_bundle(bundle.manifest, bundle.files, tmp_path / "folder")


def edit(folder: Path, change) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_round_trip(written: Path, bundle: Bundle) -> None:
    again = read_bundle(written)
    assert again.manifest == bundle.manifest
    assert {name: again.files[name] for name in bundle.files} == bundle.files
    assert set(again.files) == {"manifest.json", *bundle.files}
    assert len(again.files) == 1 + len(bundle.files)
    assert "nothing.webp" not in again.files


def test_nothing_but_the_bundle_is_left(written: Path) -> None:
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_writing_twice_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    first = write_bundle(bundle.manifest, bundle.files, tmp_path / "a.zip")
    second = write_bundle(bundle.manifest, dict(reversed(list(bundle.files.items()))), tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()


def test_a_bundle_replaces_an_older_one(written: Path, bundle: Bundle) -> None:
    body = msgspec.structs.replace(bundle.manifest.body, title="Newer")
    write_bundle(msgspec.structs.replace(bundle.manifest, body=body), bundle.files, written)
    assert read_bundle(written).manifest.body.title == "Newer"
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_a_folder_of_other_things_is_never_replaced(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other things"):
        write_bundle(bundle.manifest, bundle.files, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_is_never_replaced_by_a_folder(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InputError, match="a file of that name is there"):
        write_bundle(bundle.manifest, bundle.files, tmp_path / "notes")


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_full_disk(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResourceError, match="disk is full"):
        write_bundle(bundle.manifest, bundle.files, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_missing_picture_is_not_written(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no such file"):
        write_bundle(bundle.manifest, {"photo.webp": bundle.files["photo.webp"]}, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_nothing_names_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"'extra.webp' was given"):
        write_bundle(bundle.manifest, {**bundle.files, "extra.webp": b""}, tmp_path / "a.zip")


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle"):
        read_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"has no manifest\.json"):
        read_bundle(tmp_path)


@pytest.mark.parametrize(
    ("schema", "says"), [(1, "write it again"), (3, "upgrade"), (-1, "write it again"), (10**12, "upgrade")]
)
def test_other_schema(folder: Path, schema: int, says: str) -> None:
    # A newer manifest may hold anything else; its schema must be what the sentence is about.
    edit(folder, lambda manifest: manifest.update(schema=schema, new_field=1))
    with pytest.raises(BundleError, match=f"schema {schema}.*{says}"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.pop("schema"), "schema and kind"),
        (lambda m: m.update(schema="1"), "schema and kind"),
        (lambda m: m.update(kind="microscope"), "kind 'microscope'"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["body"].pop("photo"), "photo"),
        (lambda m: m["body"]["classes"][0].update(probability=1.5), "probability"),
        (lambda m: m["body"]["classes"][0].update(logit=None), "logit"),
        (lambda m: m["body"].update(classes=[]), "classes"),
        (lambda m: m["provenance"].update(created="yesterday"), "created"),
        (lambda m: m["provenance"].update(created="2026-01-02T03:04:05"), "created"),
        (lambda m: m["body"]["photo"].update(file="../../etc/passwd"), "not a file name"),
        (lambda m: m["body"]["photo"].update(file="/etc/passwd"), "not a file name"),
        (lambda m: m["body"]["photo"].update(file="C:\\photo.webp"), "not a file name"),
        (lambda m: m["body"]["photo"].update(file="manifest.json"), "not a file name"),
        (lambda m: m["body"]["photo"].update(file="gone.webp"), "no such file"),
        (lambda m: m["body"]["photo"].update(width=33), "32 × 24"),
    ],
)
def test_bad_manifest(folder: Path, change, says: str) -> None:
    edit(folder, change)
    with pytest.raises(BundleError, match=says) as caught:
        read_bundle(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_truncated_json(folder: Path, keep: int) -> None:
    data = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_bytes(data[:keep])
    with pytest.raises(BundleError, match="damaged or cut short"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe{}", b"[]", b"null", b'{"schema": 2, "kind": "\xff"}', b"[" * 100_000, b'{"body":' + b"[" * 100_000],
)
def test_json_that_is_no_manifest(folder: Path, data: bytes) -> None:
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError):
        read_bundle(folder)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"RIFF\x00\x00\x00\x00WEBP", None])
def test_damaged_picture(folder: Path, data: bytes | None) -> None:
    photo = folder / "photo.webp"
    photo.write_bytes(photo.read_bytes()[:20] if data is None else data)
    with pytest.raises(BundleError, match=r"'photo.webp' is not a WebP picture"):
        read_bundle(folder)


def test_damaged_zip(bundle: Bundle, tmp_path: Path) -> None:
    path = write_bundle(bundle.manifest, bundle.files, tmp_path / "a.zip")
    data = path.read_bytes()
    for damaged in (b"", b"hello", data[: len(data) // 2], data[:60] + bytes(40) + data[100:]):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match="cannot read the bundle"):
            read_bundle(path)


@pytest.mark.parametrize("name", ["../evil.webp", "/evil.webp", "a/../../evil.webp", "..\\evil.webp"])
def test_zip_that_points_outside(bundle: Bundle, tmp_path: Path, name: str) -> None:
    path = write_bundle(bundle.manifest, bundle.files, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"")
    with pytest.raises(BundleError, match="points outside"):
        read_bundle(path)


def test_link_that_leaves_the_folder(folder: Path) -> None:
    photo = folder / "photo.webp"
    outside = folder.parent / "secret.webp"
    photo.rename(outside)
    photo.symlink_to(outside)
    with pytest.raises(BundleError, match="no such file"):
        read_bundle(folder)
    with pytest.raises(KeyError):
        read_bundle_files(folder)["photo.webp"]


def read_bundle_files(folder: Path):
    from pellucid.bundle._read import _FolderFiles

    return _FolderFiles(folder)


def test_unwritable_place(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_bundle(bundle.manifest, bundle.files, tmp_path / "file" / "a.zip")
