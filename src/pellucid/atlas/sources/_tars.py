"""Images in tars, WebDatasets among them, read where they lie."""

import json
import os
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import InputError
from ._source import (
    SUFFIXES,
    Source,
    digest_of,
    folder_classes,
    label_of,
    look_at_each,
    printable,
    relative_names,
    stamp_of,
)

_LABEL_SUFFIXES = (".cls", ".json", ".txt")
_LARGEST_LABEL_FILE = 1 << 20
_LONGEST_CLASS_NAME = 100


class _Member(NamedTuple):
    name: str
    offset: int
    size: int


class Tars(Source):
    """Pictures in one or more tars, read where they lie; labels from files beside them, or from folders."""

    def __init__(self, where: str, files: list[Path], remarks: Sequence[str] = ()) -> None:
        super().__init__(where, reopens=True)
        scans, errors = look_at_each(files, _scan)
        self.remarks = [*remarks, *errors]
        self._files = [file for file, _ in scans]
        self._places: list[tuple[int, int, int]] = []
        keys: list[str] = []
        names: list[str] = []
        told: list[str | None] = []
        identity: list[str] = []
        shards = relative_names(files) if len(files) > 1 else [""]
        shard_of = dict(zip(files, shards, strict=True))
        for number, (file, scan) in enumerate(scans):
            labels = _label_files(file, scan)
            self.remarks += scan.remarks
            identity.append(f"{shard_of[file]}|{stamp_of(file)}")
            for name, offset, size in scan.members:
                if os.path.splitext(name)[1].lower() in SUFFIXES:
                    keys.append(printable(f"{shard_of[file]}/{name}" if shard_of[file] else name))
                    names.append(printable(name))
                    told.append(labels.get(_stem(name)) or labels.get(_first_stem(name)))
                    identity.append(f"{names[-1]}|{offset}|{size}")
                    self._places.append((number, offset, size))
        if not keys:
            others = [member.name for _, scan in scans for member in scan.members]
            holds = f"; of its {len(others):,} files one is {printable(others[0])}" if others else ""
            cut = f"; {self.remarks[0]}" if self.remarks else ""
            raise InputError(f"{self.where} holds no images{holds}{cut}.")
        self.keys = keys
        self.labels = told if any(told) else folder_classes(names)
        self.digest = digest_of("tars", identity)

    def _item(self, index: int) -> bytes:
        number, offset, size = self._places[index]
        return _read_at(self._files[number], offset, size)


def _label_files(file: Path, scan: "_Scan") -> dict[str, str]:
    """The classes that small files in a tar tell, by the names that they share with images."""
    labels: dict[str, str] = {}
    broken = 0
    for suffix in reversed(_LABEL_SUFFIXES):  # the first of them has the last word
        for name, offset, size in scan.members:
            if not name.lower().endswith(suffix) or size > _LARGEST_LABEL_FILE:
                continue
            try:
                text = _read_at(file, offset, size).decode()
                told = json.loads(text)["label"] if suffix == ".json" else text
            except (ValueError, RecursionError):
                broken += 1
                continue
            except (LookupError, TypeError):  # a file about something else
                continue
            label = label_of(told)
            # A longer text is a caption, not a class.
            if label and len(label) <= _LONGEST_CLASS_NAME and "\n" not in label:
                labels[_stem(name)] = label
    if broken:
        scan.remarks.append(f"{broken:,} files of {printable(str(file))} that should tell a class cannot be read")
    return labels


def _read_at(path: Path, offset: int, size: int) -> bytes:
    """Some bytes of a file.

    It is opened for each: a few hundredths of the time that a picture takes, and threads and processes share nothing.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise InputError(f"{printable(str(path))} cannot be read: {error.strerror}.") from None


class _Scan(NamedTuple):
    members: list[_Member]
    remarks: list[str]


def _scan(path: Path) -> _Scan:
    """Where the files in a tar lie, and what is wrong with it.

    Of files of one name the last counts, as it would if the tar were unpacked.
    """
    where = printable(str(path))
    members: dict[str, _Member] = {}
    last = -1
    end = links = 0
    broken = False
    with _opened_tar(path) as tar:
        length = path.stat().st_size
        while True:
            try:
                member = tar.next()
            except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError):
                broken = True
                break
            if member is None:
                break
            # A damaged size can be negative, and lead back to where the reading has been.
            broken = member.offset <= last or member.size < 0
            if member.isreg() and not member.issparse():
                broken = broken or member.offset_data + member.size > length
            if broken:
                break
            # Kept for looking up links; a kilobyte for each file.
            tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
            last, end = member.offset, tar.offset
            if not member.isreg() or member.issparse():
                links += not member.isdir()
            elif (name := _inside(member.name, where)) is not None:
                members[name] = _Member(name, member.offset_data, member.size)
    remarks: list[str] = []
    after = _read_at(path, end, 512)
    if broken or any(after):
        remarks.append(f"{where} is cut short or damaged, and only the {len(members):,} files before that are there")
    elif len(after) < 512:
        remarks.append(f"{where} lacks the zeros at the end of a tar, and may be cut short")
    if links:
        remarks.append(f"{links:,} links and special files in {where} were left out")
    return _Scan(list(members.values()), remarks)


def _opened_tar(path: Path) -> tarfile.TarFile:
    where = printable(str(path))
    try:
        return tarfile.open(path, "r:")
    except tarfile.TarError as error:
        raise InputError(f"{where} is not a tar, or compressed, or damaged: {error}.") from None
    except OSError as error:
        raise InputError(f"{where} cannot be read: {error.strerror}.") from None


def _inside(name: str, where: str) -> str | None:
    """A name in a tar without what leads to the root; none for a hidden file."""
    if ".." in re.split(r"[/\\]", name):
        raise InputError(f"{where} has a file named {printable(name)}, which leads out of it; such a tar is not read.")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if any(part.startswith(".") for part in parts) else "/".join(parts)


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _first_stem(name: str) -> str:
    """The name up to the first dot of the file's own, which is WebDataset's key."""
    folder, slash, own = name.rpartition("/")
    return folder + slash + own.split(".", 1)[0]
