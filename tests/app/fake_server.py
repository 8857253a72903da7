"""A server of a few dozen lines that tells a page what a test wants it to hear."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from pellucid.app import page_html, served_html
from pellucid.bundle import Bundle, Result, ServedModel, ServerStatus, encode_manifest, pictures

STATUS = ServerStatus(
    version="0.0.0",
    models=[
        ServedModel(name="inception_v1", rows=224, columns=224, layers=["mixed3b", "mixed4d"], usual=["mixed4d"]),
        ServedModel(name="tiny", rows=128, columns=128, layers=["one", "two", "three", "four"], usual=["one", "two"]),
    ],
    accepts=["image/png", "image/jpeg"],
    most_bytes=2 * 2**20,
    most_pixels=40_000_000,
    most_layers=3,
    retention_seconds=86_400,
)


def make_result(**changes: Any) -> Result:
    """A result that is being made; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "id": "a1",
        "kind": "explanation",
        "title": "A barn",
        "model": "inception_v1",
        "layers": ["mixed4d", "mixed5a"],
        "quick": False,
        "state": "running",
        "ahead": 0,
        "problem": "",
        "answer": "",
        "probability": None,
        "thumb": "",
        "revision": 0,
        "created": datetime(2026, 1, 15, 12, 30, tzinfo=UTC),
        "expires": datetime(2027, 1, 15, 12, 30, tzinfo=UTC),
        "live": True,
    }
    return Result(**{**fields, **changes})


class FakeServer:
    """Results that a test changes, and a record of what pages asked.

    Attributes:
        results: by id; set one with `tell`.
        answers: what is said to a question (`experiment`, `region`, `upload`): a struct, or a sentence to refuse with.
        asked: every POST and DELETE, as the path and the JSON or bytes that came with it.
        addresses: what pages are told of a result's picture, by its file.
        down: while true, nothing is answered and streams end.
    """

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.bundles: dict[str, Bundle] = {}
        self.work: dict[str, Mapping[str, Any]] = {}
        self.answers: dict[str, Callable[[Any], msgspec.Struct | str]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.addresses: Callable[[str, str], str] = self.picture
        self.streams = 0
        self.down = False
        self.news = threading.Condition()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def tell(self, result: Result, bundle: Bundle | None = None, work: Mapping[str, Any] | None = None) -> None:
        """Change a result; a bundle makes its next revision."""
        with self.news:
            before = self.results.get(result.id)
            revision = (before.revision if before else 0) + (bundle is not None)
            self.results[result.id] = msgspec.structs.replace(result, revision=revision)
            if bundle is not None:
                self.bundles[result.id] = bundle
            if work is not None:
                self.work[result.id] = work
            self.news.notify_all()

    def picture(self, name: str, file: str) -> str:
        """The address of a picture of a result."""
        return f"/api/results/{name}/files/{_digest(self.bundles[name].files[file])}.webp"

    def interrupt(self, down: bool) -> None:
        """Stop to answer, or answer again."""
        with self.news:
            self.down = down
            self.news.notify_all()

    def close(self) -> None:
        self.interrupt(True)
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def give(self, content: bytes, kind: str = "application/json", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def json(self, value: Any, status: int = 200) -> None:
        self.give(msgspec.json.encode(value), status=status)

    def refuse(self, problem: str, status: int = 400) -> None:
        self.json({"problem": problem}, status)

    def do_GET(self) -> None:
        fake = self.fake
        if fake.down:
            return self.close_connection_now()
        path = self.path.partition("?")[0]
        words = path.strip("/").split("/")
        if path == "/":
            self.give(served_html(None), "text/html; charset=utf-8")
        elif path == "/api/status":
            self.json(STATUS)
        elif path == "/api/results":
            self.json({"results": list(fake.results.values())})
        elif words[0] == "r" and words[1].endswith(".html"):
            self.give(page_html(fake.bundles[words[1][:-5]]), "text/html; charset=utf-8")
        elif words[0] == "r":
            self.give(served_html(words[1]), "text/html; charset=utf-8")
        elif words[:2] == ["api", "results"] and words[2] in fake.results:
            self.result(words[2], words[3:])
        else:
            self.refuse("there is no result of that name, or no longer.", 404)

    def result(self, name: str, words: list[str]) -> None:
        fake = self.fake
        bundle = fake.bundles.get(name)
        if words == ["events"]:
            self.stream(name)
        elif words == ["manifest"] and bundle is not None:
            images = {file: fake.addresses(name, file) for file in pictures(bundle.manifest)}
            told = {"revision": fake.results[name].revision, "manifest": msgspec.Raw(encode_manifest(bundle.manifest))}
            self.json({**told, "images": images})
        elif words[:1] == ["files"] and bundle is not None:
            found = {_digest(content): content for content in bundle.files.values()}
            self.give(found[words[1].removesuffix(".webp")], "image/webp")
        else:
            self.json(fake.results[name])

    def stream(self, name: str) -> None:
        fake = self.fake
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"retry: 100\n\n")
        fake.streams += 1
        told: tuple[Any, Any] = (None, None)
        while not fake.down and name in fake.results:
            now = fake.results[name], fake.work.get(name)
            try:
                if now[0] != told[0]:
                    self.event("result", now[0])
                if now[1] is not None and now[1] != told[1]:
                    self.event("progress", now[1])
            except OSError:
                return
            if now[0].state in ("done", "failed", "cancelled"):
                return
            told = now
            with fake.news:
                fake.news.wait(0.2)

    def event(self, name: str, value: Any) -> None:
        self.wfile.write(f"event: {name}\ndata: ".encode() + msgspec.json.encode(value) + b"\n\n")

    def do_POST(self) -> None:
        fake = self.fake
        if fake.down:
            return self.close_connection_now()
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = json.loads(content) if self.path.endswith(("/experiment", "/region")) else content
        fake.asked.append((self.path, told))
        if self.headers.get("X-Pellucid") != "1":
            return self.refuse("this did not come from a page of this server.", 403)
        path = self.path.partition("?")[0]
        if path.endswith("/cancel"):
            name = path.split("/")[3]
            fake.tell(msgspec.structs.replace(fake.results[name], state="cancelled"))
            return self.json(fake.results[name])
        answer = fake.answers["upload" if path == "/api/results" else path.rpartition("/")[2]](told)
        if isinstance(answer, str):
            self.refuse(answer)
        else:
            self.json(answer, 201 if path == "/api/results" else 200)

    def do_DELETE(self) -> None:
        fake = self.fake
        name = self.path.split("/")[3]
        fake.asked.append((self.path, b""))
        with fake.news:
            fake.results.pop(name)
            fake.news.notify_all()
        self.send_response(204)
        self.end_headers()

    def close_connection_now(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
