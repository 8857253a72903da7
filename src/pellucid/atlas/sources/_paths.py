"""Images by path: which kind of source a path is, and plain files."""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ...errors import InputError
from ._source import SUFFIXES, Images, Source, digest_of, folder_classes, printable, relative_names, stamp_of
from ._tables import Arrow, Parquet, arrow_files
from ._tars import Tars

_BRACES = re.compile(r"\{([^{}]*)\}")
_MOST_FILES = 100_000
# Of so many files of a folder the content tells it from others; of all, names and sizes.
_MOST_STAMPS = 4096
_READERS: dict[str, Callable[..., Images]] = {".tar": Tars, ".parquet": Parquet, ".arrow": Arrow}


def open_path(where: str) -> Images:
    path = os.path.abspath(where)
    if os.path.isdir(path):
        return _open_folder(where)
    if os.path.exists(path):
        return _open_files(where, [Path(path)])
    if any(mark in where for mark in "{*?["):
        return _open_files(where, _expand(path))
    raise InputError(f"no file or folder {printable(where)}; check the path.")


def _open_files(where: str, files: list[Path]) -> Images:
    """A source of files that are all of one kind."""
    kinds = {file.suffix.lower() for file in files}
    if kinds <= SUFFIXES:
        return _Files(where, [_file(file, key) for file, key in zip(files, relative_names(files), strict=True)], [])
    if len(kinds) == 1 and (kind := files[0].suffix.lower()) in _READERS:
        return _READERS[kind](where, files)
    if any(file.suffix == ".tgz" or file.stem.endswith(".tar") for file in files):
        raise InputError(
            f"{printable(where)} is compressed, so that single images cannot be found; unpack it to a .tar."
        )
    raise InputError(
        f"{printable(where)} is not of a kind that can be read ({', '.join(sorted(kinds - {''})) or 'no suffix'}); "
        "expected a folder, .tar, .parquet, .arrow, or pictures."
    )


def _expand(pattern: str) -> list[Path]:
    """The files that a pattern with braces and wildcards names, in order."""
    files: list[Path] = []
    for name in _without_braces(pattern):
        found = sorted(glob.glob(name)) if glob.has_magic(name) else [name]
        files += [Path(file) for file in found]
        if len(files) > _MOST_FILES:
            raise InputError(f"{pattern} names more than {_MOST_FILES:,} files.")
    if not files:
        raise InputError(f"no file fits {pattern}.")
    for file in files:
        if not file.exists():
            raise InputError(f"no file {file}, which {pattern} names.")
    return list(dict.fromkeys(files))


def _without_braces(pattern: str) -> Iterator[str]:
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern
        return
    run = re.fullmatch(r"(\d+)\.\.(\d+)", braces[1])
    if run:
        first, last = int(run[1]), int(run[2])
        if abs(last - first) >= _MOST_FILES:
            raise InputError(f"{pattern} names more than {_MOST_FILES:,} files.")
        step = 1 if last >= first else -1
        parts: Iterable[str] = (str(number).zfill(len(run[1])) for number in range(first, last + step, step))
    else:
        parts = braces[1].split(",")
    for part in parts:
        yield from _without_braces(pattern[: braces.start()] + part + pattern[braces.end() :])


def _open_folder(where: str) -> Images:
    path = os.path.abspath(where)
    arrow = arrow_files(Path(path))
    if arrow:
        return Arrow(where, arrow)
    found, remarks = _walk(path)
    kinds: dict[str, list[_File]] = {}
    for file in sorted(found, key=lambda file: file.key):
        suffix = file.path.suffix.lower()
        kinds.setdefault("picture" if suffix in SUFFIXES else suffix, []).append(file)
    usable = [kind for kind in ("picture", *_READERS) if kind in kinds]
    if not usable:
        more = f": {remarks[0]}" if remarks else f" ({len(found):,} other files)" if found else ""
        raise InputError(f"{printable(where)} holds no images{more}; expected .jpg, .png, .webp …, .tar or .parquet.")
    files, *others = (kinds[kind] for kind in usable)
    for kind, more in zip(usable[1:], others, strict=True):
        remarks.append(
            f"{len(more):,} {kind} files in {printable(where)} were left out, since it has {usable[0]} files"
        )
    if usable[0] == "picture":
        return _Files(where, files, remarks)
    return _READERS[usable[0]](where, [file.path for file in files], remarks)


class _File(NamedTuple):
    key: str
    path: Path
    size: int


def _file(path: str | Path, key: str) -> _File:
    """A file; a link to nothing has no size, and fails when it is read."""
    try:
        status = os.stat(path)
    except OSError:
        return _File(printable(key), Path(path), -1)
    return _File(printable(key), Path(path), status.st_size)


def _walk(root: str) -> tuple[list[_File], list[str]]:
    """Files below a folder, hidden ones left out, and what could not be read.

    Every folder is read once, however many links lead to it, under its own name if that is below the root too.
    """
    found: list[_File] = []
    remarks: list[str] = []
    visited: set[tuple[int, int]] = set()
    folders, links = [""], []
    while folders or links:
        below = folders.pop() if folders else links.pop()
        try:
            status = os.stat(os.path.join(root, below))
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(os.path.join(root, below)) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    key = f"{below}/{entry.name}" if below else entry.name
                    link = entry.is_symlink()
                    if os.path.isdir(entry.path) if link else entry.is_dir():
                        (links if link else folders).append(key)
                    elif os.path.isfile(entry.path) or (link and not os.path.exists(entry.path)):
                        # Of what else there is, a named pipe would keep its reader waiting for ever.
                        found.append(_file(entry.path, key))
        except OSError as error:
            remarks.append(f"{printable(os.path.join(root, below))} cannot be read: {error.strerror}")
        folders.sort(reverse=True)
        links.sort(reverse=True)
    return found, remarks


def _identity(files: Sequence[_File]) -> Iterator[str]:
    """Names and sizes of all files, and what is in some of them, evenly spread."""
    every = max(1, -(-len(files) // _MOST_STAMPS))
    for number, file in enumerate(files):
        stamp = ""
        if number % every == 0:
            with suppress(OSError):  # it fails again when it is collected, and is listed then
                stamp = stamp_of(file.path, pieces=2)
        yield f"{file.key}|{file.size}|{stamp}"


class _Files(Source):
    """Pictures in files of their own."""

    def __init__(self, where: str, files: list[_File], remarks: list[str]) -> None:
        super().__init__(where, reopens=True)
        self.keys = [file.key for file in files]
        self.labels = folder_classes(self.keys)
        self.digest = digest_of("files", _identity(files))
        self.remarks = remarks
        self._paths = [file.path for file in files]

    def _item(self, index: int) -> Path:
        return self._paths[index]
