"""What a server keeps, for how long, and what becomes of it when disks fill up, processes end or files break."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.numpy

import pellucid
from pellucid.errors import InputError, MissingExtraError, ResourceError, WeightsError
from pellucid.serve import Limits, _desk, serve
from pellucid.serve._cache import UnitCache
from pellucid.serve._models import Served
from tests.serve.conftest import Running, until


def made(running: Running, picture: Path) -> str:
    """A finished result, made as quickly as it goes."""
    name = running.explain(picture, "layers=3&quick=1")["id"]
    assert running.ended(name)["state"] == "done"
    return name


def left(running: Running) -> set[str]:
    """What there is in the folder of results."""
    return {path.name for path in running.desk.folder.iterdir()} - {".lock"}


def wait_in(monkeypatch, name: str) -> tuple[threading.Event, threading.Event]:
    """Makes a function of the desk wait; the events say that it was called, and let it go on."""
    called, free = threading.Event(), threading.Event()
    original = getattr(_desk, name)

    def waits(*arguments, **options):
        called.set()
        assert free.wait(60)
        return original(*arguments, **options)

    monkeypatch.setattr(_desk, name, waits)
    return called, free


def test_a_folder_has_one_server(running: Running, start: Callable[..., Running]) -> None:
    with pytest.raises(InputError, match="another server keeps its results in"):
        start()
    running.stop()
    assert start().ask("GET", "/api/results").status == 200


def test_what_is_removed_while_it_is_written_leaves_nothing(running: Running, picture: Path, monkeypatch) -> None:
    called, free = wait_in(monkeypatch, "write_bundle")
    name = running.explain(picture, "layers=3&quick=1")["id"]
    assert called.wait(60)
    assert running.ask("DELETE", f"/api/results/{name}").status == 204
    free.set()
    after = running.explain(picture, "layers=3&quick=1")["id"]
    assert running.ended(after)["state"] == "done"
    assert left(running) == {after}
    assert running.ask("GET", f"/api/results/{name}/manifest").status == 404


@pytest.mark.parametrize("asked", ["manifest", "region"])
def test_what_is_removed_while_it_is_read_is_not_held(
    start: Callable[..., Running], picture: Path, monkeypatch, asked: str
) -> None:
    first = start()
    name = made(first, picture)
    first.stop()
    running = start()
    called, free = wait_in(monkeypatch, "read_bundle")
    # The parts beside the bundle are read before the folder is gone, or there would be nothing to hold.
    arrays = safetensors.numpy.load_file(running.desk.folder / name / "live.safetensors")
    monkeypatch.setattr(_desk.safetensors.numpy, "load_file", lambda _: arrays)
    found: list[int] = []

    def ask() -> None:
        method, body = ("GET", None) if asked == "manifest" else ("POST", b'{"top":0,"left":0,"bottom":1,"right":1}')
        found.append(running.ask(method, f"/api/results/{name}/{asked}", body).status)

    thread = threading.Thread(target=ask)
    thread.start()
    assert called.wait(60)
    with monkeypatch.context() as kept:  # as where the files were opened before
        kept.setattr(running.desk, "_clear", lambda _: None)
        running.desk.remove(name)
    free.set()
    thread.join(60)
    assert found == [404]
    assert not running.desk._recent
    assert not running.desk._recent_live


def test_nothing_is_told_after_its_time_even_before_it_is_swept(running: Running, picture: Path) -> None:
    name = made(running, picture)
    job = running.desk._jobs[name]
    job.result = msgspec.structs.replace(job.result, expires=datetime.now(UTC) + timedelta(seconds=100))
    kept = running.ask("GET", job.result.thumb).getheader("cache-control", "")
    assert int(re.search(r"max-age=(\d+)", kept)[1]) <= 100  # type: ignore[index]
    job.result = msgspec.structs.replace(job.result, expires=datetime.now(UTC))
    for path in ("", "/manifest", "/thumb.webp", "/events"):
        assert running.ask("GET", f"/api/results/{name}{path}").status == 404
    for path in (f"/r/{name}", f"/r/{name}.zip", f"/r/{name}.html"):
        assert running.ask("GET", path).status == 404
    assert running.json("GET", "/api/results")["results"] == []


def test_a_server_with_a_shorter_retention_keeps_no_longer(start: Callable[..., Running], picture: Path) -> None:
    before = start(Limits(retention_seconds=3600))
    name = made(before, picture)
    before.stop()
    after = start(Limits(retention_seconds=600))
    result = after.json("GET", f"/api/results/{name}")
    kept = datetime.fromisoformat(result["expires"]) - datetime.fromisoformat(result["created"])
    assert kept.total_seconds() == 600
    after.stop()
    gone = start(Limits(retention_seconds=0.01))
    assert gone.json("GET", "/api/results")["results"] == []
    assert left(gone) == set()


def test_what_cannot_be_deleted_now_is_deleted_later(running: Running, picture: Path, monkeypatch, capsys) -> None:
    name = made(running, picture)
    with monkeypatch.context() as broken:

        def refuses(*_, **__):
            raise PermissionError(13, "Permission denied")

        broken.setattr(_desk.shutil, "rmtree", refuses)
        running.desk.remove(name)
    assert left(running) == {name}
    assert "cannot delete" in capsys.readouterr().err
    running.desk.sweep()
    assert left(running) == set()


@pytest.mark.parametrize("full", ["write_bundle", "write_file"])
def test_a_full_disk_fails_one_result_only(running: Running, picture: Path, monkeypatch, full: str, capsys) -> None:
    with monkeypatch.context() as broken:

        def no_room(*_, **__):
            raise ResourceError("the disk is full: /secret/place was not written.")

        broken.setattr(_desk, full, no_room)
        result = running.ended(running.explain(picture, "layers=3&quick=1")["id"])
    assert result["state"] == "failed"
    assert "disk is full" in result["problem"]
    assert "/secret" not in result["problem"]
    assert "/secret/place" in capsys.readouterr().err  # who runs the server is told more
    assert left(running) == set()
    # What there was can still be looked at.
    assert running.json("GET", f"/api/results/{result['id']}/manifest")["revision"] == result["revision"]
    after = made(running, picture)
    assert left(running) == {after}


def test_what_broke_on_the_disk_is_said(start: Callable[..., Running], picture: Path) -> None:
    before = start()
    name, other = made(before, picture), made(before, picture)
    folder = before.desk.folder
    before.stop()
    (folder / name / "bundle.zip").write_bytes(b"broken")
    (folder / other / "live.safetensors").write_bytes(b"broken")
    after = start()
    answer = after.ask("GET", f"/api/results/{name}/manifest")
    assert (answer.status, json.loads(answer.content)["problem"]) == (  # type: ignore[attr-defined]
        404,
        "what was kept of this result is damaged; explain the photo again.",
    )
    answer = after.ask("POST", f"/api/results/{other}/region", b'{"top":0,"left":0,"bottom":1,"right":1}')
    assert answer.status == 404
    assert "has been lost" in json.loads(answer.content)["problem"]  # type: ignore[attr-defined]


def test_other_weights_answer_nothing(start: Callable[..., Running], picture: Path, network: pellucid.Model) -> None:
    before = start()
    name = made(before, picture)
    before.stop()
    next(network.module.parameters()).data.mul_(1.5)
    network.__dict__.pop("digest", None)
    after = start()
    answer = after.ask("POST", f"/api/results/{name}/region", b'{"top":0,"left":0,"bottom":1,"right":1}')
    assert answer.status == 404
    assert "other weights" in json.loads(answer.content)["problem"]  # type: ignore[attr-defined]


def test_links_in_the_folder_are_not_followed(start: Callable[..., Running], picture: Path, tmp_path: Path) -> None:
    before = start()
    name = made(before, picture)
    folder = before.desk.folder
    before.stop()
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    os.symlink(elsewhere, folder / name)
    os.symlink(elsewhere, folder / f".{'ab' * 9}.part")
    (folder / f".{'cd' * 9}.zip").write_bytes(b"left by a server that was killed")
    after = start()
    assert after.json("GET", "/api/results")["results"] == []
    assert (elsewhere / "bundle.zip").is_file()
    assert left(after) == {name}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_results_are_for_their_owner_only(running: Running, picture: Path) -> None:
    name = made(running, picture)
    assert running.desk.folder.stat().st_mode & 0o077 == 0
    assert (running.desk.folder / name).stat().st_mode & 0o077 == 0


def test_the_render_cache_keeps_nothing_of_a_photo(running: Running, picture: Path, monkeypatch, tmp_path) -> None:
    # As the server does it, with an activation grid, which is a picture of the photo.
    monkeypatch.setattr(
        _desk,
        "explain",
        lambda *arguments, **settings: pellucid.explain(
            *arguments, **settings, icon_size=16, icon_steps=1, grid_seconds=0.2, n_groups=3
        ),
    )
    running.ended(running.explain(picture, "layers=3")["id"])
    recipes = [json.loads(path.read_bytes())["recipe"] for path in (tmp_path / "cache").glob("*/*.json")]
    assert recipes
    for recipe in recipes:
        kinds = set(re.findall(r"'target': '(\w+)'", str(recipe)))
        assert kinds <= {"channel", "neuron", "logit"}
        assert kinds
    # The library by itself does keep them, so the above says something.
    plain = pellucid.RenderCache(tmp_path / "plain")
    pellucid.explain(
        running.desk.models["drawn"].model, picture, layers=["3"], cache=plain, icon_size=16, icon_steps=1,
        grid_seconds=0.2, n_groups=3,
    )  # fmt: skip
    texts = [path.read_text() for path in (tmp_path / "plain").glob("*/*.json")]
    assert any('"grid"' in text for text in texts)
    assert any('"direction"' in text for text in texts)


def test_what_the_cache_of_a_server_takes(tmp_path: Path) -> None:
    cache = UnitCache(pellucid.RenderCache(tmp_path))
    image = np.full((8, 8, 3), 0.5, np.float32)
    unit = {"objective": "Activation", "target": {"target": "neuron", "layer": "3", "channel": 1}}
    group = {"objective": "Activation", "target": {"target": "direction", "layer": "3", "vector": [0.1, 0.2]}}
    assert cache.write({"objective": {"objective": "Revealed", "of": unit}}, image, [1.0])
    for refused in ({"objective": group}, {"objective": {"of": [unit, group]}}, {"grid": "3"}, {"objective": None}):
        assert not cache.write(refused, image, [1.0])
    assert len(list(tmp_path.glob("*/*.json"))) == 1


def test_memory_does_not_grow_with_the_number_of_results(running: Running, picture: Path, monkeypatch) -> None:
    monkeypatch.setattr(_desk, "_HELD", 2)
    monkeypatch.setattr(_desk, "_HELD_LIVE", 1)
    first = pellucid.explain

    def ends_early(*arguments, partial, **settings):
        first(*arguments, partial=partial, layers=["3"], icon_size=16, icon_steps=1, grid_seconds=0, n_groups=3)
        raise pellucid.InputError("on purpose.")

    names = [made(running, picture) for _ in range(3)]
    with monkeypatch.context() as broken:
        broken.setattr(_desk, "explain", ends_early)
        for _ in range(3):
            assert running.ended(running.explain(picture)["id"])["state"] == "failed"
    for name in names:
        assert running.json("GET", f"/api/results/{name}/manifest")["revision"] >= 1
        running.json("POST", f"/api/results/{name}/region", {"top": 0, "left": 0, "bottom": 1, "right": 1})
    jobs = running.desk._jobs.values()
    assert len(jobs) == 6
    assert [job for job in jobs if job.page or job.photo or job.bundle] == []
    assert list(running.desk._recent) == names[-2:]
    assert list(running.desk._recent_live) == names[-1:]


def test_the_oldest_go_when_there_are_too_many(start: Callable[..., Running], picture: Path) -> None:
    running = start(Limits(most_results=2))
    names = [made(running, picture) for _ in range(3)]
    assert [each["id"] for each in running.json("GET", "/api/results")["results"]] == names[:0:-1]
    assert left(running) == set(names[1:])
    running.stop()
    fewer = start(Limits(most_results=1))
    assert [each["id"] for each in fewer.json("GET", "/api/results")["results"]] == names[2:]
    until(lambda: left(fewer) == set(names[2:]))


# ---- starting


def test_a_network_that_cannot_be_loaded_is_said_before_anything_is_served(tmp_path: Path) -> None:
    def fails() -> pellucid.Model:
        raise WeightsError("the file of weights is damaged.")

    told: list[str] = []
    for _ in range(2):  # nothing of the first try stands in the way of the second
        with pytest.raises(WeightsError, match="damaged"):
            serve(models={"broken": fails}, port=0, folder=tmp_path, ready=told.append)
    assert told == []


def test_a_network_is_loaded_once(network: pellucid.Model, tmp_path: Path) -> None:
    loaded: list[int] = []

    def load() -> pellucid.Model:
        time.sleep(0.05)
        loaded.append(1)
        return network

    served = Served(load, pellucid.RenderCache(tmp_path))
    threads = [threading.Thread(target=served.card) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == [1]
    assert served.live.module is not served.model.module is not served.icons.model.module


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "semicolon;in-it-somewhere", "a" * 201])
def test_tokens_that_protect_nothing_are_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(InputError, match="token"):
        serve(models={}, host="0.0.0.0", port=0, folder=tmp_path, token=token)


@pytest.mark.parametrize("seconds", [0, -1, 1e12, float("nan"), float("inf")])
def test_retentions_that_are_none(seconds: float) -> None:
    with pytest.raises(InputError, match="retention"):
        Limits(retention_seconds=seconds)


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_is_named(monkeypatch, tmp_path: Path, package: str) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == package or name in ("pellucid.serve._app", "pellucid.serve._protocol"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pellucid\[serve\]"):
        serve(models={}, port=0, folder=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes of Windows end otherwise")
def test_the_command_survives_being_killed(tmp_path: Path, picture: Path) -> None:
    """Killed while it explains, started again in the same folder, and ended by Ctrl-C while it explains."""
    environment = {**os.environ, "PELLUCID_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "kept"
    command = [sys.executable, "-m", "pellucid", "serve", "--port", "0", "--folder", str(folder)]
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 0)):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                port = int(re.search(r"http://127\.0\.0\.1:(\d+)/$", line.strip())[1])  # type: ignore[index]
                running = Running(port, None, None, None)  # type: ignore[arg-type]
                assert running.json("GET", "/api/results")["results"] == []
                name = running.explain(picture)["id"]
                until(lambda: running.json("GET", f"/api/results/{name}")["revision"] > 0)  # noqa: B023
                (folder / f".{'ab' * 9}.part").mkdir()
            finally:
                process.send_signal(end)
                out, err = process.communicate(timeout=60)
            assert process.returncode == code, out + err
            assert "Traceback" not in err
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    shutil.rmtree(folder)
