"""A page below a notebook's cell: the frame that it stands in, and which kind of notebook this is."""

import html
import os
import sys
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import PellucidError

PAGE_HEIGHT = 900
"""Height of a frame below a cell, in CSS pixels."""


def frame_html(page: bytes, title: str, *, height: int = PAGE_HEIGHT, mark: str = "") -> str:
    """HTML of a frame that holds a whole page, which can run scripts and save files, and nothing else.

    Args:
        page: from `page_html`.
        title: what a screen reader calls the frame.
        height: in CSS pixels.
        mark: by which a widget finds the frame that it may bring to life; empty where there is none.

    Example:
        >>> frame_html(b"<p>page", "photo.jpg", height=80)[:44]
        '<iframe title="photo.jpg" sandbox="allow-scr'
    """
    marked = f' data-pellucid="{html.escape(mark, quote=True)}"' if mark else ""
    return (
        f'<iframe title="{html.escape(title, quote=True)}" sandbox="allow-scripts allow-downloads" loading="lazy"'
        f"{marked} "
        f'style="display:block;width:100%;height:{height}px;border:0" '
        f'srcdoc="{html.escape(page.decode("utf-8"), quote=True)}"></iframe>'
    )


class _Shown(Protocol):
    def widget(self) -> Any: ...

    def _repr_html_(self) -> str | None: ...


def output_below(thing: _Shown, **kwargs: Any) -> Any:
    """What stands below a cell of Jupyter that ends with `thing`, by media type: its widget and its still page.

    `None`, after which a notebook asks for `_repr_html_` and a terminal for `repr`, where nothing would show a widget,
    or there is no anywidget, or no network for it to ask.

    Example:
        >>> output_below(explanation)  # doctest: +SKIP
    """
    if not _shows_widgets():
        return None
    try:
        data, metadata = thing.widget()._repr_mimebundle_(**kwargs)
    except PellucidError:
        return None
    return {**data, "text/plain": repr(thing)}, metadata


def output_beside(thing: _Shown) -> Any:
    """What stands beside a cell of marimo that ends with `thing`: its widget, or else its still page, or its name.

    Example:
        >>> output_beside(explanation)  # doctest: +SKIP
    """
    try:
        return thing.widget()
    except PellucidError:
        return _Still(thing._repr_html_() or html.escape(repr(thing)))


@dataclass(frozen=True)
class _Still:
    text: str

    def _repr_html_(self) -> str:
        return self.text


def in_kernel() -> bool:
    """Whether this is a kernel of Jupyter, whose front end shows HTML; not so in a terminal.

    Example:
        >>> in_kernel()
        False
    """
    shell = _shell()
    return shell is not None and getattr(shell, "kernel", None) is not None


def page_below() -> bool:
    """Whether the notebook's front end runs the widget's script as soon as the widget is made, and keeps outputs in
    one document: JupyterLab and Notebook, whose server sets `JPY_SESSION_NAME`, and neither VS Code nor Colab, which
    may use the same server.

    Example:
        >>> page_below()
        False
    """
    return "JPY_SESSION_NAME" in os.environ and not _other_front_end()


def _shows_widgets() -> bool:
    """Whether somebody looks at what the kernel shows. Where a program runs a notebook to keep its outputs, it would
    keep the widget's state beside the still page.
    """
    return in_kernel() and (page_below() or _other_front_end())


def _other_front_end() -> bool:
    """Whether this is VS Code, which leaves its notebook's path among the variables, or Colab."""
    names: dict[str, Any] = getattr(_shell(), "user_ns", {})
    return "__vsc_ipynb_file__" in names or "google.colab" in sys.modules


def _shell() -> Any:
    notebook = sys.modules.get("IPython")
    return notebook.get_ipython() if notebook is not None else None
