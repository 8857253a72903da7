"""The notebooks run, find what their text says, and are published as they are in their sources."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.notebooks import FOLDER, NOT_NOTEBOOKS, read, sources

NAMES = [path.stem for path in sources()]
_ROOT = FOLDER.parent
# A plain process, but for the torchvision of machines with a CPU build of torch, which the tests' conftest mends.
_RUN = """
import runpy, sys
sys.path[:0] = sys.argv[2:]
import tests.conftest
runpy.run_path(sys.argv[1], run_name="__main__")
"""
# The line that chooses the network, of the notebooks that do not train their own.
_CHOICE = re.compile(r"^(?:model|first)\b.*= pellucid\.load\(\).*$", re.MULTILINE)
_OWN_NETWORKS = {"own_model", "shortcut", "transformers"}
_ALL_MEGABYTES = 12


def run(source: str, folder: Path) -> str:
    """What a notebook's source prints, run in a process of its own with an empty folder to write to."""
    script = folder / "notebook.py"
    script.write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(script), str(FOLDER), str(_ROOT)],
        cwd=folder,
        env={**os.environ, "PELLUCID_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs_and_finds_what_it_says(name: str, tmp_path: Path) -> None:
    """Each asserts, beside its figures, what the text claims about them."""
    assert run((FOLDER / f"{name}.py").read_text(), tmp_path)


@pytest.mark.slow
def test_another_network_by_one_line(tmp_path: Path) -> None:
    """The tutorial on a network that it was not written for: other layers, another size, no labels, random weights."""
    other = """
from torch import nn

torch.manual_seed(0)
network = nn.Sequential(
    *(nn.Conv2d(3, 24, 5, 2, 2), nn.ReLU(), nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU()),
    *(nn.Conv2d(32, 48, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 12)),
)
"""
    source = (FOLDER / "tutorial.py").read_text()
    line = 'model, layer, early = pellucid.wrap(network, size=64, mean=0.5, std=0.25), "5", "3"'
    changed, count = _CHOICE.subn(line, source)
    assert count == 1
    printed = run("import torch\n" + other + changed, tmp_path)
    assert "5: 16 × 16 places, 48 channels" in printed


@pytest.mark.parametrize("name", sorted(set(NAMES) - _OWN_NETWORKS))
def test_one_line_chooses_the_network(name: str) -> None:
    assert len(_CHOICE.findall((FOLDER / f"{name}.py").read_text())) == 1


@pytest.mark.parametrize("name", NAMES)
def test_has_oracles(name: str) -> None:
    """A notebook that asserts nothing would pass whatever it shows."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert len(compared) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_published_as_in_its_source(name: str) -> None:
    """The `.ipynb` has the source's cells, each executed once and in order, and no error."""
    path = FOLDER / f"{name}.ipynb"
    assert path.is_file(), f"build it with python scripts/notebooks.py {name}"
    published, source = json.loads(path.read_text()), read(FOLDER / f"{name}.py")
    kinds = [(cell["cell_type"], "".join(cell["source"])) for cell in published["cells"]]
    assert kinds == [(cell.cell_type, cell.source) for cell in source.cells], (
        f"stale: python scripts/notebooks.py {name}"
    )
    code = [cell for cell in published["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/jpeg" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_tells_nothing_of_the_machine(name: str) -> None:
    """No folder of the machine that it was built on, and nothing that was written to its error stream."""
    published = json.loads((FOLDER / f"{name}.ipynb").read_text())
    for cell in published["cells"]:
        for output in cell.get("outputs", ()):
            assert output.get("name") != "stderr", "".join(output["text"])
            text = "".join(output.get("text", ())) + "".join(output.get("data", {}).get("text/plain", ()))
            assert not re.search(r"/(home|root|work|tmp|Users)/|[A-Z]:\\", text), text


def test_small_together() -> None:
    total = sum(path.stat().st_size for path in FOLDER.glob("*.ipynb"))
    assert total < _ALL_MEGABYTES * 1e6


def test_every_source_is_known() -> None:
    """What lies in the folder is a notebook's source, its outputs, or one of the modules that they share."""
    known = {f"{name}.{kind}" for name in NAMES for kind in ("py", "ipynb")} | NOT_NOTEBOOKS
    found = {path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".ipynb")}
    assert found == known


@pytest.mark.parametrize("name", NAMES)
def test_listed_in_the_documentation(name: str) -> None:
    assert f"`{name}`" in (_ROOT / "docs" / "lucid.md").read_text()
