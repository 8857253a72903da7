"""Reading a bundle from a folder or a zip."""

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from ..errors import BundleError
from ._check import check_manifest, check_pictures
from ._manifest import KINDS, MANIFEST, SCHEMA, Manifest

# Far above any real file of a bundle, far below what a forged zip can unpack to.
_LARGEST = 512 * 2**20


@dataclass(frozen=True)
class Bundle:
    """A manifest and access to its files."""

    manifest: Manifest
    """What the bundle says."""
    files: Mapping[str, bytes]
    """Content of every file by name; read from the disk when asked for."""


class _Header(msgspec.Struct, frozen=True):
    schema: int
    kind: str


class _FolderFiles(Mapping[str, bytes]):
    """The files of a folder by name, read when asked for; a link that leaves the folder is not one of them."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def __getitem__(self, name: str) -> bytes:
        target = (self._root / name).resolve()
        if not target.is_relative_to(self._root) or not target.is_file():
            raise KeyError(name)
        if target.stat().st_size > _LARGEST:
            raise BundleError(f"{name!r} is larger than {_LARGEST} bytes.")
        return target.read_bytes()

    def __contains__(self, name: object) -> bool:
        target = (self._root / str(name)).resolve()
        return target.is_relative_to(self._root) and target.is_file()

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._root.rglob("*")):
            if path.is_file():
                yield path.relative_to(self._root).as_posix()

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _ZipFiles(Mapping[str, bytes]):
    """The files of a zip by name, unpacked in memory when asked for; nothing is ever unpacked to the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with zipfile.ZipFile(path) as archive:
            self._sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
        for name in self._sizes:
            if "\\" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise BundleError(f"it holds {name!r}, a name that points outside the bundle.")

    def __getitem__(self, name: str) -> bytes:
        if self._sizes[name] > _LARGEST:
            raise BundleError(f"{name!r} is larger than {_LARGEST} bytes.")
        with zipfile.ZipFile(self._path) as archive:
            return archive.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The bundle at `path`, checked in full; its pictures are read when asked for.

    Args:
        path: a folder or zip that `write_bundle` wrote.

    Raises:
        BundleError: there is no bundle, it is damaged, it is of another schema or kind, or its parts do not agree.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> read_bundle("labrador.zip").manifest.body.classes[0].label  # doctest: +SKIP
        'Labrador retriever'
    """
    path = Path(path)
    if not path.exists():
        raise BundleError(f"there is no bundle at {path}; `pellucid explain --out x.zip` writes one.")
    try:
        files = _FolderFiles(path) if path.is_dir() else _ZipFiles(path)
        if MANIFEST not in files:
            raise BundleError(f"it has no {MANIFEST}.")
        manifest = decode_manifest(files[MANIFEST])
        check_pictures(manifest, files)
    except BundleError as error:
        raise BundleError(f"cannot read the bundle {path}: {error}") from error.__cause__
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # zipfile answers an encrypted entry with RuntimeError and an unknown compression with NotImplementedError.
        raise BundleError(
            f"cannot read the bundle {path}: it is not a folder or an undamaged zip ({error})."
        ) from error
    except OSError as error:
        raise BundleError(f"cannot read the bundle {path}: {error.strerror or error}.") from error
    return Bundle(manifest, files)


def decode_manifest(data: bytes) -> Manifest:
    """The manifest that `data` spells, checked for schema, types and agreement.

    Args:
        data: content of a `manifest.json`.

    Raises:
        BundleError: the JSON is damaged, of another schema or kind, or its parts do not agree.

    Example:
        >>> from pathlib import Path
        >>> decode_manifest(Path("labrador/manifest.json").read_bytes()).schema  # doctest: +SKIP
        2
    """
    try:
        header = msgspec.json.decode(data, type=_Header)
    except msgspec.ValidationError as error:
        raise BundleError(f"{MANIFEST} does not say its schema and kind: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} is damaged or cut short: {error}.") from error
    if header.schema != SCHEMA:
        remedy = "write it again with this version" if header.schema < SCHEMA else "a newer Pellucid wrote it; upgrade"
        raise BundleError(f"it is of schema {header.schema} and this version reads schema {SCHEMA}: {remedy}.")
    if header.kind not in KINDS:
        raise BundleError(f"it is of kind {header.kind!r} and this version reads {', '.join(map(repr, KINDS))}.")
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} does not fit schema {SCHEMA}: {error}.") from error
    check_manifest(manifest)
    return manifest
