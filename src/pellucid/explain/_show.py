"""The page of an explanation where a person is: in a notebook or a browser."""

import html
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._explanation import Explanation

_HEIGHT = 900


def frame(explanation: "Explanation") -> str:
    """HTML of a frame that holds the whole page."""
    from ..app import page_html
    from ._bundle import to_bundle

    page = html.escape(page_html(to_bundle(explanation)).decode("utf-8"), quote=True)
    return (
        f'<iframe title="{html.escape(explanation.title)}" srcdoc="{page}" sandbox="allow-scripts allow-downloads" '
        f'style="width:100%;height:{_HEIGHT}px;border:0"></iframe>'
    )


def show(explanation: "Explanation") -> Path:
    """Write the page into a temporary folder and open it."""
    path = Path(tempfile.mkdtemp(prefix="pellucid-")) / "report.html"
    explanation.save(path)
    notebook = sys.modules.get("IPython")
    if notebook is not None and notebook.get_ipython() is not None:
        from IPython.display import HTML, display  # type: ignore[import-not-found]

        display(HTML(frame(explanation)))
    else:
        webbrowser.open(path.as_uri())
    return path
