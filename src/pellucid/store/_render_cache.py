"""Pictures that were rendered before, found by everything that made them."""

import json
import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from PIL import Image

from ..errors import InputError, ResourceError
from ..pictures import to_picture
from ._files import write_file
from ._render_pack import RenderPack, recipe_key, shipped_packs

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_LARGEST_WEBP = 16_383


def cache_folder() -> Path:
    """Where Pellucid keeps what can be made again: `PELLUCID_CACHE`, or the user's cache folder.

    Example:
        >>> cache_folder().is_absolute()
        True
    """
    return Path(os.environ.get("PELLUCID_CACHE") or platformdirs.user_cache_dir("pellucid"))


class RenderCache:
    """A folder of pictures, each named by the digest of its recipe: lossless WebP, and a JSON file beside it.

    The recipe holds the model's weights digest, the objective, every setting and the seed, so that an entry is never
    out of date. Processes may share the folder: entries appear whole, and a damaged one counts as absent. What the
    folder has not is looked for in packs: the embedded network's icons come with the package that way.

    Args:
        folder: by default `renders` in `cache_folder()`; made on first use.
        keep: `False` leaves the folder alone: nothing is read from or written to disk but packs.
        packs: by default those that come with the package.

    Example:
        >>> pellucid.render(model, "mixed4d:426", cache=RenderCache())  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        keep: bool = True,
        packs: Sequence[RenderPack] | None = None,
    ) -> None:
        self.folder = Path(folder) if folder is not None else cache_folder() / "renders"
        self.keep = keep
        self.packs = shipped_packs() if packs is None else tuple(packs)

    def __repr__(self) -> str:
        return f"RenderCache({str(self.folder)!r})" if self.keep else "RenderCache(keep=False)"

    @staticmethod
    def key(recipe: Mapping[str, Any]) -> str:
        """The name of a recipe's entry: 32 hexadecimal digits."""
        return recipe_key(recipe)

    def read(self, recipe: Mapping[str, Any]) -> tuple[np.ndarray, list[float]] | None:
        """The picture, float32 [height, width, channels] in steps of 1/255, and its objective; `None` if not there.

        The objective has an entry for each step; in packs only the last is kept.
        """
        entry = self._read_file(recipe) if self.keep else None
        if entry is None:
            entry = next(filter(None, (pack.read(recipe) for pack in self.packs)), None)
        return entry

    def _read_file(self, recipe: Mapping[str, Any]) -> tuple[np.ndarray, list[float]] | None:
        path = self._path(recipe)
        try:
            entry = json.loads(path.with_suffix(".json").read_bytes())
            with Image.open(path) as picture:
                # WebP drops an alpha channel that is opaque everywhere, and has no greyscale.
                array = np.asarray(picture.convert(_MODES[entry["channels"]]), dtype=np.float32) / 255
            return array if array.ndim == 3 else array[:, :, None], [float(value) for value in entry["objective"]]
        except (OSError, ValueError, KeyError, TypeError, SyntaxError):
            return None

    def write(self, recipe: Mapping[str, Any], image: np.ndarray, objective: list[float]) -> bool:
        """Keep a picture [height, width, channels] in [0, 1], of 1 to 4 channels; whether there was room for it.

        A full or read-only disk loses only the entry: the picture itself is in the caller's hands.
        """
        if not self.keep or image.shape[2] not in _MODES or max(image.shape[:2]) > _LARGEST_WEBP:
            return False
        buffer = BytesIO()
        to_picture(image).save(buffer, "WEBP", lossless=True, quality=50, exact=True)
        entry = {"recipe": recipe, "channels": image.shape[2], "objective": objective}
        path = self._path(recipe)
        try:
            write_file(path, buffer.getvalue())
            write_file(path.with_suffix(".json"), json.dumps(entry).encode())
        except (ResourceError, InputError):
            return False
        return True

    def _path(self, recipe: Mapping[str, Any]) -> Path:
        key = self.key(recipe)
        return self.folder / key[:2] / f"{key}.webp"


SHIPPED = RenderCache(keep=False)
"""What comes with the package, and nothing on disk besides."""
