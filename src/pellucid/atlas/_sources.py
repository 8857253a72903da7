"""Where an atlas's images come from: folders, tars, WebDatasets, Parquet, Hugging Face datasets, and Python objects.

Whatever the source, the atlas asks for the same things: how many images there are, what each is called, its class where
the source says one, and its pixels. Nothing is unpacked or copied, and an image is read when it is asked for.
"""

import glob
import hashlib
import json
import os
import re
import tarfile
import threading
from abc import abstractmethod
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, overload, runtime_checkable

import numpy as np
import torch
from PIL import Image

from ..errors import InputError, missing_extra
from ..pictures import decode_picture, fit_picture, open_picture, to_bytes, to_pixels

Item = Path | bytes | Image.Image | np.ndarray
_Found = TypeVar("_Found")

# HEIC and AVIF need a plug-in of Pillow; without it they are listed as unreadable, not passed over.
_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"),
}
_LABEL_SUFFIXES = (".cls", ".json", ".txt")
_LARGEST_LABEL_FILE = 1 << 20
_LONGEST_CLASS_NAME = 100
_IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "pixel_values", "images")
_LABEL_COLUMNS = ("label", "labels", "class", "cls", "target", "category", "fine_label", "coarse_label")
# ImageNet's own files name their class: n01440764_tench.jpg, n01440764_10026.JPEG.
_WORDNET = re.compile(r"(n\d{8})_")
_BRACES = re.compile(r"\{([^{}]*)\}")
_MOST_FILES = 100_000
# So much of a Parquet file is read at a time (or a page, if its writer made larger ones), and so many such pieces held.
_WINDOW_BYTES = 16 << 20
_WINDOWS = 4
# Python objects are told apart by the content of so many of their items.
_SAMPLES = 32


@runtime_checkable
class Images(Protocol):
    """What the atlas reads."""

    @property
    def where(self) -> str:
        """What a sentence calls it, such as a path."""
        ...

    @property
    def keys(self) -> Sequence[str]:
        """The name of each image within the source: unique, in an order that stays."""
        ...

    @property
    def labels(self) -> Sequence[str | None]:
        """The class of each image, where the source says one."""
        ...

    @property
    def digest(self) -> str:
        """Identity of the source: names, sizes, times and places of its files."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """What was left out on opening, and why."""
        ...

    def __len__(self) -> int: ...

    def load(self, index: int, size: tuple[int, int], channels: int = 3) -> np.ndarray:
        """uint8 [channels, height, width]: the image, scaled to cover `size` and cut to its centre.

        Raises:
            InputError: this image is damaged, or not one; others can still be read.
        """
        ...

    def content(self, index: int) -> str:
        """Digest of the file's bytes, or of the pixels where there is no file: equal for duplicates."""
        ...

    def reopen(self) -> str | None:
        """From what `open_images` makes the same again; none for objects of Python."""
        ...


def open_images(source: Any) -> Images:
    """The images of a source, none of which is read yet.

    Args:
        source: one of

            - a folder, with all that is below it: the innermost sub-folders that differ are the classes;
            - a `.tar`, folders in it being classes, or a WebDataset (`key.jpg` beside `key.cls`, `key.json` with a
              `label`, or `key.txt`), in one file, a folder of them, or a pattern: `shard-{000..009}.tar`, `part-*.tar`;
            - a Parquet file or a folder of them, with a column of encoded images and perhaps one of labels;
            - a folder that `save_to_disk` of Hugging Face datasets made;
            - a torch or Hugging Face dataset, or any sequence, of images, pairs (image, label) or
              {"image": …, "label": …}: Pillow images, paths, bytes, or arrays (uint8 [height, width, channels] or
              floats [channels, height, width] in [0, 1]);
            - a batch: such images as one array or tensor [n, …];
            - what has all of `Images` itself.

    Raises:
        InputError: nothing there, nothing that can be read, or no images in it.
        MissingExtraError: Parquet or Arrow without pyarrow.

    Example:
        >>> images = open_images("photos/")  # doctest: +SKIP
        >>> images.load(0, (224, 224)).shape  # doctest: +SKIP
        (3, 224, 224)
    """
    if isinstance(source, (str, os.PathLike)):
        return _open_path(os.path.expanduser(os.fspath(source)))
    if isinstance(source, Images):
        return source
    return _Objects(source)


class _Source:
    """What all sources share: their items become pixels in one place."""

    keys: Sequence[str]
    labels: Sequence[str | None]
    digest: str
    remarks: list[str]

    def __init__(self, where: str, *, reopens: bool) -> None:
        self.where = _printable(where)
        path = os.path.abspath(where)
        # A name that is no text cannot be written down.
        self._path = path if reopens and _printable(path) == path else None

    def __len__(self) -> int:
        return len(self.keys)

    def load(self, index: int, size: tuple[int, int], channels: int = 3) -> np.ndarray:
        return _pixels(self._item(index), self._name(index), size, channels)

    def content(self, index: int) -> str:
        return _content(self._item(index), self._name(index))

    def reopen(self) -> str | None:
        return self._path

    def _name(self, index: int) -> str:
        return f"{self.keys[index]} of {self.where}"

    @abstractmethod
    def _item(self, index: int) -> Item:
        """A path, the bytes of a file, a Pillow image that has been read, or an array."""


def _pixels(item: Item, name: str, size: tuple[int, int], channels: int) -> np.ndarray:
    if isinstance(item, Path):
        picture = open_picture(item, size=size)
    elif isinstance(item, bytes):
        picture = decode_picture(item, name, size=size)
    elif isinstance(item, Image.Image):
        picture = fit_picture(item, name, size=size)
    else:
        picture = fit_picture(_from_array(item, name), name, size=size)
    return to_pixels(picture, channels)


def _content(item: Item, name: str) -> str:
    if isinstance(item, Path):
        try:
            item = item.read_bytes()
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}.") from None
    if isinstance(item, bytes):
        return hashlib.sha256(item).hexdigest()
    if isinstance(item, Image.Image):
        head, body = f"{item.mode} {item.size} {item.getpalette()}", item.tobytes()
    else:
        head, body = f"{item.dtype} {item.shape}", item.tobytes()
    return hashlib.sha256(head.encode() + body).hexdigest()


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    """A Pillow image of uint8, uint16 or floats in [0, 1], channels last or first."""
    given = f"{name} is an array of {array.dtype} {list(array.shape)}"
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape or not {array.shape[0], array.shape[2]} & {1, 3, 4}:
        raise InputError(
            f"{given}; expected [height, width, channels] or [channels, height, width] of 1, 3 or 4 channels."
        )
    # Where both ends could be the channels, floats are as torch has them and bytes as files have them.
    ends = (0, 2) if np.issubdtype(array.dtype, np.floating) else (2, 0)
    channels = next(end for end in ends if array.shape[end] in (1, 3, 4))
    array = np.moveaxis(array, channels, 2)
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not -1e-3 <= low <= high <= 1 + 1e-3:
            raise InputError(
                f"{name} has values from {low:.4g} to {high:.4g}; expected floats in [0, 1], not normalized, or uint8."
            )
        array = to_bytes(array)
    elif array.dtype == np.uint16:
        array = to_bytes(array / 65535)
    elif array.dtype != np.uint8:
        raise InputError(f"{given}; expected uint8, or floats in [0, 1].")
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array))


# ---- paths


def _open_path(where: str) -> Images:
    path = os.path.abspath(where)
    if os.path.isdir(path):
        return _open_folder(where)
    if os.path.exists(path):
        return _open_files(where, [Path(path)])
    if any(mark in where for mark in "{*?["):
        return _open_files(where, _expand(path))
    raise InputError(f"no file or folder {_printable(where)}.")


def _open_files(where: str, files: list[Path]) -> Images:
    """A source of files that are all of one kind."""
    kinds = {file.suffix.lower() for file in files}
    if kinds <= _SUFFIXES:
        return _Files(where, [_file(file, key) for file, key in zip(files, _relative(files), strict=True)], [])
    if len(kinds) == 1 and (kind := files[0].suffix.lower()) in _READERS:
        return _READERS[kind](where, files)
    if any(file.suffix == ".tgz" or file.stem.endswith(".tar") for file in files):
        raise InputError(
            f"{_printable(where)} is compressed, so that single images cannot be found; unpack it to a .tar."
        )
    raise InputError(
        f"{_printable(where)} is not of a kind that can be read ({', '.join(sorted(kinds - {''})) or 'no suffix'}); "
        "expected a folder, .tar, .parquet, .arrow, or pictures."
    )


def _relative(files: Sequence[Path]) -> list[str]:
    """The names of files below the folder that they share."""
    common = os.path.commonpath([file.parent for file in files])
    return [_printable(Path(os.path.relpath(file, common)).as_posix()) for file in files]


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
    arrow = _arrow_files(Path(path))
    if arrow:
        return _Arrow(where, arrow)
    found, remarks = _walk(path)
    kinds: dict[str, list[_File]] = {}
    for file in sorted(found, key=lambda file: file.key):
        suffix = file.path.suffix.lower()
        kinds.setdefault("picture" if suffix in _SUFFIXES else suffix, []).append(file)
    usable = [kind for kind in ("picture", *_READERS) if kind in kinds]
    if not usable:
        more = f": {remarks[0]}" if remarks else f" ({len(found):,} other files)" if found else ""
        raise InputError(f"{_printable(where)} holds no images{more}.")
    files, *others = (kinds[kind] for kind in usable)
    for kind, more in zip(usable[1:], others, strict=True):
        remarks.append(
            f"{len(more):,} {kind} files in {_printable(where)} were left out, since it has {usable[0]} files"
        )
    if usable[0] == "picture":
        return _Files(where, files, remarks)
    return _READERS[usable[0]](where, [file.path for file in files], remarks)


class _File(NamedTuple):
    key: str
    path: Path
    size: int
    time: int


def _file(path: str | Path, key: str) -> _File:
    """A file; a link to nothing has no size, and fails when it is read."""
    try:
        status = os.stat(path)
    except OSError:
        return _File(_printable(key), Path(path), -1, 0)
    return _File(_printable(key), Path(path), status.st_size, status.st_mtime_ns)


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
            remarks.append(f"{_printable(os.path.join(root, below))} cannot be read: {error.strerror}")
        folders.sort(reverse=True)
        links.sort(reverse=True)
    return found, remarks


def _each(files: Sequence[Path], look: Callable[[Path], _Found]) -> tuple[list[tuple[Path, _Found]], list[str]]:
    """What `look` finds in each file, and why it could not in some.

    Raises:
        InputError: it could not in any.
    """
    seen: list[tuple[Path, _Found]] = []
    errors: list[InputError] = []
    for file in files:
        try:
            seen.append((file, look(file)))
        except InputError as error:
            errors.append(error)
    if not seen:
        raise errors[0]
    return seen, [f"{str(error).rstrip('.')}; it was left out" for error in errors]


def _stamp(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size}|{status.st_mtime_ns}"


class _Files(_Source):
    """Pictures in files of their own."""

    def __init__(self, where: str, files: list[_File], remarks: list[str]) -> None:
        super().__init__(where, reopens=True)
        self.keys = [file.key for file in files]
        self.labels = _folder_classes(self.keys)
        self.digest = _digest("files", (f"{file.key}|{file.size}|{file.time}" for file in files))
        self.remarks = remarks
        self._paths = [file.path for file in files]

    def _item(self, index: int) -> Path:
        return self._paths[index]


def _folder_classes(names: Sequence[str]) -> list[str | None]:
    """The class of each file: the innermost folder, or the next one out where that is the same for all."""
    folders = [name.split("/")[:-1] for name in names]
    levels = range(1, max(map(len, folders)) + 1)
    level = next((level for level in levels if len({each[-level] for each in folders if len(each) >= level}) > 1), 1)
    if levels:
        return [each[-level] if len(each) >= level else None for each in folders]
    return [found[1] if (found := _WORDNET.match(name)) else None for name in names]


def _label(value: Any, names: Sequence[str] = ()) -> str | None:
    """A class as text: a number is the place of its name, and less than 0 where there is none."""
    if isinstance(value, torch.Tensor):
        value = value.numpy(force=True)
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item() if value.size == 1 else None
    if isinstance(value, str):
        return value.strip() or None
    if not isinstance(value, int) or value < 0:
        return None
    return names[value] if value < len(names) else str(value)


def _digest(kind: str, lines: Iterable[str]) -> str:
    digest = hashlib.sha256(kind.encode())
    for line in lines:
        digest.update(f"\n{line}".encode())
    return digest.hexdigest()


def _printable(name: str) -> str:
    """A file's name as text that can be written anywhere, bytes that are no text as \\x…"""
    return os.fsencode(name).decode(errors="backslashreplace")


# ---- tars


class _Member(NamedTuple):
    name: str
    offset: int
    size: int


class _Tars(_Source):
    """Pictures in one or more tars, read where they lie; labels from files beside them, or from folders."""

    def __init__(self, where: str, files: list[Path], remarks: Sequence[str] = ()) -> None:
        super().__init__(where, reopens=True)
        scans, errors = _each(files, _scan)
        self.remarks = [*remarks, *errors]
        self._files = [file for file, _ in scans]
        self._places: list[tuple[int, int, int]] = []
        keys: list[str] = []
        names: list[str] = []
        told: list[str | None] = []
        identity: list[str] = []
        shards = _relative(files) if len(files) > 1 else [""]
        shard_of = dict(zip(files, shards, strict=True))
        for number, (file, scan) in enumerate(scans):
            labels = _label_files(file, scan)
            self.remarks += scan.remarks
            identity.append(f"{shard_of[file]}|{_stamp(file)}")
            for name, offset, size in scan.members:
                if os.path.splitext(name)[1].lower() in _SUFFIXES:
                    keys.append(_printable(f"{shard_of[file]}/{name}" if shard_of[file] else name))
                    names.append(_printable(name))
                    told.append(labels.get(_stem(name)) or labels.get(_first_stem(name)))
                    identity.append(f"{names[-1]}|{offset}|{size}")
                    self._places.append((number, offset, size))
        if not keys:
            others = [member.name for _, scan in scans for member in scan.members]
            holds = f"; of its {len(others):,} files one is {_printable(others[0])}" if others else ""
            cut = f"; {self.remarks[0]}" if self.remarks else ""
            raise InputError(f"{self.where} holds no images{holds}{cut}.")
        self.keys = keys
        self.labels = told if any(told) else _folder_classes(names)
        self.digest = _digest("tars", identity)

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
            label = _label(told)
            # A longer text is a caption, not a class.
            if label and len(label) <= _LONGEST_CLASS_NAME and "\n" not in label:
                labels[_stem(name)] = label
    if broken:
        scan.remarks.append(f"{broken:,} files of {_printable(str(file))} that should tell a class cannot be read")
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
        raise InputError(f"{_printable(str(path))} cannot be read: {error.strerror}.") from None


class _Scan(NamedTuple):
    members: list[_Member]
    remarks: list[str]


def _scan(path: Path) -> _Scan:
    """Where the files in a tar lie, and what is wrong with it.

    Of files of one name the last counts, as it would if the tar were unpacked.
    """
    where = _printable(str(path))
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
    where = _printable(str(path))
    try:
        return tarfile.open(path, "r:")
    except tarfile.TarError as error:
        raise InputError(f"{where} is not a tar, or compressed, or damaged: {error}.") from None
    except OSError as error:
        raise InputError(f"{where} cannot be read: {error.strerror}.") from None


def _inside(name: str, where: str) -> str | None:
    """A name in a tar without what leads to the root; none for a hidden file."""
    if ".." in re.split(r"[/\\]", name):
        raise InputError(f"{where} has a file named {_printable(name)}, which leads out of it; such a tar is not read.")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if any(part.startswith(".") for part in parts) else "/".join(parts)


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _first_stem(name: str) -> str:
    """The name up to the first dot of the file's own, which is WebDataset's key."""
    folder, slash, own = name.rpartition("/")
    return folder + slash + own.split(".", 1)[0]


# ---- tables


class _Part(NamedTuple):
    """What is known of one file of a table."""

    column: str
    """Its column of images."""
    labels: list[str | None]
    """The class of each row."""
    ends: list[int]
    """Where its row groups or record batches end."""
    remarks: list[str]


class _Table(_Source):
    """Rows of files that pyarrow reads, each with an encoded image."""

    def __init__(self, where: str, files: list[Path], remarks: Sequence[str] = ()) -> None:
        super().__init__(where, reopens=True)
        parts, errors = _each(files, self._look)
        self.remarks = [*remarks, *errors]
        keys: list[str] = []
        labels: list[str | None] = []
        identity: list[str] = []
        name_of = dict(zip(files, _relative(files), strict=True))
        for file, part in parts:
            self.remarks += part.remarks
            keys += [f"{name_of[file]}/{row}" for row in range(len(part.labels))]
            labels += part.labels
            identity.append(f"{name_of[file]}|{_stamp(file)}|{part.column}|{len(part.labels)}")
        if not keys:
            raise InputError(f"{self.where} holds no images: its tables have no rows.")
        self._files = [file for file, _ in parts]
        self._columns = [part.column for _, part in parts]
        self._chunks = [part.ends for _, part in parts]
        self._ends = list(accumulate(len(part.labels) for _, part in parts))
        self.keys, self.labels = keys, labels
        self.digest = _digest("table", identity)

    def _item(self, index: int) -> Path | bytes:
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        row = index - (self._ends[part - 1] if part else 0)
        name = self._name(index)
        with _arrow_errors(name):
            cell = self._cell(part, row)
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, Mapping) else (cell, None)
        if content is not None:
            return content
        if not path:
            raise InputError(f"{name} is empty.")
        return _beside(self._files[part], path, name)

    @abstractmethod
    def _look(self, file: Path) -> _Part: ...

    @abstractmethod
    def _cell(self, part: int, row: int) -> Any:
        """The bytes of an image, or a dictionary with `bytes` and `path`."""


def _beside(file: Path, path: str, name: str) -> Path:
    """The file that a table names."""
    if ".." in re.split(r"[/\\]", path):
        raise InputError(f"{name} is in {path}, which leads out of its folder; such a file is not read.")
    return file.parent / path


class _Window(NamedTuple):
    part: int
    first: int
    last: int
    """One more than the last row."""
    values: Any


class _Parquet(_Table):
    """Parquet: read in windows of rows, of which a few are held."""

    def __init__(self, where: str, files: list[Path], remarks: Sequence[str] = ()) -> None:
        super().__init__(where, files, remarks)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._windows: deque[_Window] = deque(maxlen=_WINDOWS)
        # Where reading on would begin: part, row group, row, and the windows to come.
        self._ahead: tuple[int, int, int, Iterator[_Window]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_windows", "_ahead")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()

    def _look(self, file: Path) -> _Part:
        parquet = _pyarrow().parquet
        with _arrow_errors(_printable(str(file))), parquet.ParquetFile(file) as opened:
            columns = _columns(opened.schema_arrow, file)
            about = opened.metadata
            ends = list(accumulate(about.row_group(group).num_rows for group in range(about.num_row_groups)))
            if columns.label is None:
                return _Part(columns.image, [None] * about.num_rows, ends, [])
            values = opened.read(columns=[columns.label]).column(0).to_pylist()
            return _Part(columns.image, [_label(value, columns.names) for value in values], ends, [])

    def _cell(self, part: int, row: int) -> Any:
        with self._lock:
            for window in self._windows:
                if window.part == part and window.first <= row < window.last:
                    break
            else:
                window = self._read(part, row)
        return window.values[row - window.first].as_py()

    def _read(self, part: int, row: int) -> _Window:
        """Read on to a row where it lies ahead in the row group, and otherwise from the group's start."""
        group = bisect_right(self._chunks[part], row)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[:2] == (part, group) and ahead[2] <= row:
            windows = ahead[3]
        else:
            windows = self._windows_of(part, group)
        for window in windows:
            self._windows.append(window)
            if row < window.last:
                self._ahead = (part, group, window.last, windows)
                return window
        raise InputError(f"{_printable(str(self._files[part]))} has changed since it was opened.")

    def _windows_of(self, part: int, group: int) -> Iterator[_Window]:
        first = self._chunks[part][group - 1] if group else 0
        # Buffered, it is read bit by bit; otherwise a whole row group at once, which may be the whole file.
        with _pyarrow().parquet.ParquetFile(self._files[part], buffer_size=1 << 20, pre_buffer=False) as opened:
            about = opened.metadata.row_group(group)
            rows = max(1, about.num_rows * _WINDOW_BYTES // max(about.total_byte_size, _WINDOW_BYTES))
            for batch in opened.iter_batches(rows, row_groups=[group], columns=[self._columns[part]]):
                yield _Window(part, first, first + len(batch), batch.column(0))
                first += len(batch)


class _Arrow(_Table):
    """Arrow streams, as Hugging Face datasets keeps them on the disk; mapped into memory, not read."""

    def __init__(self, where: str, files: list[Path], remarks: Sequence[str] = ()) -> None:
        self._mapped: dict[Path, list[Any]] = {}
        super().__init__(where, files, remarks)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_mapped": {}}

    def _look(self, file: Path) -> _Part:
        with _arrow_errors(_printable(str(file))):
            batches, schema, remarks = _arrow_batches(file)
            columns = _columns(schema, file)
            labels: list[str | None] = []
            for batch in batches:
                values = [None] * len(batch) if columns.label is None else batch.column(columns.label).to_pylist()
                labels += [_label(value, columns.names) for value in values]
            return _Part(columns.image, labels, list(accumulate(map(len, batches))), remarks)

    def _cell(self, part: int, row: int) -> Any:
        file = self._files[part]
        if file not in self._mapped:
            self._mapped[file] = [batch.column(self._columns[part]) for batch in _arrow_batches(file)[0]]
        batch = bisect_right(self._chunks[part], row)
        first = self._chunks[part][batch - 1] if batch else 0
        return self._mapped[file][batch][row - first].as_py()


def _arrow_batches(file: Path) -> tuple[list[Any], Any, list[str]]:
    """Record batches, their schema, and what is wrong with the file."""
    arrow = _pyarrow()
    stream = arrow.ipc.open_stream(arrow.memory_map(str(file)))
    batches: list[Any] = []
    try:
        batches.extend(stream)
    except (OSError, ValueError):
        rows = sum(map(len, batches))
        return batches, stream.schema, [f"{_printable(str(file))} is cut short or damaged after {rows:,} rows"]
    return batches, stream.schema, []


def _arrow_files(folder: Path) -> list[Path]:
    """The files of a dataset that Hugging Face datasets saved in a folder, or of all its splits."""
    splits = _json(folder / "dataset_dict.json").get("splits")
    if isinstance(splits, list):
        return [file for split in splits for file in _arrow_files(folder / Path(str(split)).name)]
    listed = _json(folder / "state.json").get("_data_files")
    if isinstance(listed, list):
        return [
            folder / Path(str(each["filename"])).name
            for each in listed
            if isinstance(each, dict) and "filename" in each
        ]
    # Files that `map` and its like left beside them hold intermediate results.
    return sorted(file for file in folder.glob("*.arrow") if not file.name.startswith(("cache-", ".")))


def _json(path: Path) -> Mapping[str, Any]:
    """An object in a file, an empty one where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class _Columns(NamedTuple):
    image: str
    label: str | None
    names: Sequence[str]
    """Of the classes, where the labels are numbers."""


def _columns(schema: Any, file: Path) -> _Columns:
    """Which columns of a table are the images and the labels: what Hugging Face's metadata say, or their names."""
    types = _pyarrow().types
    features = _features(schema, file)

    def encoded(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    def image(kind: Any) -> bool:
        return encoded(kind) or (types.is_struct(kind) and "bytes" in kind.names and encoded(kind.field("bytes").type))

    def label(kind: Any) -> bool:
        return (
            types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind)
        )

    kinds = dict(zip(schema.names, schema.types, strict=True))
    images = [name for name, kind in kinds.items() if image(kind)]
    said = [name for name in images if features.get(name, {}).get("_type") == "Image"]
    likely = [name for name in _IMAGE_COLUMNS if name in images]
    chosen = next(iter(said or likely or (images if len(images) == 1 else [])), None)
    if chosen is None:
        raise InputError(
            f"{_printable(str(file))} has no column of encoded images that is named image; "
            f"its columns are {', '.join(schema.names)}."
        )
    labels = [name for name, kind in kinds.items() if label(kind)]
    said = [name for name in labels if features.get(name, {}).get("_type") == "ClassLabel"]
    likely = [name for name in _LABEL_COLUMNS if name in labels]
    found = next(iter([name for name in likely if name in said] or said or likely), None)
    names = features.get(found, {}).get("names", []) if found else []
    return _Columns(chosen, found, names if isinstance(names, list) else [])


def _features(schema: Any, file: Path) -> Mapping[str, Any]:
    """What Hugging Face datasets writes about columns, in the file or beside it."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (LookupError, TypeError, ValueError):
        features = _json(file.parent / "dataset_info.json").get("features")
    if not isinstance(features, dict):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


@contextmanager
def _arrow_errors(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (_pyarrow().ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} is damaged, or not what its name says: {str(error).partition(chr(10))[0]}.") from None


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("pyarrow", "atlas") from None
    return pyarrow


_READERS: dict[str, Callable[..., Images]] = {".tar": _Tars, ".parquet": _Parquet, ".arrow": _Arrow}


# ---- Python objects


class _Objects(_Source):
    """A dataset, a sequence or a batch in memory.

    Items are fetched one at a time, since a dataset need not bear two threads. Their class is taken from the dataset's
    list of classes where it has one, and otherwise seen when the item is.
    """

    def __init__(self, source: Any) -> None:
        count = _count(source)
        super().__init__(f"the {type(source).__name__} of {count:,} images", reopens=False)
        self.remarks = []
        self._objects = source
        self._lock = threading.Lock()
        self._names = _class_names(source)
        self._contents: dict[int, str] = {}
        self._seen: dict[int, str | None] = {}
        known = _known_classes(source)
        self.keys = [str(number) for number in range(count)]
        self.labels = _Labels(self) if known is None else [_label(value, self._names) for value in known]
        self.digest = _digest("objects", [self.where, *map(str, known or ()), *self._samples()])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    def load(self, index: int, size: tuple[int, int], channels: int = 3) -> np.ndarray:
        item = self._item(index)
        if not isinstance(item, (Path, bytes)):  # what may have taken long to make
            self._contents[index] = _content(item, self._name(index))
        return _pixels(item, self._name(index), size, channels)

    def content(self, index: int) -> str:
        if index not in self._contents:
            self._contents[index] = super().content(index)
        return self._contents[index]

    def label(self, index: int) -> str | None:
        """The class that comes with an item."""
        index = range(len(self))[index]
        if index not in self._seen:
            try:
                self._item(index)
            except InputError:
                return self._seen.setdefault(index, None)
        return self._seen[index]

    def _item(self, index: int) -> Item:
        index = range(len(self))[index]
        name = self._name(index)
        with self._lock:
            try:
                image, label = _image_and_label(self._objects[index])
                if isinstance(image, Image.Image):
                    image.load()  # here, as it may read a file that all have open
            except Exception as error:  # a dataset's own code may raise anything
                raise InputError(f"{name} cannot be read: {type(error).__name__}: {error}.") from error
            self._seen[index] = _label(label, self._names)
        return _as_item(image, name)

    def _samples(self) -> list[str]:
        """Content of some items, spread evenly."""
        contents: list[str] = []
        errors: list[InputError] = []
        for index in sorted({number * (len(self) - 1) // (_SAMPLES - 1) for number in range(_SAMPLES)}):
            try:
                contents.append(self.content(index))
            except InputError as error:
                errors.append(error)
        if not contents:
            raise errors[0]
        return contents


class _Labels(Sequence[str | None]):
    """Classes that are looked up in the items."""

    def __init__(self, images: _Objects) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...
    def __getitem__(self, index: int | slice) -> str | list[str | None] | None:
        if isinstance(index, slice):
            return [self._images.label(number) for number in range(len(self))[index]]
        return self._images.label(index)


def _count(source: Any) -> int:
    kind = type(source).__name__
    if isinstance(source, (np.ndarray, torch.Tensor)):
        if source.ndim != 4:
            shape = list(source.shape)
            raise InputError(
                f"the array is {shape}; expected a batch [n, channels, height, width] or [n, height, width, 3]."
            )
    elif isinstance(source, Mapping):
        keys = ", ".join(map(str, list(source)[:5]))
        raise InputError(f"a {kind} of {keys} is not a row of images; give one of its parts.")
    elif isinstance(source, (bytes, bytearray, Image.Image)):
        raise InputError(f"a single {kind} is not a row of images; put it in a list.")
    try:
        count = len(source)
    except (TypeError, NotImplementedError):
        count = None
    if count is None or not hasattr(source, "__getitem__"):
        raise InputError(
            f"images cannot be read from a {kind}; expected a path, or a sequence or dataset with a length and places."
        )
    if not count:
        raise InputError(f"the {kind} is empty.")
    return count


def _image_and_label(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image = next((item[name] for name in _IMAGE_COLUMNS if name in item), item)
        return image, next((item[name] for name in _LABEL_COLUMNS if name in item), None)
    if isinstance(item, (tuple, list)):
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _as_item(image: Any, name: str) -> Item:
    if isinstance(image, Mapping) and {"bytes", "path"} & image.keys():  # of Hugging Face, not decoded
        image = image.get("bytes") or image.get("path")
    if isinstance(image, (str, os.PathLike)):
        return Path(os.fspath(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        return (image.float() if image.is_floating_point() else image).numpy()
    if isinstance(image, (Image.Image, np.ndarray)):
        return image
    kind = f"dictionary of {', '.join(map(str, image))}" if isinstance(image, Mapping) else type(image).__name__
    raise InputError(f"{name} is a {kind}; expected a Pillow image, a path, bytes, or an array.")


def _known_classes(source: Any) -> list[Any] | None:
    """The class of each item as a dataset lists them, without reading the items."""
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        column = next((name for name in _LABEL_COLUMNS if name in features), None)
        return None if column is None else list(source[column])
    for attribute in ("targets", "labels"):
        values = getattr(source, attribute, None)
        values = values.tolist() if isinstance(values, (np.ndarray, torch.Tensor)) else values
        if isinstance(values, list) and len(values) == len(source) and all(isinstance(each, int) for each in values):
            return values
    parts = getattr(source, "datasets", None)  # of torch.utils.data.ConcatDataset
    if isinstance(parts, (list, tuple)):
        lists = [_known_classes(part) for part in parts]
        return None if None in lists else [value for values in lists for value in values or ()]
    inner, indices = getattr(source, "dataset", None), getattr(source, "indices", None)  # of its Subset
    if inner is not None and indices is not None:
        known = _known_classes(inner)
        return None if known is None else [known[int(index)] for index in indices]
    return None


def _class_names(source: Any) -> list[str]:
    """The names of a dataset's classes, in the order of their numbers."""
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        column = next((name for name in _LABEL_COLUMNS if name in features), None)
        return list(getattr(features.get(column), "names", None) or [])
    names = getattr(source, "classes", None)
    if isinstance(names, (list, tuple)):
        return [name if isinstance(name, str) else ", ".join(map(str, name)) for name in names]
    parts = getattr(source, "datasets", None) or [getattr(source, "dataset", None)]
    return _class_names(parts[0]) if parts[0] is not None else []
