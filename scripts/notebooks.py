"""Run the notebooks and keep their outputs: every `notebooks/NAME.py` becomes `notebooks/NAME.ipynb`.

    .venv/bin/python scripts/notebooks.py                    # all of them
    .venv/bin/python scripts/notebooks.py tutorial trust     # some

Nothing is downloaded. A notebook that fails leaves its old `.ipynb` as it was.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOT_NOTEBOOKS = {"figures.py", "pieces.py"}
_MOST_SECONDS = 1800


def sources() -> list[Path]:
    """The notebooks' sources, in the order of their names."""
    return sorted(path for path in FOLDER.glob("*.py") if path.name not in NOT_NOTEBOOKS)


def read(path: Path) -> nbformat.NotebookNode:
    """A source as a notebook without outputs; the same source gives the same notebook, to the byte."""
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.NotebookNode()
    notebook.metadata = nbformat.NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def build(path: Path) -> float:
    """Run a notebook and write it with its outputs; seconds that it took."""
    began = time.perf_counter()
    notebook = read(path)
    client = NotebookClient(notebook, timeout=_MOST_SECONDS, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(FOLDER))
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "execute_result" and "image/jpeg" in output.data:
                output.data["text/plain"] = "<a figure>"  # its repr has its size in pixels only
    target = path.with_suffix(".ipynb")
    partial = target.with_suffix(".partial")
    nbformat.write(notebook, partial)
    partial.replace(target)
    return time.perf_counter() - began


def main() -> None:
    known = {path.stem: path for path in sources()}
    parser = argparse.ArgumentParser(description="Run the notebooks and keep their outputs.")
    parser.add_argument("names", nargs="*", help=f"which ones; by default all: {', '.join(known)}")
    names = parser.parse_args().names or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no notebook {unknown[0]!r}; there are {', '.join(known)}")
    os.environ["PELLUCID_OFFLINE"] = "1"
    for name in names:
        before = os.times()
        seconds = build(known[name])
        after = os.times()
        # Of the kernel, which has ended; what other work on the machine does to the clock it does not do to this.
        processor = after.children_user + after.children_system - before.children_user - before.children_system
        size = known[name].with_suffix(".ipynb").stat().st_size / 1e6
        print(f"{name}: {seconds:.0f} s, processor {processor:.0f} s, {size:.2f} MB", flush=True)
    whole = sum(path.stat().st_size for path in FOLDER.glob("*.ipynb")) / 1e6
    print(f"all together {whole:.2f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
