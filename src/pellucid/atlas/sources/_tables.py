"""Images in columns of Parquet files and of saved Hugging Face datasets."""

import json
import re
import threading
from abc import abstractmethod
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import InputError, missing_extra
from ._source import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    Source,
    digest_of,
    label_of,
    look_at_each,
    printable,
    relative_names,
    stamp_of,
)

# So much of a Parquet file is read at a time (or a page, if its writer made larger ones), and so many such pieces held.
_WINDOW_BYTES = 16 << 20
_WINDOWS = 4


class _Part(NamedTuple):
    """What is known of one file of a table."""

    column: str
    """Its column of images."""
    labels: list[str | None]
    """The class of each row."""
    ends: list[int]
    """Where its row groups or record batches end."""
    remarks: list[str]


class _Table(Source):
    """Rows of files that pyarrow reads, each with an encoded image."""

    def __init__(self, where: str, files: list[Path], remarks: Sequence[str] = ()) -> None:
        super().__init__(where, reopens=True)
        parts, errors = look_at_each(files, self._look)
        self.remarks = [*remarks, *errors]
        keys: list[str] = []
        labels: list[str | None] = []
        identity: list[str] = []
        name_of = dict(zip(files, relative_names(files), strict=True))
        for file, part in parts:
            self.remarks += part.remarks
            keys += [f"{name_of[file]}/{row}" for row in range(len(part.labels))]
            labels += part.labels
            identity.append(f"{name_of[file]}|{stamp_of(file)}|{part.column}|{len(part.labels)}")
        if not keys:
            raise InputError(f"{self.where} holds no images: its tables have no rows.")
        self._files = [file for file, _ in parts]
        self._columns = [part.column for _, part in parts]
        self._chunks = [part.ends for _, part in parts]
        self._ends = list(accumulate(len(part.labels) for _, part in parts))
        self.keys, self.labels = keys, labels
        self.digest = digest_of("table", identity)

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


class Parquet(_Table):
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
        with _arrow_errors(printable(str(file))), parquet.ParquetFile(file) as opened:
            columns = _columns(opened.schema_arrow, file)
            about = opened.metadata
            ends = list(accumulate(about.row_group(group).num_rows for group in range(about.num_row_groups)))
            if columns.label is None:
                return _Part(columns.image, [None] * about.num_rows, ends, [])
            values = opened.read(columns=[columns.label]).column(0).to_pylist()
            return _Part(columns.image, [label_of(value, columns.names) for value in values], ends, [])

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
        raise InputError(f"{printable(str(self._files[part]))} has changed since it was opened.")

    def _windows_of(self, part: int, group: int) -> Iterator[_Window]:
        first = self._chunks[part][group - 1] if group else 0
        # Buffered, it is read bit by bit; otherwise a whole row group at once, which may be the whole file.
        with _pyarrow().parquet.ParquetFile(self._files[part], buffer_size=1 << 20, pre_buffer=False) as opened:
            about = opened.metadata.row_group(group)
            rows = max(1, about.num_rows * _WINDOW_BYTES // max(about.total_byte_size, _WINDOW_BYTES))
            for batch in opened.iter_batches(rows, row_groups=[group], columns=[self._columns[part]]):
                yield _Window(part, first, first + len(batch), batch.column(0))
                first += len(batch)


class Arrow(_Table):
    """Arrow streams, as Hugging Face datasets keeps them on the disk; mapped into memory, not read."""

    def __init__(self, where: str, files: list[Path], remarks: Sequence[str] = ()) -> None:
        self._mapped: dict[Path, list[Any]] = {}
        super().__init__(where, files, remarks)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_mapped": {}}

    def _look(self, file: Path) -> _Part:
        with _arrow_errors(printable(str(file))):
            batches, schema, remarks = _arrow_batches(file)
            columns = _columns(schema, file)
            labels: list[str | None] = []
            for batch in batches:
                values = [None] * len(batch) if columns.label is None else batch.column(columns.label).to_pylist()
                labels += [label_of(value, columns.names) for value in values]
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
        return batches, stream.schema, [f"{printable(str(file))} is cut short or damaged after {rows:,} rows"]
    return batches, stream.schema, []


def arrow_files(folder: Path) -> list[Path]:
    """The files of a dataset that Hugging Face datasets saved in a folder, or of all its splits."""
    splits = _json(folder / "dataset_dict.json").get("splits")
    if isinstance(splits, list):
        return [file for split in splits for file in arrow_files(folder / Path(str(split)).name)]
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
    likely = [name for name in IMAGE_COLUMNS if name in images]
    chosen = next(iter(said or likely or (images if len(images) == 1 else [])), None)
    if chosen is None:
        raise InputError(
            f"{printable(str(file))} has no column of encoded images that is named image; "
            f"its columns are {', '.join(schema.names)}."
        )
    labels = [name for name, kind in kinds.items() if label(kind)]
    said = [name for name in labels if features.get(name, {}).get("_type") == "ClassLabel"]
    likely = [name for name in LABEL_COLUMNS if name in labels]
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
