"""Remake the pictures of the pages in docs/images/pages.

    python scripts/screenshots.py                  # explains a photo with the embedded network; a drawn report
    python scripts/screenshots.py --atlas atlas/   # the page of an atlas, too, without its images

Light at the widths of a desktop, a tablet and a phone; dark on a desktop. Needs Chromium and the `test` extra.
"""

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import pellucid
from pellucid.app import export_html
from pellucid.atlas import to_bundle

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "images" / "pages"
MOST_BYTES = 120_000

SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SWITCHES += ["--disable-component-update", "--disable-sync"]


@dataclass(frozen=True)
class Size:
    """A screen: its name, width and height in CSS pixels, and how many pixels of the picture make one of them."""

    name: str
    width: int
    height: int
    dense: float


DESKTOP, TABLET, PHONE = Size("1280", 1280, 900, 1), Size("834", 834, 1112, 1), Size("390", 390, 844, 1.5)
LOOKS = [(DESKTOP, "light"), (TABLET, "light"), (PHONE, "light"), (DESKTOP, "dark")]


@dataclass(frozen=True)
class State:
    """Something that a page shows: its name, the address part that leads there, the panel that is taken, or `None` for
    what is seen at first, and what to click before.
    """

    name: str
    hash: str = ""
    panel: str | None = None
    click: str | None = None


EXPLANATION = [
    State("explanation"),
    State("two-classes", "#class={first}&versus={second}", "channels"),
    State("groups", "", "groups"),
    State("flow", "", "flow"),
    State("experiments", "#trial={layer}:group:6:0:0", "experiments"),
    State("how", "", "spatial", "summary"),
    State("trust", "", "trust"),
]
ATLAS = [
    State("atlas"),
    State("atlas-cell", "#class={first}&cell={cell}", "map"),
]
REPORT = [
    State("report", "#layer={layer}", "overview"),
    State("report-pictures", "#layer={layer}&unit={unit}", "pictures"),
    State("report-methods", "#layer={layer}", "methods"),
]


def names(states: list[State]) -> list[str]:
    """File names of the pictures of some states."""
    return [f"{state.name}-{size.name}-{theme}.webp" for state in states for size, theme in LOOKS]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--atlas", type=Path, help="folder of an atlas")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    given = parser.parse_args()
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        pages = [explanation_page(Path(folder)), report_page(Path(folder))]
        if given.atlas is not None:
            pages.append(atlas_page(given.atlas, Path(folder)))
        for path, states, words in pages:
            for name, picture in photographed(browser, path, states, words):
                (given.out / name).write_bytes(picture)
                print(f"{given.out / name}  {len(picture) / 1000:.0f} kB")
        browser.close()
    return 0


def explanation_page(folder: Path) -> tuple[Path, list[State], dict[str, Any]]:
    """The page of a photo, what is taken of it, and words for its addresses."""
    model = pellucid.load()
    photo = pellucid.example_photos()["coffee"]
    explanation = pellucid.explain(model, photo, cache=pellucid.RenderCache())
    first, second = (score.index for score in explanation.classes[:2])
    words = {"first": first, "second": second, "layer": explanation.layers[-1]}
    return explanation.save(folder / "report.html"), EXPLANATION, words


def report_page(folder: Path) -> tuple[Path, list[State], dict[str, Any]]:
    """The same for the report of the tests, drawn by hand: pieces of real photos may not be given away."""
    sys.path.insert(0, str(ROOT / "tests" / "app"))
    from drawn_report import make_report

    return export_html(make_report(), folder / "trust.html"), REPORT, {"layer": "mixed4d", "unit": 350}


def atlas_page(source: Path, folder: Path) -> tuple[Path, list[State], dict[str, Any]]:
    """The same for an atlas: its fullest cell, and the class that it speaks for."""
    atlas = pellucid.open_atlas(source)
    model = pellucid.load(atlas.manifest.model)
    cells = atlas.cells(atlas.layers[-1], atlas.grids[0])
    fullest = int(cells.counts.argmax())
    column, row = cells.places[fullest].tolist()
    words = {"first": int(cells.attribution[fullest].argmax()), "cell": f"{atlas.grids[0]}:{column},{row}"}
    return export_html(to_bundle(atlas, model, photos=False), folder / "atlas.html"), ATLAS, words


def photographed(browser: Any, path: Path, states: list[State], words: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Name and WebP of every picture of a page."""
    for state in states:
        for size, theme in LOOKS:
            page = browser.new_page(
                viewport={"width": size.width, "height": size.height},
                device_scale_factor=size.dense,
                color_scheme=theme,
                reduced_motion="reduce",
            )
            page.goto(path.as_uri() + state.hash.format(**words))
            page.wait_for_load_state()
            shot = page
            if state.panel is not None:
                # A panel is drawn when a reader comes near it.
                heading = page.locator(f"#{state.panel}-title")
                while not heading.count():
                    page.mouse.wheel(0, 400)
                    page.wait_for_timeout(100)
                shot = page.locator(f"section[aria-labelledby={state.panel}-title]")
                if state.click is not None:
                    shot.locator(state.click).first.click()
                shot.scroll_into_view_if_needed()
            page.wait_for_timeout(1200)
            yield f"{state.name}-{size.name}-{theme}.webp", small(shot.screenshot())
            page.close()


def small(png: bytes) -> bytes:
    """A picture as WebP of the best quality that is small enough; one that is too long for that, smaller."""
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    while True:
        for quality in range(78, 40, -6):
            buffer = io.BytesIO()
            picture.save(buffer, "WEBP", quality=quality, method=6)
            if len(found := buffer.getvalue()) <= MOST_BYTES:
                return found
        picture = picture.resize((picture.width * 4 // 5, picture.height * 4 // 5), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(main())
