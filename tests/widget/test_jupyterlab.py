"""The widget in JupyterLab: a real server, a real kernel and a browser that clicks."""

import json
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
from pathlib import Path

import pytest
from widget_reading import IMPORTS, PATIENCE, click_position

pytest.importorskip("anywidget", reason="anywidget is not installed: pip install 'pellucid[notebook]'")
pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    "from drawn_widget import make_explanation\nexplanation = make_explanation()\nprint('explained')",
    "explanation",
    "widget = explanation.widget()\nprint(widget.position, widget.layer)",
    "widget.select('3', position=(1, 2))",
]


class Lab:
    """A server of JupyterLab in a folder of its own, and nothing of the user's."""

    def __init__(self, folder: Path) -> None:
        self.notebooks = folder / "notebooks"
        for name in ("home", "notebooks"):
            (folder / name).mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.token = secrets.token_hex(16)
        own = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "PELLUCID_CACHE"]
        own += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JPY_")}
        environment = {
            **kept,
            **{name: str(folder / name.lower()) for name in own},
            "HOME": str(folder / "home"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": IMPORTS,
        }
        settings = Path(environment["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={self.port}"]
        options += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"]
        options += [f"--ServerApp.root_dir={self.notebooks}", "--LabApp.extension_manager=readonly"]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options], env=environment, cwd=folder, stdout=log, stderr=log
            )

    def ask(self, path: str, method: str = "GET") -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        with urllib.request.urlopen(urllib.request.Request(self.root + path, method=method, headers=headers)) as reply:
            return reply.read()

    def wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.ask("/api/status")
                return
            except urllib.error.URLError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.2)

    def address(self, name: str) -> str:
        return f"{self.root}/lab/tree/{name}?token={self.token}&reset"

    def kernel_waits(self, name: str) -> bool:
        """Whether the kernel of a notebook is joined to a page and has nothing to do."""
        kernels = [entry["kernel"] for entry in json.loads(self.ask("/api/sessions")) if entry["path"] == name]
        return any(kernel["execution_state"] == "idle" and kernel["connections"] for kernel in kernels)

    def end_kernels(self) -> None:
        for session in json.loads(self.ask("/api/sessions")):
            self.ask(f"/api/sessions/{session['id']}", "DELETE")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    try:
        server.wait()
        yield server
    finally:
        server.process.terminate()
        server.process.wait(PATIENCE)


@pytest.fixture
def context(browser, lab: Lab) -> Iterator[object]:
    """A browser that fails the test where anything is asked for from elsewhere."""
    made = browser.new_context(viewport={"width": 1280, "height": 1000})
    made.set_default_timeout(PATIENCE * 1000)
    strangers: list[str] = []
    here = (lab.root, lab.root.replace("http", "ws"), "data:", "blob:")
    made.on("request", lambda request: None if request.url.startswith(here) else strangers.append(request.url))
    yield made
    made.close()
    assert strangers == []


def write_notebook(lab: Lab, name: str, sources: list[str] = CELLS) -> None:
    cells = [
        {"cell_type": "code", "id": f"c{place}", "metadata": {}, "outputs": [], "execution_count": None, "source": text}
        for place, text in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (lab.notebooks / name).write_text(json.dumps(content))


def open_notebook(lab: Lab, context, name: str):
    page = context.new_page()
    page.goto(lab.address(name))
    # JupyterLab calls a notebook idle before it has a kernel, and what is run then is lost.
    deadline = time.monotonic() + PATIENCE
    while not lab.kernel_waits(name):
        assert time.monotonic() < deadline, lab.log.read_text()
        page.wait_for_timeout(200)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    return page


def start(page, place: int):
    """Run a cell, without waiting for its end; its prompt."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(place)
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    cell.locator(".cm-content").click()
    # A key by itself goes to the page in a frame that has just taken the focus.
    cell.locator(".cm-content").press("Shift+Enter")
    deadline = time.monotonic() + PATIENCE
    while prompt.inner_text() == before:
        assert time.monotonic() < deadline, "the cell does not run"
        page.wait_for_timeout(20)
    return prompt


def run(page, place: int) -> str:
    """Run a cell, and what it printed."""
    prompt = start(page, place)
    deadline = time.monotonic() + PATIENCE
    while not re.search(r"\d", prompt.inner_text()):
        assert time.monotonic() < deadline, "the cell does not end"
        page.wait_for_timeout(50)
    cell = page.locator(".jp-Notebook .jp-Cell").nth(place)
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0, cell.inner_text()
    printed = cell.locator("[data-mime-type='application/vnd.jupyter.stdout']")
    return printed.inner_text().strip() if printed.count() else ""


def live_frame(page):
    """The page in the frame that the widget's script opened."""
    return page.frame_locator(".jp-OutputArea iframe:not([data-pellucid])")


def test_what_is_clicked_is_a_trait_and_what_python_selects_is_shown(lab: Lab, context) -> None:
    write_notebook(lab, "click.ipynb")
    page = open_notebook(lab, context, "click.ipynb")
    assert run(page, 0) == "explained"
    run(page, 1)
    frame = live_frame(page)
    frame.get_by_role("heading", name="disc 0").wait_for()
    click_position(frame, 4, 7, 12)
    frame.get_by_role("heading", name=re.compile(r"^Row 4, column 7\b")).wait_for()
    page.wait_for_timeout(500)
    assert run(page, 2) == "{'layer': '6', 'row': 4, 'column': 7} 6"
    run(page, 3)
    frame.get_by_role("heading", name=re.compile(r"^Row 1, column 2\b")).wait_for()
    page.wait_for_timeout(500)
    assert run(page, 2) == "{'layer': '3', 'row': 1, 'column': 2} 3"
    # The kernel is alive, and so the widget is, when the document is loaded again; its page shows the same view.
    page.keyboard.press("Control+s")
    deadline = time.monotonic() + PATIENCE
    while "iframe" not in (lab.notebooks / "click.ipynb").read_text():
        assert time.monotonic() < deadline, "the notebook is not saved"
        page.wait_for_timeout(50)
    page.reload()
    live_frame(page).get_by_role("heading", name=re.compile(r"^Row 1, column 2\b")).wait_for()


ASK = """() => new Promise((done) => {
  addEventListener("message", ({ data }) => { if (data.reply === "test") done(data.answer ?? data.problem); });
  const group = { unit: "group", groups: 3, group: 0, factor: 2 };
  const changes = [{ unit: "channel", channel: 1, factor: 0 }, group];
  parent.postMessage({ pellucid: 1, call: "test", method: "experiment", body: { layer: "6", changes } }, "*");
})"""


def test_the_kernel_answers_experiments_while_a_cell_runs_and_until_it_is_gone(lab: Lab, context) -> None:
    until_told = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.1)"
    write_notebook(lab, "experiment.ipynb", [*CELLS[:2], until_told])
    page = open_notebook(lab, context, "experiment.ipynb")
    run(page, 0)
    run(page, 1)
    live_frame(page).get_by_role("heading", name="disc 0").wait_for()
    frame = page.locator(".jp-OutputArea iframe").element_handle().content_frame()
    prompt = start(page, 2)
    assert prompt.inner_text() == "[*]:"
    answer = frame.evaluate(ASK)
    assert prompt.inner_text() == "[*]:"
    (lab.notebooks / "go").touch()
    assert answer["layer"] == "6"
    assert len(answer["classes"]) == 5
    assert any(outcome["logit_after"] != outcome["logit_before"] for outcome in answer["classes"])
    lab.end_kernels()
    page.get_by_text("No Kernel").first.wait_for()
    assert "gone" in frame.evaluate(ASK)


def test_a_notebook_that_is_opened_without_its_kernel_shows_a_still_page(lab: Lab, context) -> None:
    write_notebook(lab, "still.ipynb")
    page = open_notebook(lab, context, "still.ipynb")
    run(page, 0)
    run(page, 1)
    live_frame(page).get_by_role("heading", name="disc 0").wait_for()
    page.keyboard.press("Control+s")
    saved = lab.notebooks / "still.ipynb"
    deadline = time.monotonic() + PATIENCE
    while "text/html" not in saved.read_text():
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)
    page.close()
    (output,) = json.loads(saved.read_text())["cells"][1]["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"}
    lab.end_kernels()
    page = open_notebook(lab, context, "still.ipynb")
    still = page.frame_locator(".jp-OutputArea iframe[data-pellucid]")
    still.get_by_role("heading", name="disc 0").wait_for()
    click_position(still, 4, 7, 12)
    still.get_by_role("heading", name=re.compile(r"^Row 4, column 7\b")).wait_for()
    assert page.get_by_text("Error displaying widget").count() == 0


def test_a_notebook_that_a_program_runs_holds_a_still_page(lab: Lab) -> None:
    """As `jupyter execute`, papermill and builders of documentation do, and as nbviewer then shows it."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    nbconvert = pytest.importorskip("nbconvert")
    write_notebook(lab, "run.ipynb")
    notebook = nbformat.read(lab.notebooks / "run.ipynb", 4)
    notebook.cells = notebook.cells[:2]
    environment = {**os.environ, "PYTHONPATH": IMPORTS, "OMP_NUM_THREADS": "1"}
    client = nbclient.NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(lab.notebooks)}})
    client.execute(env=environment)
    (output,) = notebook.cells[1].outputs
    assert set(output.data) == {"text/html", "text/plain"}
    assert "widgets" not in notebook.metadata
    html, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    assert html.count('title="disc 0"') == html.count("<iframe") == 1
