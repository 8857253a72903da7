"""An atlas on the disk: a manifest and files that are named by everything that made them.

A stage asks for a file by its key; one that is there and whole is not made again. So a build that was killed goes on
where it was, and what has not changed when images are added is found.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..bundle import EvidenceEntry
from ..errors import BundleError, InputError
from ..store import write_file

SCHEMA = 1
MANIFEST = "atlas.json"


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Images that were collected from."""

    where: str
    """What a sentence calls them."""
    path: str | None
    """From which they can be opened again; none for objects of Python."""
    digest: str
    """Their identity."""
    count: int
    """How many there are."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an atlas depends on beside its model and its images."""

    layers: list[str]
    grids: list[int]
    per_image: int | None = 1
    """Activation vectors of each image and layer; none for every position."""
    attributed: int = 8
    """For how many of them, at most, attribution is computed."""
    projection: str = "umap"
    neighbours: int = 50
    fitted: int = 200_000
    """The layout is computed for at most so many vectors; others are placed among them."""
    least: int = 5
    """A cell of fewer activations is left out."""
    icon_size: int = 96
    icon_steps: int = 64
    tries: int = 1
    """Renderings of each cell, of which the best is kept."""
    seed: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the folder is an atlas of, and which files are the current ones."""

    schema: int = SCHEMA
    kind: str = "atlas folder"
    title: str
    model: str
    weights: str | None
    """File or folder of weights that was named; none for the usual place."""
    digest: str
    size: tuple[int, int]
    labels: list[str]
    settings: Settings
    sources: list[Source]
    founders: int
    """How many of the sources the layout was made of; the others were added to it."""
    seconds: dict[str, float] = {}
    """How long each stage took, over all builds."""
    evidence: list[EvidenceEntry] = []
    """What was measured about the maps."""


class Folder:
    """The files of one atlas.

    Args:
        path: a folder; it is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<Folder {self.path}>"

    @property
    def exists(self) -> bool:
        return (self.path / MANIFEST).is_file()

    def read_manifest(self) -> Manifest:
        """What the folder says of itself.

        Raises:
            BundleError: it is no atlas, is damaged, or of another version.
        """
        path = self.path / MANIFEST
        if not path.is_file():
            raise BundleError(f"there is no atlas at {self.path}; `pellucid atlas build` makes one.")
        try:
            found = json.loads(path.read_bytes())
            schema = found.get("schema")
            if schema == SCHEMA:
                return msgspec.convert(found, Manifest)
        except (OSError, ValueError, AttributeError) as error:
            raise BundleError(f"{path} is damaged: {error}; build the atlas anew.") from error
        raise BundleError(
            f"the atlas at {self.path} is of version {schema!r}; this Pellucid reads version {SCHEMA}: build it anew."
        )

    def write_manifest(self, manifest: Manifest) -> None:
        write_file(self.path / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else builds in this folder meanwhile; the lock ends with the process.

        Raises:
            InputError: somebody does.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; name a folder for the atlas.")
        if self.path.is_dir() and not self.exists and any(self.path.iterdir()) and not self._lock.exists():
            raise InputError(f"{self.path} holds other things; name a new folder for the atlas.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock)
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(f"another build is at work in {self.path}; wait for it or name another folder.") from None
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {error.strerror or error}.") from error
        try:
            yield
        finally:
            lock.release()

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def file(self, stage: str, key: str) -> Path:
        return self.path / stage / f"{key}.safetensors"

    def has(self, stage: str, key: str) -> bool:
        """Whether a file is there and whole."""
        try:
            with safe_open(self.file(stage, key), framework="numpy"):
                return True
        except (OSError, SafetensorError):
            return False

    def write(self, stage: str, key: str, arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any] = {}) -> None:
        """Arrays and notes (JSON values) as one file, which appears whole.

        Raises:
            ResourceError: the disk is full.
        """
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        write_file(self.file(stage, key), save(whole, {"notes": json.dumps(notes)}))

    def read(self, stage: str, key: str) -> dict[str, np.ndarray]:
        """Every array of a file.

        Raises:
            BundleError: it is not there or damaged.
        """
        with self.opened(stage, key) as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    @contextmanager
    def opened(self, stage: str, key: str) -> Iterator[Any]:
        """A file whose arrays are read when asked for."""
        path = self.file(stage, key)
        try:
            with safe_open(path, framework="numpy") as file:
                yield file
        except (OSError, SafetensorError) as error:
            raise BundleError(
                f"{path} of the atlas is missing or damaged; run `pellucid atlas build … --resume`."
            ) from error

    def keys(self, stage: str) -> list[str]:
        """Names of every file of a stage."""
        return sorted(path.stem for path in (self.path / stage).glob("*.safetensors"))

    def notes(self, stage: str, key: str) -> dict[str, Any]:
        """What was written beside the arrays."""
        with self.opened(stage, key) as file:
            return json.loads((file.metadata() or {}).get("notes", "{}"))


def key_of(**parts: Any) -> str:
    """24 hexadecimal digits that stand for `parts`, JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
