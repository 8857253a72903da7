"""The page of a drawn bundle, and a browser that opens it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn_bundle import make_bundle

from pellucid.app import export_html
from pellucid.bundle import Bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle()


@pytest.fixture(scope="session")
def page_path(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_html(bundle, tmp_path_factory.mktemp("page") / "barn.html")


# Closed after each module: while it runs, its event loop would get in the way of tests that start their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not executable:
        pytest.skip("no chromium on this machine: the pages are not tested in a browser")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    switches += ["--disable-component-update", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=switches)
        yield running
        running.close()
