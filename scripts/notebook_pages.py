"""The published notebooks as pages of the documentation: text, code, and what it showed; for `scripts/docs.py`."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def notebooks() -> list[Path]:
    """The published notebooks, in the order of their names."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def page(path: Path) -> str:
    """A notebook as Markdown; its pictures are `pictures`, in a folder of its name beside the page.

    Formulas become MathML, which browsers draw without any script.
    """
    text: list[str] = []
    numbers = iter(range(1, 10_000))
    for cell in _cells(path):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text.append(_with_formulas(source))
        else:
            text.append(f"```python\n{source}\n```")
            text += [_shown(output, path.stem, numbers) for output in cell["outputs"]]
    title, *rest = [part for part in text if part]
    about = f"*This is `notebooks/{path.name}` with what it showed; its pictures were made by the code above them.*"
    head, _, more = title.partition("\n")
    return "\n\n".join([head, about, more.strip(), *rest]) + "\n"


def pictures(path: Path) -> list[bytes]:
    """The pictures that a notebook shows, each a JPEG, in their order."""
    outputs = [output for cell in _cells(path) for output in cell.get("outputs", ())]
    return [b64decode(output["data"]["image/jpeg"]) for output in outputs if "image/jpeg" in output.get("data", {})]


def write_pictures(folder: Path) -> None:
    """None, after `folder/NAME/1.jpg` and so on are the pictures of each notebook."""
    for path in notebooks():
        own = folder / path.stem
        own.mkdir(parents=True, exist_ok=True)
        for old in own.glob("*.jpg"):
            old.unlink()
        for number, picture in enumerate(pictures(path), 1):
            (own / f"{number}.jpg").write_bytes(picture)


def _cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _shown(output: dict[str, Any], name: str, numbers: Iterator[int]) -> str:
    data = output.get("data", {})
    if "image/jpeg" in data:
        number = next(numbers)
        return f"![Picture {number} of {name}]({name}/{number}.jpg)"
    text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
    return f"```text\n{text}\n```" if text else ""


def _with_formulas(source: str) -> str:
    """Markdown with `$…$` and `$$…$$` as MathML, but for what stands in code."""
    parts = re.split(r"(```.*?```|`[^`]*`)", source, flags=re.DOTALL)
    for place in range(0, len(parts), 2):
        shown = re.sub(r"\$\$(.+?)\$\$", lambda found: _math(found[1], "block"), parts[place], flags=re.DOTALL)
        parts[place] = re.sub(r"\$(.+?)\$", lambda found: _math(found[1], "inline"), shown, flags=re.DOTALL)
    return "".join(parts)


def _math(formula: str, display: str) -> str:
    known = formula.replace(r"\arg", r"\operatorname{arg}")  # the converter lacks it
    return convert(" ".join(known.split()), display=display)
