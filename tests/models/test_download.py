"""Downloads from a server of our own on 127.0.0.1, which misbehaves as told."""

import doctest
import errno
import hashlib
import http.server
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from pellucid.errors import DownloadError, ResourceError, WeightsError
from pellucid.models import _download
from pellucid.models._download import download, extract_member, file_lock

BODY = bytes(itertools.islice(itertools.cycle(range(251)), 1_500_000))
DIGEST = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.body`; the other attributes of `Server` say what goes wrong."""

    server: "Server"  # type: ignore[assignment]

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
        if server.hang:
            server.released.wait(10)
            return
        if self.path == "/moved":
            return self.answer(302, {"Location": server.moved_to}, b"")
        if server.status != 200:
            return self.answer(server.status, {}, b"no")
        first, status, headers = 0, 200, dict(server.headers)
        asked = self.headers.get("Range")
        version = server.headers.get("ETag") or server.headers.get("Last-Modified")
        if asked and server.ranges and (server.ignores_if_range or self.headers.get("If-Range") in (None, version)):
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            if first >= len(server.body):
                return self.answer(416, {"Content-Range": f"bytes */{len(server.body)}"}, b"")
            status = 206
            headers["Content-Range"] = f"bytes {first + server.shift}-{len(server.body) - 1}/{len(server.body)}"
        return self.answer(status, headers, server.body[first:])

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.length and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), 100_000):
            if self.server.cut is not None and start >= self.server.cut:
                return  # the connection closes
            self.wfile.write(body[start : start + 100_000])
            if self.server.stall is not None and start >= self.server.stall:
                self.server.released.wait(10)
                return

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, str]] = []
        self.released = threading.Event()
        self.body, self.status, self.headers = BODY, 200, {"ETag": '"one"'}
        self.ranges, self.length, self.hang, self.ignores_if_range = True, True, False, False
        self.cut: int | None = None
        self.stall: int | None = None
        self.shift = 0
        self.moved_to = "/file"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"

    def handle_error(self, request, client_address):
        pass  # a client that leaves early is part of these tests


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.released.set()
    running.shutdown()
    running.server_close()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def interrupted(server: Server, destination: Path, **settings) -> None:
    """A first download that stops after 700 000 bytes."""
    server.cut = 700_000
    with pytest.raises(DownloadError, match="stopped after 700000 of 1500000 bytes"):
        download(server.url, destination, max_bytes=10**7, **settings)
    server.cut = None


def test_a_whole_file_with_its_events(server, tmp_path):
    events = []
    destination = tmp_path / "new" / "folder" / "weights.bin"
    assert download(server.url, destination, max_bytes=len(BODY), progress=events.append) == DIGEST
    assert destination.read_bytes() == BODY
    assert files(destination.parent) == {"weights.bin"}
    assert {(event.task, event.total, event.unit) for event in events} == {
        ("downloading weights.bin", len(BODY), "byte")
    }
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert (events[0].done, events[-1].done) == (0, len(BODY))
    assert 3 <= len(events) <= 9


def test_an_undeclared_length_is_no_obstacle(server, tmp_path):
    server.length = False
    events = []
    assert download(server.url, tmp_path / "w", max_bytes=len(BODY), progress=events.append) == DIGEST
    assert events[0].total is None


def test_an_old_file_is_replaced(server, tmp_path):
    (tmp_path / "w").write_bytes(b"old")
    assert download(server.url, tmp_path / "w", max_bytes=10**7, sha256=DIGEST.upper()) == DIGEST
    assert (tmp_path / "w").read_bytes() == BODY


def test_a_truncated_file_is_continued(server, tmp_path):
    interrupted(server, tmp_path / "w")
    assert files(tmp_path) == {"w.part", "w.part.json"}
    assert (tmp_path / "w.part").read_bytes() == BODY[:700_000]
    events = []
    assert download(server.url, tmp_path / "w", max_bytes=10**7, progress=events.append) == DIGEST
    assert server.requests[1]["Range"] == "bytes=700000-"
    assert server.requests[1]["If-Range"] == '"one"'
    assert (events[0].done, events[0].total) == (700_000, len(BODY))
    assert "continuing" in events[0].message
    assert (tmp_path / "w").read_bytes() == BODY
    assert files(tmp_path) == {"w"}


def test_last_modified_serves_where_the_etag_is_weak(server, tmp_path):
    server.headers = {"ETag": 'W/"one"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    interrupted(server, tmp_path / "w")
    server.headers = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert download(server.url, tmp_path / "w", max_bytes=10**7) == DIGEST
    assert server.requests[1]["If-Range"] == "Wed, 21 Oct 2015 07:28:00 GMT"


def test_a_digest_makes_any_part_resumable(server, tmp_path):
    server.headers = {}
    interrupted(server, tmp_path / "w", sha256=DIGEST)
    assert download(server.url, tmp_path / "w", max_bytes=10**7, sha256=DIGEST) == DIGEST
    assert server.requests[1]["Range"] == "bytes=700000-"


def test_without_version_or_digest_the_part_is_dropped_and_that_is_said(server, tmp_path):
    server.headers = {}
    server.cut = 700_000
    with pytest.raises(DownloadError, match="starts over, as the server does not name"):
        download(server.url, tmp_path / "w", max_bytes=10**7)
    assert files(tmp_path) == set()


def test_resume_can_be_refused(server, tmp_path):
    interrupted(server, tmp_path / "w")
    assert download(server.url, tmp_path / "w", max_bytes=10**7, resume=False) == DIGEST
    assert "Range" not in server.requests[1]


@pytest.mark.parametrize("fault", ["no ranges", "new version", "heeds no If-Range", "wrong piece", "other url"])
def test_it_starts_over_where_the_part_does_not_fit(server, tmp_path, fault):
    interrupted(server, tmp_path / "w")
    url, body = server.url, BODY
    if fault == "no ranges":
        server.ranges = False
    elif fault == "wrong piece":
        server.shift = 5
    elif fault == "other url":
        url += "?other"
    else:
        server.headers = {"ETag": '"two"'}
        server.ignores_if_range = fault == "heeds no If-Range"
        server.body = body = BODY[::-1]
    assert download(url, tmp_path / "w", max_bytes=10**7) == hashlib.sha256(body).hexdigest()
    assert ("Range" in server.requests[1]) == (fault != "other url")
    assert "Range" not in server.requests[-1] or fault in ("no ranges", "new version")
    assert (tmp_path / "w").read_bytes() == body
    assert files(tmp_path) == {"w"}


def test_a_part_that_is_complete_is_taken(server, tmp_path):
    interrupted(server, tmp_path / "w")
    (tmp_path / "w.part").write_bytes(BODY)
    assert download(server.url, tmp_path / "w", max_bytes=10**7) == DIGEST
    assert len(server.requests) == 2


def test_a_part_longer_than_the_file_is_not(server, tmp_path):
    interrupted(server, tmp_path / "w")
    (tmp_path / "w.part").write_bytes(BODY + b"more")
    assert download(server.url, tmp_path / "w", max_bytes=10**7) == DIGEST
    assert len(server.requests) == 3


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": 1}', "\x00"])
def test_a_damaged_note_means_starting_over(server, tmp_path, note):
    (tmp_path / "w.part").write_bytes(b"unknown bytes")
    (tmp_path / "w.part.json").write_text(note)
    assert download(server.url, tmp_path / "w", max_bytes=10**7) == DIGEST
    assert "Range" not in server.requests[0]


def test_ctrl_c_leaves_a_part_that_is_continued(server, tmp_path):
    def press(event):
        if event.done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, tmp_path / "w", max_bytes=10**7, progress=press)
    size = (tmp_path / "w.part").stat().st_size
    assert size > 500_000
    assert download(server.url, tmp_path / "w", max_bytes=10**7) == DIGEST
    assert server.requests[1]["Range"] == f"bytes={size}-"


def test_a_wrong_digest_removes_the_file(server, tmp_path):
    with pytest.raises(DownloadError, match=f"{DIGEST}, expected {'0' * 64}"):
        download(server.url, tmp_path / "w", max_bytes=10**7, sha256="0" * 64)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_that_is_too_large(server, tmp_path, declared):
    server.length = declared
    said = "has 1500000 bytes, more than the 1000000" if declared else "has more than the 1000000 bytes"
    with pytest.raises(DownloadError, match=said):
        download(server.url, tmp_path / "w", max_bytes=1_000_000)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("status", [404, 403, 500, 206])
def test_errors_of_the_server(server, tmp_path, status):
    server.status = status
    with pytest.raises(DownloadError) as raised:
        download(server.url, tmp_path / "w", max_bytes=10**7)
    message = str(raised.value)
    assert server.url in message
    assert "PELLUCID_DATA" in message
    assert "weights=" in message
    assert str(status) in message or status == 206
    assert files(tmp_path) == set()


def test_a_packed_answer_is_refused(server, tmp_path):
    server.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(DownloadError, match="packed as gzip"):
        download(server.url, tmp_path / "w", max_bytes=10**7)
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_a_silent_server(server, tmp_path):
    server.hang = True
    begun = time.perf_counter()
    with pytest.raises(DownloadError, match="did not answer in time"):
        download(server.url, tmp_path / "w", max_bytes=10**7, timeout=0.2)
    assert time.perf_counter() - begun < 3


def test_a_server_that_falls_silent(server, tmp_path):
    server.stall = 300_000
    with pytest.raises(DownloadError, match=r"stopped after 400000 of 1500000 bytes \(the server did not answer in t"):
        download(server.url, tmp_path / "w", max_bytes=10**7, timeout=0.2)
    assert (tmp_path / "w.part").stat().st_size == 400_000


def test_no_server_at_all(server, tmp_path):
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match=r"refused.*PELLUCID_DATA"):
        download(url, tmp_path / "w", max_bytes=10**7)


def test_an_unknown_name(tmp_path, monkeypatch):
    def unknown(*arguments, **settings):
        raise _download.socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(_download.socket, "getaddrinfo", unknown)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DownloadError, match="the server's name is not known"):
        download("http://weights.invalid/w", tmp_path / "w", max_bytes=10**7)


@pytest.mark.parametrize("url", ["ftp://a/b", "file:///etc/hosts", "data:,x", "weights.zip", "", "http://", "http://["])
def test_addresses_that_are_not_http(url, tmp_path):
    with pytest.raises(DownloadError):
        download(url, tmp_path / "w", max_bytes=10**7)
    assert files(tmp_path) == set()


def test_redirections_are_followed_but_not_to_other_schemes(server, tmp_path):
    moved = server.url.replace("/file", "/moved")
    assert download(moved, tmp_path / "w", max_bytes=10**7) == DIGEST
    for elsewhere in ("ftp://127.0.0.1/file", "file:///etc/hosts"):
        server.moved_to = elsewhere
        with pytest.raises(DownloadError):
            download(moved, tmp_path / "v", max_bytes=10**7)
    server.moved_to = "/moved"
    with pytest.raises(DownloadError, match="infinite loop"):
        download(moved, tmp_path / "v", max_bytes=10**7)


def test_encryption_is_not_given_up_on_the_way():
    request = _download.urllib.request.Request("https://example.org/w")
    with pytest.raises(_download.urllib.error.URLError, match="not https"):
        _download._Redirections().redirect_request(request, io.BytesIO(), 302, "Found", {}, "http://example.org/w")


def test_a_disk_that_will_be_full_is_noticed_before(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 0, 10**6))
    with pytest.raises(ResourceError, match=r"w\.part needs 1500000 more bytes and the disk has 1000000 free"):
        download(server.url, tmp_path / "w", max_bytes=10**7)


def test_a_disk_that_fills_up_leaves_a_part_that_is_continued(server, tmp_path, monkeypatch):
    append, written = _download._append, []

    def full(file, chunk):
        if sum(written) > 600_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(len(chunk))
        append(file, chunk)

    monkeypatch.setattr(_download, "_append", full)
    with pytest.raises(ResourceError) as raised:
        download(server.url, tmp_path / "w", max_bytes=10**7)
    assert f"w.part needs {len(BODY) - sum(written)} more bytes and the disk is full" in str(raised.value)
    monkeypatch.setattr(_download, "_append", append)
    assert download(server.url, tmp_path / "w", max_bytes=10**7) == DIGEST
    assert server.requests[1]["Range"] == f"bytes={sum(written)}-"


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="set PELLUCID_CACHE"):
        download(server.url, tmp_path / "file" / "w", max_bytes=10**7)
    (tmp_path / "w").mkdir()
    with pytest.raises(WeightsError, match="set PELLUCID_CACHE"):
        download(server.url, tmp_path / "w", max_bytes=10**7)


def test_concurrent_downloads_fetch_once(server, tmp_path):
    results, messages = [], []

    def fetch():
        results.append(
            download(server.url, tmp_path / "w", max_bytes=10**7, progress=lambda e: messages.append(e.message))
        )

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    with file_lock(tmp_path / "w"):
        for thread in threads:
            thread.start()
        until = time.monotonic() + 5
        while sum("waiting" in message for message in messages) < 4 and time.monotonic() < until:
            time.sleep(0.01)
        assert server.requests == []
    for thread in threads:
        thread.join(10)
    assert results == [DIGEST] * 4
    assert len(server.requests) == 1
    assert files(tmp_path) == {"w"}


@pytest.mark.skipif(sys.platform == "win32", reason="the other process locks with flock")
def test_another_process_is_kept_out(tmp_path):
    script = """
import fcntl, sys
with open(sys.argv[1] + ".lock", "ab") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.readline()
"""
    command = [sys.executable, "-c", script, str(tmp_path / "w")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        def waited():
            raise InterruptedError

        with pytest.raises(InterruptedError), file_lock(tmp_path / "w", waiting=waited):
            pass
        other.communicate("\n", timeout=10)
    with file_lock(tmp_path / "w", waiting=waited) as held:
        assert held
    assert files(tmp_path) == set()


def test_without_locks_a_part_of_ones_own_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "_lock", lambda descriptor: False)
    (tmp_path / "w.part").write_bytes(b"of another process")
    assert download(server.url, tmp_path / "w", max_bytes=10**7) == DIGEST
    server.cut = 700_000
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "v", max_bytes=10**7)
    assert files(tmp_path) == {"w", "w.part"}
    assert (tmp_path / "w.part").read_bytes() == b"of another process"


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_member_is_extracted(tmp_path):
    archive = pack(tmp_path / "a.zip", {"graph.pb": BODY, "LICENSE": b"text"})
    assert extract_member(archive, "graph.pb", tmp_path / "new" / "graph.pb", len(BODY)) == DIGEST
    assert (tmp_path / "new" / "graph.pb").read_bytes() == BODY
    assert files(tmp_path / "new") == {"graph.pb"}
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "new" / "graph.pb").stat().st_mode & 0o777 == 0o666 & ~mask


def refused(archive: Path, member: str = "graph.pb", max_bytes: int = 10**7) -> str:
    destination = archive.with_name("kept")
    destination.write_bytes(b"old")
    with pytest.raises(WeightsError) as raised:
        extract_member(archive, member, destination, max_bytes)
    assert destination.read_bytes() == b"old"
    assert files(archive.parent) <= {archive.name, "kept"}
    return str(raised.value)


def test_archives_that_are_refused(tmp_path):
    archive = pack(tmp_path / "a.zip", {"graph.pb": BODY, "LICENSE": b"text"})
    content = archive.read_bytes()
    assert "no member 'other.pb' (it holds graph.pb, LICENSE)" in refused(archive, "other.pb")
    assert "1500000 bytes, more than the 1000 allowed" in refused(archive, max_bytes=1000)
    archive.write_bytes(content[:-200])
    assert "not a zip archive that can be read" in refused(archive)
    archive.write_bytes(content[:3000] + bytes(200) + content[3200:])
    assert "not a zip archive that can be read" in refused(archive)
    archive.write_bytes(b"\n <!DOCTYPE html><html>Sign in to the network</html>")
    assert "it is a web page; fetch it again" in refused(archive)
    archive.write_bytes(b"")
    assert "not a zip archive" in refused(archive)
    archive.unlink()
    assert "No such file" in refused(archive)


def test_a_bomb_that_lies_about_its_size(tmp_path):
    archive = pack(tmp_path / "a.zip", {"graph.pb": bytes(10**6)})
    content = archive.read_bytes()
    assert content.count((10**6).to_bytes(4, "little")) == 2
    archive.write_bytes(content.replace((10**6).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert "CRC" in refused(archive, max_bytes=2000)


def test_encrypted_archives_are_refused(tmp_path):
    archive = pack(tmp_path / "a.zip", {"graph.pb": b"x"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    assert "encrypted" in refused(archive)


@pytest.mark.parametrize("fails", range(3))
def test_a_full_disk_while_extracting(tmp_path, monkeypatch, fails):
    archive = pack(tmp_path / "a.zip", {"graph.pb": BODY})
    calls = itertools.count()
    append = _download._append

    def full(file, chunk):
        if next(calls) == fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(file, chunk)

    monkeypatch.setattr(_download, "_append", full)
    with pytest.raises(ResourceError, match=r"graph\.pb needs 1500000 more bytes and the disk is full"):
        extract_member(archive, "graph.pb", tmp_path / "graph.pb", 10**7)
    assert files(tmp_path) == {"a.zip"}


def test_examples():
    results = doctest.testmod(_download)
    assert results.attempted >= 10
    assert results.failed == 0


def test_notes_are_small_and_readable(server, tmp_path):
    interrupted(server, tmp_path / "w")
    assert json.loads((tmp_path / "w.part.json").read_text()) == {"url": server.url, "version": '"one"'}
