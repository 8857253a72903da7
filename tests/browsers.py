"""The browser of all tests that need one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SWITCHES += ["--disable-component-update", "--disable-sync"]


@contextmanager
def chromium() -> Iterator[Any]:
    """A running Chromium, driven by Playwright; the test skips where either is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not executable:
        pytest.skip("no chromium on this machine: pages are not tested in a browser")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=_SWITCHES)
        yield running
        running.close()
