"""The documentation: public functions are in it with examples that run, its pages' code runs, the site builds."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import plain_net, seeded
from torch import nn

import pellucid

pytest.importorskip("griffe", reason="needs the docs extra")
pytest.importorskip("zensical", reason="needs the docs extra")

from scripts import docs, gallery, notebook_pages
from scripts.griffe_examples import _linked
from tests.browsers import chromium

# The pages whose code is run from top to bottom.
TAUGHT = ["start/tutorial.md", "howto/own-model.md", "howto/render.md"]
# Those parts' examples are run by tests/test_public.py.
ELSEWHERE = {
    *("models", "record", "targets", "features", "attribution", "groups", "trust", "explain", "store", "pictures"),
    *("figures", "errors"),
}


def public_functions():
    whole = docs.package()
    for part in docs.PARTS:
        for name, thing in docs.public(whole[part]).items():
            if thing.is_function:
                yield f"{part}.{name}", thing


FUNCTIONS = dict(public_functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_has_an_example(name):
    docstring = FUNCTIONS[name].docstring
    assert docstring is not None
    example = docstring.value.partition("Example:")[2]
    assert doctest.DocTestParser().get_examples(example), f"{name} has no example"


def test_how_many_functions_have_examples():
    assert len(FUNCTIONS) >= 80
    run = [
        name
        for name, thing in FUNCTIONS.items()
        if any(
            doctest.SKIP not in example.options
            for example in doctest.DocTestParser().get_examples(thing.docstring.value)  # type: ignore[union-attr]
        )
    ]
    assert len(run) >= 0.65 * len(FUNCTIONS), "too many examples are only to be read"


def test_everything_public_is_in_the_reference():
    pages = docs.reference()
    text = "\n".join(pages.values())
    for part in docs.PARTS:
        module = importlib.import_module(f"pellucid.{part}")
        home = module.__name__ if not hasattr(module, "__path__") else f"{module.__name__}."
        for name, thing in vars(module).items():
            where = getattr(thing, "__module__", None) or ""
            own = where.startswith(home) if home.endswith(".") else where == home
            if not name.startswith("_") and own and isinstance(thing, type | type(public_functions)):
                assert f"::: pellucid.{part}.{name}\n" in text, f"pellucid.{part}.{name}"
    index = pages[docs.DOCS / "reference" / "index.md"]
    for name in vars(pellucid):
        thing = getattr(pellucid, name)
        if not name.startswith("_") and isinstance(thing, type | type(public_functions)):
            assert f"[`{name}`](" in index, name


def test_every_part_of_the_package_has_a_page():
    folders = {found.name for found in pkgutil.iter_modules(pellucid.__path__) if not found.name.startswith("_")}
    assert folders - {"cli"} <= set(docs.PARTS)


def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for part in docs.PARTS:
        if part.partition(".")[0] in ELSEWHERE:
            continue
        module = importlib.import_module(f"pellucid.{part}")
        names = [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]
        for one in [module, *[importlib.import_module(f"{module.__name__}.{name}") for name in names]]:
            yield from (test for test in finder.find(one) if test.examples)


@pytest.mark.parametrize("test", list(examples()), ids=lambda test: test.name.removeprefix("pellucid."))
def test_examples_of_other_parts(test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_DATA", "")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    model = pellucid.wrap(seeded(plain_net), size=32, name="small")
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    test.globs.update(pellucid=pellucid, torch=torch, np=np, nn=nn, model=model, image=image)
    test.globs["activations"] = pellucid.record(model, image[None], "8")["8"]
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    report: list[str] = []
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def blocks(page):
    return re.findall(
        r"^```python\n(.*?)^```", (docs.DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", TAUGHT)
def test_code_of_pages_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    names: dict[str, Any] = {}
    assert blocks(page)
    for number, code in enumerate(blocks(page)):
        exec(compile(code, f"{page}, block {number + 1}", "exec"), names)
    if page == "start/tutorial.md":  # what it says of these numbers
        assert names["rendering"].images.shape == (2, 96, 96, 3)
        assert names["recorded"].values.shape == (1, 12, 12, 288)
        assert names["found"].positions().shape == (12, 12)
        lost, said = -names["effect"].change("espresso"), names["found"].by_channel()[names["strongest"]]
        assert said != 0
        assert abs(lost - said) < 0.5 * abs(said)
        assert Path("report.html").exists()
        assert Path("out/render.json").exists()


def test_python_on_other_pages_is_python():
    for page in sorted(docs.DOCS.rglob("*.md")):
        for code in blocks(page.relative_to(docs.DOCS)):
            compile(code, str(page), "exec")


def test_the_gallery_shows_the_code_that_made_it():
    assert (docs.DOCS / "gallery.md").read_text(encoding="utf-8") == gallery.page()
    for entry in gallery.GALLERY:
        assert (gallery.PICTURES / f"{entry.name}.webp").exists()
    assert {path.stem for path in gallery.PICTURES.iterdir()} == {entry.name for entry in gallery.GALLERY}


def test_comparisons_are_the_numbers_of_other_pages():
    assert (docs.DOCS / "comparison.md").read_text(encoding="utf-8") == docs.comparison()
    assert docs.measured("speed.md", "torch-lucent, 512 steps", 1) == "703"
    with pytest.raises(LookupError, match=r"speed\.md"):
        docs.measured("speed.md", "no such row", 1)


def test_notebooks_are_pages_with_every_picture_and_formula():
    for path in notebook_pages.notebooks():
        text = notebook_pages.page(path)
        assert text.startswith("# ")
        named = re.findall(rf"!\[[^\]]+\]\({path.stem}/(\d+)\.jpg\)", text)
        assert [int(number) for number in named] == list(range(1, len(notebook_pages.pictures(path)) + 1))
        assert all(picture.startswith(b"\xff\xd8") for picture in notebook_pages.pictures(path))
        outside = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        assert "$" not in outside, "a formula that was not translated"
        assert not re.search(r">\\\w", outside), "a command that the converter does not know"
    text = notebook_pages.page(notebook_pages.NOTEBOOKS / "feature_visualization.ipynb")
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in text


def test_commands_are_all_there():
    text = docs.commands()
    for path, _ in docs.walk(importlib.import_module("pellucid.cli").cli):
        assert f"## {' '.join(path)}\n" in text


def test_papers_are_links_and_shapes_are_not():
    assert _linked("[rows][columns] and `x[0][1]`") == r"[rows]\[columns] and `x[0][1]`"
    assert _linked("(arXiv 2306.04719).") == "([arXiv 2306.04719](https://arxiv.org/abs/2306.04719))."
    assert (
        _linked("doi 10.23915/distill.00012.")
        == "[doi 10.23915/distill.00012](https://doi.org/10.23915/distill.00012)."
    )


def test_pages_say_nothing_of_where_they_were_made():
    for page in docs.DOCS.rglob("*.md"):
        assert not re.search(r"/(work|root|home|tmp)/", page.read_text(encoding="utf-8")), page


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="here">x</h1><a href="#here">1</a><a href="a/b.html#there">2</a><a href="https://example.org">3</a>'
        '<a href="#nowhere">4</a><a href="a/c.html">5</a><a href="a/b.html#not">6</a><img src="p.webp">'
        '<script src="https://example.org/x.js"></script><a href="../up.html">7</a>'
    )
    (tmp_path / "a" / "b.html").write_text('<p id="there"><a href="../index.html#here">back</a>')
    assert docs.broken(tmp_path) == [
        "index.html loads https://example.org/x.js",
        "index.html: #nowhere has no such anchor",
        "index.html: a/c.html is not there",
        "index.html: a/b.html#not has no such anchor",
        "index.html: ../up.html is not there",
        "index.html: p.webp is not there",
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site."""
    for path, text in docs.stale().items():
        if path.name == "comparison.md":  # the only one that is kept in the repository
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    out = tmp_path_factory.mktemp("docs") / "site"
    docs.build(out)
    return out


@pytest.mark.slow
@pytest.mark.browser
def test_the_search_works_where_pages_are_opened_from_the_disk(site):
    with chromium() as browser:
        page = browser.new_page()
        failed = []
        page.on("requestfailed", lambda request: failed.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto((site / "start" / "tutorial.html").as_uri())
        page.get_by_role("button", name="Search").first.click()
        page.keyboard.type("caricature", delay=20)
        found = page.locator("a[href*='pellucid.features.render_caricature']").last
        found.wait_for(state="visible")
        found.click()
        page.wait_for_url("**/reference/features.html*")
        assert failed == []


@pytest.mark.slow
def test_the_site_builds_and_every_link_leads_somewhere(site):
    assert docs.broken(site) == []
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    sources = {str(path.relative_to(docs.DOCS).with_suffix(".html")) for path in docs.DOCS.rglob("*.md")}
    assert sources <= pages
    text = "\n".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    for name in FUNCTIONS:
        assert f'id="pellucid.{name}"' in text, name
    start = (site / "index.html").read_text(encoding="utf-8")
    for source in sources:
        assert f'href="./{source}"' in start or source == "index.html", f"{source} is not in the nav of mkdocs.yml"
