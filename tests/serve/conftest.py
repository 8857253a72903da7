"""A running server of a small drawn network, whose pictures take no time."""

import functools
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image, ImageDraw

import pellucid
from pellucid.serve import Limits, _desk
from pellucid.serve._app import make_app
from pellucid.serve._desk import Desk
from pellucid.serve._models import Served
from pellucid.serve._run import make_server
from tests.explain.drawn_network import make_network


@dataclass
class Running:
    """A server, and plain ways to ask it."""

    port: int
    desk: Desk
    server: uvicorn.Server
    thread: threading.Thread

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """The answer, its body read into `.content`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        told = {"X-Pellucid": "1"} if method != "GET" else {}
        connection.request(method, path, body=body, headers={**told, **(headers or {})})
        answer = connection.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def json(self, method: str, path: str, value: Any = None) -> Any:
        body = json.dumps(value).encode() if value is not None else None
        return json.loads(self.ask(method, path, body).content)  # type: ignore[attr-defined]

    def send(self, content: bytes, query: str = "", kind: str = "image/png") -> http.client.HTTPResponse:
        return self.ask("POST", f"/api/results?{query}", content, {"Content-Type": kind})

    def explain(self, picture: Path, query: str = "title=lemon.png") -> dict[str, Any]:
        answer = self.send(picture.read_bytes(), query)
        assert answer.status == 201, answer.content  # type: ignore[attr-defined]
        return json.loads(answer.content)  # type: ignore[attr-defined]

    def ended(self, name: str) -> dict[str, Any]:
        """The result once nothing more happens to it."""
        return until(lambda: (found := self.json("GET", f"/api/results/{name}"))["state"] not in _OPEN and found)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=30)


_OPEN = ("waiting", "running")


def until(done: Callable[[], Any], seconds: float = 60) -> Any:
    """What `done` gives as soon as that is true."""
    ends = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)
    return found


@pytest.fixture
def network() -> pellucid.Model:
    return make_network()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    drawn = Image.fromarray(random.integers(90, 160, (60, 60, 3), dtype=np.uint8))
    ImageDraw.Draw(drawn).ellipse((10, 15, 40, 45), fill=(240, 220, 40))
    drawn.save(tmp_path / "lemon.png")
    return tmp_path / "lemon.png"


@pytest.fixture
def start(network: pellucid.Model, tmp_path: Path, monkeypatch) -> Iterator[Callable[..., Running]]:
    """Starts servers, all of one folder; they end with the test."""
    quick = functools.partial(pellucid.explain, icon_size=16, icon_steps=2, grid_seconds=0, n_groups=3)
    monkeypatch.setattr(_desk, "explain", quick)
    cache = pellucid.RenderCache(tmp_path / "cache")
    started: list[Running] = []

    def start(limits: Limits | None = None, **options: Any) -> Running:
        limits = limits or Limits()
        desk = Desk({"drawn": Served(lambda: network, cache)}, tmp_path / "kept", limits, cache)
        listening = socket.create_server(("127.0.0.1", 0))
        server = make_server(make_app(desk, limits, **options), desk, lambda: None)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        started.append(Running(listening.getsockname()[1], desk, server, thread))
        until(lambda: server.started)
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def running(start: Callable[..., Running]) -> Running:
    return start()
