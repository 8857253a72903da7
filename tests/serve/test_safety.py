"""What a server refuses, and what it never does: each sentence of its safety has a test that can fail."""

import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from benchmarks.serve_load import load
from pellucid.errors import InputError
from pellucid.serve import Limits
from pellucid.serve._uploads import decode_upload
from tests.serve.conftest import Running, until


def encoded(kind: str = "PNG", size: tuple[int, int] = (40, 30), **settings) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind, **settings)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims a picture of gigabytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 + 3 * width) * min(height, 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def problem(answer) -> str:
    return json.loads(answer.content)["problem"]


# ---- uploads


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_pictures_are_read(kind: str) -> None:
    found = decode_upload(encoded(kind), Limits())
    assert found.size == (40, 30)
    assert found.mode == "RGB"


def test_pictures_are_turned_and_made_smaller() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera on its side
    assert decode_upload(encoded("JPEG", exif=exif), Limits()).size == (30, 40)
    assert decode_upload(encoded("JPEG", (3000, 1500), quality=40), Limits()).size == (2048, 1024)


def with_zip() -> bytes:
    packed = io.BytesIO(encoded())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("evil.class", "x")
    return packed.getvalue()


REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"no picture at all", "not a picture"),
    "svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "html in a picture": (b"GIF89a/*<html><script>alert(1)</script>*/", "something else at once"),
    "zip in a picture": (with_zip(), "something else at once"),
    "pdf in a picture": (encoded("JPEG", comment=b"%PDF-1.7"), "something else at once"),
    "bomb": (bomb(60_000, 60_000), "60000 × 60000 pixels"),
    "cut short": (encoded("JPEG")[:300], "damaged or cut short"),
    "tiff": (encoded("TIFF"), "not a picture that can be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_uploads_that_are_refused(name: str) -> None:
    content, says = REFUSED[name]
    with pytest.raises(InputError, match=says):
        decode_upload(content, Limits())


def test_pixels_that_fit_the_limit_but_not_the_memory_end_the_decoder_only() -> None:
    with pytest.raises(InputError, match=r"memory|could not be read|damaged|longer than"):
        decode_upload(bomb(40_000, 40_000), Limits(most_pixels=2_000_000_000))


def test_decoding_has_a_time_limit(monkeypatch, tmp_path: Path) -> None:
    endless = tmp_path / "decoder.py"
    endless.write_text("while True: pass")
    monkeypatch.setattr("pellucid.serve._uploads._DECODER", endless)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"longer than 1 s|memory and time"):
        decode_upload(encoded(), Limits(decode_seconds=1))
    assert time.monotonic() - began < 30


def test_refusals_come_as_one_sentence(start: Callable[..., Running]) -> None:
    running = start(Limits(most_bytes=5000))
    assert (answer := running.send(b"x" * 6000)).status == 413
    assert "larger than" in problem(answer)
    # Without a length said beforehand, it is counted.
    chunked = running.ask("POST", "/api/results", iter([b"x" * 3000] * 3), {"Content-Type": "image/png"})
    assert chunked.status == 413
    assert (answer := running.send(b"<svg/>", kind="image/svg+xml")).status == 415
    assert "image/svg+xml is not read here" in problem(answer)
    assert (answer := running.send(b"<svg/>")).status == 400
    assert "SVG" in problem(answer)
    assert (answer := running.send(encoded(), "model=nothing")).status == 400
    assert "no network 'nothing'" in problem(answer)
    assert (answer := running.send(encoded(), "layers=nowhere")).status == 400
    assert "nowhere" in problem(answer)


def test_names_lead_nowhere(running: Running) -> None:
    answer = running.send(encoded(), "title=..%2F..%2Fetc%2Fpasswd%00.png")
    result = json.loads(answer.content)
    assert result["title"] == "passwd"
    kept = {path.name for path in running.desk.folder.iterdir()}
    assert kept <= {result["id"], f".{result['id']}.part", ".lock"}
    for path in ("/r/..%2f..%2fetc%2fpasswd", "/api/results/%2e%2e", "/api/results/../../etc/passwd", "/r/.html"):
        assert running.ask("GET", path).status in (404, 405)
    until(lambda: running.ended(result["id"]))
    files = running.ask("GET", f"/api/results/{result['id']}/files/..%2f..%2fmanifest.webp")
    assert files.status == 404


# ---- who may ask


def test_only_the_names_of_this_machine_are_answered(running: Running) -> None:
    assert running.ask("GET", "/", headers={"Host": f"localhost:{running.port}"}).status == 200
    answer = running.ask("GET", "/", headers={"Host": "evil.example"})  # as after DNS rebinding
    assert answer.status == 421
    assert "evil.example" in problem(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Pellucid": ""},
    ],
)
def test_requests_of_other_sites_are_refused(running: Running, headers: dict[str, str]) -> None:
    answer = running.ask("POST", "/api/results", encoded(), {"Content-Type": "image/png", **headers})
    assert answer.status == 403
    assert running.json("GET", "/api/results")["results"] == []


def test_a_link_from_another_site_opens_the_page(running: Running) -> None:
    come = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert running.ask("GET", "/", headers=come).status == 200
    assert running.ask("GET", "/api/results", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_a_token_beyond_this_machine(start: Callable[..., Running]) -> None:
    running = start(token="s3cret-token", any_host=True)
    for path in ("/", "/api/results", "/api/status"):
        assert running.ask("GET", path).status == 401
        assert running.ask("GET", path + "?token=wrong").status == 401
    first = running.ask("GET", "//evil.example/?token=s3cret-token&x=1")
    assert first.status == 303
    assert first.getheader("location") == "/evil.example/?x=1"  # no other host, and the token is gone from it
    cookie = first.getheader("set-cookie", "")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    name = cookie.partition(";")[0]
    assert running.ask("GET", "/api/results", headers={"Cookie": name}).status == 200
    assert running.ask("GET", "/api/results", headers={"Authorization": "Bearer s3cret-token"}).status == 200
    # A cookie alone changes nothing: another site could make the browser send it.
    assert running.ask("POST", "/api/results", encoded(), {"Cookie": name, "X-Pellucid": ""}).status == 403


# ---- what pages may do


def test_pages_can_reach_nothing_else(running: Running) -> None:
    answer = running.ask("GET", "/")
    text = answer.content.decode()  # type: ignore[attr-defined]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["img-src"] == "'self' data: blob:"
    script = re.search(r'<script type="module">(.*?)</script>', text, re.S)
    assert script is not None
    assert rules["script-src"] == f"'sha256-{b64encode(sha256(script[1].encode()).digest()).decode()}'"
    assert not re.search(r'(?:src|href)="https?:', text)
    assert "frame-ancestors 'none'" in answer.getheader("content-security-policy", "")


def test_every_answer_is_guarded(running: Running) -> None:
    for path in ("/", "/api/status", "/nothing"):
        answer = running.ask("GET", path)
        assert answer.getheader("x-content-type-options") == "nosniff"
        assert answer.getheader("referrer-policy") == "no-referrer"
        assert answer.getheader("cross-origin-resource-policy") == "same-origin"
        assert answer.getheader("server") is None or "Pellucid" not in answer.getheader("server", "")


# ---- who is slow, or many


def raw(running: Running, request: bytes) -> bytes:
    """What comes back for bytes, until the server ends the connection or nothing more comes."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_oversized_headers_are_refused(running: Running) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: "
    answer = raw(running, head + b"a" * 20_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"at most 16 kB" in answer
    assert raw(running, head + b"a" * 1000 + b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
        # One that never ends is not waited for.
        client.sendall(head)
        for _ in range(3):
            client.sendall(b"a" * 10_000)
            time.sleep(0.05)
        assert client.recv(4096).startswith(b"HTTP/1.1 400")


def test_slow_clients_do_not_stop_others(start: Callable[..., Running], picture: Path) -> None:
    running = start(Limits(upload_seconds=1))
    slow = [socket.create_connection(("127.0.0.1", running.port), timeout=20) for _ in range(30)]
    try:
        for number, client in enumerate(slow):
            head = "POST /api/results HTTP/1.1\r\nHost: localhost\r\nX-Pellucid: 1\r\nContent-Type: image/png\r\n"
            # Some never finish their headers, some never their upload.
            client.sendall(head.encode() + (b"Content-Length: 5000\r\n\r\nx" if number % 2 else b"X-More: "))
        assert running.ended(running.explain(picture)["id"])["state"] == "done"
        assert slow[1].recv(64).startswith(b"HTTP/1.1 408")
    finally:
        for client in slow:
            client.close()


def test_many_at_once(running: Running, picture: Path) -> None:
    """People look, ask, send, read slowly and drop connections; benchmarks/serve_load.py has fifty for two minutes."""
    name = running.explain(picture, "layers=3&quick=1")["id"]
    running.ended(name)
    tally = load(running.port, picture.read_bytes(), name, "3", clients=30, seconds=4)
    assert tally.errors == []
    assert {"experiment", "file", "manifest", "region", "results", "status", "upload"} <= set(tally.seconds)
    assert tally.dropped > 5
    # Nothing of it stays.
    until(lambda: not running.server.server_state.tasks)
    pages = running.server.config.app.app.routes[0].endpoint.__self__  # type: ignore[union-attr]
    assert (pages._streams, pages._arrived) == (0, 0)
    until(lambda: not running.desk._open)


def test_pages_that_follow_are_counted(start: Callable[..., Running], picture: Path, monkeypatch) -> None:
    running = start(Limits(most_streams=0))
    name = running.explain(picture)["id"]
    answer = running.ask("GET", f"/api/results/{name}/events")
    assert answer.status == 503
    assert "too many pages" in problem(answer)


# ---- the command


@pytest.mark.slow
def test_the_command_serves_and_ends(tmp_path: Path) -> None:
    environment = {**os.environ, "PELLUCID_CACHE": str(tmp_path)}
    command = [sys.executable, "-m", "pellucid", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as made:
        try:
            assert made.stdout is not None
            line = made.stdout.readline()
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)/$", line.strip())[1])  # type: ignore[index]
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(b"GET /api/results HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert b'{"results":[]}' in b"".join(iter(lambda: client.recv(4096), b""))
        finally:
            made.send_signal(signal.SIGINT)
            out, err = made.communicate(timeout=60)
        assert made.returncode == 0, out + err
        assert "Traceback" not in err


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is taken"):
            pellucid.serve.serve(models={}, port=port, folder=tmp_path)  # type: ignore[attr-defined]
