"""How mkdocstrings reads the docstrings here.

`Example:` is a section of code, as `Examples:` is elsewhere; `[rows][columns]` is a shape and no link to "columns".
"""

import re
from typing import Any

import griffe

_HEADING = re.compile(r"^(\s*)Example:[ \t]*$", re.MULTILINE)


def _without_links(text: str) -> str:
    """The text with shapes that Markdown would take for links marked as text; code between backticks stays."""
    return "`".join(part if number % 2 else part.replace("][", r"]\[") for number, part in enumerate(text.split("`")))


class ExampleSections(griffe.Extension):
    """Changes docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is None:
            return
        text, heading, example = _HEADING.sub(r"\1Examples:", obj.docstring.value).partition("Examples:")
        obj.docstring.value = _without_links(text) + heading + example
