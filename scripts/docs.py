"""Build the documentation site: `make docs`.

    python scripts/docs.py                  # writes the generated pages, builds site/, checks every link in it
    python scripts/docs.py --out FOLDER     # the same into another folder
    python scripts/docs.py --check          # only says which generated pages are out of date

Generated are the reference (docs/reference), the notebooks (docs/notebooks), the commands, the pages that are files of
the repository, and the table of docs/comparison.md, whose numbers are read from the pages that hold the measurements.
Needs the `docs` extra.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import griffe

sys.path.append(str(Path(__file__).resolve().parents[1]))

from scripts import notebook_pages  # found by the line above where this file is started by its path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

# Every part with a page of its own, in the order in which data goes through them.
PARTS = {
    "models": "Models, their layers, preprocessing and labels",
    "targets": "What is pointed at, and its text form",
    "record": "Reading activations",
    "features": "Feature visualization",
    "features.images": "What an image is made of: parametrizations",
    "features.meshes": "Solids with a texture",
    "features.objectives": "What is maximized",
    "features.transforms": "What an image has to withstand",
    "attribution": "What a layer's units add to a decision",
    "groups": "A layer as a few groups",
    "trust": "Interventions, controls, evidence",
    "report": "What to believe of a network",
    "explain": "One image explained",
    "atlas": "Everything that a layer sees",
    "bundle": "The data behind the pages",
    "app": "The pages, exported",
    "widget": "The pages in a notebook",
    "serve": "The pages, served",
    "store": "What is kept on the disk",
    "pictures": "Images in and out of files",
    "figures": "Sheets of pictures, maps over photos",
    "events": "Progress",
    "errors": "Exceptions",
}


# Pages that are files of the repository.
ELSEWHERE = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "model_card.md": "src/pellucid/embedded/MODEL_CARD.md",
}


class BuildError(Exception):
    """What Zensical said of a site that it did not build."""


def package() -> griffe.Module:
    """The package as it is written, without importing it."""
    loaded = griffe.load("pellucid", search_paths=[str(ROOT / "src")], resolve_aliases=True)
    if not isinstance(loaded, griffe.Module):
        raise TypeError("pellucid is not a module")
    return loaded


def public(module: griffe.Module) -> dict[str, griffe.Object]:
    """The functions and classes that a module gives, in the order in which it names them."""
    if module.is_init_module:
        # What is imported there, and not its members: `pellucid.record` is a function and a folder.
        paths = {name: path for name, path in module.imports.items() if path.startswith("pellucid.")}
    else:
        paths = {name: member.path for name, member in module.members.items() if not member.is_alias}
    found = {name: _final(module.package, path) for name, path in paths.items() if not name.startswith("_")}
    return {name: thing for name, thing in found.items() if thing.is_function or thing.is_class}


def _final(package: griffe.Module, path: str) -> griffe.Object:
    """The object at a path, through all modules that pass it on."""
    parent, _, name = path.rpartition(".")
    module = package if parent == "pellucid" else package[parent.removeprefix("pellucid.")]
    if module.is_init_module and module.imports.get(name, path) != path:
        return _final(package, module.imports[name])
    return module[name]


def page_of(part: str) -> str:
    """The file of a part's page in docs/reference."""
    return part.replace(".", "_") + ".md"


def first_sentence(thing: griffe.Object) -> str:
    """The first paragraph of a docstring in one line, as far as its first full stop."""
    text = thing.docstring.value.strip() if thing.docstring else ""
    line = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[.?!])\s", line)[0]


def reference() -> dict[Path, str]:
    """The pages of docs/reference."""
    whole = package()
    folder = DOCS / "reference"
    pages: dict[Path, str] = {}
    where: dict[str, str] = {}
    for part, title in PARTS.items():
        text = [f"# {title}", "", f"::: pellucid.{part}", "    options:", "      members: false"]
        text += ["      show_root_heading: false", "      show_root_toc_entry: false", ""]
        for name, thing in public(whole[part]).items():
            text += [f"::: pellucid.{part}.{name}", ""]
            where[thing.path] = f"{page_of(part)}#pellucid.{part}.{name}"
        pages[folder / page_of(part)] = "\n".join(text)

    rows = []
    for name, thing in public(whole).items():
        if thing.path not in where:
            raise LookupError(f"pellucid.{name} is on no page of the reference: add its part to PARTS")
        rows.append(f"| [`{name}`]({where[thing.path]}) | {_cell(first_sentence(thing))} |")
    parts = [f"| [`pellucid.{part}`]({page_of(part)}) | {title} |" for part, title in PARTS.items()]
    pages[folder / "index.md"] = "\n".join(
        [
            *("# Reference", ""),
            "What `import pellucid` gives. Each entry says what it returns, every shape, unit, range and error, and",
            "has an example that runs; `model` and `image` in the examples are a small network and a picture for it.",
            *("", "| name | |", "| --- | --- |", *rows, ""),
            *("## By part", "", "| | |", "| --- | --- |", *parts, ""),
            "The command line has [a page of its own](../commands.md).",
            "",
        ]
    )
    return pages


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands() -> str:
    """docs/commands.md: the help of every command."""
    from pellucid.cli import cli

    text = ["# Commands", "", "What `pellucid COMMAND --help` says, for every command.", ""]
    for path, command in walk(cli):
        name = " ".join(path)
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        text += [f"## {name}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(text)


def walk(
    command: click.Command, path: tuple[str, ...] = ("pellucid",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, each with its path."""
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from walk(child, (*path, name))


def tables(page: str) -> list[list[list[str]]]:
    """The tables of a page in docs: rows of cells as text, without bold and code marks."""
    found: list[list[list[str]]] = []
    inside = False
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            cells = [re.sub(r"[*`]", "", cell).strip() for cell in line.strip().strip("|").split("|")]
            found = found if inside else [*found, []]
            if not all(set(cell) <= set("- :") and cell for cell in cells):
                found[-1].append(cells)
        inside = line.startswith("|")
    return found


def measured(page: str, row: str, column: int) -> str:
    """One cell of a table in docs: of the first row that begins with `row`.

    Raises:
        LookupError: no such row, or no such column.
    """
    for table in tables(page):
        for cells in table:
            if cells[0].startswith(row) and column < len(cells):
                return cells[column].partition(" · ")[0]  # what follows is a ratio
    raise LookupError(f"docs/{page} has no table with a row {row!r} of {column + 1} columns")


@dataclass(frozen=True)
class Measured:
    """A measurement beside another library: what and which, the page and its part that has it, and the two cells of a
    table there, each the beginning of its row and the number of its column.
    """

    what: str
    peer: str
    page: str
    part: str
    ours: tuple[str, int]
    theirs: tuple[str, int]
    unit: str = ""


MEASURED = [
    Measured(
        *("one step of one image, mixed4d, float32", "torch-lucent 0.1.8", "speed.md", "equal-work"),
        *(("Pellucid float32, one image", 3), ("torch-lucent, one image", 3), " ms"),
    ),
    Measured(
        *("a step of a batch of 8, per image, bfloat16 beside float32", "torch-lucent 0.1.8", "speed.md", "equal-work"),
        *(("Pellucid bfloat16, batch of 8", 3), ("torch-lucent, 8 batched by hand", 3), " ms"),
    ),
    Measured(
        *("five channels, as strong as the other's or more", "torch-lucent 0.1.8", "speed.md", "time-to-quality"),
        *(("256 steps, the default", 1), ("torch-lucent, 512 steps", 1), " s"),
    ),
    Measured(
        *("one class along a path of 50 steps: processor (clock)", "captum 0.9", "attribution.md", "how-fast"),
        *(("one class, 50 steps: integrated", 1), ("captum 0.9, LayerIntegratedGradients, batches of 16", 1)),
    ),
    Measured(
        *("8 classes, linear: processor (clock)", "captum 0.9", "attribution.md", "how-fast"),
        *(("8 classes, linear", 1), ("captum, LayerGradientXActivation, one batch", 1)),
    ),
    Measured(
        *("196 positions removed, one at a time: processor (clock)", "a forward hook", "attribution.md", "how-fast"),
        *(("196 positions removed", 1), ("the same by a hook on the whole network", 1)),
    ),
    Measured(
        *("100,000 × 528 activations in 6 groups", "scikit-learn 1.9.1", "groups.md", "how-fast"),
        *(("100,000 × 528, 6 groups", 1), ("100,000 × 528, 6 groups", 2), " s"),
    ),
    Measured(
        *("one photo in 2, 3, … 12 groups", "scikit-learn 1.9.1", "groups.md", "how-fast"),
        *(("one photo, 196 × 528, 2 to 12 groups", 1), ("one photo, 196 × 528, 2 to 12 groups", 2), " s"),
    ),
]


def comparison() -> str:
    """docs/comparison.md with its table of measurements as the other pages state them now."""
    rows = [
        f"| {each.what} | {measured(each.page, *each.ours)}{each.unit} | {each.peer} "
        f"| {measured(each.page, *each.theirs)}{each.unit} | [how]({each.page}#{each.part}) |"
        for each in MEASURED
    ]
    table = ["| what | Pellucid | beside | its | measured |", "| --- | --- | --- | --- | --- |", *rows]
    start, end = "<!-- measured: scripts/docs.py -->", "<!-- end -->"
    before, found, rest = (DOCS / "comparison.md").read_text(encoding="utf-8").partition(start)
    if not found:
        raise LookupError(f"docs/comparison.md has no {start}")
    return "\n".join([before + start, "", *table, "", end + rest.partition(end)[2]])


def shown_here(file: str) -> str:
    """A page of the repository as a page of the site, where its links to other files lead nowhere and become text."""
    return re.sub(r"\[([^\]]*)\]\((?!https?:|#)[^)]*\)", r"\1", (ROOT / file).read_text(encoding="utf-8"))


def generated() -> dict[Path, str]:
    """Every generated page and what it should hold now."""
    pages = {"commands.md": commands(), "comparison.md": comparison()}
    pages |= {page: shown_here(file) for page, file in ELSEWHERE.items()}
    pages |= {f"notebooks/{path.stem}.md": notebook_pages.page(path) for path in notebook_pages.notebooks()}
    return reference() | {DOCS / page: text for page, text in pages.items()}


def stale() -> dict[Path, str]:
    """Those that hold something else."""
    return {
        path: text
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def build(out: Path) -> None:
    """Build the site into a folder.

    Raises:
        BuildError: it cannot be built, or not without warnings.
    """
    notebook_pages.write_pictures(DOCS / "notebooks")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    zensical = str(Path(sys.executable).with_name("zensical"))
    # Zensical writes only below the folder that its settings are in.
    with tempfile.TemporaryDirectory(prefix=".mkdocs-", dir=ROOT) as folder:
        made = Path(folder) / "site"
        settings = ROOT / f"{Path(folder).name}.yml"
        settings.write_text(
            re.sub(r"^site_dir: .*$", f"site_dir: {made.relative_to(ROOT)}", config, flags=re.MULTILINE)
        )
        try:
            command = [zensical, "build", "--clean", "--strict", "--config-file", str(settings)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        finally:
            settings.unlink()
        if done.returncode:
            said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
            raise BuildError(said.partition("Traceback (most recent call last)")[0].strip())
        _make_searchable(made)
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(made, out)


def _make_searchable(site: Path) -> None:
    """Let the search work where pages are opened from the disk: its index as a script, and `offline.js` on every page.

    Zensical's own plugin for that loads a script from elsewhere.
    """
    index = (site / "search.json").read_text(encoding="utf-8")
    (site / "search.js").write_text(f"var __index = {index};", encoding="utf-8")
    for path in site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        bundle = re.search(r'<script src="([^"]*)assets/javascripts/bundle[^"]*"></script>', page)
        if bundle:
            here = f'<script src="{bundle[1]}offline.js"></script>'
            path.write_text(page[: bundle.start()] + here + page[bundle.start() :], encoding="utf-8")


class Page(HTMLParser):
    """What a page refers to, and the places in it that can be referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev") and "href" in given:
            self.loads.append(given["href"])


def broken(site: Path) -> list[str]:
    """Every link, picture and anchor of a built site that leads nowhere, and whatever it would load from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    # Pages of the application are single files with a script that makes their contents.
    pages = {path: page for path, page in pages.items() if path.relative_to(site).parts[0] != "pages"}
    wrong: list[str] = []
    for path, page in pages.items():
        name = str(path.relative_to(site))
        wrong += [f"{name} loads {load}" for load in page.loads if urlsplit(load).netloc]
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_relative_to(site.resolve()) or not target.is_file():
                wrong.append(f"{name}: {link} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                wrong.append(f"{name}: {link} has no such anchor")
    return list(dict.fromkeys(wrong))


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    parser.add_argument("--check", action="store_true", help="only say which generated pages are out of date")
    options = parser.parse_args()
    for path, text in stale().items():
        print(path.relative_to(ROOT), "is out of date" if options.check else "is written")
        if options.check:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if options.check:
        return int(bool(stale()))
    out = options.out.resolve()
    try:
        build(out)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = broken(out)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{out}: {len(list(out.rglob('*.html')))} pages, {len(wrong)} broken links")
    print(f"Open {out / 'index.html'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
