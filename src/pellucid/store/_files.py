"""Files and folders that are either wholly there or not there at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, ResourceError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_file(path: Path, data: bytes) -> None:
    """None, after `path` holds exactly `data`; whatever was there stays whole until then.

    Args:
        path: file to write or replace; folders above it are made.
        data: its new content.

    Raises:
        ResourceError: the disk is full.
        InputError: `path` cannot be written for another reason, such as missing permission.

    Example:
        >>> write_file(Path("page.html"), b"<!doctype html>")  # doctest: +SKIP
    """
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _beside(path)
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write_folder(path: Path, files: Mapping[str, bytes], *, marker: str) -> None:
    """None, after the folder `path` holds exactly `files`.

    A folder that is already there is replaced when it is empty or holds `marker`, so that no other folder is ever lost
    by a slip in a path.

    Args:
        path: folder to write or replace; folders above it are made.
        files: content by name; names use `/` and stay inside the folder.
        marker: name of the file by which a folder of this sort is known.

    Raises:
        ResourceError: the disk is full.
        InputError: `path` is something else than such a folder, or cannot be written.

    Example:
        >>> write_folder(Path("labrador"), {"manifest.json": b"{}"}, marker="manifest.json")  # doctest: +SKIP
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"cannot write to {path}: a file of that name is there; name a folder or a .zip.")
    with _explained(path):
        if path.is_dir() and any(path.iterdir()) and not (path / marker).is_file():
            raise InputError(f"cannot write to {path}: that folder holds other things; name a new one.")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = _beside(path)
        try:
            fresh.mkdir()
            for name, data in files.items():
                target = fresh / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            _swap(fresh, path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, path: Path) -> None:
    """Put `fresh` at `path`; a folder cannot replace a full one in one step, so the old one steps aside first."""
    if not path.exists():
        fresh.rename(path)
        return
    aside = fresh.with_suffix(".old")
    path.rename(aside)
    try:
        fresh.rename(path)
    except OSError:
        aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A name in the folder of `path` that nothing has; `tempfile` would make the file private to its user."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceError(f"the disk is full: {path} was not written; free some space and try again.") from error
        raise InputError(f"cannot write {path}: {error.strerror or error}; name another place.") from error
