"""One self-contained HTML file from a bundle."""

import base64
import importlib.resources
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..bundle import Bundle, check_pictures, encode_manifest, pictures, read_bundle, write_bundle
from ..store._files import write_file, write_folder

# The built page holds this block exactly once; `web/page.html` is its source.
_SLOT = b'<script type="application/json" id="bundle">null</script>'

# The page may show pictures that are part of it; a site, those of its own folder too.
_POLICY = b"img-src data: blob:"
_POLICY_BESIDE = b"img-src 'self' file: data: blob:"
_POLICY_SERVED = b"img-src 'self' data: blob:; connect-src 'self'"
# By this file a folder that may be replaced is known.
_MARKER = "pellucid.txt"

# A script element ends at the first `</script`, whatever the JSON around it says, and `<!--` changes how it is read.
# The last two are line ends in JavaScript before 2019; escaping them costs nothing.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def export_html(bundle: Bundle | str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """The path of the page, after it was written there: one HTML file that opens from the disk and asks no server.

    Args:
        bundle: a bundle, or the path of one.
        path: file to write or replace, such as `labrador.html`; it appears at once, whole.

    Raises:
        BundleError: the bundle is damaged or does not agree with itself.
        ResourceError: the disk is full.
        InputError: `path` cannot be written.

    Example:
        >>> from pellucid.app import export_html
        >>> export_html("labrador.zip", "labrador.html")  # doctest: +SKIP
        PosixPath('labrador.html')
    """
    if not isinstance(bundle, Bundle):
        bundle = read_bundle(bundle)
    path = Path(path)
    write_file(path, page_html(bundle))
    return path


def save_bundle(bundle: Bundle, path: str | os.PathLike[str]) -> Path:
    """The path of a bundle's page, or of the bundle itself, after it was written there, as the name asks.

    Args:
        bundle: what is shown.
        path: a page (`.html`), a zip (`.zip`) or else a folder.

    Raises:
        BundleError: the bundle does not agree with itself.
        ResourceError: the disk is full.
        InputError: `path` cannot be written.

    Example:
        >>> save_bundle(read_bundle("labrador.zip"), "labrador.html")  # doctest: +SKIP
        PosixPath('labrador.html')
    """
    if Path(path).suffix.lower() in (".html", ".htm"):
        return export_html(bundle, path)
    return write_bundle(bundle.manifest, bundle.files, path)


def export_site(bundle: Bundle | str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """The path of `index.html` in a folder, after that and the pictures beside it were written there.

    For atlases that are too large for one file; it opens from the disk and from any server of files.

    Args:
        bundle: a bundle, or the path of one.
        folder: to make or replace; it appears at once, whole.

    Raises:
        BundleError: the bundle is damaged or does not agree with itself.
        ResourceError: the disk is full.
        InputError: `folder` cannot be written, or holds something else.

    Example:
        >>> from pellucid.app import export_site
        >>> export_site("atlas.zip", "site")  # doctest: +SKIP
        PosixPath('site/index.html')
    """
    if not isinstance(bundle, Bundle):
        bundle = read_bundle(bundle)
    folder = Path(folder)
    names = pictures(bundle.manifest)
    page = _filled(bundle, {name: name for name in names})
    page = page.replace(_POLICY, _POLICY_BESIDE, 1)
    files = {name: bundle.files[name] for name in names}
    write_folder(folder, {"index.html": page, _MARKER: b"pellucid\n", **files}, marker=_MARKER)
    return folder / "index.html"


def page_html(bundle: Bundle, *, framed: bool = False) -> bytes:
    """The same page as bytes, UTF-8.

    Args:
        bundle: a bundle.
        framed: whether it will stand in a frame whose parent answers its questions, as a notebook's widget does.

    Raises:
        BundleError: the bundle is damaged or does not agree with itself.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> page_html(read_bundle("labrador.zip"))[:15]  # doctest: +SKIP
        b'<!doctype html>'
    """
    images = {
        name: "data:image/webp;base64," + base64.b64encode(bundle.files[name]).decode("ascii")
        for name in pictures(bundle.manifest)
    }
    return _filled(bundle, images, {"frame": True} if framed else {})


def served_html(result: str | None) -> bytes:
    """The page as a server gives it, which asks for its data itself: of one result, or of all for `None`.

    Example:
        >>> served_html(None)[:15]
        b'<!doctype html>'
    """
    page = _with_data({"serve": {"id": result}})
    return page.replace(_POLICY, _POLICY_SERVED, 1)


def _filled(bundle: Bundle, images: Mapping[str, str], host: Mapping[str, Any] | None = None) -> bytes:
    """The page with a bundle's manifest, an address for each of its pictures, and what it is to know of its host."""
    manifest = encode_manifest(bundle.manifest)
    check_pictures(bundle.manifest, bundle.files)
    return _with_data({**(host or {}), "manifest": msgspec.Raw(manifest), "images": images})


def _with_data(value: Mapping[str, Any]) -> bytes:
    data = msgspec.json.encode(value).decode("utf-8")
    for character, escape in _ESCAPES.items():
        data = data.replace(character, escape)
    # Split, not replace: the data must never be read as a pattern nor searched for the slot.
    before, _, after = _template().partition(_SLOT)
    return before + _SLOT.replace(b"null", b"%s" % data.encode("utf-8")) + after


def _template() -> bytes:
    return importlib.resources.files("pellucid.app").joinpath("static/page.html").read_bytes()
