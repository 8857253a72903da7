"""axe-core finds nothing serious on the pages, and every control is reached with the keyboard."""

from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_atlas import make_atlas
from drawn_report import make_report

from pellucid.app import export_html

axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")

pytestmark = pytest.mark.browser

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}

# What a reader would open, so that nothing hides from the test; panels below the screen are drawn when it gets to them.
OPEN = """async () => {
  for (let top = 0; top < document.documentElement.scrollHeight; top += 500) {
    scrollTo(0, top);
    await new Promise(resolve => setTimeout(resolve, 40));
  }
  for (const fold of document.querySelectorAll('details')) fold.open = true;
  for (const button of document.querySelectorAll('[aria-expanded=false]:is(button)')) button.click();
  scrollTo(0, 0);
}"""

RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary, target }) =>
      `${target} ${html.slice(0, 160)} ${failureSummary}`).join('\\n    ')}`);
}"""

# Every control that can be seen and used, each with a mark; those that a roving focus reaches by arrow keys are their
# group's: one radio of each name.
MARK = """() => {
  const seen = new Set();
  const controls = [...document.querySelectorAll('button, a[href], input, select, textarea, summary, [tabindex="0"]')];
  return controls.filter(control => {
    if (control.disabled || control.tabIndex < 0) return false;
    if (!control.checkVisibility({ visibilityProperty: true })) return false;
    if (control.closest('details:not([open])') && control.localName !== 'summary') return false;
    if (control.type !== 'radio') return true;
    const group = control.closest('fieldset, [role=radiogroup], form, section')?.textContent + control.name;
    if (seen.has(group)) return false;
    return seen.add(group);
  }).map((control, place) => {
    const mark = control.type === 'radio' ? `radio ${control.name}` : `${control.localName} ${place}`;
    if (control.type === 'radio') {
      for (const other of document.getElementsByName(control.name)) other.dataset.mark = mark;
    } else control.dataset.mark = mark;
    return mark;
  });
}"""


@pytest.fixture(scope="module")
def atlas_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_html(make_atlas(), tmp_path_factory.mktemp("axe") / "atlas.html")


@pytest.fixture(scope="module")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_html(make_report(), tmp_path_factory.mktemp("axe") / "trust.html")


def scripted(page):
    """The page with axe-core in it, past the page's own content security policy."""
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8") + "\n;undefined")
    return page


def test_what_is_serious_is_found(opened: Callable) -> None:
    page = opened()
    page.evaluate(
        "() => document.querySelector('h1').insertAdjacentHTML('afterend', "
        "'<button></button><p style=\"color:#aaa;background:#fff\">hardly seen</p>')"
    )
    found = scripted(page).evaluate(RUN)
    assert [line.split(":")[0] for line in found] == ["button-name", "color-contrast"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hash_", ["", "#layer=mixed4d&at=4,1&class=9&versus=7&channel=mixed4d:426"])
def test_nothing_serious_on_an_explanation(opened: Callable, size: str, scheme: str, hash_: str) -> None:
    page = opened(hash_, viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(OPEN)
    page.wait_for_timeout(200)
    assert page.locator("details[open]").count() >= 9
    assert scripted(page).evaluate(RUN) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_on_an_atlas(opened: Callable, atlas_path: Path, size: str, scheme: str) -> None:
    hash_ = "#layer=mixed4d&class=6&cell=10:7,7&channel=14&photo=0"
    page = opened(hash_, path=atlas_path, viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(OPEN)
    page.get_by_role("combobox").click()
    page.get_by_role("option").first.wait_for()
    assert page.locator("details[open]").count() >= 4
    assert scripted(page).evaluate(RUN) == []
    # The whole map, and two side by side.
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Compare layers").click()
    page.get_by_role("button", name="Let go of the cell").click()
    assert page.evaluate(RUN) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_on_a_report(opened: Callable, report_path: Path, size: str, scheme: str) -> None:
    page = opened(
        "#layer=mixed4d", path=report_path, viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce"
    )
    page.evaluate(OPEN)
    assert page.locator("details[open]").count() == 4
    assert page.locator("article .measure").count() == 2
    assert scripted(page).evaluate(RUN) == []


@pytest.mark.parametrize(("which", "fewest"), [("explanation", 26), ("atlas", 26), ("report", 18)])
def test_every_control_is_reached_with_the_keyboard(
    opened: Callable, atlas_path: Path, report_path: Path, which: str, fewest: int
) -> None:
    if which == "atlas":
        page = opened("#cell=10:7,7&class=6&photo=0", path=atlas_path, reduced_motion="reduce")
    elif which == "report":
        page = opened("#layer=mixed4d", path=report_path, reduced_motion="reduce")
    else:
        page = opened("#class=9&versus=7", reduced_motion="reduce")
    page.evaluate(OPEN)
    page.wait_for_timeout(200)
    wanted = set(page.evaluate(MARK))
    assert len(wanted) >= fewest
    page.evaluate("() => { document.activeElement?.blur(); scrollTo(0, 0); }")
    reached, outlined = set(), set()
    for _ in range(3 * len(wanted)):
        page.keyboard.press("Tab")
        mark, shown = page.evaluate(
            """() => {
              const { activeElement: at } = document;
              const style = getComputedStyle(at);
              const label = getComputedStyle(at.closest('label, .row') ?? at);
              const drawn = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
              return [at.dataset.mark ?? at.localName, drawn(style) || drawn(label)];
            }"""
        )
        if mark in reached:
            continue
        reached.add(mark)
        if shown:
            outlined.add(mark)
        if wanted <= reached:
            break
    assert wanted - reached == set()
    assert (reached & wanted) - outlined == set(), "the focus is not seen"
