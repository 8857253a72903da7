"""Pages with hostile, foreign or damaged data, in a real browser."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from drawn_bundle import make_bundle

from pellucid.app import export_html, page_html
from pellucid.bundle import Bundle, ClassScore, EvidenceEntry

pytestmark = pytest.mark.browser


def test_hostile_words_are_shown_as_words(opened, tmp_path: Path) -> None:
    hostile = '</script><img src=x onerror="alert(1)"><b>bold</b>\u2028'
    whole = make_bundle(title=hostile)
    body = whole.manifest.body
    scores = [ClassScore(index=score.index, label=hostile, logit=1, probability=0.2) for score in body.classes]
    body = msgspec.structs.replace(
        body, classes=scores, evidence=[EvidenceEntry(about=hostile, name=hostile, value=1, sentence=hostile)]
    )
    page = opened(
        path=export_html(
            Bundle(msgspec.structs.replace(whole.manifest, body=body), whole.files), tmp_path / "page.html"
        )
    )
    assert page.get_by_role("heading", level=1).inner_text().startswith("</script><img src=x")
    assert page.locator("b:text-is('bold')").count() == 0
    assert page.locator("img[onerror]").count() == 0


def test_the_policy_stops_a_foreign_script(browser, page_path: Path, tmp_path: Path) -> None:
    changed = tmp_path / "page.html"
    changed.write_bytes(page_path.read_bytes().replace(b"</body>", b"<script>window.foreign = 1</script></body>"))
    context = browser.new_context()
    page = context.new_page()
    page.goto(changed.as_uri())
    assert page.evaluate("window.foreign") is None
    context.close()


def _with(change: Callable[[dict], None]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        data = json.loads(text)
        change(data)
        return json.dumps(data)

    return edit


SHORT_CURVES = {
    "layer": "mixed4d",
    "class_index": 425,
    "shares": [0, 0.5, 1],
    "deletion": [1, 0],
    "insertion": [0, 1, 1],
    "random_deletion": [],
    "random_insertion": [],
}


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: "null", "holds no data"),
        (lambda text: "", "holds no data"),
        (lambda text: text[: len(text) // 2], "damaged or cut short"),
        (lambda text: "[]", "damaged"),
        (_with(lambda data: data["manifest"].update(schema=3)), "reads schema 2 and its data is of 3"),
        (_with(lambda data: data["manifest"].update(kind="model")), "“model”"),
        (_with(lambda data: data["manifest"].update(kind="atlas")), "a part of it is missing"),
        (_with(lambda data: data["images"].pop("photo.webp")), "A picture is missing"),
        (_with(lambda data: data["manifest"]["body"].pop("classes")), "a part of it is missing"),
        (
            _with(lambda data: data["manifest"]["body"]["spatial"][0]["maps"][0]["values"].pop()),
            "a part of it is missing",
        ),
        (_with(lambda data: data["manifest"]["body"]["classes"][0].pop("probability")), "damaged"),
        (_with(lambda data: data["manifest"]["body"]["layers"][1]["icons"].pop("channels")), "damaged"),
        (_with(lambda data: data["manifest"]["body"].update(classes=[])), "damaged"),
        (_with(lambda data: data["manifest"]["body"].pop("curves")), "damaged"),
        (_with(lambda data: data["manifest"]["body"].update(curves=[SHORT_CURVES])), "damaged"),
        (
            _with(lambda data: data["images"].update({"photo.webp": "data:image/webp;base64,!"})),
            "a part of it is missing",
        ),
        (
            _with(lambda data: data["images"].update({"photo.webp": "data:image/webp;base64,AAAA"})),
            "picture in this page",
        ),
        (_with(lambda data: data["images"].update({"photo.webp": "https://example.org/a"})), "a part of it is missing"),
    ],
)
def test_damaged_data_is_one_sentence(
    opened, bundle: Bundle, tmp_path: Path, edit: Callable[[str], str], says: str
) -> None:
    page = page_html(bundle).decode("utf-8")
    start = page.index('id="bundle">') + len('id="bundle">')
    end = page.index("</script>", start)
    path = tmp_path / "page.html"
    path.write_text(page[:start] + edit(page[start:end]) + page[end:], encoding="utf-8")
    alert = opened(path=path).get_by_role("alert")
    alert.wait_for()
    assert says in alert.inner_text()
