"""Frozen graphs, as `graph_writer` writes them."""

import doctest
import os
import re
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graph_writer import NUMBERS, block, floats, node, number, shape, stored, tensor, varint
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import load_file

from pellucid.errors import WeightsError
from pellucid.models import _frozen_graph
from pellucid.models._frozen_graph import inception_v1_tensors, read_frozen_graph


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


VALUES = st.sampled_from(sorted(NUMBERS)).flatmap(
    lambda name: arrays.arrays(np.dtype(name), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_raw_content_comes_back_bit_for_bit(constants):
    graph = read_frozen_graph(b"".join(stored(name, values) for name, values in constants.items()))
    assert list(graph) == list(constants)
    for name, values in constants.items():
        assert same(graph[name], values)
        assert graph[name].flags.writeable
        assert graph[name].flags.aligned


LISTS = [
    ("float32", 5, lambda v: struct.pack("<f", v), 5),
    ("float64", 6, lambda v: struct.pack("<d", v), 1),
    ("int32", 7, lambda v: varint(int(v)), 0),
    ("int16", 7, lambda v: varint(int(v)), 0),
    ("int8", 7, lambda v: varint(int(v)), 0),
    ("uint8", 7, lambda v: varint(int(v)), 0),
    ("int64", 10, lambda v: varint(int(v)), 0),
    ("bool", 11, lambda v: varint(int(v)), 0),
    ("float16", 13, lambda v: varint(int(np.float16(v).view(np.uint16))), 0),
]


@pytest.mark.parametrize(("name", "field", "write", "wire"), LISTS, ids=[row[0] for row in LISTS])
@pytest.mark.parametrize("packed", [True, False])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_lists_of_values_repeat_the_last_one(name, field, write, wire, packed, data):
    values = data.draw(arrays.arrays(np.dtype(name), st.integers(0, 6)))
    size = data.draw(st.integers(len(values), 9))
    if name.startswith("float"):  # struct turns a signalling NaN into a quiet one
        values = np.nan_to_num(values)
    if packed:
        written = block(field, b"".join(write(value) for value in values))
    else:
        written = b"".join(varint(field << 3 | wire) + write(value) for value in values)
    graph = read_frozen_graph(node("x", tensor(NUMBERS[name], [size], written)))
    padded = np.zeros(size, values.dtype)
    padded[: len(values)] = values
    if len(values):
        padded[len(values) :] = values[-1]
    assert same(graph["x"], padded)


def test_negative_numbers_of_every_width():
    content = tensor(3, [3], block(7, varint(-1) + varint(-(2**31)) + varint(5)))
    other = tensor(9, [2], block(10, varint(-(2**63)) + varint(2**63 - 1)))
    graph = read_frozen_graph(node("narrow", content) + node("wide", other))
    assert graph["narrow"].tolist() == [-1, -(2**31), 5]
    assert graph["wide"].tolist() == [-(2**63), 2**63 - 1]


def test_a_list_split_into_several_fields_is_joined():
    content = tensor(1, [4], floats(1, 2) + varint(5 << 3 | 5) + struct.pack("<f", 3))
    assert read_frozen_graph(node("x", content))["x"].tolist() == [1, 2, 3, 3]


def test_other_nodes_unknown_fields_and_texts_are_skipped():
    unknown = number(90, 7) + varint(91 << 3 | 1) + b"8bytes.." + varint(92 << 3 | 5) + b"four" + block(93, b"\xff\xff")
    content = unknown + number(1, 1) + unknown + shape([2]) + number(3, 22) + unknown + floats(1, 2) + unknown
    graph = unknown + node("input", None, "Placeholder") + node("x", content, extra=unknown + block(3, b"input"))
    graph += node("label", tensor(7, [1], block(8, b"a text"))) + block(4, number(1, 21)) + unknown
    assert {name: values.tolist() for name, values in read_frozen_graph(graph).items()} == {"x": [1, 2]}


def test_layout_is_untouched_and_files_equal_bytes(tmp_path):
    values = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    path = tmp_path / "graph.pb"
    path.write_bytes(stored("w", values))
    for given_ in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes())):
        assert same(read_frozen_graph(given_)["w"], values)


def test_a_file_costs_only_its_arrays(tmp_path):
    path = tmp_path / "graph.pb"
    values = np.ones((64, 1 << 14), np.float32)
    path.write_bytes(b"".join(stored(f"w{i}", values) for i in range(4)))
    tracemalloc.start()
    graph = read_frozen_graph(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(array.nbytes for array in graph.values()) == 4 * values.nbytes
    assert peak < 4.2 * values.nbytes
    path.unlink()  # the arrays do not depend on the file
    assert graph["w3"].sum() == values.size


GOOD = node("a", tensor(1, [2, 2], floats(1, 2, 3, 4))) + node("b", tensor(3, [1], block(7, varint(300))))


def test_every_truncation_is_refused_or_reads_a_whole_prefix():
    first = len(node("a", tensor(1, [2, 2], floats(1, 2, 3, 4))))
    for length in range(len(GOOD)):
        if length == first:
            assert list(read_frozen_graph(GOOD[:length])) == ["a"]
        else:
            with pytest.raises(WeightsError, match="is not a frozen TensorFlow graph, or is damaged"):
                read_frozen_graph(GOOD[:length])


def refusal(content: bytes | bytearray) -> str:
    try:
        read_frozen_graph(content)
    except WeightsError as error:
        return str(error)
    return ""


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_random_bytes_raise_nothing_else(content):
    assert "\n" not in refusal(content)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_damaged_graphs_raise_nothing_else(damage):
    content = bytearray(GOOD)
    for at, byte in damage:
        content[at] = byte
    assert "\n" not in refusal(content)


HOSTILE = {
    "empty file": (b"", "it holds no constants"),
    "web page": (b"<!DOCTYPE html><html><body>Not found</body></html>", "begins no field"),
    "zip": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", "damaged"),
    "other protocol buffer": (number(1, 7) + block(2, b"pytorch"), "should begin a node"),
    "length past the end": (varint(1 << 3 | 2) + varint(2**62) + b"abc", "needs 4611686018427387904 bytes where 3"),
    "endless number": (b"\xff" * 40, "too long"),
    "field zero": (b"\x02\x00", "begins no field"),
    "group": (b"\x0b\x0c", "begins no field"),
    "content too short": (node("w", tensor(1, [3], block(4, bytes(8)))), r"has 8 bytes of content, not 12"),
    "content too long": (node("w", tensor(1, [3], block(4, bytes(16)))), r"has 16 bytes of content, not 12"),
    "list too long": (node("w", tensor(1, [1], floats(1, 2))), "lists more values than its shape"),
    "list of integers too long": (node("w", tensor(3, [1], block(7, b"\x01\x01"))), "lists more values"),
    "single values too many": (node("w", tensor(3, [1], number(7, 1) + number(7, 2))), "lists more values"),
    "content and list": (node("w", tensor(1, [1], block(4, bytes(4)) + floats(1))), "lists more values"),
    "list within a value": (node("w", tensor(1, [2], block(5, bytes(6)))), "ends within a value"),
    "value of the wrong kind": (node("w", tensor(1, [2], number(5, 6))), "should be a value"),
    "absurd shape": (node("w", tensor(1, [2**31, 2**31, 2**31], floats(1))), "has shape"),
    "absurd empty shape": (node("w", tensor(1, [0, 2**62, 2**62])), "has shape"),
    "absurd filling": (node("w", tensor(1, [2**30], floats(1))), "declares 4294967296 bytes"),
    "absurd sum": (b"".join(node(f"w{i}", tensor(1, [2**24], floats(1))) for i in range(9)), "declares 603979776"),
    "negative size": (node("w", tensor(1, [-1], floats(1))), "size -1"),
    "unknown rank": (node("w", number(1, 1) + block(2, number(3, 1)) + floats(1)), "no fixed shape"),
    "dimensions": (node("w", tensor(1, [1] * 33, floats(1))), "over 32 dimensions"),
    "no type": (node("w", shape([1]) + floats(1)), "has no type"),
    "no value": (node("w", None), "has no value"),
    "no name": (node("", tensor(1, [1], floats(1))), "has no name"),
    "same name": (2 * node("w", tensor(1, [1], floats(1))), "two nodes are called 'w'"),
    "name no text": (block(1, block(1, b"\xff\xfe") + block(2, b"Const")), "begins no text"),
    "no constants": (node("input", None, "Placeholder"), "it holds no constants"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_graphs_are_refused_at_once(case, tmp_path):
    content, reason = HOSTILE[case]
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    tracemalloc.start()
    begun = time.perf_counter()
    for given_ in (content, path):
        with pytest.raises(WeightsError, match=reason) as raised:
            read_frozen_graph(given_)
        assert "fetch it again" in str(raised.value)
    assert time.perf_counter() - begun < 1
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert str(path) in str(raised.value)


def test_largest_permitted_filling_is_made():
    graph = read_frozen_graph(node("w", tensor(1, [1 << 20], floats(0.25))))
    assert graph["w"].shape == (1 << 20,)
    assert (graph["w"] == 0.25).all()


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.pb cannot be read \(No such file"):
        read_frozen_graph(tmp_path / "absent.pb")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_frozen_graph(tmp_path)


def test_inception_tensors_are_turned_round():
    generator = np.random.default_rng(0)
    convolution = generator.normal(size=(7, 5, 3, 2)).astype(np.float32)
    matrix, bias = generator.normal(size=(4, 6)), generator.normal(size=6).astype(np.float16)
    graph = {"softmax2_w": matrix, "head0_w": bias, "conv2d0_w": convolution, "softmax2_b": bias}
    expected = {"conv2d0_w": (2, 3, 7, 5), "softmax2_b": (6,), "softmax2_w": (6, 4)}
    for given_ in (graph, {name: torch.from_numpy(values) for name, values in graph.items()}):
        tensors = inception_v1_tensors(given_, expected)
        assert {name: tuple(values.shape) for name, values in tensors.items()} == expected
        assert list(tensors) == list(expected)
        assert all(values.dtype == torch.float32 and values.is_contiguous() for values in tensors.values())
        for out, into, row, column in np.ndindex(2, 3, 7, 5):
            assert tensors["conv2d0_w"][out, into, row, column] == convolution[row, column, into, out]
        assert np.array_equal(tensors["softmax2_w"].numpy(), matrix.T.astype(np.float32))
        assert np.array_equal(tensors["softmax2_b"].numpy(), bias.astype(np.float32))
        tensors["softmax2_b"].zero_()
        assert bias.any()  # the caller's arrays are not shared


def test_converted_convolution_equals_one_written_out():
    generator = np.random.default_rng(1)
    weights, picture = generator.normal(size=(3, 3, 2, 4)), generator.normal(size=(6, 5, 2))
    out = np.zeros((4, 3, 4))
    for row, column, unit in np.ndindex(4, 3, 4):
        out[row, column, unit] = (picture[row : row + 3, column : column + 3] * weights[..., unit]).sum()
    kernel = inception_v1_tensors({"conv2d0_w": weights}, {"conv2d0_w": (4, 2, 3, 3)})["conv2d0_w"]
    result = torch.nn.functional.conv2d(torch.from_numpy(picture).float().permute(2, 0, 1)[None], kernel)
    assert np.allclose(result[0].permute(1, 2, 0).numpy(), out, atol=1e-5)


def test_missing_and_misshapen_tensors_are_named():
    expected = {f"conv2d{i}_b": (4,) for i in range(6)}
    graph: dict[str, Any] = {f"conv2d{i}_b": np.zeros(4, np.float32) for i in range(6)}
    with pytest.raises(WeightsError, match=r"no conv2d1_b, conv2d2_b, conv2d3_b and 2 more, of 6 weights expected"):
        inception_v1_tensors({"conv2d0_b": graph["conv2d0_b"]}, expected)
    graph["conv2d2_b"] = np.zeros(5, np.float32)
    with pytest.raises(WeightsError, match=re.escape("conv2d2_b (float32 [5], expected float32 [4])")):
        inception_v1_tensors(graph, expected)
    graph["conv2d2_b"] = np.zeros(4, np.int32)
    with pytest.raises(WeightsError, match=re.escape("conv2d2_b (int32 [4], expected float32 [4])")):
        inception_v1_tensors(graph, expected)
    with pytest.raises(WeightsError, match=re.escape("(float32 [2, 1, 3, 3], expected float32 [4, 1, 3, 3])")):
        inception_v1_tensors({"conv2d0_w": np.zeros((3, 3, 1, 2), np.float32)}, {"conv2d0_w": (4, 1, 3, 3)})


def test_the_real_network_survives_the_way_through_a_graph():
    places = os.environ.get("PELLUCID_DATA", str(Path(__file__).parents[3] / "shared" / "data")).split(os.pathsep)
    files = [Path(place) / "models" / "inception_v1_2015.safetensors" for place in places]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        pytest.skip("needs inception_v1_2015.safetensors under PELLUCID_DATA or ../shared/data")
    weights = {name: values.float() for name, values in load_file(path).items()}
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    graph = b"".join(stored(name, w.permute(axes[w.ndim]).contiguous().numpy()) for name, w in weights.items())
    tensors = inception_v1_tensors(read_frozen_graph(graph), {name: tuple(w.shape) for name, w in weights.items()})
    assert len(tensors) == 116
    assert all(torch.equal(tensors[name], w) for name, w in weights.items())


def test_examples():
    results = doctest.testmod(_frozen_graph)
    assert results.attempted >= 4
    assert results.failed == 0


def test_a_graph_of_many_nodes_reads_quickly():
    content = b"".join(stored(f"w{i}", np.zeros((1, 1, 64, 64), np.float32)) for i in range(400))
    begun = time.perf_counter()
    assert len(read_frozen_graph(content)) == 400
    assert time.perf_counter() - begun < 2
