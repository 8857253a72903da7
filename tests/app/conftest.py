"""The page of a drawn bundle, and a browser that opens it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drawn_bundle import make_bundle

from pellucid.app import export_html
from pellucid.bundle import Bundle
from tests.browsers import chromium


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle()


@pytest.fixture(scope="session")
def page_path(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_html(bundle, tmp_path_factory.mktemp("page") / "barn.html")


# Closed after each module: while it runs, its event loop would get in the way of tests that start their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as running:
        yield running


@pytest.fixture
def opened(browser, page_path: Path) -> Iterator[Callable]:
    """Opens the page at a hash; fails afterwards when the page complained or asked for anything but itself."""
    complaints: list[str] = []
    contexts = []

    def opened(hash_: str = "", *, path: Path = page_path, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(8000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("data:", "blob:", path.as_uri())) else complaints.append(request.url)
            ),
        )
        page.goto(path.as_uri() + hash_)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
