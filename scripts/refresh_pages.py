"""Put the data of the pages in docs/pages into the page as it is built now; `make pages` calls it.

    python scripts/refresh_pages.py          # writes them
    python scripts/refresh_pages.py --check  # says which are out of date

The data stays; where its schema is another, the page has to be exported anew: docs/atlas.md has the command.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "pages"
TEMPLATE = ROOT / "src" / "pellucid" / "app" / "static" / "page.html"
_START = b'<script type="application/json" id="bundle">'
_END = b"</script>"


def data_of(page: bytes) -> bytes:
    """The JSON in a page."""
    return page.partition(_START)[2].partition(_END)[0]


def refreshed(page: bytes) -> bytes:
    """The same data in the page as it is built now."""
    before, slot, after = TEMPLATE.read_bytes().partition(_START + b"null" + _END)
    return before + slot.replace(b"null", data_of(page)) + after


def main() -> int:
    stale = {path: new for path in sorted(PAGES.glob("*.html")) if (new := refreshed(old := path.read_bytes())) != old}
    for path, new in stale.items():
        print(path.relative_to(ROOT))
        if "--check" not in sys.argv:
            path.write_bytes(new)
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
