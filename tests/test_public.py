"""What `import pellucid` gives: names, documentation, examples that run."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import plain_net, seeded

import pellucid

PARTS = (
    *("models", "record", "targets", "features", "attribution", "groups", "trust", "explain", "store", "pictures"),
    *("features.meshes", "figures", "errors"),
)


def public_names():
    tree = ast.parse(Path(pellucid.__file__).read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [alias.asname or alias.name for node in imports for alias in node.names]


@pytest.mark.parametrize("name", public_names())
def test_public_names_are_explained(name):
    thing = getattr(pellucid, name)
    own = thing.__doc__ if not inspect.isclass(thing) else thing.__dict__.get("__doc__")
    assert own, name
    # A dataclass without a docstring of its own has its signature for one.
    assert not own.startswith(f"{name}("), name
    assert own.strip()[0].isupper() or not own.strip()[0].isalpha(), name
    assert own.strip().splitlines()[0].rstrip().endswith((".", ":", "?", ";", ",")) or len(own.splitlines()) > 1, name


def test_the_names_that_people_are_told():
    told = {
        "load",
        "wrap",
        "render",
        "record",
        "explain",
        "dream",
        "attribute",
        "attribute_many",
        "factorize",
        "factorize_range",
        "align_groups",
        "intervene",
        "intervene_each",
        "render_grid",
        "Attribution",
        "Groups",
        "Effect",
        "Region",
        "Position",
        "Group",
        "ActivationGrid",
        "Model",
        "Layer",
        "Rendering",
        "Activations",
        "Event",
    }
    assert told <= set(public_names())
    assert len(public_names()) == len(set(public_names()))
    errors = [name for name, thing in vars(pellucid.errors).items() if inspect.isclass(thing)]
    assert set(errors) <= set(public_names())
    assert all(issubclass(getattr(pellucid, name), pellucid.PellucidError) for name in errors)


def test_importing_takes_no_optional_package():
    code = "import sys, pellucid, pellucid.cli; print(*sorted(set(name.partition('.')[0] for name in sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "pellucid" in loaded
    assert not loaded & {"timm", "torchvision", "captum", "sklearn", "scipy", "matplotlib", "pandas", "playwright"}


def modules():
    for part in PARTS:
        module = importlib.import_module(f"pellucid.{part}")
        yield module
        for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
            yield importlib.import_module(f"{module.__name__}.{found.name}")


def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for module in modules() for test in finder.find(module) if test.examples]


@pytest.mark.parametrize("test", examples(), ids=lambda test: test.name.removeprefix("pellucid."))
def test_examples(test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_DATA", "")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    test.globs.update(
        pellucid=pellucid,
        torch=torch,
        np=np,
        nn=torch.nn,
        model=pellucid.wrap(seeded(plain_net), size=32, name="small"),
        image=torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)),
    )
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    report: list[str] = []
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_examples_are_found():
    names = [test.name for test in examples()]
    assert {"pellucid.models._model.wrap", "pellucid.record._record.record"} <= set(names)
    assert len(names) >= 20
