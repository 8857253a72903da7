"""Run the notebooks and keep their outputs: every `notebooks/NAME.py` becomes `notebooks/NAME.ipynb`; `make notebooks`.

    .venv/bin/python scripts/notebooks.py                    # all of them
    .venv/bin/python scripts/notebooks.py tutorial trust     # some
    .venv/bin/python scripts/notebooks.py --model inception_v1 --weights FILE --out out/notebooks tutorial

With `--model`, the one line of a notebook that chooses its network is replaced, and what comes out goes to another
folder; cells that fail there are named, and the rest is run all the same. Nothing is downloaded. Without `--model`, a
notebook that fails leaves its old `.ipynb` as it was.
"""

import argparse
import os
import re
import sys
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parents[1] / "notebooks"
NOT_NOTEBOOKS = {"charts.py", "pieces.py"}
# The line that chooses the network, of the notebooks that do not train their own.
CHOICE = re.compile(r"^(model|first) = pellucid\.load\(\).*$", re.MULTILINE)
OWN_NETWORKS = {"own_model", "shortcut", "transformers"}
_MOST_SECONDS = 1800
# A torchvision that does not load beside a CPU build of torch is mended as in the tests.
_FIRST = [f"import sys; sys.path.append({str(FOLDER.parent)!r}); import tests.conftest; del sys, tests"]
_QUALITY = 86


@dataclass(frozen=True)
class Built:
    """What came of running a notebook.

    Args:
        seconds, processor: by the clock, and of processor time.
        megabytes: size of the file.
        errors: of the cells that failed, in one line each.
    """

    seconds: float
    processor: float
    megabytes: float
    errors: tuple[str, ...]


def sources() -> list[Path]:
    """The notebooks' sources, in the order of their names."""
    return sorted(path for path in FOLDER.glob("*.py") if path.name not in NOT_NOTEBOOKS)


def read(path: Path) -> nbformat.NotebookNode:
    """A source as a notebook without outputs; the same source gives the same notebook, to the byte."""
    return as_notebook(path.read_text(encoding="utf-8"))


def as_notebook(source: str) -> nbformat.NotebookNode:
    """A source's text as a notebook without outputs."""
    notebook = jupytext.reads(source, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.NotebookNode()
    notebook.metadata = nbformat.NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def with_network(source: str, expression: str) -> str:
    """A notebook's source with another network in its one line.

    Raises:
        ValueError: no line or several choose the network.
    """
    changed, count = CHOICE.subn(lambda found: f"{found[1]} = {expression}", source)
    if count != 1:
        raise ValueError(f"{count} lines choose the network; expected one.")
    return changed


def build(source: str, target: Path, *, go_on: bool = False) -> Built:
    """Run a notebook and write it with its outputs.

    Args:
        source: its text.
        target: the `.ipynb`.
        go_on: run the cells after one that failed, and write the file all the same.

    Raises:
        CellExecutionError: a cell failed, and it does not go on.
    """
    began, before = time.perf_counter(), os.times()
    notebook = as_notebook(source)
    client = NotebookClient(
        notebook,
        timeout=_MOST_SECONDS,
        kernel_name="python3",
        record_timing=False,
        allow_errors=go_on,
        extra_arguments=[f"--IPKernelApp.exec_lines={_FIRST}"],
    )
    client.execute(cwd=str(FOLDER))
    after = os.times()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    for output in outputs:
        if "data" in output:
            _make_small(output.data)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    nbformat.write(notebook, partial)
    partial.replace(target)
    return Built(
        seconds=time.perf_counter() - began,
        # Of the kernel, which has ended; what other work on the machine does to the clock it does not do to this.
        processor=after.children_user + after.children_system - before.children_user - before.children_system,
        megabytes=target.stat().st_size / 1e6,
        errors=tuple(f"{each.ename}: {each.evalue}" for each in outputs if each.output_type == "error"),
    )


def _make_small(data: Any) -> None:
    """Pictures as JPEG alone; their text has their size in pixels only."""
    png = data.pop("image/png", None)
    if png is not None and "image/jpeg" not in data:
        buffer = BytesIO()
        Image.open(BytesIO(b64decode(png))).convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
        data["image/jpeg"] = b64encode(buffer.getvalue()).decode()
    if "image/jpeg" in data:
        data["text/plain"] = "<a figure>"


def main() -> int:
    known = {path.stem: path for path in sources()}
    parser = argparse.ArgumentParser(description="Run the notebooks and keep their outputs.")
    parser.add_argument("names", nargs="*", help=f"which ones; by default all: {', '.join(known)}")
    parser.add_argument("--model", help="a network as `pellucid.load` takes it; by default the notebook's own")
    parser.add_argument("--weights", type=Path, help="its file of weights")
    parser.add_argument("--out", type=Path, default=Path("out/notebooks"), help="where to, with --model [%(default)s]")
    options = parser.parse_args()
    names = options.names or [name for name in known if not (options.model and name in OWN_NETWORKS)]
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no notebook {unknown[0]!r}; there are {', '.join(known)}")
    os.environ["PELLUCID_OFFLINE"] = "1"
    failed = 0
    for name in names:
        source, target = known[name].read_text(encoding="utf-8"), known[name].with_suffix(".ipynb")
        if options.model:
            weights = f", weights={str(options.weights.resolve())!r}" if options.weights else ""
            source = with_network(source, f"pellucid.load({options.model!r}{weights})")
            target = options.out / target.name
        built = build(source, target, go_on=options.model is not None)
        print(f"{name}: {built.seconds:.0f} s, processor {built.processor:.0f} s, {built.megabytes:.2f} MB", flush=True)
        for error in built.errors:
            print(f"  {error}", flush=True)
        failed += bool(built.errors)
    if not options.model:
        whole = sum(path.stat().st_size for path in FOLDER.glob("*.ipynb")) / 1e6
        print(f"all together {whole:.2f} MB", file=sys.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
