"""The committed page is what its sources build to, and the sources pass their own checks."""

import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
COMMITTED = ROOT / "src" / "pellucid" / "app" / "static" / "page.html"

MOST_BYTES = 250_000


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources elsewhere on the disk, so that a path that leaks into the page shows as a difference."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not on this machine: the page is not built again")
    copy = tmp_path_factory.mktemp("copy") / "src-of-pages"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules"))
    installed = WEB / "node_modules"
    record = installed / ".package-lock.json"
    if record.is_file() and record.stat().st_mtime >= (WEB / "package-lock.json").stat().st_mtime:
        shutil.copytree(installed, copy / "node_modules", symlinks=True)
    else:
        done = npm(copy, "ci", "--no-audit", "--no-fund")
        if done.returncode and re.search(r"ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENETUNREACH", done.stderr):
            pytest.skip("npm reaches no registry: the page is not built again")
        assert done.returncode == 0, done.stderr
    return copy


def npm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        ["npm", *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=environment
    )


@pytest.mark.slow
def test_the_committed_page_is_fresh(web: Path, tmp_path: Path) -> None:
    done = npm(web, "run", "build", "--", "--outDir", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_bytes() == COMMITTED.read_bytes(), "run `npm ci && npm run build` in web/"


@pytest.mark.slow
@pytest.mark.parametrize("script", ["check", "lint", "test"])
def test_the_sources_pass(script: str, web: Path) -> None:
    done = npm(web, "run", script)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_is_small() -> None:
    """What a reader waits for besides the data, as a server would send it."""
    assert len(gzip.compress(COMMITTED.read_bytes(), compresslevel=6)) < MOST_BYTES


def test_the_lock_is_for_every_machine() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    for name, entry in lock["packages"].items():
        assert not entry.get("link"), name
        assert not str(entry.get("resolved", "")).startswith(("file:", "http:")), name
        assert name == "" or entry.get("integrity"), name
    platforms = {system for entry in lock["packages"].values() for system in entry.get("os", [])}
    assert {"linux", "darwin", "win32"} <= platforms
