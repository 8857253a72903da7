"""The exported file: what is embedded, and what a hostile label cannot do."""

import errno
import json
import os
import re
from pathlib import Path

import msgspec
import pytest
from drawn_bundle import make_bundle

import pellucid.store._files as atomic
from pellucid.app import export_html, page_html
from pellucid.bundle import Bundle, encode_manifest, write_bundle
from pellucid.errors import BundleError, InputError, ResourceError

BLOCK = re.compile(r'<script type="application/json" id="bundle">(.*?)</script>', re.DOTALL)
HOSTILE = '</script><img src=x onerror="alert(1)">\u2028\u2029<!--<script>&amp;\'\\ \\1 \\g<0> null'


def embedded(page: bytes) -> dict:
    blocks = BLOCK.findall(page.decode("utf-8"))
    assert len(blocks) == 1
    return json.loads(blocks[0])


def test_the_page_holds_the_bundle(bundle: Bundle) -> None:
    data = embedded(page_html(bundle))
    assert data["manifest"] == json.loads(encode_manifest(bundle.manifest))
    assert set(data["images"]) == set(bundle.files)
    assert all(address.startswith("data:image/webp;base64,") for address in data["images"].values())


def test_hostile_words_stay_words() -> None:
    hostile = make_bundle(title=HOSTILE)
    page = page_html(hostile)
    assert embedded(page)["manifest"]["body"]["title"] == HOSTILE
    assert page.count(b"<img src=x") == 0
    block = BLOCK.search(page.decode("utf-8"))
    assert block
    assert not set("<>&\u2028\u2029") & set(block[1])


def test_hostile_file_names_are_refused(bundle: Bundle) -> None:
    photo = msgspec.structs.replace(bundle.manifest.body.photo, file="</script><img onerror=alert(1)>.webp")
    body = msgspec.structs.replace(bundle.manifest.body, photo=photo)
    with pytest.raises(BundleError, match="not a file name"):
        page_html(Bundle(msgspec.structs.replace(bundle.manifest, body=body), {photo.file: b"", **bundle.files}))


def test_a_path_and_a_bundle_give_the_same_page(bundle: Bundle, tmp_path: Path) -> None:
    packed = write_bundle(bundle.manifest, bundle.files, tmp_path / "barn.zip")
    page = export_html(packed, tmp_path / "deep" / "barn.html")
    assert page.read_bytes() == page_html(bundle)
    assert [path.name for path in page.parent.iterdir()] == ["barn.html"]


def test_the_page_is_small_and_asks_nobody(bundle: Bundle) -> None:
    page = page_html(bundle)
    data = BLOCK.search(page.decode("utf-8"))
    assert data
    rest = page.decode("utf-8").replace(data[1], "")
    assert len(rest.encode()) < 430_000
    assert "default-src 'none'" in rest
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=\"(?!data:)", rest)
    assert "@import" not in rest


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle"):
        export_html(tmp_path / "nowhere.zip", tmp_path / "page.html")


def test_full_disk(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "page.html").write_text("older")
    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(ResourceError, match="disk is full"):
        export_html(bundle, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_in_the_way(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        export_html(bundle, tmp_path)
