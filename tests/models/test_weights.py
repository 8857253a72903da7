"""Weights found, fetched and checked; nothing is fetched but from 127.0.0.1."""

import doctest
import hashlib
import http.server
import io
import json
import os
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pellucid.errors import DownloadError, InputError, WeightsError
from pellucid.models import _weights
from pellucid.models._weights import WeightsSource, file_digest, find_weights, read_tensors, search_places

GRAPH = (
    b"\n\x1f\n\x01w\x12\x05Const*\x13\n\x05value\x12\nB\x08\x08\x01*\x04\x00\x00\x00?"  # one constant, w: float32 0.5
)
FILES = ("tiny.safetensors", "tiny.pb")
DIGEST = hashlib.sha256(GRAPH).hexdigest()


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return content.getvalue()


ARCHIVE = zipped({"folder/tiny.pb": GRAPH, "LICENSE": b"text"})


class Handler(http.server.BaseHTTPRequestHandler):
    server: "Server"  # type: ignore[assignment]

    def do_GET(self):
        self.server.requests.append(self.path)
        body = self.server.bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.bodies = {"/pack.zip": ARCHIVE, "/tiny.pb": GRAPH}

    def source(self, name: str = "pack.zip", member: str | None = "folder/tiny.pb", **settings: Any) -> WeightsSource:
        url = f"http://127.0.0.1:{self.server_port}/{name}"
        return WeightsSource("tiny", FILES, url, member, settings.pop("max_bytes", 10_000), **settings)


@pytest.fixture
def server():
    running = Server()
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    for name in ("PELLUCID_DATA", "PELLUCID_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def local(**settings: Any) -> WeightsSource:
    return WeightsSource("tiny", FILES, None, None, 10_000, **settings)


def put(path: Path, content: bytes = GRAPH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_places_are_those_of_the_environment(tmp_path, monkeypatch, cache):
    assert search_places() == [cache]
    monkeypatch.setenv("PELLUCID_DATA", os.pathsep.join([str(tmp_path / "a"), "", "~/b", str(tmp_path / "a")]))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    a, b = tmp_path / "a", tmp_path / "b"
    assert search_places() == [a, a / "models", b, b / "models", cache]


def test_the_cache_is_the_systems_unless_said(monkeypatch):
    monkeypatch.delenv("PELLUCID_CACHE")
    monkeypatch.setattr(_weights.platformdirs, "user_cache_dir", lambda name: f"/system/{name}")
    assert search_places() == [Path("/system/pellucid/weights")]


def test_earlier_places_and_better_names_win(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("PELLUCID_DATA", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    (tmp_path / "a" / "tiny.pb").mkdir(parents=True)  # a folder of that name is no file
    order = [cache / "tiny.pb", cache / "tiny.safetensors", tmp_path / "b" / "tiny.pb"]
    order += [tmp_path / "a" / "models" / "tiny.pb", tmp_path / "a" / "models" / "tiny.safetensors"]
    for better in [*order, tmp_path / "a" / "tiny.safetensors"]:
        put(better)
        assert find_weights(local()) == better


def test_a_path_is_taken_as_given(tmp_path, monkeypatch):
    put(tmp_path / "data" / "tiny.pb")
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "data"))
    own = put(tmp_path / "own name.PB")
    assert find_weights(local(), own) == own
    assert find_weights(local(), str(own)) == own
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert find_weights(local(), "~/own name.PB") == own


def test_a_folder_is_looked_through(tmp_path):
    with pytest.raises(WeightsError, match=r"holds no weights for tiny; expected tiny\.safetensors or tiny\.pb"):
        find_weights(local(), tmp_path)
    for name in ("models/tiny.pb", "tiny.pb", "tiny.safetensors"):
        put(tmp_path / name)
        assert find_weights(local(), tmp_path) == tmp_path / name


def test_paths_that_cannot_be_used(tmp_path):
    put(tmp_path / "tiny.pb")
    with pytest.raises(WeightsError, match=r"no weights file .*tinny\.pb; did you mean 'tiny\.pb'\?"):
        find_weights(local(), tmp_path / "tinny.pb")
    with pytest.raises(WeightsError, match=r"no weights file .*; give the path of a file"):
        find_weights(local(), tmp_path / "nowhere" / "x.safetensors")
    for name, said in (("tiny.pth", r"has \.pth suffix"), ("tiny", "has no suffix")):
        with pytest.raises(WeightsError, match=said + r", expected \.safetensors or \.pb; save it with"):
            find_weights(local(), put(tmp_path / name))
    with pytest.raises(WeightsError):
        find_weights(local(), "~nobody-of-that-name/tiny.pb")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = put(tmp_path / "tiny.pb")
    real = Path.open

    def forbidden(self, *arguments, **settings):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real(self, *arguments, **settings)

    monkeypatch.setattr(Path, "open", forbidden)
    for call in (lambda: find_weights(local(), path), lambda: file_digest(path), lambda: read_tensors(path)):
        with pytest.raises(WeightsError, match=r"tiny\.pb cannot be read \(Permission denied\)"):
            call()


def test_what_is_said_when_nothing_is_found(tmp_path, monkeypatch, server, cache):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "data"))
    with pytest.raises(WeightsError, match="have no address") as raised:
        find_weights(local())
    for part in (
        "tiny.safetensors or tiny.pb",
        str(tmp_path / "data" / "models"),
        str(cache),
        "weights=",
        "PELLUCID_DATA",
    ):
        assert part in str(raised.value)
    with pytest.raises(WeightsError, match="download=False forbids"):
        find_weights(server.source(), download=False)
    monkeypatch.setenv("PELLUCID_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"PELLUCID_OFFLINE forbids .* unset PELLUCID_OFFLINE"):
        find_weights(server.source())
    assert server.requests == []
    monkeypatch.setenv("PELLUCID_OFFLINE", "0")
    assert find_weights(server.source()) == cache / "tiny.pb"


def test_a_member_is_fetched_once_and_recorded(server, cache):
    events = []
    source = server.source(sha256=hashlib.sha256(ARCHIVE).hexdigest())
    file = find_weights(source, progress=events.append)
    assert file == cache / "tiny.pb"
    assert file.read_bytes() == GRAPH
    assert {path.name for path in cache.rglob("*") if path.is_file()} == {"tiny.pb", "tiny.pb.json"}
    assert json.loads((cache / "tiny.pb.json").read_text()) == {
        "url": source.url,
        "archive": {
            "member": "folder/tiny.pb",
            "sha256": hashlib.sha256(ARCHIVE).hexdigest(),
            "bytes": len(ARCHIVE),
        },
        "file": {"sha256": DIGEST, "bytes": len(GRAPH)},
    }
    assert {event.task for event in events} == {"downloading pack.zip"}
    assert events[-1].done == len(ARCHIVE)
    assert find_weights(source) == file
    assert server.requests == ["/pack.zip"]


def test_a_file_that_is_no_archive_is_fetched(server, cache):
    assert find_weights(server.source("tiny.pb", None)).read_bytes() == GRAPH
    assert {path.name for path in cache.rglob("*") if path.is_file()} == {"tiny.pb", "tiny.pb.json"}
    assert json.loads((cache / "tiny.pb.json").read_text())["file"] == {"sha256": DIGEST, "bytes": len(GRAPH)}


def test_downloads_that_fail_leave_no_weights(server, cache):
    for source, exception, said in (
        (server.source("absent.zip"), DownloadError, "404"),
        (server.source(sha256="0" * 64), DownloadError, f"expected {'0' * 64}"),
        (server.source(max_bytes=50), DownloadError, "more than the 50 allowed"),
        (server.source(member="other/tiny.pb"), WeightsError, "/pack.zip gave no usable weights: .*no member"),
        (server.source("tiny.pb"), WeightsError, "/tiny.pb gave no usable weights: .*not a zip"),
    ):
        with pytest.raises(exception, match=said):
            find_weights(source)
        assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert find_weights(server.source()).read_bytes() == GRAPH


def test_a_bomb_is_not_unpacked(server, cache):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/tiny.pb", bytes(10**6))
    server.bodies["/pack.zip"] = content.getvalue()
    with pytest.raises(WeightsError, match="unpacks to 1000000 bytes"):
        find_weights(server.source())
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("given", [False, True])
def test_a_later_load_checks_the_record(server, cache, given):
    source = server.source()
    file = find_weights(source)
    path = file if given else None
    put(file, GRAPH + b"\x00")
    with pytest.raises(WeightsError, match=rf"has {len(GRAPH) + 1} bytes, not the {len(GRAPH)} that {source.url} gave"):
        find_weights(source, path)
    put(file, GRAPH[:-1] + b"@")
    os.utime(file, ns=(1, 1))
    with pytest.raises(
        WeightsError, match=rf"has the SHA-256 [0-9a-f]{{64}}, not {DIGEST}, .*; delete .* it is fetched"
    ):
        find_weights(source, path)
    for note in ("", "[]", '{"url": 1}', '{"url": 1, "file": 2}'):
        (cache / "tiny.pb.json").write_text(note)
        with pytest.raises(WeightsError, match=r"tiny\.pb\.json, the record of a download, cannot be read"):
            find_weights(source, path)
    file.unlink()
    (cache / "tiny.pb.json").unlink()
    assert find_weights(source).read_bytes() == GRAPH


def test_records_count_in_the_cache_alone(tmp_path, cache):
    put(tmp_path / "own" / "tiny.pb.json", b"something else")
    assert find_weights(local(), put(tmp_path / "own" / "tiny.pb"))
    assert find_weights(local(), put(cache / "tiny.pb"))  # a file put there by hand has no record


def test_an_orphaned_record_does_not_stop_a_download(server, cache):
    put(cache / "tiny.pb.json", b"left by a crash")
    assert find_weights(server.source()).read_bytes() == GRAPH
    assert find_weights(server.source())


def test_two_processes_fetch_once(server, cache):
    found, threads = [], []
    messages = []
    with _weights.file_lock(put(cache / "lock").with_name("tiny.pb")):
        for _ in range(3):
            job = threading.Thread(
                target=lambda: found.append(
                    find_weights(server.source(), progress=lambda e: messages.append(e.message))
                )
            )
            job.start()
            threads.append(job)
        until = time.monotonic() + 5
        while sum("another process" in message for message in messages) < 3 and time.monotonic() < until:
            time.sleep(0.01)
    for job in threads:
        job.join(10)
    assert found == [cache / "tiny.pb"] * 3
    assert server.requests == ["/pack.zip"]


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(put(tmp_path / "a file")))
    with pytest.raises(WeightsError, match="set PELLUCID_CACHE"):
        find_weights(server.source())


@pytest.mark.parametrize(
    ("files", "url", "member"),
    [
        ((), None, None),
        (("tiny.pth",), None, None),
        (FILES, "https://example.org/other.pb", None),
        (FILES, "https://example.org/tiny.zip", "folder/other.pb"),
    ],
)
def test_sources_that_make_no_sense(files, url, member):
    with pytest.raises(InputError, match="tiny"):
        WeightsSource("tiny", files, url, member, 1)


def test_digests_are_remembered_until_the_file_changes(tmp_path, monkeypatch):
    path = put(tmp_path / "x.pb")
    read = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: read.append(1) or real(file, name))
    assert file_digest(path) == file_digest(str(path)) == DIGEST
    assert len(read) == 1
    other = GRAPH[::-1]
    put(path, other)
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == hashlib.sha256(other).hexdigest()
    put(path, other + b"more")
    assert file_digest(path) == hashlib.sha256(other + b"more").hexdigest()
    assert len(read) == 3
    with pytest.raises(WeightsError, match="cannot be read"):
        file_digest(tmp_path / "absent")


def test_tensors_of_both_formats(tmp_path):
    weights = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.zeros(2, dtype=torch.float16)}
    save_file(weights, tmp_path / "x.safetensors")
    tensors = read_tensors(tmp_path / "x.safetensors")
    assert set(tensors) == set(weights)
    for name, values in weights.items():
        assert tensors[name].dtype == values.dtype
        assert torch.equal(tensors[name], values)
    tensors = read_tensors(str(put(tmp_path / "x.pb")))
    assert list(tensors) == ["w"]
    assert tensors["w"].dtype == torch.float32
    assert tensors["w"].add_(1).item() == 1.5


def test_damaged_safetensors_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"w": torch.arange(6.0)}, path)
    whole = path.read_bytes()
    broken = [whole[:length] for length in range(0, len(whole), 7)]
    broken += [b"\xff" * 8 + whole[8:], whole.replace(b"F32", b"F99"), whole.replace(b"[6]", b"[9]"), whole + b"x"]
    broken += [whole.replace(b'"w"', b"'w'"), b"<!DOCTYPE html><html></html>", GRAPH, np.arange(99).tobytes()]
    for content in broken:
        with pytest.raises(WeightsError, match="is not a safetensors file, or is damaged"):
            read_tensors(put(path, content))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="not a frozen TensorFlow graph"):
        read_tensors(put(tmp_path / "x.pb", b"<html>"))
    with pytest.raises(WeightsError, match=r"has \.pt suffix"):
        read_tensors(put(tmp_path / "x.pt"))
    for name in ("absent.pb", "absent.safetensors", "absent.pt"):
        with pytest.raises(WeightsError, match="no weights file"):
            read_tensors(tmp_path / name)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(WeightsError, match="cannot be read"):
        read_tensors(tmp_path / "folder.safetensors")


def test_examples():
    results = doctest.testmod(_weights)
    assert results.attempted >= 12
    assert results.failed == 0
