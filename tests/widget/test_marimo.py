"""The widget in marimo: a real server, a real kernel and a browser that clicks."""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from widget_reading import IMPORTS, PATIENCE, click_position

pytest.importorskip("anywidget", reason="anywidget is not installed: pip install 'pellucid[notebook]'")
pytest.importorskip("marimo", reason="marimo is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    from drawn_widget import make_explanation

    explanation, other = make_explanation(seed=0), make_explanation(seed=1)
    return explanation, mo, other


@app.cell
def _(explanation, mo):
    widget = mo.ui.anywidget(explanation.widget())
    widget
    return (widget,)


@app.cell
def _(mo, widget):
    mo.md(f"position: {widget.position}")
    return


@app.cell
def _(mo):
    button = mo.ui.run_button(label="go there")
    button
    return (button,)


@app.cell
def _(button, explanation):
    if button.value:
        explanation.widget().select("3", position=(1, 2))
    return


@app.cell
def _(other):
    other
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of marimo in a folder of its own, that runs the notebook for whoever looks at it."""
    folder = tmp_path_factory.mktemp("marimo")
    (folder / "notebook.py").write_text(NOTEBOOK)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "PELLUCID_CACHE": str(folder / "renders"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": IMPORTS,
    }
    options = ["run", "notebook.py", "--headless", "--host=127.0.0.1", f"--port={port}", f"--token-password={token}"]
    root = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "marimo", *options], env=environment, cwd=folder, stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{root}/health").close()
                break
            except urllib.error.URLError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.2)
        yield f"{root}/?access_token={token}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def test_what_is_clicked_runs_the_cells_that_read_it(browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    page.goto(address)
    page.get_by_text("position: None").wait_for()
    frame = page.frame_locator("iframe[title='disc 0']")
    click_position(frame, 4, 7, 12)
    page.get_by_text(re.compile("position: .*layer.*6.*row.*4.*column.*7")).wait_for()
    # A click is lost while marimo still puts the outputs of other cells into their places.
    there = frame.get_by_role("heading", name=re.compile(r"^Row 1, column 2\b"))
    deadline = time.monotonic() + PATIENCE
    while not there.is_visible():
        assert time.monotonic() < deadline, "the page does not follow"
        page.get_by_role("button", name="go there").click()
        page.wait_for_timeout(2000)
    page.get_by_text(re.compile("position: .*layer.*3.*row.*1.*column.*2")).wait_for()
    # An explanation at the end of a cell is shown without more words.
    page.frame_locator("iframe[title='disc 1']").get_by_role("heading", name="disc 1").wait_for()
    context.close()
