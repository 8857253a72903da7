"""Frozen TensorFlow graphs, written as protocol buffers in a few lines, so that no TensorFlow is needed."""

import struct

import numpy as np

NUMBERS = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9, "bool": 10}
NUMBERS["float16"] = 19


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    written = b""
    while value > 0x7F:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def shape(sizes) -> bytes:
    return block(2, b"".join(block(2, number(1, size)) for size in sizes))


def tensor(data_type: int, sizes, values: bytes = b"") -> bytes:
    return number(1, data_type) + shape(sizes) + values


def node(name: str, content: bytes | None, operation: str = "Const", extra: bytes = b"") -> bytes:
    body = block(1, name.encode()) + block(2, operation.encode()) + extra
    body += block(5, block(1, b"dtype") + block(2, number(6, 1)))
    if content is not None:
        body += block(5, block(1, b"value") + block(2, block(8, content)))
    return block(1, body)


def stored(name: str, values: np.ndarray) -> bytes:
    content = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return node(name, tensor(NUMBERS[values.dtype.name], values.shape, block(4, content)))


def floats(*values: float) -> bytes:
    return block(5, struct.pack(f"<{len(values)}f", *values))
