"""Frozen TensorFlow graphs (`GraphDef`, `.pb`) read without TensorFlow: the form of the 2015 weights.

A frozen graph is a protocol buffer: a tree of numbered fields. Six messages of it matter here, with these fields:

    GraphDef     1 node
    NodeDef      1 name    2 op    5 attr (a map entry: 1 key, 2 value)
    AttrValue    8 tensor
    TensorProto  1 dtype   2 tensor_shape   4 tensor_content   5 float_val   6 double_val   7 int_val
                 10 int64_val   11 bool_val   13 half_val
    TensorShape  2 dim     3 unknown_rank
    Dim          1 size

The file may be anything that was fetched under that name, so every length is checked before it is followed, and all
sizes are added up before the first array is made.
"""

import math
import mmap
import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from pellucid.errors import WeightsError

_Buffer: TypeAlias = memoryview | mmap.mmap

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# TensorFlow's DataType number: the type in the file (little-endian) and the field that lists its values.
_TYPES = {
    1: ("<f4", 5),
    2: ("<f8", 6),
    3: ("<i4", 7),
    4: ("u1", 7),
    5: ("<i2", 7),
    6: ("i1", 7),
    9: ("<i8", 10),
    10: ("u1", 11),
    19: ("<f2", 13),
}
_BOOL, _HALF = 10, 19

# A constant may state one value and a large shape, so arrays can be larger than the file. A value takes at least one
# byte there and at most eight here; what is filled in beyond that has this limit, for the whole file.
_FILLED_BYTES = 1 << 28
_MOST_DIMENSIONS = 32  # numpy 1.26 makes no array with more
_MOST_ELEMENTS = 1 << 40


class _MalformedError(ValueError):
    """Bytes that are no frozen graph; the text says why, and becomes part of a `WeightsError`."""


@dataclass(frozen=True)
class _Constant:
    """Where one constant's TensorProto lies in the file, and what it declares."""

    name: str
    data_type: int
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(_TYPES[self.data_type][0]).itemsize


def read_frozen_graph(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview,
) -> dict[str, NDArray[Any]]:
    r"""The constants of a frozen TensorFlow graph, by node name.

    Reads the `Const` nodes of a serialized GraphDef [1]. Values are as stored: a convolution's weights stay (height,
    width, in, out). A constant that lists fewer values than its shape has elements repeats the last one, and one that
    lists none is zero, as in TensorFlow [2]. Constants of text, complex and bfloat16 types are left out.

    Args:
        path_or_bytes: the `.pb` file, or its content. A file is mapped, not read: memory holds the arrays alone.

    Returns:
        New writable arrays (float16, float32, float64, int8, int16, int32, int64, uint8 or bool) in the order of the
        file, each of the shape that its node declares.

    Raises:
        WeightsError: the file is missing or unreadable, is no GraphDef, is cut short or damaged, declares sizes that
            its content does not bear out, or holds no constant at all.

    Example:
        >>> constant = b"\n\x01w\x12\x05Const*\x13\n\x05value\x12\nB\x08\x08\x01*\x04\x00\x00\x00?"  # float_val: 0.5
        >>> read_frozen_graph(b"\n\x1f" + constant)
        {'w': array(0.5, dtype=float32)}

    References:
        [1] https://protobuf.dev/programming-guides/encoding
        [2] https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/tensor.proto
    """
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        return _constants(memoryview(path_or_bytes).cast("B"), "the given content")
    path = Path(path_or_bytes)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:  # which no system maps
                return _constants(memoryview(b""), str(path))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return _constants(mapped, str(path))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror or error}); give the path of a frozen TensorFlow graph (.pb)."
        ) from error


def inception_v1_tensors(
    graph: Mapping[str, NDArray[Any] | torch.Tensor], expected: Mapping[str, tuple[int, ...]]
) -> dict[str, torch.Tensor]:
    """The float32 tensors of InceptionV1 in PyTorch's layout, taken from the constants of its TensorFlow graph.

    Convolution weights go from (height, width, in, out) to (out, in, height, width), matrices from (in, out) to
    (out, in); biases stay. Names stay TensorFlow's (`conv2d0_w`, `mixed5b_pool_reduce_b`). Other constants of the
    graph, such as those of the two auxiliary classifiers, are left out.

    Args:
        graph: what `read_frozen_graph` returned, or the same as tensors.
        expected: the shape of every tensor that the network needs, in PyTorch's layout, by name.

    Returns:
        New contiguous tensors, one for each name of `expected` and in its order.

    Raises:
        WeightsError: names are missing from the graph, or their constants have another shape or are not floating
            point; the first few are named.

    Example:
        >>> graph = {"conv2d0_w": np.zeros((7, 7, 3, 64), np.float32), "head0_bottleneck_b": np.zeros(128, np.float32)}
        >>> inception_v1_tensors(graph, {"conv2d0_w": (64, 3, 7, 7)})["conv2d0_w"].shape
        torch.Size([64, 3, 7, 7])
    """
    missing = [name for name in expected if name not in graph]
    if missing:
        raise WeightsError(
            f"the graph has no {_first(missing)}, of {len(expected)} weights expected; "
            "give the graph of the 2015 InceptionV1 (tensorflow_inception_graph.pb of inception5h.zip)."
        )
    tensors, wrong = {}, []
    for name, shape in expected.items():
        weights = np.asarray(graph[name])
        weights = weights.transpose({4: (3, 2, 0, 1), 2: (1, 0)}.get(weights.ndim, range(weights.ndim)))
        if weights.shape != tuple(shape) or weights.dtype.kind != "f":
            wrong.append(f"{name} ({weights.dtype} {list(weights.shape)}, expected float32 {list(shape)})")
            continue
        tensors[name] = torch.from_numpy(np.array(weights, dtype=np.float32, order="C"))
    if wrong:
        raise WeightsError(
            f"the graph's weights are not those of this network: {_first(wrong)}, out then in channels first; "
            "give the graph of the 2015 InceptionV1 (tensorflow_inception_graph.pb of inception5h.zip)."
        )
    return tensors


def _first(names: list[str], count: int = 3) -> str:
    """The first few of `names`, and how many more there are."""
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")


def _constants(buffer: _Buffer, called: str) -> dict[str, NDArray[Any]]:
    try:
        found: dict[str, _Constant] = {}
        for constant in _declared(buffer):
            if constant.name in found:
                raise _MalformedError(f"two nodes are called {constant.name!r}")
            found[constant.name] = constant
        needed = sum(constant.bytes for constant in found.values())
        if needed > 8 * len(buffer) + _FILLED_BYTES:
            raise _MalformedError(f"it declares {needed} bytes of constants in a file of {len(buffer)}")
        if not found:
            raise _MalformedError("it holds no constants")
        return {name: _values(buffer, constant) for name, constant in found.items()}
    except _MalformedError as error:
        raise WeightsError(
            f"{called} is not a frozen TensorFlow graph, or is damaged: {error}; fetch it again, or give another file."
        ) from None


def _declared(buffer: _Buffer) -> Iterator[_Constant]:
    """Every numeric `Const` node of the graph, its values not yet read."""
    for number, wire, start, stop in _fields(buffer, 0, len(buffer)):
        if number != 1:
            continue
        _expect(wire == _BYTES, f"byte {start} should begin a node")
        name, operation, tensor = _node(buffer, start, stop)
        _expect(name != "", f"the node at byte {start} has no name")
        if operation != "Const":
            continue
        if tensor is None:
            raise _MalformedError(f"constant {name!r} has no value")
        data_type, shape = _header(buffer, name, *tensor)
        if data_type in _TYPES:
            yield _Constant(name, data_type, shape, *tensor)


def _node(buffer: _Buffer, start: int, stop: int) -> tuple[str, str, tuple[int, int] | None]:
    """A node's name, its operation, and where the tensor of its attribute `value` lies."""
    texts = {1: "", 2: ""}
    tensor = None
    for number, wire, first, last in _fields(buffer, start, stop):
        if number in (1, 2, 5):
            _expect(wire == _BYTES, f"byte {first} should begin part of a node")
        if number in texts:
            texts[number] = _text(buffer, first, last)
        elif number == 5:
            entry = {part: (a, b) for part, kind, a, b in _fields(buffer, first, last) if kind == _BYTES}
            if 1 in entry and 2 in entry and _text(buffer, *entry[1]) == "value":
                value = {part: (a, b) for part, kind, a, b in _fields(buffer, *entry[2]) if kind == _BYTES}
                tensor = value.get(8)
    return texts[1], texts[2], tensor


def _header(buffer: _Buffer, name: str, start: int, stop: int) -> tuple[int, tuple[int, ...]]:
    """A tensor's DataType number and shape."""
    data_type, shape = 0, ()
    for number, wire, first, last in _fields(buffer, start, stop):
        if number == 1 and wire == _VARINT:
            data_type = first
        elif number == 2 and wire == _BYTES:
            shape = _shape(buffer, name, first, last)
    _expect(data_type != 0, f"constant {name!r} has no type")
    return data_type, shape


def _shape(buffer: _Buffer, name: str, start: int, stop: int) -> tuple[int, ...]:
    sizes: list[int] = []
    for number, wire, first, last in _fields(buffer, start, stop):
        if number == 2 and wire == _BYTES:
            parts = {part: _signed(a) for part, kind, a, _ in _fields(buffer, first, last) if kind == _VARINT}
            sizes.append(parts.get(1, 0))
            _expect(sizes[-1] >= 0, f"constant {name!r} has a dimension of size {sizes[-1]}")
            _expect(len(sizes) <= _MOST_DIMENSIONS, f"constant {name!r} has over {_MOST_DIMENSIONS} dimensions")
        elif number == 3 and wire == _VARINT and first:
            raise _MalformedError(f"constant {name!r} has no fixed shape")
    # Dimensions of size 0 count as 1 here: numpy refuses an empty array whose other dimensions overflow.
    _expect(math.prod(max(size, 1) for size in sizes) <= _MOST_ELEMENTS, f"constant {name!r} has shape {sizes}")
    return tuple(sizes)


def _values(buffer: _Buffer, constant: _Constant) -> NDArray[Any]:
    """The array of a constant, from its raw content or its list of values."""
    stored, listed = _TYPES[constant.data_type]
    dtype = np.dtype(stored)
    # The file's little-endian order becomes the machine's as values are copied in.
    result = np.zeros(math.prod(constant.shape), dtype.newbyteorder("="))
    filled = 0
    for number, wire, first, last in _fields(buffer, constant.start, constant.stop):
        if number == 4 and wire == _BYTES and last > first:
            _expect(
                last - first == constant.bytes,
                f"constant {constant.name!r} of shape {list(constant.shape)} has {last - first} bytes of content, "
                f"not {constant.bytes}",
            )
            result[:] = np.frombuffer(buffer, dtype, result.size, first)
            filled = result.size
        elif number == listed:
            filled += _fill(buffer, constant, result, filled, (wire, first, last))
    if 0 < filled < result.size:
        result[filled:] = result[filled - 1]
    if constant.data_type == _BOOL:
        result = result != 0
    return result.reshape(constant.shape)


def _fill(buffer: _Buffer, constant: _Constant, result: NDArray[Any], filled: int, field: tuple[int, int, int]) -> int:
    """How many values one field of a list (packed or single) put into `result` after the `filled` first."""
    wire, first, last = field
    room = result.size - filled
    too_many = f"constant {constant.name!r} lists more values than its shape {list(constant.shape)} has"
    if constant.data_type in (1, 2):
        dtype = np.dtype(_TYPES[constant.data_type][0])
        _expect(wire in (_BYTES, _FIXED32 if dtype.itemsize == 4 else _FIXED64), f"byte {first} should be a value")
        count, rest = divmod(last - first, dtype.itemsize)
        _expect(rest == 0, f"constant {constant.name!r} has a list that ends within a value")
        _expect(count <= room, too_many)
        if count:
            result[filled : filled + count] = np.frombuffer(buffer, dtype, count, first)
        return count
    _expect(wire in (_BYTES, _VARINT), f"byte {first} should be a value")
    numbers = array("q", [_signed(first)] if wire == _VARINT else [])
    while wire == _BYTES and first < last:
        number, first = _varint(buffer, first, last)
        numbers.append(_signed(number))
        _expect(len(numbers) <= room, too_many)
    _expect(len(numbers) <= room, too_many)
    if numbers:
        values = np.array(numbers, np.int64)
        # `half_val` holds the sixteen bits of a float16 as a number; bools are any number but zero.
        if constant.data_type == _HALF:
            values = values.astype(np.uint16).view(np.float16)
        elif constant.data_type == _BOOL:
            values = values != 0
        result[filled : filled + len(numbers)] = values.astype(result.dtype)
    return len(numbers)


def _fields(buffer: _Buffer, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, then where the value lies, or for a varint its value and its end."""
    while start < stop:
        key, at = _varint(buffer, start, stop)
        number, wire = key >> 3, key & 7
        if number == 0 or wire not in (_VARINT, _FIXED64, _BYTES, _FIXED32):
            raise _MalformedError(f"byte {start} begins no field")
        if wire == _VARINT:
            value, start = _varint(buffer, at, stop)
            yield number, wire, value, start
            continue
        size = 8 if wire == _FIXED64 else 4
        if wire == _BYTES:
            size, at = _varint(buffer, at, stop)
        if size > stop - at:
            raise _MalformedError(f"the field at byte {start} needs {size} bytes where {stop - at} are left")
        start = at + size
        yield number, wire, at, start


def _varint(buffer: _Buffer, at: int, stop: int) -> tuple[int, int]:
    """A variable-length unsigned number, and where the next byte is."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            raise _MalformedError(f"a number is cut short at byte {at}")
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise _MalformedError(f"a number before byte {at} is too long")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _text(buffer: _Buffer, start: int, stop: int) -> str:
    try:
        return bytes(buffer[start:stop]).decode()
    except UnicodeDecodeError:
        raise _MalformedError(f"byte {start} begins no text") from None


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _MalformedError(otherwise)
