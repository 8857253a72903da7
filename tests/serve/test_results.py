"""Explanations over HTTP: they are those of the library, grow, wait, end, are kept and go."""

import http.client
import json
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.bundle import read_bundle, write_bundle
from pellucid.explain._bundle import to_bundle
from pellucid.serve import Limits, _desk
from pellucid.trust import intervene
from tests.serve.conftest import Running, until


def seen(picture: Path) -> Image.Image:
    """The photo as the server cuts it for a network of 24 px."""
    photo = pellucid.load_image(picture, size=48)
    return Image.fromarray((photo.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8))


def test_the_numbers_are_those_of_the_library(running: Running, picture: Path, network: pellucid.Model) -> None:
    name = running.explain(picture, "title=lemon.png&layers=1,3")["id"]
    result = running.ended(name)
    assert (result["state"], result["live"], result["title"]) == ("done", True, "lemon")
    told = running.json("GET", f"/api/results/{name}/manifest")
    wanted = pellucid.explain(
        network, seen(picture), layers=["1", "3"], icon_size=16, icon_steps=2, grid_seconds=0, n_groups=3
    )
    body = told["manifest"]["body"]
    assert [entry["index"] for entry in body["classes"]] == [score.index for score in wanted.classes]
    np.testing.assert_allclose(
        [entry["logit"] for entry in body["classes"]], [score.logit for score in wanted.classes], atol=1e-4
    )
    assert body["layers"][1]["name"] == "3"
    assert result["answer"] == wanted.classes[0].label
    for file, address in told["images"].items():
        answer = running.ask("GET", address)
        assert answer.status == 200
        assert answer.getheader("cache-control") == "private, max-age=3600, immutable"
        Image.open(BytesIO(answer.content)).load()  # type: ignore[attr-defined]
        assert file


def test_it_grows_while_one_looks(running: Running, picture: Path) -> None:
    name = running.explain(picture)["id"]
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.request("GET", f"/api/results/{name}/events")
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    text = answer.read().decode()
    connection.close()
    events = [part.split("\n") for part in text.strip().split("\n\n") if part.startswith("event")]
    results = [json.loads(data[6:]) for kind, data in events if kind == "event: result"]
    revisions = [result["revision"] for result in results]
    assert revisions == sorted(revisions)
    assert results[-1]["state"] == "done"
    assert results[-1]["revision"] > 4


def test_pictures_of_earlier_revisions_are_still_there(running: Running, picture: Path, monkeypatch) -> None:
    given: set[str] = set()
    publish = running.desk._publish

    def noted(job, explanation):
        bundle = publish(job, explanation)
        given.update(job.page.images.values())
        return bundle

    monkeypatch.setattr(running.desk, "_publish", noted)
    name = running.explain(picture, "layers=3")["id"]
    assert running.ended(name)["state"] == "done"
    assert given > set(running.json("GET", f"/api/results/{name}/manifest")["images"].values())
    assert {running.ask("GET", address).status for address in given} == {200}


def test_experiments_are_those_of_intervening(running: Running, picture: Path, network: pellucid.Model) -> None:
    name = running.explain(picture)["id"]
    running.ended(name)
    changes = [
        {"unit": "channel", "channel": 2, "factor": 0},
        {"unit": "region", "rows": [0, 2], "columns": [3, 5], "factor": 2},
    ]
    answer = running.json("POST", f"/api/results/{name}/experiment", {"layer": "3", "changes": changes})
    effect = intervene(network, seen(picture), layer="3", scale=[(2, 0.0), (pellucid.Region(0, 3, 3, 3), 2.0)])
    for outcome in answer["classes"]:
        assert outcome["logit_after"] == pytest.approx(float(effect.logits_after[outcome["index"]]), abs=1e-3)
    region = running.json("POST", f"/api/results/{name}/region", {"top": 0, "left": 0, "bottom": 0.5, "right": 0.5})
    icon = region["layers"][-1]["channels"][0]["icon"]
    assert icon.startswith("/api/models/drawn/icons/")
    assert Image.open(BytesIO(running.ask("GET", icon).content)).size[0] >= 64  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (b"{", "cannot be read"),
        (b'{"layer": "3", "changes": []}', "cannot be read"),
        (b'{"layer": "nowhere", "changes": [{"unit": "channel", "channel": 0, "factor": 0}]}', "nowhere"),
        (b'{"layer": "3", "changes": [{"unit": "channel", "channel": 99, "factor": 0}]}', "99"),
        (b'{"layer": "3", "changes": [{"unit": "channel", "channel": 0, "factor": 1e99}]}', "factor"),
        (b"[" * 5000, "cannot be read"),
    ],
)
def test_questions_that_make_no_sense(running: Running, picture: Path, question: bytes, says: str) -> None:
    name = running.explain(picture)["id"]
    running.ended(name)
    answer = running.ask("POST", f"/api/results/{name}/experiment", question)
    assert answer.status == 400
    assert says in json.loads(answer.content)["problem"]  # type: ignore[attr-defined]


def stuck(monkeypatch) -> threading.Event:
    """Makes explanations wait for the event."""
    free = threading.Event()

    def slow(*arguments, partial, progress, **settings):
        partial(pellucid.explain(*arguments, layers=["3"], icon_size=16, icon_steps=1, grid_seconds=0, n_groups=3))
        while not free.wait(0.02):
            progress(pellucid.Event("waiting", 0, 1))
        return pellucid.explain(*arguments, layers=["3"], icon_size=16, icon_steps=1, grid_seconds=0, n_groups=3)

    monkeypatch.setattr(_desk, "explain", slow)
    return free


def test_others_wait_in_the_order_in_which_they_came(running: Running, picture: Path, monkeypatch) -> None:
    free = stuck(monkeypatch)
    first, second, third = (running.explain(picture)["id"] for _ in range(3))
    until(lambda: running.json("GET", f"/api/results/{first}")["state"] == "running")
    assert [running.json("GET", f"/api/results/{name}")["ahead"] for name in (second, third)] == [1, 2]
    # Who waits can go, and who is worked on too.
    assert running.json("POST", f"/api/results/{second}/cancel")["state"] == "cancelled"
    assert running.json("GET", f"/api/results/{third}")["ahead"] == 1
    running.json("POST", f"/api/results/{first}/cancel")
    assert running.ended(first)["state"] == "cancelled"
    free.set()
    assert running.ended(third)["state"] == "done"


def test_a_full_queue_says_so(start: Callable[..., Running], picture: Path, monkeypatch) -> None:
    free = stuck(monkeypatch)
    running = start(Limits(most_waiting=2))
    for _ in range(2):
        running.explain(picture)
    refused = running.send(picture.read_bytes())
    assert refused.status == 503
    assert "2 explanations wait already" in json.loads(refused.content)["problem"]  # type: ignore[attr-defined]
    free.set()


def test_a_failure_is_a_sentence(running: Running, picture: Path, monkeypatch, capsys) -> None:
    def fails(*_, **__):
        raise pellucid.InputError("this layer is zero everywhere.")

    monkeypatch.setattr(_desk, "explain", fails)
    result = running.ended(running.explain(picture)["id"])
    assert (result["state"], result["problem"]) == ("failed", "this layer is zero everywhere.")

    def breaks(*_, **__):
        raise KeyError("secret path")

    monkeypatch.setattr(_desk, "explain", breaks)
    result = running.ended(running.explain(picture)["id"])
    assert "secret" not in result["problem"]
    assert "KeyError" in result["problem"]


def test_results_outlive_the_server(start: Callable[..., Running], picture: Path) -> None:
    before = start()
    name = before.explain(picture)["id"]
    before.ended(name)
    question = {"layer": "3", "changes": [{"unit": "group", "groups": 3, "group": 1, "factor": 0}]}
    answer = before.json("POST", f"/api/results/{name}/experiment", question)
    manifest = before.json("GET", f"/api/results/{name}/manifest")
    before.stop()
    after = start()
    assert [result["id"] for result in after.json("GET", "/api/results")["results"]] == [name]
    again = after.json("POST", f"/api/results/{name}/experiment", question)
    assert again["classes"] == answer["classes"]
    assert after.json("GET", f"/api/results/{name}/manifest")["manifest"] == manifest["manifest"]


def test_what_is_removed_is_gone_from_the_disk(running: Running, picture: Path) -> None:
    name = running.explain(picture)["id"]
    running.ended(name)
    folder = running.desk.folder / name
    until(lambda: (folder / "result.json").is_file())
    assert running.ask("DELETE", f"/api/results/{name}").status == 204
    assert not folder.exists()
    assert running.ask("GET", f"/api/results/{name}").status == 404
    assert running.json("GET", "/api/results")["results"] == []


def test_nothing_stays_after_its_time(start: Callable[..., Running], picture: Path) -> None:
    running = start(Limits(retention_seconds=1000))
    result = running.explain(picture)
    kept = datetime.fromisoformat(result["expires"]) - datetime.fromisoformat(result["created"])
    assert kept.total_seconds() == pytest.approx(1000)
    running.ended(result["id"])
    running.desk.sweep()
    assert len(running.json("GET", "/api/results")["results"]) == 1
    job = running.desk._jobs[result["id"]]
    job.result = msgspec.structs.replace(job.result, expires=datetime.now(UTC))
    running.desk.sweep()
    assert running.json("GET", "/api/results")["results"] == []
    assert [path for path in running.desk.folder.iterdir() if path.is_dir()] == []
    assert not running.desk._recent_live
    # A server that starts later finds nothing either.
    running.stop()
    assert start(Limits()).json("GET", "/api/results")["results"] == []


def test_what_was_not_finished_is_cleared_away(start: Callable[..., Running], tmp_path: Path) -> None:
    half = tmp_path / "kept" / ("ab" * 9)
    half.mkdir(parents=True)
    (half / "bundle.zip").write_bytes(b"half")
    (tmp_path / "kept" / "something of the user").mkdir()
    running = start()
    assert running.json("GET", "/api/results")["results"] == []
    assert not half.exists()
    assert (tmp_path / "kept" / "something of the user").is_dir()


def test_downloads(running: Running, picture: Path) -> None:
    name = running.explain(picture, "title=../../le%22mon%0d%0a.png")["id"]
    running.ended(name)
    page = running.ask("GET", f"/r/{name}.html")
    assert page.content.startswith(b"<!doctype html>")  # type: ignore[attr-defined]
    assert page.getheader("content-disposition") == 'attachment; filename="le_mon.html"'
    packed = running.ask("GET", f"/r/{name}.zip")
    names = zipfile.ZipFile(BytesIO(packed.content)).namelist()  # type: ignore[attr-defined]
    assert "manifest.json" in names


def test_bundles_are_shown_as_they_are(
    running: Running, network: pellucid.Model, picture: Path, tmp_path: Path
) -> None:
    explanation = pellucid.explain(
        network, picture, layers=["3"], icon_size=16, icon_steps=1, grid_seconds=0, n_groups=3
    )
    bundle = to_bundle(explanation)
    shown = running.desk.show(read_bundle(write_bundle(bundle.manifest, bundle.files, tmp_path / "given.zip")))
    assert (shown.live, shown.expires, shown.state) == (False, None, "done")
    told = running.json("GET", f"/api/results/{shown.id}/manifest")
    assert told["manifest"]["body"]["title"] == "lemon"
    refused = running.ask("POST", f"/api/results/{shown.id}/region", b'{"top":0,"left":0,"bottom":1,"right":1}')
    assert refused.status == 404
