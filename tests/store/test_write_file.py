"""Files that are whole or not there."""

import errno
import os
from pathlib import Path

import pytest

from pellucid.errors import InputError, ResourceError
from pellucid.store import write_file
from pellucid.store._files import write_folder


def failing_fsync(number: int):
    def fsync(_descriptor):
        raise OSError(number, os.strerror(number))

    return fsync


def test_it_writes_and_replaces(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, ResourceError),
        (errno.EDQUOT, ResourceError),
        (errno.EFBIG, ResourceError),
        (errno.EIO, InputError),
    ],
)
def test_what_was_there_stays_when_writing_fails(tmp_path, monkeypatch, number, error):
    path = tmp_path / "file.txt"
    write_file(path, b"before")
    monkeypatch.setattr(os, "fsync", failing_fsync(number))
    with pytest.raises(error, match=r"file\.txt"):
        write_file(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "file.txt", b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write_file(tmp_path / "file" / "inner.txt", b"data")
    with pytest.raises(InputError, match="cannot write"):
        write_file(tmp_path, b"data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_folder_is_replaced_only_if_it_is_of_the_sort(tmp_path):
    folder = tmp_path / "bundle"
    write_folder(folder, {"mark.json": b"1", "deep/a.txt": b"a"}, marker="mark.json")
    write_folder(folder, {"mark.json": b"2"}, marker="mark.json")
    assert sorted(path.name for path in folder.rglob("*")) == ["mark.json"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dog.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="holds other things"):
        write_folder(tmp_path / "photos", {"mark.json": b"1"}, marker="mark.json")
    assert (tmp_path / "photos" / "dog.jpg").read_bytes() == b"x"


def test_a_folder_that_could_not_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    folder = tmp_path / "bundle"
    write_folder(folder, {"mark.json": b"1"}, marker="mark.json")

    def full(self, data):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResourceError, match="disk is full"):
        write_folder(folder, {"mark.json": b"2"}, marker="mark.json")
    monkeypatch.undo()
    assert (folder / "mark.json").read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [folder]
