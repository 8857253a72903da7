"""A server under load: what many people at once, some slow and some rude, wait for, and what memory the server needs.

    python benchmarks/serve_load.py                  # 50 people, two minutes
    python benchmarks/serve_load.py --latency        # one person: an experiment, and the first probabilities

Starts `pellucid serve` with the embedded network in a process and a folder of its own. Of ten people seven look, ask
and follow; one reads slowly (20 kB/s); one drops connections and leaves uploads unfinished; one sends photos for a
quick look at one layer, follows them to the end, and takes every third back. Latency is that of whole answers, seen
from the people's process. Only Linux tells the memory of another process in the way that is read here.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HOST = "127.0.0.1"
_PATIENCE = 60.0
_SLOW_BYTES_A_SECOND = 20_000


@dataclass
class Tally:
    """What was measured: seconds by kind of request, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    dropped: int = 0
    explained: int = 0

    @property
    def requests(self) -> int:
        return sum(map(len, self.seconds.values()))


class Person:
    """One client, with a connection that is kept."""

    def __init__(self, port: int, tally: Tally, seed: int) -> None:
        self.port, self.tally, self.random = port, tally, random.Random(seed)
        self._connection = http.client.HTTPConnection(_HOST, port, timeout=_PATIENCE)

    def ask(self, kind: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
        """The answer; noted as an error where it is none."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        told = {**({"X-Pellucid": "1"} if method != "GET" else {}), **(headers or {})}
        began = time.perf_counter()
        for again in (False, True):
            try:
                self._connection.request(method, path, body, told)
                answer = self._connection.getresponse()
                break
            except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
                # The server ends connections that were silent for ten seconds; browsers ask again too.
                self.close()
                if again:
                    raise
        content = answer.read()
        self.tally.seconds[kind].append(time.perf_counter() - began)
        if answer.status >= 400:
            self.tally.errors.append(f"{kind}: {answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        self._connection.close()

    def json(self, kind: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        return json.loads(self.ask(kind, method, path, body, headers))

    def explain(self, photo: bytes, *, quick: bool = True, layer: str = "") -> str:
        """The name of a new result, of one layer or of the usual ones."""
        path = f"/api/results?title=load.png&quick={int(quick)}&layers={layer}"
        return self.json("upload", "POST", path, photo, {"Content-Type": "image/png"})["id"]

    def follow(self, name: str, enough: Callable[[dict[str, Any]], bool] = lambda result: False) -> dict[str, Any]:
        """The result as the server last told it, at its end or as soon as it is enough."""
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=10 * _PATIENCE)
        connection.request("GET", f"/api/results/{name}/events")
        answer = connection.getresponse()
        result: dict[str, Any] = {}
        kind = ""
        while line := answer.readline():
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: ") and kind == "result":
                result = json.loads(line[6:])
                if enough(result):
                    break
        answer.close()
        connection.close()
        return result

    def look(self, name: str, layer: str) -> None:
        """One of the things that people do with a page."""
        at = f"/api/results/{name}"
        doing = self.random.choices(
            ["page", "status", "results", "manifest", "files", "experiment", "region", "events"],
            [1, 2, 3, 2, 4, 6, 2, 1],
        )[0]
        if doing == "page":
            self.ask("page", "GET", f"/r/{name}")
        elif doing == "status":
            self.ask("status", "GET", "/api/status")
        elif doing == "results":
            for result in self.json("results", "GET", "/api/results")["results"][:3]:
                if result["id"] == name:
                    self.ask("file", "GET", result["thumb"])
        elif doing in ("manifest", "files"):
            images = list(self.json("manifest", "GET", f"{at}/manifest")["images"].values())
            for address in self.random.sample(images, min(len(images), 8 if doing == "files" else 0)):
                self.ask("file", "GET", address)
        elif doing == "experiment":
            changes = [
                {"unit": "channel", "channel": channel, "factor": self.random.choice([0, 0.5, 2])}
                for channel in self.random.sample(range(6), self.random.randint(1, 4))
            ]
            self.ask("experiment", "POST", f"{at}/experiment", {"layer": layer, "changes": changes})
        elif doing == "region":
            top, left = self.random.random() * 0.7, self.random.random() * 0.7
            self.ask("region", "POST", f"{at}/region", {"top": top, "left": left, "bottom": top + 0.3, "right": 1})
        else:
            began = time.perf_counter()
            self.follow(name)
            self.tally.seconds["events"].append(time.perf_counter() - began)


def load(port: int, photo: bytes, name: str, layer: str, *, clients: int, seconds: float) -> Tally:
    """What people met who asked a server for a time.

    Args:
        port: of the server, on this machine.
        photo: a PNG that is sent again and again.
        name, layer: of a finished result, and a layer of it with six channels or more.
        clients: people at the same time.
        seconds: how long they ask.
    """
    tally, ends = Tally(), time.monotonic() + seconds

    def looks(person: Person) -> None:
        person.look(name, layer)
        time.sleep(person.random.random())

    def reads_slowly(person: Person) -> None:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.settimeout(_PATIENCE)
            client.connect((_HOST, port))
            client.sendall(f"GET /r/{name}.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            first = client.recv(4096)
            if not first.startswith(b"HTTP/1.1 200"):
                tally.errors.append(f"slow: {first[:100]!r}")
            while time.monotonic() < ends and client.recv(4096):
                time.sleep(4096 / _SLOW_BYTES_A_SECOND)
        tally.dropped += 1

    def drops(person: Person) -> None:
        head = "Host: localhost\r\nX-Pellucid: 1\r\nContent-Type: image/png\r\n"
        request = person.random.choice(
            [
                f"GET /api/results/{name}/manifest HTTP/1.1\r\n{head}\r\n",
                f"GET /r/{name}.html HTTP/1.1\r\n{head}\r\n",
                f"GET /api/results/{name}/events HTTP/1.1\r\n{head}\r\n",
                f"POST /api/results HTTP/1.1\r\n{head}Content-Length: 500000\r\n\r\nhalf of it",
                "GET / HTTP/1.1\r\nHost: loc",
            ]
        )
        with socket.create_connection((_HOST, port), timeout=_PATIENCE) as client:
            client.sendall(request.encode())
            time.sleep(person.random.random() * 0.5)
        tally.dropped += 1

    def sends(person: Person) -> None:
        sent = person.explain(photo, layer=layer)
        if person.random.random() < 1 / 3:
            time.sleep(person.random.random())
            person.ask("cancel", "POST", f"/api/results/{sent}/cancel")
        result = person.follow(sent, lambda _: time.monotonic() > ends)
        if result.get("state") == "failed":
            tally.errors.append(f"explanation: {result['problem']}")
        tally.explained += result.get("state") == "done"
        person.ask("remove", "DELETE", f"/api/results/{sent}")

    def live(number: int) -> None:
        doing = {7: reads_slowly, 8: drops, 9: sends}.get(number % 10, looks)
        with contextlib.closing(Person(port, tally, number)) as person:
            while time.monotonic() < ends:
                try:
                    doing(person)
                except Exception as error:
                    tally.errors.append(f"{doing.__name__}: {error!r}")
                    time.sleep(0.1)

    people = [threading.Thread(target=live, args=(number,), daemon=True) for number in range(clients)]
    for each in people:
        each.start()
    for each in people:
        each.join(seconds + 3 * _PATIENCE)
    return tally


@contextlib.contextmanager
def served() -> Iterator[tuple[int, int]]:
    """The port and the process of a server with a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PELLUCID_CACHE": f"{folder}/cache"}
        command = [sys.executable, "-m", "pellucid", "serve", "--port", "0", "--folder", f"{folder}/kept"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            try:
                assert process.stdout is not None
                found = re.search(r":(\d+)/", process.stdout.readline())
                if found is None:
                    raise SystemExit("the server did not start.")
                yield int(found[1]), process.pid
            finally:
                process.terminate()
                process.wait(30)


def memory(process: int) -> float:
    """MB that a process holds in memory; NaN where that cannot be told."""
    try:
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024  # type: ignore[index]
    except (OSError, TypeError):
        return float("nan")


def percentile(values: list[float], share: float) -> float:
    """The value that a share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def photo() -> bytes:
    """A photo of the package as PNG, small enough to be sent often."""
    import io

    import pellucid
    from pellucid.pictures import open_picture

    buffer = io.BytesIO()
    open_picture(pellucid.example_photos()["coffee"], size=256).save(buffer, "PNG")
    return buffer.getvalue()


def busy(clients: int, seconds: float) -> None:
    """Print what many people met."""
    picture = photo()
    with served() as (port, process):
        person = Person(port, Tally(), 0)
        name = person.explain(picture)
        result = person.follow(name)
        held: list[tuple[float, float]] = []
        over = threading.Event()

        def watch() -> None:
            began = time.monotonic()
            while not over.wait(1):
                held.append((time.monotonic() - began, memory(process)))

        watching = threading.Thread(target=watch)
        before = memory(process)
        watching.start()
        tally = load(port, picture, name, result["layers"][-1], clients=clients, seconds=seconds)
        over.set()
        watching.join()
    print(f"{clients} clients, {seconds:.0f} s: {tally.requests} requests, {len(tally.errors)} errors, ", end="")
    print(f"{tally.dropped} connections dropped or read slowly, {tally.explained} photos explained")
    for error in tally.errors[:10]:
        print("  ", error)
    print("kind         number  median    95 %    99 %  (ms)")
    for kind, values in sorted(tally.seconds.items()):
        shares = "".join(f"{1000 * percentile(values, share):8.0f}" for share in (0.5, 0.95, 0.99))
        print(f"{kind:12}{len(values):7}{shares}")
    print(f"memory of the server: {before:.0f} MB before", end="")
    for share in (0.25, 0.5, 0.75, 1.0):
        at = held[max(0, int(len(held) * share) - 1)]
        print(f", {at[1]:.0f} MB after {at[0]:.0f} s", end="")
    print(f"; at most {max(value for _, value in held):.0f} MB")


def latency(repeats: int) -> None:
    """Print what one person waits for."""
    picture = photo()
    with served() as (port, _):
        person = Person(port, Tally(), 0)
        name = person.explain(picture)
        layer = person.follow(name)["layers"][-1]
        change = [{"unit": "channel", "channel": 3, "factor": 0}, {"unit": "channel", "channel": 5, "factor": 2}]
        question = {"layer": layer, "changes": change}

        def experiments(kind: str, more: Callable[[int], bool]) -> None:
            person.ask("", "POST", f"/api/results/{name}/experiment", question)
            count = 0
            while more(count):
                count += 1
                person.ask(kind, "POST", f"/api/results/{name}/experiment", question)
            values = person.tally.seconds[kind]
            shares = ", ".join(f"{1000 * percentile(values, share):.0f}" for share in (0.5, 0.95, 0.99))
            print(f"experiment, {kind}: median, 95 %, 99 % of {len(values)}: {shares} ms")

        experiments("idle", lambda count: count < repeats)
        other = Person(port, Tally(), 1)
        running = other.explain(picture, quick=False)
        other.follow(running, lambda result: result["revision"] > 0)
        at = f"/api/results/{running}"
        busy = lambda: other.json("", "GET", at)["state"] == "running"  # noqa: E731
        experiments("while a photo is explained", lambda count: count < repeats and (count % 5 > 0 or busy()))
        other.ask("", "POST", f"{at}/cancel")
        other.follow(running)
        firsts = []
        for _ in range(5):
            began = time.perf_counter()
            sent = person.explain(picture)
            person.follow(sent, lambda result: result["revision"] > 0)
            told = person.json("", "GET", f"/api/results/{sent}/manifest")
            firsts.append(time.perf_counter() - began)
            assert told["manifest"]["body"]["classes"]
            person.follow(sent)
        print(f"from upload to the first probabilities: {1000 * percentile(firsts, 0.5):.0f} ms (median of 5)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--latency", action="store_true", help="of one person's questions instead")
    parser.add_argument("--repeats", type=int, default=200, help="experiments with --latency")
    asked = parser.parse_args()
    if asked.latency:
        latency(asked.repeats)
    else:
        busy(asked.clients, asked.seconds)


if __name__ == "__main__":
    main()
