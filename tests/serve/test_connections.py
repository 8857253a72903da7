"""Clients that are slow, silent or many, and servers that end: others notice nothing, and nothing piles up."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import pellucid
from pellucid.serve import Limits, _desk
from pellucid.serve._models import IconDesk
from pellucid.serve._protocol import Connection
from tests.serve.conftest import Running, until


@pytest.fixture
def asking() -> Iterator[Callable[..., socket.socket]]:
    """Opens connections that have sent some bytes; with a small window, the system takes in little for who waits."""
    opened: list[socket.socket] = []

    def asking(running: Running, request: bytes, *, small: bool = False) -> socket.socket:
        client = socket.socket()
        opened.append(client)
        client.settimeout(30)
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", running.port))
        client.sendall(request)
        return client

    yield asking
    for client in opened:
        client.close()


def ended(client: socket.socket) -> bool:
    """Whether the server ended the connection."""
    try:
        return client.recv(65536) == b""
    except ConnectionError:
        return True


@pytest.fixture
def endless(monkeypatch) -> None:
    """Explanations that are never done."""

    def never(*arguments, partial, progress, **settings):
        while True:
            time.sleep(0.02)
            progress(pellucid.Event("counting sheep", 3, 10))

    monkeypatch.setattr(_desk, "explain", never)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: a"])
def test_who_sends_no_request_is_not_waited_for(asking, running: Running, monkeypatch, sent: bytes) -> None:
    monkeypatch.setattr(Connection, "check_seconds", 0.05)
    monkeypatch.setattr(Connection, "head_seconds", 0.2)
    assert ended(asking(running, sent))


def test_who_does_not_stop_sending_what_was_refused_is_not_waited_for(asking, running: Running, monkeypatch) -> None:
    monkeypatch.setattr(Connection, "check_seconds", 0.05)
    monkeypatch.setattr(Connection, "head_seconds", 0.2)
    head = b"POST /api/results HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    client = asking(running, head)
    assert client.recv(4096).startswith(b"HTTP/1.1 403")

    def sending() -> bool:
        try:
            client.sendall(b"x")
            return False
        except ConnectionError:
            return True

    until(sending)


def test_who_does_not_read_is_not_waited_for(asking, running: Running, monkeypatch) -> None:
    monkeypatch.setattr(Connection, "check_seconds", 0.05)
    monkeypatch.setattr(Connection, "stalled_seconds", 0.3)
    # More than the system itself holds between the two.
    asking(running, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40, small=True)
    connections = running.server.server_state.connections
    until(lambda: len(connections) == 1)
    until(lambda: not connections)


def test_who_reads_slowly_gets_all(asking, running: Running, monkeypatch) -> None:
    monkeypatch.setattr(Connection, "check_seconds", 0.05)
    monkeypatch.setattr(Connection, "stalled_seconds", 5.0)
    client = asking(running, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", small=True)
    got = b""
    while part := client.recv(16_384):
        got += part
        time.sleep(0.005)
    head, _, body = got.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert body == running.ask("GET", "/").content  # type: ignore[attr-defined]


def test_more_connections_than_allowed_are_ended(asking, running: Running, monkeypatch) -> None:
    monkeypatch.setattr(Connection, "most_connections", 5)
    first = [asking(running, b"") for _ in range(5)]
    until(lambda: len(running.server.server_state.connections) == 5)
    assert ended(asking(running, b""))
    first[0].close()
    until(lambda: len(running.server.server_state.connections) < 5)
    assert running.ask("GET", "/").status == 200


def test_the_answer_to_what_is_refused_comes_on_a_connection_that_lives(start: Callable[..., Running]) -> None:
    running = start(Limits(most_bytes=1000))
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    for headers, status in (({}, 403), ({"X-Pellucid": "1"}, 413)):
        connection.request("POST", "/api/results", b"x" * 3_000_000, {"Content-Type": "image/png", **headers})
        answer = connection.getresponse()
        assert answer.status == status
        assert json.loads(answer.read())["problem"].endswith(".")
    connection.request("GET", "/api/results")
    assert connection.getresponse().status == 200
    connection.close()


def test_uploads_on_their_way_share_a_limit(asking, start: Callable[..., Running], picture: Path) -> None:
    content = picture.read_bytes()
    running = start(Limits(most_bytes_at_once=len(content) + 1000))
    head = b"POST /api/results HTTP/1.1\r\nHost: localhost\r\nX-Pellucid: 1\r\nContent-Type: image/png\r\n"
    client = asking(running, head + b"Content-Length: 5000\r\n\r\n" + b"x" * 3000)
    pages = running.server.config.app.app.routes[0].endpoint.__self__  # type: ignore[union-attr]
    until(lambda: pages._arrived == 3000)
    answer = running.send(content)
    assert answer.status == 503
    assert "at once" in json.loads(answer.content)["problem"]  # type: ignore[attr-defined]
    assert pages._arrived == 3000
    client.close()
    until(lambda: pages._arrived == 0)
    assert running.send(content).status == 201
    assert pages._arrived == 0


def test_pages_that_stop_following_leave_room(asking, start: Callable[..., Running], picture: Path, endless) -> None:
    running = start(Limits(most_streams=2))
    name = running.explain(picture)["id"]
    request = f"GET /api/results/{name}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for _ in range(3):
        clients = [asking(running, request) for _ in range(2)]
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert running.ask("GET", f"/api/results/{name}/events").status == 503
        for client in clients:
            client.close()
        until(lambda: not running.server.server_state.connections)


def test_a_page_that_follows_is_told_of_the_end(asking, running: Running, picture: Path, endless) -> None:
    name = running.explain(picture)["id"]
    client = asking(running, f"GET /api/results/{name}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    until(lambda: b"event: progress" in client.recv(4096))
    assert running.ask("DELETE", f"/api/results/{name}").status == 204
    until(lambda: b"0\r\n\r\n" in client.recv(4096))  # the stream is over, the connection is not


def test_servers_end_while_pages_follow_and_work_goes_on(asking, running: Running, picture: Path, endless) -> None:
    name = running.explain(picture)["id"]
    client = asking(running, f"GET /api/results/{name}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    running.stop()
    assert not running.thread.is_alive()
    # The stream has come to its end, and was not cut off.
    assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(b"0\r\n\r\n")


def many(ask: Callable[[], int], count: int) -> list[threading.Thread]:
    asked = [threading.Thread(target=ask, daemon=True) for _ in range(count)]
    for thread in asked:
        thread.start()
    return asked


def test_icons_that_take_long_stop_nothing_else(running: Running, monkeypatch) -> None:
    free, found = threading.Event(), []
    drawn = IconDesk._drawn

    def slow(desk, keys):
        assert free.wait(60)
        return drawn(desk, keys)

    monkeypatch.setattr(IconDesk, "_drawn", slow)
    path = "/api/models/drawn/icons/3/{}.webp"
    asked = many(lambda: found.append(running.ask("GET", path.format(len(found) % 6)).status) or 0, 60)  # type: ignore[func-returns-value]
    until(lambda: len(running.server.server_state.tasks) == 60)
    assert running.ask("GET", "/api/status").status == 200
    assert running.ask("GET", "/r/000000000000000000").status == 404
    free.set()
    for thread in asked:
        thread.join(60)
    assert found == [200] * 60


def test_icons_that_cannot_be_drawn_are_said_and_others_still_come(running: Running, monkeypatch) -> None:
    drawn = IconDesk._drawn

    def broken(desk, keys):
        if ("3", 1) in keys:
            raise pellucid.InputError("this one is broken.")
        return drawn(desk, keys)

    monkeypatch.setattr(IconDesk, "_drawn", broken)
    assert running.ask("GET", "/api/models/drawn/icons/3/1.webp").status == 400
    assert running.ask("GET", "/api/models/drawn/icons/3/2.webp").status == 200
    for nowhere in ("3/6", "3/-1", "3/" + "9" * 5000, "3/x", "nowhere/1", "6/1"):
        assert running.ask("GET", f"/api/models/drawn/icons/{nowhere}.webp").status in (400, 404)
    assert running.ask("GET", "/api/models/other/icons/3/1.webp").status == 404


def test_questions_that_take_long_stop_nothing_else(running: Running, picture: Path) -> None:
    name = running.explain(picture, "layers=3&quick=1")["id"]
    assert running.ended(name)["state"] == "done"
    body = json.dumps({"layer": "3", "changes": [{"unit": "channel", "channel": 1, "factor": 0}]}).encode()
    found: list[int] = []
    with running.desk.models["drawn"].lock:
        asked = many(
            lambda: found.append(running.ask("POST", f"/api/results/{name}/experiment", body).status) or 0,  # type: ignore[func-returns-value]
            60,
        )
        until(lambda: len(running.server.server_state.tasks) == 60)
        assert running.ask("GET", f"/api/results/{name}/manifest").status == 200
        assert running.ask("GET", f"/r/{name}.zip").status == 200
        assert found == []
    for thread in asked:
        thread.join(60)
    assert found == [200] * 60


def test_what_goes_wrong_is_guarded_and_tells_nothing(running: Running, monkeypatch) -> None:
    def breaks(*_):
        raise KeyError("a secret")

    monkeypatch.setattr(_desk.Desk, "results", breaks)
    answer = running.ask("GET", "/api/results")
    assert answer.status == 500
    assert b"secret" not in answer.content  # type: ignore[attr-defined]
    assert b"KeyError" in answer.content  # type: ignore[attr-defined]
    assert answer.getheader("content-security-policy", "").startswith("default-src 'none'")


def test_what_is_no_http_is_refused_in_one_sentence(asking, running: Running) -> None:
    client = asking(running, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 is how TLS begins\r\n\r\n")
    answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["problem"].startswith("the request cannot be read")


def test_layers_are_counted(running: Running, picture: Path, monkeypatch, endless) -> None:
    def sent(query: str):
        return running.send(picture.read_bytes(), query)

    assert json.loads(sent("layers=" + ",".join(["3"] * 5000)).content)["layers"] == ["3"]  # type: ignore[attr-defined]
    monkeypatch.setattr(running.desk, "limits", Limits(most_layers=1))
    assert b"2 layers at once; choose at most 1" in sent("layers=1,3").content  # type: ignore[attr-defined]
    assert b"has no positions" in sent("layers=6").content  # type: ignore[attr-defined]


def test_a_server_answers_under_the_name_it_was_given(start: Callable[..., Running]) -> None:
    running = start(host="127.0.0.2")
    assert running.ask("GET", "/api/results", headers={"Host": "127.0.0.2:80"}).status == 200
    assert running.ask("GET", "/api/results", headers={"Host": "127.0.0.3:80"}).status == 421


def test_pictures_of_the_home_page(running: Running, picture: Path) -> None:
    result = running.explain(picture)
    answer = running.ask("GET", result["thumb"])
    assert answer.getheader("content-type") == "image/webp"
    (picture.parent / "thumb.webp").write_bytes(answer.content)  # type: ignore[attr-defined]
    with Image.open(picture.parent / "thumb.webp") as thumb:
        assert thumb.size == (48, 48)
