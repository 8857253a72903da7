"""Checks that a manifest agrees with itself and with its files, beyond what the types of its fields say."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from ..errors import BundleError
from ._explanation import DictionaryPanel, ExplanationBody, SpatialPanel
from ._manifest import Manifest

# One alphabet for every platform's file system; a leading letter or digit also rules out `..`, `/etc` and hidden files.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def pictures(manifest: Manifest) -> dict[str, tuple[int, int]]:
    """The pictures that `manifest` names: width and height in pixels by file name.

    Args:
        manifest: one whose parts agree, see `check_manifest`.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> pictures(read_bundle("labrador.zip").manifest)  # doctest: +SKIP
        {'photo.webp': (448, 448), 'icons/mixed4d.webp': (1280, 640)}
    """
    body = manifest.body
    sizes = {body.photo.file: (body.photo.width, body.photo.height)}
    for panel in body.dictionaries:
        icons = panel.icons
        rows = -(-len(icons.channels) // icons.columns)
        sizes[icons.file] = (icons.columns * icons.side, rows * icons.side)
    return sizes


def check_manifest(manifest: Manifest) -> None:
    """None, when grids, channels, classes and file names of `manifest` agree with each other.

    Args:
        manifest: one whose fields have the right types.

    Raises:
        BundleError: the first disagreement found, by its place in the manifest.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> check_manifest(read_bundle("labrador.zip").manifest)  # doctest: +SKIP
    """
    for problem in _problems(manifest.body):
        raise BundleError(f"the manifest does not agree with itself: {problem}.")


def check_pictures(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """None, when every picture of `manifest` is in `files`, is WebP and has the size the manifest states.

    Args:
        manifest: one whose parts agree.
        files: the contents of the bundle by name.

    Raises:
        BundleError: a picture is missing, damaged, in another format or of another size.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> bundle = read_bundle("labrador.zip")  # doctest: +SKIP
        >>> check_pictures(bundle.manifest, bundle.files)  # doctest: +SKIP
    """
    for name, size in pictures(manifest).items():
        if name not in files:
            raise BundleError(f"the manifest names {name!r} but the bundle has no such file.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(files[name]), formats=["WEBP"]) as picture:
                    found = picture.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise BundleError(f"{name!r} is not a WebP picture that can be read.") from None
        if found != size:
            raise BundleError(
                f"{name!r} is {found[0]} × {found[1]} pixels but the manifest says {size[0]} × {size[1]}."
            )


def _problems(body: ExplanationBody) -> Iterator[str]:
    names = [body.photo.file, *(panel.icons.file for panel in body.dictionaries)]
    for name in names:
        if not _NAME.fullmatch(name) or name == "manifest.json":
            yield f"{name!r} is not a file name a bundle may hold; use letters, digits, '_', '-', '.' and '/'"
    yield from _repeats("a picture", names)
    yield from _repeats("class", [entry.index for entry in body.classes])
    yield from _repeats("the dictionary of layer", [panel.layer for panel in body.dictionaries])
    yield from _repeats("the spatial attribution of layer", [panel.layer for panel in body.spatial])
    for panel in body.dictionaries:
        yield from _dictionary_problems(panel)
    known = {entry.index for entry in body.classes}
    for panel in body.spatial:
        yield from _spatial_problems(panel, known)


def _dictionary_problems(panel: DictionaryPanel) -> Iterator[str]:
    where, icons = f"the dictionary of {panel.layer!r}", panel.icons
    yield from _grid_problems(f"`top` of {where}", panel.top, panel.rows, panel.columns)
    yield from _grid_problems(f"`values` of {where}", panel.values, panel.rows, panel.columns)
    depths = {len(cell) for grid in (panel.top, panel.values) for row in grid for cell in row}
    if len(depths) != 1 or 0 in depths:
        yield f"{where} must list the same number of channels, at least one, at every position; it lists {depths}"
    used = {channel for row in panel.top for cell in row for channel in cell}
    for channel in sorted(used | set(icons.channels)):
        if channel >= panel.channels:
            yield f"{where} names channel {channel} but the layer has {panel.channels}"
    for channel in sorted(used - set(icons.channels)):
        yield f"{where} names channel {channel} but its icons do not show it"
    yield from _repeats(f"in the icons of {panel.layer!r}, channel", icons.channels)
    if icons.labels and len(icons.labels) != len(icons.channels):
        yield f"the icons of {panel.layer!r} have {len(icons.labels)} labels for {len(icons.channels)} channels"


def _spatial_problems(panel: SpatialPanel, known: set[int]) -> Iterator[str]:
    where = f"the spatial attribution of {panel.layer!r}"
    yield from _repeats(f"in {where}, class", [entry.class_index for entry in panel.maps])
    for entry in panel.maps:
        if entry.class_index not in known:
            yield f"{where} has a map for class {entry.class_index}, which is not among the classes"
        yield from _grid_problems(
            f"the map of class {entry.class_index} in {where}", entry.values, panel.rows, panel.columns
        )


def _grid_problems(what: str, grid: Sequence[Sequence[object]], rows: int, columns: int) -> Iterator[str]:
    widths = {len(row) for row in grid}
    if len(grid) != rows or widths != {columns}:
        found = f"{len(grid)} × {'/'.join(str(width) for width in sorted(widths)) or 0}"
        yield f"{what} is {found}, not {rows} × {columns}"


def _repeats(what: str, items: Sequence[Any]) -> Iterator[str]:
    seen = set()
    for item in items:
        if item in seen:
            yield f"{what} {item!r} is there twice"
        seen.add(item)
