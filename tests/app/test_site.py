"""An atlas as a folder: a page and its pictures beside it."""

from pathlib import Path

import numpy
from drawn_atlas import make_atlas
from PIL import Image

from pellucid.app import export_site


def test_a_site_opens_from_the_disk_with_its_pictures(tmp_path: Path, browser) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    failed, errors = [], []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(export_site(make_atlas(), tmp_path / "site").as_uri())
    page.wait_for_selector("canvas")
    page.wait_for_timeout(2000)
    assert not failed
    assert not errors
    shot = tmp_path / "shot.png"
    page.locator("canvas").first.screenshot(path=shot)
    with Image.open(shot) as picture:
        assert numpy.asarray(picture.convert("RGB")).std() > 15  # the icons are drawn
    page.close()
