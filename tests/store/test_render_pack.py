"""Packs of rendered pictures: found by the recipe on any machine, and absent when anything is wrong with them."""

import json

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.errors import InputError
from pellucid.features._render import as_asked
from pellucid.store import SHIPPED, Packed, RenderCache, RenderPack, write_pack

SETTINGS = {"size": 32, "steps": 5, "alpha": True}


def soft(number: int, height: int = 32, width: int = 32, channels: int = 4) -> np.ndarray:
    """A smooth picture, since what WebP loses is noise; its opacity is highest in the middle."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    colours = [0.5 + 0.4 * np.sin(0.6 * number + index + 2 * rows + 3 * columns) for index in range(3)]
    opacity = np.clip(1.2 - rows**2 - columns**2, 0, 1)
    return np.stack([*colours, opacity][:channels], 2).astype(np.float32)


def packed(count: int, **shape: int) -> list[Packed]:
    return [Packed({"number": number}, soft(number, **shape), number / 7) for number in range(count)]


@pytest.fixture
def pack(tmp_path) -> RenderPack:
    write_pack(tmp_path / "icons", {"one": packed(7), "two": [Packed({"other": 1}, soft(1, channels=3), 2.0)]})
    return RenderPack(tmp_path / "icons")


@pytest.fixture
def shipped(tiny, tmp_path) -> RenderPack:
    """The pack that an export on a machine of another precision would have made of `tiny`."""
    folder = tmp_path / "renders"
    pellucid.render(tiny, "1:*", precision="bfloat16", cache=RenderCache(folder, packs=()), **SETTINGS)
    entries = []
    for path in sorted(folder.rglob("*.json")):
        recipe = json.loads(path.read_bytes())["recipe"]
        image, curve = RenderCache(folder, packs=()).read(recipe)
        entries.append(Packed(as_asked(recipe), image, curve[-1]))
    write_pack(tmp_path / "icons", {"1": entries}, quality=100)
    return RenderPack(tmp_path / "icons")


@pytest.mark.parametrize("shape", [{}, {"height": 16, "width": 40}, {"channels": 3}], ids=str)
@pytest.mark.parametrize("count", [1, 5, 9])
def test_every_picture_comes_back_at_its_place(tmp_path, count, shape):
    entries = packed(count, **shape)
    size = write_pack(tmp_path / "icons", {"sheet": entries}, quality=95)
    assert size == sum(path.stat().st_size for path in (tmp_path / "icons").iterdir())
    pack = RenderPack(tmp_path / "icons")
    assert len(pack) == count
    for entry in entries:
        image, objective = pack.read(entry.recipe)
        assert image.dtype == np.float32
        assert image.shape == entry.image.shape
        assert objective == [pytest.approx(entry.value, rel=1e-4)]
        seen = entry.image[..., 3:] if image.shape[2] == 4 else 1
        loss = np.abs((image - entry.image)[..., :3] * seen).mean()
        assert loss < 0.03
        assert np.abs(image - entry.image)[..., 3:].max(initial=0) < 0.06
        others = [np.abs((image - other.image)[..., :3] * seen).mean() for other in entries if other is not entry]
        assert min(others, default=1) > 2 * loss
    assert pack.read({"number": count}) is None


def test_a_sprite_is_decoded_when_it_is_needed_and_once(pack, monkeypatch):
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path.name) or real(path))
    assert len(pack) == 8
    assert opened == []
    for number in range(7):
        pack.read({"number": number})
    assert opened == ["one.webp"]
    pack.read({"other": 1})
    assert opened == ["one.webp", "two.webp"]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("index.json", lambda data: data[:-9]),
        ("index.json", lambda data: b"[]"),
        ("index.json", lambda data: b"\xff"),
        ("index.json", lambda data: data.replace(b'"schema":1', b'"schema":2')),
        ("index.json", lambda data: data.replace(b'"columns":3', b'"columns":0')),
        ("index.json", lambda data: data.replace(b"[32,32,4]", b"[64,64,4]")),
        ("one.webp", lambda data: data[:100]),
        ("one.webp", lambda data: b""),
        ("one.webp", None),
        ("index.json", None),
    ],
)
def test_a_damaged_pack_counts_as_absent(pack, file, damage):
    path = pack.folder / file
    if damage is None:
        path.unlink()
    else:
        damaged = damage(path.read_bytes())
        assert damaged != path.read_bytes()
        path.write_bytes(damaged)
    assert pack.read({"number": 6}) is None


def test_what_does_not_fit_in_a_sprite_is_said(tmp_path):
    with pytest.raises(InputError, match="one shape"):
        write_pack(tmp_path / "icons", {"sheet": [*packed(1), *packed(1, height=16)]})
    with pytest.raises(InputError, match="one shape"):
        write_pack(tmp_path / "icons", {"sheet": []})
    with pytest.raises(InputError, match="give it fewer"):
        write_pack(tmp_path / "icons", {"sheet": packed(1, height=2, width=17_000, channels=3)})
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dog.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="holds other things"):
        write_pack(tmp_path / "photos", {"sheet": packed(1)})


def test_who_leaves_the_precision_open_finds_pictures_of_either(tiny, shipped, tmp_path):
    cache = RenderCache(tmp_path / "mine", packs=[shipped])
    found = pellucid.render(tiny, ["1:2", "1:0"], cache=cache, **SETTINGS)
    assert found.provenance["from_cache"] == 2
    made = pellucid.render(tiny, ["1:2", "1:0"], precision="bfloat16", **SETTINGS)
    shown = [rendering.images[..., :3] * rendering.images[..., 3:] for rendering in (found, made)]
    assert np.abs(shown[0] - shown[1]).mean() < 0.05
    assert np.abs(shown[0][::-1] - shown[1]).mean() > 2 * np.abs(shown[0] - shown[1]).mean()
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_who_asks_for_a_precision_gets_it(tiny, shipped, tmp_path, precision):
    cache = RenderCache(tmp_path / "mine", packs=[shipped])
    assert pellucid.render(tiny, "1:0", precision=precision, cache=cache, **SETTINGS).provenance["from_cache"] == 0


def test_other_settings_and_weights_find_nothing(tiny, shipped, tmp_path):
    cache = RenderCache(packs=[shipped], keep=False)

    def found(model, **other):
        return pellucid.render(model, "1:0", cache=cache, **{**SETTINGS, **other}).provenance["from_cache"]

    assert found(tiny) == 1
    assert [found(tiny, steps=4), found(tiny, seed=1), found(tiny, size=24), found(tiny, alpha=False)] == [0] * 4
    tiny.module[0].bias.data[0] += 0.1
    assert found(pellucid.wrap(tiny.module, size=16, name="tiny")) == 0


def test_the_objective_has_a_column_for_each_step(tiny, shipped, tmp_path):
    packed_only = RenderCache(packs=[shipped], keep=False)
    made = pellucid.render(tiny, "1:1", precision="bfloat16", **SETTINGS)
    found = pellucid.render(tiny, "1:1", cache=packed_only, **SETTINGS)
    assert found.objective.shape == (1, 5)
    assert np.isnan(found.objective[0, :-1]).all()
    assert found.objective[0, -1] == pytest.approx(made.objective[0, -1], rel=1e-3)
    document = json.loads((found.save(tmp_path / "out") / "render.json").read_text(), parse_constant=pytest.fail)
    assert document["objective"][0][:4] == [None] * 4
    np.testing.assert_allclose(pellucid.load_rendering(tmp_path / "out").objective, found.objective, atol=1e-5)


def test_fresh_and_packed_pictures_go_together(tiny, shipped, tmp_path):
    index = json.loads((shipped.folder / "index.json").read_text())
    (sheet,) = index["sheets"]
    sheet["keys"], sheet["values"] = sheet["keys"][:2], sheet["values"][:2]
    (shipped.folder / "index.json").write_text(json.dumps(index))
    cache = RenderCache(tmp_path / "mine", packs=[RenderPack(shipped.folder)])
    both = pellucid.render(tiny, "1:*", cache=cache, **SETTINGS)
    assert both.provenance["from_cache"] == 2
    assert both.objective.shape == (4, 5)
    assert np.isnan(both.objective).any(1).sum() == 2
    assert pellucid.render(tiny, "1:*", cache=cache, **SETTINGS).provenance["from_cache"] == 4


def test_ones_own_pictures_come_before_packed_ones(tiny, shipped, tmp_path):
    own = RenderCache(tmp_path / "mine", packs=())
    mine = pellucid.render(tiny, "1:0", cache=own, **SETTINGS)
    found = pellucid.render(tiny, "1:0", cache=RenderCache(tmp_path / "mine", packs=[shipped]), **SETTINGS)
    np.testing.assert_array_equal(found.images, mine.images)


def test_what_is_shipped_leaves_the_disk_alone(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    assert not SHIPPED.write({"a": 1}, soft(0), [1.0])
    assert SHIPPED.read({"a": 1}) is None
    cache = RenderCache(keep=False)
    for _ in range(2):
        assert pellucid.render(tiny, "1:0", cache=cache, **SETTINGS).provenance["from_cache"] == 0
    assert not (tmp_path / "cache").exists()
    assert repr(cache) == "RenderCache(keep=False)"
