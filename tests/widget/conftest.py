"""A browser for pages and notebooks."""

from collections.abc import Iterator

import pytest

from tests.browsers import chromium


# Closed after each module: while it runs, its event loop would get in the way of tests that start their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as running:
        yield running
