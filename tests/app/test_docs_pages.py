"""The pages that come with the documentation: as their sources are now, with data that this version reads."""

import importlib.util
import json
from pathlib import Path

import pytest

from pellucid.bundle import AtlasBody, decode_manifest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "pages").glob("*.html"))

spec = importlib.util.spec_from_file_location("refresh_pages", ROOT / "scripts" / "refresh_pages.py")
assert spec is not None
assert spec.loader is not None
refresh_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(refresh_pages)


def test_there_are_pages() -> None:
    assert [path.name for path in PAGES] == ["atlas.html"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_as_its_sources(path: Path) -> None:
    page = path.read_bytes()
    assert refresh_pages.refreshed(page) == page, "run `make pages`"
    assert len(page) < 4_000_000


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_its_data_can_be_read_and_holds_no_photo(path: Path) -> None:
    data = json.loads(refresh_pages.data_of(path.read_bytes()))
    body = decode_manifest(json.dumps(data["manifest"]).encode()).body
    assert isinstance(body, AtlasBody)
    assert body.images > 40_000
    # The images that it was built of may not be given away.
    assert not body.photos
    assert all(trial.examples == [] for trial in body.trials)
    assert all(made.patches is None for layer in body.layers for made in layer.maps)


@pytest.mark.browser
def test_it_opens(opened) -> None:
    page = opened(path=PAGES[0])
    page.get_by_role("heading", level=1).wait_for()
    page.get_by_role("button", name="Zoom in").first.wait_for()
    assert max(canvas.bounding_box()["width"] for canvas in page.locator("canvas").all()) > 300
