"""The command line on a small network: what it prints, what it writes, and one sentence where something is wrong."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pellucid
from pellucid import cli
from pellucid.bundle import read_bundle
from pellucid.cli import _trust
from pellucid.features import load_rendering


def make_network(size: int = 16) -> pellucid.Model:
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3 + 0.1
    return pellucid.wrap(module.eval(), size=size, labels=["barn", "lemon", "wok"], name="small", default_layer="1")


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A folder to work in, a cache of its own, no weights to be found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PELLUCID_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PELLUCID_DATA", raising=False)


@pytest.fixture
def network(monkeypatch) -> pellucid.Model:
    """What every command loads."""
    model = make_network()
    for module in (cli, _trust):
        monkeypatch.setattr(module, "load_model", lambda name, weights, progress: model)
    return model


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((70, 90), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of 30 small pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    for number, each in enumerate(pixels):
        Image.fromarray(each).resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `pellucid …` as the console script does; returns (exit status, output, errors)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pellucid", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 1
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def assert_one_sentence(result: tuple[int, str, str], *words: str) -> None:
    code, _, errors = result
    lines = [line for line in errors.splitlines() if line.strip()]
    assert code != 0
    assert "Traceback" not in errors
    assert lines[-1].startswith("pellucid: ")
    assert len(lines) == 1
    for word in words:
        assert word in lines[-1]


def test_models(run):
    code, output, _ = run("models")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines() if line][:2] == ["name", "tiny_inception"]
    listed = json.loads(run("models", "--json")[1])
    assert [entry["name"] for entry in listed] == ["tiny_inception", "inception_v1", "timm:NAME", "torchvision:NAME"]
    assert Path(listed[0]["where"]).is_file()
    assert "not here" in listed[1]["where"]


def test_layers(run, monkeypatch):
    network = make_network(size=64)
    monkeypatch.setattr(cli, "load_model", lambda name, weights, progress: network)
    code, output, _ = run("layers")
    assert code == 0
    lines = [line.split() for line in output.splitlines() if line]
    assert lines[0] == ["layer", "kind", "channels", "size", "receptive", "field"]
    assert lines[1][:3] == ["0", "grid", "6"]
    listed = json.loads(run("layers", "--json", "--all")[1])
    assert [entry["name"] for entry in listed] == list(network.layers)
    by_name = {entry["name"]: entry for entry in listed}
    assert by_name["1"] == {
        "name": "1",
        "kind": "grid",
        "channels": 6,
        "rows": 64,
        "columns": 64,
        "receptive_field": 3,
    }
    assert by_name["logits"]["kind"] == "vector"


def test_render(run, network, tmp_path):
    code, output, errors = run(
        "render", "1:2", "logits:lemon", "--steps", 2, "--size", 20, "--seed", 5, "--snapshots", "1"
    )
    assert (code, errors) == (0, "")
    rendering = load_rendering(tmp_path / "out")
    assert rendering.targets == ("1:2", "logits:lemon")
    assert rendering.images.shape == (2, 20, 20, 3)
    assert rendering.provenance["seed"] == 5
    assert list(rendering.snapshots) == [1]
    assert [Path(line).name for line in output.splitlines()] == ["1_2.png", "logits_lemon.png"]
    assert all((tmp_path / line).is_file() for line in output.splitlines())


@pytest.mark.parametrize(
    ("options", "count", "channels"),
    [
        (["--negative"], 1, 3),
        (["--alpha"], 1, 4),
        (["--maco", "--size", 16], 1, 3),
        (["--maco", "--size", 16, "--alpha"], 1, 4),
        (["--copies", 2], 2, 3),
        (["--precision", "float32", "--batch", 1], 1, 3),
        (["--no-cache", "--quiet"], 1, 3),
    ],
    ids=str,
)
def test_render_options(run, network, tmp_path, options, count, channels):
    code, output, errors = run("render", "1:2", "--steps", 2, "--out", "made", *options)
    assert (code, errors) == (0, "")
    rendering = load_rendering(tmp_path / "made")
    assert rendering.images.shape == (count, 16, 16, channels)
    assert len(output.splitlines()) == count
    assert (tmp_path / "cache" / "renders").exists() == ("--no-cache" not in options)


def test_rendered_pictures_are_judged_by_photos(run, network, photos, tmp_path):
    code, output, errors = run("render", "1:2", "1:4", "--steps", 4, "--size", 16, "--images", photos)
    assert (code, errors) == (0, "")
    judged = load_rendering(tmp_path / "out").judgement
    assert judged is not None
    assert {each.about for each in judged} == {"rendering:1:2", "rendering:1:4"}
    (activation,) = [each for each in judged if each.about == "rendering:1:4" and "activation" in each.name]
    assert f"1:4: {activation.sentence}" in output.splitlines()
    assert "of 30 photos" in activation.sentence
    assert run("render", "1:2", "--negative", "--images", photos)[0] == 2
    assert_one_sentence(run("render", "1:2", "--images", "nowhere"), "nowhere")


def test_a_model_is_reported_on(run, network, photos, tmp_path):
    few = ("--layer", "1", "--units", 2, "--photos", 2)
    code, output, errors = run("trust", "--images", photos, *few, "--json", "n.json")
    assert (code, errors) == (0, "")
    told = json.loads((tmp_path / "n.json").read_text())
    (whole, *_) = told["layers"]["1"]["evidence"]
    assert f"1: {whole['sentence']}" in output.splitlines()
    assert output.splitlines()[-1] == "trust.html"
    assert b'"kind":"report"' in (tmp_path / "trust.html").read_bytes()
    assert [score["unit"] for score in told["layers"]["1"]["methods"]].count("set") == 7
    assert run("trust", "--images", photos, *few, "--out", "trust.zip")[0] == 0
    assert read_bundle(tmp_path / "trust.zip").manifest.body.images == 30


def test_what_keeps_a_report_from_being_made_is_one_sentence(run, network, photos, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert run("trust")[0] == 2
    assert_one_sentence(run("trust", "--images", "nowhere"), "nowhere")
    assert_one_sentence(run("trust", "--images", photos, "--layer", "nowhere"), "no layer 'nowhere'")
    assert_one_sentence(run("trust", "--images", photos, "--layer", "1", "--most", 10), "10 images are too few")
    assert_one_sentence(run("trust", "--images", photos, "--layer", "1", "--units", 1), "units is 1")
    assert_one_sentence(run("trust", "--images", photos, "--out", "file/trust.html"), "is a file, not a folder")


def test_render_copies_of_two_targets(run, network, tmp_path):
    assert run("render", "1:2", "1:3", "--copies", 2, "--steps", 2)[0] == 0
    assert [len(load_rendering(tmp_path / "out" / name)) for name in ("1", "2")] == [2, 2]


def test_render_again_comes_from_the_cache(run, network, tmp_path):
    run("render", "1:2", "--steps", 2)
    run("render", "1:2", "1:3", "--steps", 2, "--out", "again")
    assert load_rendering(tmp_path / "again").provenance["from_cache"] == 1


def test_explain(run, network, photo, tmp_path):
    code, output, errors = run(
        "explain",
        photo,
        "--class",
        "wok",
        "--icon-size",
        16,
        "--icon-steps",
        2,
        "--grid-seconds",
        0,
        "--json",
        "deep/numbers.json",
    )
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].split()[1:] == ["wok"]
    assert lines[1:] == ["deep/numbers.json", "report.html"]
    numbers = json.loads((tmp_path / "deep" / "numbers.json").read_text())
    assert numbers["classes"][0]["label"] == "wok"
    assert numbers["settings"]["icon_size"] == 16
    assert (tmp_path / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_explain_takes_the_photo_that_comes_with_the_package(run, network, tmp_path):
    code, output, errors = run("explain", "--quick", "--json", "numbers.json", "--no-cache")
    assert (code, errors) == (0, "")
    assert output.splitlines()[-1] == "report.html"
    assert json.loads((tmp_path / "numbers.json").read_text())["title"] == "coffee"


def test_the_embedded_network_is_the_default(run, tmp_path):
    listed = {entry["name"]: entry for entry in json.loads(run("layers", "--json")[1])}
    assert listed["mixed4d"]["channels"] == 288
    assert run("render", "mixed4d:7", "logits:espresso", "--steps", 1, "--size", 32, "--out", "made")[0] == 0
    assert load_rendering(tmp_path / "made").provenance["model"] == "tiny_inception"
    assert_one_sentence(run("render", "mixed4d:288", "--steps", 1), "no channel 288 in mixed4d of tiny_inception")
    for command in (pellucid.cli.layers, pellucid.cli.render, pellucid.cli.explain, pellucid.cli.dream):
        (option,) = [option for option in command.params if "--model" in option.opts]
        assert option.default == inspect.signature(pellucid.load).parameters["name"].default


def test_icons_that_come_with_the_package_are_used_unless_told_otherwise(run, monkeypatch):
    """What explain is given to look for icons in."""
    given = {}

    def explain(model, photo, **settings):
        given.update(settings, photo=photo)
        raise pellucid.InputError("enough.")

    monkeypatch.setattr(sys.modules["pellucid.explain"], "explain", explain)
    assert_one_sentence(run("explain"), "enough")
    assert given["cache"].keep
    assert given["cache"].packs
    assert Path(given["photo"]).name == "coffee.jpg"
    assert_one_sentence(run("explain", "--no-cache"), "enough")
    assert given["cache"] is None


def test_dream(run, network, photo, tmp_path):
    code, output, _ = run("dream", photo, "--layer", "1", "--octaves", 2, "--steps", 1, "--out", "deep/dream.png")
    assert code == 0
    assert output.strip() == "deep/dream.png"
    with Image.open(tmp_path / "deep" / "dream.png") as dreamt:
        assert dreamt.size == (70, 90)


@pytest.mark.parametrize(("name", "kind"), [("d.png", "PNG"), ("d.webp", "WEBP"), ("d.jpg", "JPEG"), ("d", "PNG")])
def test_a_dream_is_of_the_kind_that_its_name_says(run, network, photo, tmp_path, name, kind):
    run("dream", photo, "--layer", "1", "--octaves", 1, "--steps", 1, "--out", name)
    with Image.open(tmp_path / name) as dreamt:
        assert dreamt.format == kind


def test_a_place_that_cannot_be_written_is_said_before_anything_is_computed(run, monkeypatch, photo, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("pellucid.models.load", lambda *_, **__: pytest.fail("it began to work"))
    in_the_way = "is a file, not a folder; name another place with --"
    assert_one_sentence(run("render", "1:2", "--out", "file/out"), in_the_way + "out")
    assert_one_sentence(run("explain", photo, "--out", "file/a/report.html"), in_the_way + "out")
    assert_one_sentence(run("explain", photo, "--json", "file/numbers.json"), in_the_way + "json")
    assert_one_sentence(run("atlas", "build", tmp_path, "--out", "file/atlas"), in_the_way + "out")
    monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)  # root may write everywhere
    assert_one_sentence(run("dream", photo, "--layer", "1"), "may not be written to; name another place with --out")
    for command in (("explain", photo), ("dream", photo, "--layer", "1")):
        code, _, said = run(*command, "--out", "report.pdf")
        assert code == 2
        assert "report.pdf ends in .pdf; expected ." in said


def test_what_is_wrong_is_one_sentence(run, network, photo, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:200])
    quick = ("--steps", 1)
    assert_one_sentence(run("render", "11:2", *quick), "no layer '11' in small")
    assert_one_sentence(run("render", "1:99", *quick), "no channel 99")
    assert_one_sentence(run("render", "1:2", "--steps", 0), "steps is 0")
    assert_one_sentence(run("render", "1:2", "--size", 1, *quick), "size is 1")
    assert_one_sentence(run("render", "1:2", "--snapshots", "9", *quick), "snapshot at step 9")
    assert_one_sentence(run("render", "1:2", "--out", "file", *quick), "cannot write")
    assert_one_sentence(run("render", "1:2", "--out", "file/out", *quick), "cannot write")
    assert_one_sentence(run("render", "logits:ostrich", *quick), "no class 'ostrich'")
    icons = ("--icon-size", 16, "--icon-steps", 1)
    assert_one_sentence(run("explain", "nowhere.jpg"), "no file nowhere.jpg; check the path")
    assert_one_sentence(run("explain", "cat.png"), "no file cat.png; did you mean cut.png?")
    assert_one_sentence(run("explain", "file"), "not a picture")
    assert_one_sentence(run("explain", "cut.png"), "damaged or cut short")
    assert_one_sentence(run("explain", tmp_path), "is a folder")
    assert_one_sentence(run("explain", photo, "--layer", "nowhere", *icons), "no layer 'nowhere'")
    assert_one_sentence(run("explain", photo, "--layer", "4", *icons), "has no positions")
    assert_one_sentence(run("explain", photo, "--class", "ostrich", *icons), "no class 'ostrich'")
    assert_one_sentence(run("explain", photo, "--out", "file/report.html", *icons), "cannot write")
    assert_one_sentence(run("explain", photo, "--json", "file/numbers.json", *icons), "cannot write")
    assert_one_sentence(run("dream", "nowhere.jpg", "--layer", "1"), "no file nowhere.jpg")
    assert_one_sentence(run("dream", photo, "--layer", "nowhere"), "no layer 'nowhere'")
    assert_one_sentence(run("dream", photo, "--layer", "1", "--octaves", 0), "octaves")
    assert_one_sentence(run("dream", photo, "--layer", "1", "--steps", 1, "--out", "file/d.png"), "cannot write")


def test_missing_models_and_weights_are_one_sentence(run):
    assert_one_sentence(run("layers", "--model", "inception_v2"), "did you mean 'inception_v1'")
    assert_one_sentence(run("layers", "--model", "tiny"), "did you mean 'tiny_inception'")
    assert_one_sentence(run("layers", "--model", "inception_v1"), "PELLUCID_DATA")
    assert_one_sentence(run("render", "mixed4a:1", "--weights", "nowhere.safetensors"), "nowhere.safetensors")


def test_wrong_use_is_said(run, network):
    for arguments in (
        ["render"],
        ["render", "1:2", "--snapshots", "1,x"],
        ["render", "1:2", "--size", "large"],
        ["render", "1:2", "--nonsense"],
        ["paint"],
    ):
        code, _, errors = run(*arguments)
        assert code == 2
        assert "Traceback" not in errors
        assert "Usage: " in errors


@pytest.mark.parametrize("command", [[], ["models"], ["layers"], ["render"], ["explain"], ["dream"], ["trust"]])
def test_help(run, command):
    code, output, _ = run(*command, "--help")
    assert code == 0
    assert "Usage: " in output
    assert pellucid.__version__ in run("--version")[1]


def interrupt_at(step: int, monkeypatch) -> None:
    """Ctrl-C after some events, as the terminal would send it."""
    from contextlib import contextmanager

    @contextmanager
    def bars(quiet):
        seen = []

        def receive(event):
            seen.append(event)
            if len(seen) == step:
                raise KeyboardInterrupt

        yield receive

    monkeypatch.setattr(cli, "bars", bars)


def test_an_interrupted_rendering_is_saved_and_said(run, network, tmp_path, monkeypatch):
    interrupt_at(3, monkeypatch)
    result = run("render", "1:2", "--steps", 50)
    assert_one_sentence(result, "interrupted")
    assert load_rendering(tmp_path / "out").objective.shape == (1, 3)


def test_an_interrupt_ends_all_copies(run, network, tmp_path, monkeypatch):
    interrupt_at(3, monkeypatch)
    assert_one_sentence(run("render", "1:2", "1:3", "--copies", 2, "--steps", 50), "interrupted")
    assert not (tmp_path / "out" / "2").exists()


def test_other_interrupts_are_said(run, network, photo, tmp_path, monkeypatch):
    interrupt_at(1, monkeypatch)
    result = run("explain", photo, "--icon-steps", 2)
    assert_one_sentence(result, "interrupted")
    assert result[0] == 130
    assert_one_sentence(run("dream", photo, "--layer", "1"), "interrupted")
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["photo.png"]


KILLED = """
import sys
sys.path.insert(0, {folder!r})
from test_commands import make_network
from pellucid import cli
from pellucid.cli import _trust
cli.load_model = lambda name, weights, progress: make_network()
sys.argv = ["pellucid", "render", "1:*", "--steps", "60", "--batch", "1", "--precision", "float32", "--out", "out"]
cli.main()
"""


def test_a_killed_run_leaves_whole_files_and_the_next_goes_on(tmp_path):
    program = tmp_path / "run.py"
    program.write_text(KILLED.format(folder=str(Path(__file__).parent)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, program], cwd=tmp_path, env=environment)
    renders, deadline = tmp_path / "cache" / "renders", time.monotonic() + 60
    while not list(renders.glob("*/*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    kept = len(list(renders.glob("*/*.json")))
    assert 1 <= kept < 6
    for path in renders.glob("*/*.webp"):
        with Image.open(path) as picture:
            picture.load()
    for path in renders.glob("*/*.json"):
        json.loads(path.read_text())
    assert not (tmp_path / "out").exists()
    subprocess.run(
        [sys.executable, program], cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60
    )
    again = load_rendering(tmp_path / "out")
    assert again.provenance["from_cache"] == kept
    assert len(again) == 6
    fresh = pellucid.render(make_network(), "1:*", steps=60, precision="float32")
    np.testing.assert_allclose(again.images, fresh.images, atol=0.02)


def test_a_pipe_that_closes_early_is_no_error():
    program = "import sys; from pellucid.cli import main; sys.argv = ['pellucid', 'models', '--json']; main()"
    script = f'"{sys.executable}" -c "{program}" | true'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert "Traceback" not in done.stderr
