"""The command line on real weights, with tiny settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pellucid.features import load_rendering

pytestmark = pytest.mark.slow


@pytest.fixture
def photo(data: Path) -> Path:
    path = data / "reference" / "photos" / "dog_cat.jpeg"
    if not path.is_file():
        pytest.skip("needs reference/photos/dog_cat.jpeg")
    return path


@pytest.fixture
def run(data: Path, tmp_path: Path):
    environment = {
        **os.environ,
        "PELLUCID_DATA": str(data),
        "PELLUCID_CACHE": str(tmp_path / "cache"),
        "PELLUCID_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
    }

    def call(*arguments: object) -> str:
        command = [sys.executable, "-c", "from pellucid.cli import main; main()", *map(str, arguments)]
        command += ["--model", "inception_v1"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return done.stdout

    return call


def test_layers(run):
    listed = {entry["name"]: entry for entry in json.loads(run("layers", "--json"))}
    assert listed["mixed4d"]["channels"] == 528
    assert (listed["mixed4d"]["rows"], listed["mixed4d"]["columns"]) == (14, 14)
    assert listed["conv2d0"]["receptive_field"] == 7
    assert listed["logits"]["channels"] == 1008


def test_render(run, tmp_path):
    run("render", "mixed4a:11", "logits:Labrador retriever", "--size", 64, "--steps", 2, "--out", "made")
    rendering = load_rendering(tmp_path / "made")
    assert rendering.targets == ("mixed4a:11", "logits:Labrador retriever")
    assert rendering.images.shape == (2, 64, 64, 3)


def test_explain(run, photo, tmp_path):
    tiny = ("--icon-size", 32, "--icon-steps", 1, "--grid-seconds", 0)
    output = run("explain", photo, "--layer", "mixed5a", *tiny, "--json", "numbers.json")
    assert "%" in output
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert len(numbers["classes"]) == 5
    assert (tmp_path / "report.html").stat().st_size > 50_000


def test_dream(run, photo, tmp_path):
    with Image.open(photo) as picture:
        picture.resize((131, 70)).save(tmp_path / "small.png")
    run("dream", "small.png", "--layer", "mixed4c", "--octaves", 2, "--steps", 1)
    with Image.open(tmp_path / "dream.png") as dreamt:
        assert dreamt.size == (131, 70)
