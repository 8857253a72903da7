"""How mkdocstrings reads the docstrings here.

`Example:` is a section of code, as `Examples:` is elsewhere; `[rows][columns]` is a shape and no link to "columns"; a
paper by its number is a link to it.
"""

import re
from typing import Any

import griffe

_HEADING = re.compile(r"^(\s*)Example:[ \t]*$", re.MULTILINE)


_PAPERS = (
    (re.compile(r"(?<!\[)arXiv (\d{4}\.\d{4,5})"), r"[arXiv \1](https://arxiv.org/abs/\1)"),
    (re.compile(r"(?<!\[)doi (10\.\d{4,9}/[\w./-]*\w)"), r"[doi \1](https://doi.org/\1)"),
)


def _linked(text: str) -> str:
    """The text with papers as links, and shapes that Markdown would take for links as text; code in backticks stays."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        parts[place] = parts[place].replace("][", r"]\[")
        for paper, link in _PAPERS:
            parts[place] = paper.sub(link, parts[place])
    return "`".join(parts)


class ExampleSections(griffe.Extension):
    """Changes docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is None:
            return
        text, heading, example = _HEADING.sub(r"\1Examples:", obj.docstring.value).partition("Examples:")
        obj.docstring.value = _linked(text) + heading + example
