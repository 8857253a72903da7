"""The pictures of the pages are those that the command makes, and small."""

import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    spec = importlib.util.spec_from_file_location("screenshots", ROOT / "scripts" / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_state_has_its_pictures(script) -> None:
    wanted = {name for states in (script.EXPLANATION, script.ATLAS, script.REPORT) for name in script.names(states)}
    found = {path.name: path for path in script.OUT.iterdir()}
    assert set(found) == wanted
    for name, path in found.items():
        assert path.stat().st_size <= script.MOST_BYTES, name
        with Image.open(path) as picture:
            width = int(name.rpartition("-")[0].rpartition("-")[2])
            assert picture.format == "WEBP"
            assert picture.width <= 1.5 * width


@pytest.mark.parametrize(("side", "same"), [(100, True), (200, False)])
def test_pictures_are_made_small(script, monkeypatch, side: int, same: bool) -> None:
    monkeypatch.setattr(script, "MOST_BYTES", 12_000)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    found = script.small(buffer.getvalue())
    assert len(found) <= script.MOST_BYTES
    with Image.open(io.BytesIO(found)) as picture:
        assert (picture.size == (side, side)) == same
        assert picture.width == picture.height
