"""The page of an explanation where a person is: in a notebook or a browser."""

import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from ..app import frame_html, in_kernel, page_html
from ._bundle import to_bundle

if TYPE_CHECKING:
    from ._explanation import Explanation


def frame(explanation: "Explanation") -> str:
    """HTML of a frame that holds the whole page."""
    return frame_html(page_html(to_bundle(explanation)), explanation.title)


def show(explanation: "Explanation") -> Path:
    """Write the page into a temporary folder and open it."""
    path = Path(tempfile.mkdtemp(prefix="pellucid-")) / "report.html"
    explanation.save(path)
    if in_kernel():
        from IPython.display import display  # type: ignore[import-not-found]

        display(explanation)
    else:
        webbrowser.open(path.as_uri())
    return path
