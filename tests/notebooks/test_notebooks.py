"""The notebooks are published as they are in their sources, and each is run by some file of tests."""

import ast
import json
import re

import pytest
from notebook_runs import RUN_BY

from scripts.notebooks import CHOICE, FOLDER, NOT_NOTEBOOKS, OWN_NETWORKS, read, sources, with_network

NAMES = [path.stem for path in sources()]
_ROOT = FOLDER.parent
_ALL_MEGABYTES = 12


def test_each_is_run_once() -> None:
    assert sorted(name for names in RUN_BY.values() for name in names) == sorted(NAMES)
    for file in RUN_BY:
        assert f'RUN_BY["{file}"]' in (_ROOT / "tests" / "notebooks" / file).read_text()


@pytest.mark.parametrize("name", sorted(set(NAMES) - OWN_NETWORKS))
def test_one_line_chooses_the_network(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text()
    assert len(CHOICE.findall(source)) == 1
    changed = with_network(source, "pellucid.load('inception_v1')")
    assert [new for old, new in zip(source.splitlines(), changed.splitlines(), strict=True) if old != new] == [
        f"{CHOICE.findall(source)[0]} = pellucid.load('inception_v1')"
    ]


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
