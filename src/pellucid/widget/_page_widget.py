"""`PageWidget`: a page in a frame, and what a person does there as traits of Python."""

import uuid
import weakref
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Self
from urllib.parse import parse_qs, quote

import anywidget
import msgspec
from traitlets import Bytes, Int, Unicode

from ..app import PAGE_HEIGHT, frame_html, in_kernel, page_below, page_html
from ..bundle import Bundle
from ..errors import InputError, PellucidError

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# A widget lives until it is closed, and what it shows lives with it.
_widgets: "weakref.WeakKeyDictionary[Any, weakref.ref[PageWidget]]" = weakref.WeakKeyDictionary()

Answerer = tuple[type, Callable[[Any], Any]]


class PageWidget(anywidget.AnyWidget):
    """A page below a notebook's cell, and what a person does there as traits that can be observed.

    The page is sent once, when the widget is first shown; later messages hold only what has changed.

    Traits:
        hash: the part of the page's address that says what it shows. Set it, and the page shows that view; an empty
            one is the page as it was at first.
        layer: name of the layer that is looked at; empty before the page is shown.
        height: of the frame, in CSS pixels.
    """

    _esm = files("pellucid.widget").joinpath("widget.js").read_text(encoding="utf-8")

    _page = Bytes(help="The whole page, UTF-8.").tag(sync=True)
    _title = Unicode(help="What a screen reader calls the frame.").tag(sync=True)
    _mark = Unicode(help="By which the script finds the widget's still page.").tag(sync=True)
    hash = Unicode().tag(sync=True)
    height = Int(PAGE_HEIGHT).tag(sync=True)
    layer = Unicode(read_only=True).tag(sync=True)

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        title = bundle.manifest.body.title
        super().__init__(_page=page_html(bundle, framed=True), _title=title, _mark=uuid.uuid4().hex)
        self.on_msg(self._reply)

    @classmethod
    def of(cls, thing: Any) -> Self:
        """The widget of an explanation or an atlas: the same one until it is closed."""
        reference = _widgets.get(thing)
        widget = None if reference is None else reference()
        if not isinstance(widget, cls) or widget.closed:
            widget = cls(thing)
            _widgets[thing] = weakref.ref(widget)
        return widget

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._title}>"

    @property
    def closed(self) -> bool:
        """Whether `close` was called, after which nothing is shown."""
        return self.comm is None

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What a notebook shows and keeps: the widget, and the still page for where there is no kernel.

        JupyterLab shows an error where a saved widget has no kernel, and never what else the output holds: there the
        still page is the output, and the widget's script brings it to life.
        """
        made = super()._repr_mimebundle_(**kwargs)
        if made is None or not in_kernel():
            return made
        data, metadata = made
        below = page_below()
        mark = self._mark if below else ""
        still = frame_html(page_html(self._bundle), self._title, height=self.height, mark=mark)
        kept = {name: value for name, value in data.items() if not (below and name == _WIDGET_VIEW)}
        return {**kept, "text/html": still}, metadata

    def _answerers(self) -> Mapping[str, Answerer]:
        """What the page may ask: for each method the request's type, and what answers it."""
        return {}

    def _reply(self, _: Any, content: Any, buffers: Any) -> None:
        """Answer a question of the page, or say in a sentence why not."""
        if not isinstance(content, dict) or "ask" not in content:
            return
        reply: dict[str, Any] = {"reply": content["ask"]}
        try:
            kind, answer = self._answerers()[content["method"]]
            reply["answer"] = msgspec.to_builtins(answer(msgspec.convert(content["body"], kind)))
        except KeyError:
            reply["problem"] = f"This page cannot ask for {content.get('method')!r} here."
        except msgspec.ValidationError as error:
            reply["problem"] = f"The question does not have the form that was expected: {error}."
        except PellucidError as error:
            reply["problem"] = str(error)
        except Exception as error:
            # The page stops waiting, and the kernel's log has the whole story.
            self.send({**reply, "problem": f"The kernel could not answer: {type(error).__name__}: {error}"})
            raise
        self.send(reply)

    def _show(self, words: Mapping[str, str | None]) -> None:
        """Change parts of the view; `None` takes one away."""
        said = {name: values for name, values in parse_qs(self.hash.removeprefix("#")).items() if name not in words}
        said |= {name: [value] for name, value in words.items() if value is not None}
        self.hash = "#" + "&".join(f"{name}={_spelled(value)}" for name, values in said.items() for value in values)


def whole(value: Any, below: int, what: str) -> int:
    """`value` where it is an integer in [0, below).

    Raises:
        InputError: it is not.
    """
    try:
        number = value.__index__()
    except AttributeError:
        raise InputError(f"{what} is a whole number, not {value!r}.") from None
    if not 0 <= number < below:
        raise InputError(f"{what} {number} is not among 0–{below - 1}.")
    return number


def _spelled(text: str) -> str:
    return quote(text, safe=":,-_.!~*'()")
