"""Checks that a manifest agrees with itself and with its files, beyond what the types of its fields say."""

import io
import warnings
from collections.abc import Mapping

from PIL import Image

from ..errors import BundleError
from ._agreement import problems, sheet_size
from ._atlas import AtlasBody
from ._atlas_agreement import atlas_pictures, atlas_problems
from ._manifest import Manifest
from ._report import ReportBody
from ._report_agreement import report_pictures, report_problems


def pictures(manifest: Manifest) -> dict[str, tuple[int, int]]:
    """The pictures that `manifest` names: width and height in pixels by file name.

    Args:
        manifest: one whose parts agree, see `check_manifest`.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> pictures(read_bundle("labrador.zip").manifest)  # doctest: +SKIP
        {'photo.webp': (448, 448), 'icons/mixed4d.webp': (1280, 640), 'grids/mixed4d.webp': (896, 896)}
    """
    body = manifest.body
    if isinstance(body, AtlasBody):
        return atlas_pictures(body)
    if isinstance(body, ReportBody):
        return report_pictures(body)
    sizes = {body.photo.file: (body.photo.width, body.photo.height)}
    for icons in (*(card.icons for card in body.layers), *(panel.icons for panel in body.groups)):
        sizes[icons.file] = sheet_size(icons)
    cards = {card.name: card for card in body.layers}
    for panel in body.grids:
        card = cards[panel.layer]
        sizes[panel.file] = (card.columns * panel.side, card.rows * panel.side)
    return sizes


def check_manifest(manifest: Manifest) -> None:
    """None, when layers, grids, channels, groups, classes and file names of `manifest` agree with each other.

    Args:
        manifest: one whose fields have the right types.

    Raises:
        BundleError: the first disagreement found, by its place in the manifest.

    Example:
        >>> from pellucid.bundle import read_bundle
        >>> check_manifest(read_bundle("labrador.zip").manifest)  # doctest: +SKIP
    """
    body = manifest.body
    match body:
        case AtlasBody():
            found = atlas_problems(body)
        case ReportBody():
            found = report_problems(body)
        case _:
            found = problems(body)
    for problem in found:
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
