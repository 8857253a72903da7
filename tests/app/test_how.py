"""Every panel says how it was computed, with its own settings and time."""

from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_atlas import make_atlas
from test_axe import OPEN

from pellucid.app import export_html

pytestmark = pytest.mark.browser


def fold(page, panel: str) -> str:
    """The text of a panel's fold."""
    return page.locator(
        f"section[aria-labelledby={panel}-title] details", has_text="How was this computed?"
    ).inner_text()


def test_every_panel_of_an_explanation(opened: Callable, bundle) -> None:
    page = opened("#layer=mixed4d")
    page.evaluate(OPEN)
    panels = page.locator("main section[aria-labelledby]").evaluate_all(
        "all => all.map(section => section.getAttribute('aria-labelledby').replace('-title', ''))"
    )
    wanted = {"decision", "dictionary", "grids", "spatial", "channels", "groups", "flow", "experiments", "trust"}
    assert set(panels) == wanted
    told = {panel: fold(page, panel) for panel in panels}
    assert all("=" in text for panel, text in told.items() if panel != "dictionary")
    body, provenance = bundle.manifest.body, bundle.manifest.provenance
    assert f"method\n{body.spatial[-1].method}" in told["spatial"]
    assert f"seed\n{provenance.seed}" in told["dictionary"]
    assert f"took\n{body.seconds['dictionary:mixed4d']:.0f}\u00a0s" in told["dictionary"]
    assert "doi.org/10.23915/distill.00010" in told["groups"]
    counts = [len(grouping.icons) for grouping in body.groups[-1].groupings]
    assert f"groups\n{min(counts)} to {max(counts)}" in told["groups"]


def test_every_map_of_an_atlas(opened: Callable, tmp_path: Path) -> None:
    page = opened(path=export_html(make_atlas(), tmp_path / "atlas.html"))
    page.evaluate(OPEN)
    assert "grids\n10, 20, 40" in fold(page, "map")
    assert "seed\n7" in fold(page, "map")
    assert "Wilson" in fold(page, "laboratory")
    assert "barn" in fold(page, "further")
    page.get_by_text("soccer ball against croquet ball").first.click()
    assert "attribution to soccer ball and to croquet ball" in fold(page, "further")
    link = page.locator("details a").first
    assert link.get_attribute("href") == f"https://{link.inner_text()}"
