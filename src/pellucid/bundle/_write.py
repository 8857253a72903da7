"""Writing a bundle to a folder or a zip."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..errors import BundleError
from ..store._files import write_file, write_folder
from ._check import check_manifest, check_pictures, pictures
from ._manifest import MANIFEST, Manifest

# The earliest time a zip can hold: the same bundle gives the same bytes whenever it is written.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bundle(manifest: Manifest, files: Mapping[str, bytes], path: str | os.PathLike[str]) -> Path:
    """The path of the bundle, after it was written there.

    The manifest is checked in full first, so that what was written can be read. The bundle appears at once: it is
    written beside its place under another name, then renamed.

    Args:
        manifest: what the bundle says.
        files: content of every file the manifest names, by name; pictures are WebP.
        path: a folder, or a zip where it ends in `.zip`; an older bundle there is replaced.

    Raises:
        BundleError: the manifest and its files do not agree, or a file is there that the manifest does not name.
        ResourceError: the disk is full.
        InputError: `path` cannot be written, or is a folder that holds something else.

    Example:
        >>> from pellucid.bundle import read_bundle, write_bundle
        >>> bundle = read_bundle("labrador")  # doctest: +SKIP
        >>> write_bundle(bundle.manifest, bundle.files, "labrador.zip")  # doctest: +SKIP
        PosixPath('labrador.zip')
    """
    path = Path(path)
    data = encode_manifest(manifest)
    check_pictures(manifest, files)
    for name in files:
        if name not in pictures(manifest):
            raise BundleError(f"the file {name!r} was given but the manifest does not name it.")
    contents = {MANIFEST: data, **{name: bytes(files[name]) for name in sorted(files)}}
    if path.suffix.lower() == ".zip":
        write_file(path, _zip(contents))
    else:
        write_folder(path, contents, marker=MANIFEST)
    return path


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON, after every check that reading it again would make.

    Args:
        manifest: what the bundle says.

    Raises:
        BundleError: a field has the wrong type or range, or parts of the manifest do not agree.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> encode_manifest(read_bundle("labrador.zip").manifest)[:14]  # doctest: +SKIP
        b'{"kind":"expla'
    """
    try:
        data = msgspec.json.encode(manifest)
        # Structs do not check their fields when made; a number that is not finite turns to null here and is caught.
        checked = msgspec.json.decode(data, type=Manifest)
    except (TypeError, ValueError) as error:  # msgspec.ValidationError is a ValueError
        raise BundleError(f"the manifest does not fit its schema: {error}.") from error
    check_manifest(checked)
    return data


def _zip(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            # WebP does not get smaller; JSON shrinks to a fourth.
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".webp") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()
