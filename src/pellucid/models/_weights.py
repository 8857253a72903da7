"""Where weights are: given by path, found in a folder, or fetched once into the user's cache and checked ever after."""

import difflib
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from pellucid.errors import InputError, WeightsError
from pellucid.events import Event, Progress, silent
from pellucid.models._download import download as fetch, extract_member, file_lock, writing
from pellucid.models._frozen_graph import read_frozen_graph

_SUFFIXES = (".safetensors", ".pb")


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights of one network come from.

    Args:
        name: the network's name, for messages: `"inception_v1"`.
        files: accepted file names, best first; each ends in `.safetensors` or `.pb`.
        url: where they are published, or `None` where they cannot be fetched.
        member: the member to keep where `url` is a zip archive, or `None` where it is the file itself. The last part
            of either name is one of `files`.
        max_bytes: the largest size accepted, of what is fetched and of what is unpacked from it.
        sha256: the digest of what is at `url`, in hexadecimal, or `None` to trust the first file that comes.

    Raises:
        InputError: no file name is accepted, one has another suffix, or what `url` gives is not among them.

    Example:
        >>> WeightsSource("tiny", ("tiny.safetensors",), "https://example.org/tiny.safetensors", None, 10**6).name
        'tiny'
    """

    name: str
    files: tuple[str, ...]
    url: str | None
    member: str | None
    max_bytes: int
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.files or not all(file.endswith(_SUFFIXES) for file in self.files):
            raise InputError(f"files={self.files!r} of {self.name} must be names that end in {' or '.join(_SUFFIXES)}.")
        if self.url is not None and self.kept not in self.files:
            raise InputError(
                f"{self.kept!r}, which {self.url} gives, is not among files={self.files!r} of {self.name}."
            )

    @property
    def kept(self) -> str:
        """The name under which the cache keeps what is fetched; empty where nothing can be."""
        return PurePosixPath(self.member or unquote(urlsplit(self.url or "").path)).name


def find_weights(
    source: WeightsSource,
    path: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    progress: Progress = silent,
) -> Path:
    """The file with the weights of `source`: the one given, else the first one found, else one fetched now.

    Without a `path`, the places of `search_places` are tried in order, each for the accepted names in theirs. What is
    fetched stays in the cache; a record beside it (`<file>.json`) holds the address and the digests of that first time,
    and every later call checks the file against it.

    Args:
        source: which weights.
        path: a `.safetensors` or `.pb` file of any name, or a folder that holds one of `source.files`, itself or in its
            `models` folder.
        download: `False` never uses the network; neither does any call where PELLUCID_OFFLINE is set.
        progress: receives the events of a download.

    Returns:
        The path of an existing, readable file. Its content is checked against a record, but not otherwise.

    Raises:
        WeightsError: nothing is at `path`, or nothing usable; nothing was found and no download is possible; the file
            in the cache is not the one that was fetched; the archive fetched is not the right one.
        DownloadError: the download failed.
        ResourceError: the disk is full.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "tiny.safetensors").write_bytes(b"...")
        >>> find_weights(WeightsSource("tiny", ("tiny.safetensors",), None, None, 10**6), folder).name
        'tiny.safetensors'
    """
    if path is not None:
        return _verified(_readable(_given(source, _home(path))))
    places = search_places()
    for file in _candidates(source, places):
        return _verified(_readable(file))
    if source.url is None:
        reason, fix = "these weights have no address to fetch them from", ""
    elif not download:
        reason, fix = "download=False forbids fetching them", ", or allow the download"
    elif offline():
        reason, fix = "PELLUCID_OFFLINE forbids fetching them", ", or unset PELLUCID_OFFLINE"
    else:
        return _fetched(source, source.url, progress)
    raise WeightsError(
        f"no weights for {source.name}: {' or '.join(source.files)} is in none of "
        f"{', '.join(str(place) for place in places)}, and {reason}; pass weights= with the file's path, "
        f"or set PELLUCID_DATA to its folder{fix}."
    )


def search_places() -> list[Path]:
    """The folders where weights are looked for, first to last, whether they exist or not.

    These are the folders of the environment variable PELLUCID_DATA (separated as in PATH), each followed by its
    `models` folder, then `weights` in the cache: the folder PELLUCID_CACHE, or the system's place for caches.

    Example:
        >>> search_places()[-1].name
        'weights'
    """
    data = [_home(place) for place in os.environ.get("PELLUCID_DATA", "").split(os.pathsep) if place]
    places = [folder for place in data for folder in (place, place / "models")]
    return list(dict.fromkeys([*places, _cache()]))


def file_digest(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, as sixty-four lowercase hexadecimal digits.

    The process remembers it, and reads the file again once its size or its time of modification differs.

    Args:
        path: any file.

    Raises:
        WeightsError: the file cannot be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "weights.pb"
        >>> _ = file.write_bytes(b"weights")
        >>> file_digest(file)[:8]
        '9a129038'
    """
    try:
        whole = Path(path).resolve()
        found = whole.stat()
        return _digest(whole, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise _unreadable(Path(path), error) from error


def read_tensors(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """The tensors of a weights file, by name, on the CPU.

    Args:
        path: a `.safetensors` file, or a frozen TensorFlow graph (`.pb`), whose constants come as they are stored:
            convolution weights as (height, width, in, out). `inception_v1_tensors` turns those round.

    Returns:
        Tensors of the types and shapes in the file.

    Raises:
        WeightsError: the file is missing, of another suffix, cut short or damaged.

    Example:
        >>> import tempfile
        >>> from safetensors.torch import save_file
        >>> file = Path(tempfile.mkdtemp()) / "tiny.safetensors"
        >>> save_file({"bias": torch.zeros(3)}, file)
        >>> read_tensors(file)
        {'bias': tensor([0., 0., 0.])}
    """
    path = _readable(_suffixed(Path(path)))
    if path.suffix.lower() == ".pb":
        return {name: torch.from_numpy(values) for name, values in read_frozen_graph(path).items()}
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, LookupError, AttributeError) as error:
        raise WeightsError(
            f"{path} is not a safetensors file, or is damaged ({error}); fetch it again, or give another file."
        ) from error


def _cache() -> Path:
    folder = os.environ.get("PELLUCID_CACHE") or platformdirs.user_cache_dir("pellucid")
    return _home(folder) / "weights"


def _home(path: str | os.PathLike[str]) -> Path:
    """`path` with its `~` replaced; pathlib's own way fails for users that do not exist."""
    return Path(os.path.expanduser(path))


def offline() -> bool:
    """Whether PELLUCID_OFFLINE forbids the network."""
    return os.environ.get("PELLUCID_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def _candidates(source: WeightsSource, places: list[Path]) -> Iterator[Path]:
    """The files of `source` that exist, best first."""
    return (place / file for place in places for file in source.files if (place / file).is_file())


def _given(source: WeightsSource, path: Path) -> Path:
    """The file that a user's `path` means."""
    if path.is_dir():
        for file in _candidates(source, [path, path / "models"]):
            return file
        raise WeightsError(
            f"the folder {path} holds no weights for {source.name}; expected {' or '.join(source.files)}."
        )
    return _suffixed(path)


def _suffixed(path: Path) -> Path:
    if path.suffix.lower() in _SUFFIXES or not path.exists():
        return path
    # PyTorch's own formats are pickles, and reading one may run any code in it.
    kind = path.suffix or "no"
    raise WeightsError(
        f"{path} has {kind} suffix, expected {' or '.join(_SUFFIXES)}; save it with safetensors.torch.save_file."
    )


def _readable(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        around: list[str] = []
        with suppress(OSError):
            around = [name for name in os.listdir(path.parent) if name.endswith(_SUFFIXES)]
        near = difflib.get_close_matches(path.name, around, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; give the path of a file, or of a folder that holds it."
        raise WeightsError(f"no weights file {path}{hint}") from None
    except OSError as error:
        raise _unreadable(path, error) from error
    return path


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"{path} cannot be read ({error.strerror or error}); give the path of a readable file.")


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    """The digest of `path`; size and time are there to tell this content from a later one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _verified(file: Path) -> Path:
    """`file`, after a look at the record of its download where it lies in the cache and has one."""
    record = _record(file)
    if file.parent.resolve() != _cache().resolve() or not record.exists():
        return file
    again = f"delete {file} and {record.name} beside it, and it is fetched again."
    try:
        note: Any = json.loads(record.read_text("utf-8"))
        size, digest, url = note["file"]["bytes"], note["file"]["sha256"], note["url"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{record}, the record of a download, cannot be read; {again}") from error
    found = file.stat().st_size
    if found != size:
        raise WeightsError(f"{file} has {found} bytes, not the {size} that {url} gave at first; {again}")
    if (now := file_digest(file)) != digest:
        raise WeightsError(f"{file} has the SHA-256 {now}, not {digest}, which {url} gave at first; {again}")
    return file


def _fetched(source: WeightsSource, url: str, progress: Progress) -> Path:
    """The file of `source` in the cache, fetched into it now; its record is written before it appears."""
    file = _cache() / source.kept
    incoming = file.parent / "incoming"
    fetched = incoming / (PurePosixPath(unquote(urlsplit(url).path)).name or source.kept)
    fresh = incoming / f"{source.kept}.unpacked" if source.member else fetched
    with writing(incoming):
        incoming.mkdir(parents=True, exist_ok=True)

    def waiting() -> None:
        message = "another process is fetching these weights: waiting for it"
        progress(Event(f"downloading {fetched.name}", 0, None, "byte", message))

    with file_lock(file, waiting=waiting):
        if file.is_file():  # another process has fetched it meanwhile
            return _verified(file)
        digest = fetch(url, fetched, max_bytes=source.max_bytes, sha256=source.sha256, progress=progress)
        note: dict[str, Any] = {"url": url}
        try:
            if source.member:
                note["archive"] = {"member": source.member, "sha256": digest, "bytes": fetched.stat().st_size}
                try:
                    digest = extract_member(fetched, source.member, fresh, source.max_bytes)
                except WeightsError as error:
                    raise WeightsError(f"{url} gave no usable weights: {error}") from error
            note["file"] = {"sha256": digest, "bytes": fresh.stat().st_size}
            with writing(file):
                record = incoming / f"{file.name}.json"
                record.write_text(json.dumps(note, indent=1) + "\n", "utf-8")
                os.replace(record, _record(file))
                os.replace(fresh, file)
        finally:
            # An archive that does not unpack would be of no use to the next call either.
            fetched.unlink(missing_ok=True)
            fresh.unlink(missing_ok=True)
    return file
