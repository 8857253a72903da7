"""From a trained candidate to the files inside the package, on random weights and a handful of photos."""

import json

import numpy as np
import pytest
import torch
from networks import seeded
from torch import nn

import pellucid
from pellucid.explain._icons import ICON_SIZE, channel_icon, render_icons
from pellucid.models._embedded import LABELS, SIZE, STATISTICS, WEIGHTS, load_embedded
from pellucid.models._tiny_inception import MAIN_LAYERS, TinyInception
from pellucid.store import RenderCache, RenderPack
from training import export
from training.card import model_card
from training.data import Photos

CLASSES = 7
STEPS, CHANNELS = 2, 3


def candidate() -> nn.Module:
    """As after training: batch norms far from the identity."""
    network = TinyInception(CLASSES, norm=True)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
            nn.init.normal_(part.running_mean, 0, 0.3)
            nn.init.uniform_(part.running_var, 0.3, 2)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return seeded(candidate)


@pytest.fixture(scope="module")
def photos() -> Photos:
    rng = np.random.default_rng(0)
    return Photos(rng.integers(0, 256, (30, 64, 64, 3), dtype=np.uint8), rng.integers(0, CLASSES, 30))


@pytest.fixture(scope="module")
def exported(network, photos, tmp_path_factory):
    """What the command wrote, and what it printed on its second run."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "data/images").mkdir(parents=True)
    names = "wnid\tname\n" + "".join(f"n{index}\tclass {index}\n" for index in range(CLASSES))
    (folder / "data/images/tiny_imagenet_100_classes.tsv").write_text(names)
    (folder / "work").mkdir()
    for split in ("train", "val"):
        np.save(folder / f"work/{split}_images.npy", photos.images)
        np.save(folder / f"work/{split}_classes.npy", photos.classes)
    torch.save({"network": network.state_dict(), "log": []}, folder / "robust.checkpoint.pt")
    arguments = ["--folder", folder / "package", "--work", folder / "work", "--steps", STEPS, "--channels", CHANNELS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_DATA", str(folder / "data"))
        export.main([str(argument) for argument in (folder / "robust.checkpoint.pt", *arguments)])
    return folder


def test_folding_norms_changes_nothing(network):
    folded = TinyInception(CLASSES)
    folded.load_state_dict(export.fold_norms(network.state_dict()))
    images = torch.randn(2, 3, 72, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = network(images), folded.eval()(images)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_package_computes_what_was_trained(exported, network, photos):
    model = load_embedded(exported / "package")
    image = torch.from_numpy(photos.images[:2]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = network(model.preprocess(image)).numpy()
    found = pellucid.record(model, image, "logits")["logits"].values
    assert np.abs(found - expected).max() < 0.02 * expected.std()  # half precision
    assert model.labels == tuple(f"class {index}" for index in range(CLASSES))


def test_the_card_has_what_was_measured(exported, photos):
    card = json.loads((exported / "package/card.json").read_text())
    model = load_embedded(exported / "package")
    images = torch.from_numpy(photos.images[::10]).permute(0, 3, 1, 2).float() / 255
    right = pellucid.record(model, images, "logits")["logits"].values.argmax(1) == photos.classes[::10]
    assert export._accuracy(model, Photos(photos.images[::10], photos.classes[::10]), 64) == right.mean()
    assert card["weights"] == model.digest
    assert card["candidate"] == "robust"
    assert set(card["top1"]) >= {"64", str(SIZE)}
    assert card["subset"]["size"] == SIZE
    assert card["rounding"] < 0.05
    assert card["icons"] == {"count": 8 * CHANNELS, "size": ICON_SIZE, "steps": STEPS, "quality": 75}
    text = (exported / "package/MODEL_CARD.md").read_text()
    assert model.digest in text
    assert "before it was finished" in text
    assert "{" not in text


def test_the_card_of_a_finished_training(exported):
    card = json.loads((exported / "package/card.json").read_text())
    recipe = {"sizes": [48, 64, 64], "soft": 0.6, "epsilon": 0.5, "start": "plain"}
    training = {"recipe": recipe, "epochs": [{}] * 3, "robust_accuracy": {"0.25": 0.5}}
    text = model_card(card, training)
    for part in (
        "3 epochs",
        "48 and 64 px",
        "60% of the target",
        "radius 0.5",
        "candidate `plain`",
        "radius 0.25",
        "50.0%",
    ):
        assert part in text
    assert "radius 0.5" not in model_card(card, {**training, "recipe": {**recipe, "epsilon": 0.0}})


def test_statistics_are_those_of_numpy(exported, photos):
    model = load_embedded(exported / "package")
    found = export.channel_statistics(model, photos)
    images = torch.cat(list(export._views(photos, SIZE)))
    for layer in ("mixed3a", "mixed5b", "logits"):
        values = pellucid.record(model, images, layer)[layer].values.reshape(
            len(images), -1, len(found[f"{layer}/mean"])
        )
        expected = {
            "mean": values.mean((0, 1)),
            "deviation": values.mean(1).std(0),
            "peak_mean": values.max(1).mean(0),
            "peak_deviation": values.max(1).std(0),
        }
        for name, array in expected.items():
            np.testing.assert_allclose(found[f"{layer}/{name}"].numpy(), array, rtol=1e-3, atol=1e-5)
    assert len(found) == 4 * 9


def test_icons_are_found_under_the_recipes_of_explain(exported):
    model = load_embedded(exported / "package")
    pack = RenderCache(keep=False, packs=[RenderPack(exported / "package/icons")])
    kept = RenderCache(exported / "work/icons", packs=())
    for layer in MAIN_LAYERS:
        targets = [channel_icon(layer, channel) for channel in range(CHANNELS)]
        found, made = (render_icons(model, targets, steps=STEPS, cache=cache) for cache in (pack, kept))
        assert found.provenance["from_cache"] == made.provenance["from_cache"] == CHANNELS
        np.testing.assert_allclose(found.objective[:, -1], made.objective[:, -1], rtol=1e-3)
        shown = [icons.images[..., :3] * icons.images[..., 3:] for icons in (found, made)]
        assert np.abs(shown[0] - shown[1]).mean() < 0.06


def test_a_second_export_renders_nothing_and_gives_the_same(exported, network, monkeypatch, capsys):
    before = {path.name: path.read_bytes() for path in (exported / "package").rglob("*") if path.is_file()}
    monkeypatch.setenv("PELLUCID_DATA", str(exported / "data"))
    folders = ["--folder", str(exported / "package"), "--work", str(exported / "work")]
    export.main([str(exported / "robust.checkpoint.pt"), *folders, "--steps", str(STEPS), "--channels", str(CHANNELS)])
    printed = capsys.readouterr().out
    assert printed.count(", 0 of them rendered") == len(MAIN_LAYERS)
    assert "a trial" in printed
    after = {path.name: path.read_bytes() for path in (exported / "package").rglob("*") if path.is_file()}
    assert set(before) >= {WEIGHTS, LABELS, STATISTICS, "card.json", "MODEL_CARD.md", "index.json", "mixed4d.webp"}
    assert {name: data == before[name] for name, data in after.items()} == dict.fromkeys(before, True)


def test_icons_are_kept_coarser_where_the_package_would_be_too_large(exported, monkeypatch):
    monkeypatch.setenv("PELLUCID_DATA", str(exported / "data"))
    chosen = {"folder": exported / "smaller", "work": exported / "work", "steps": STEPS, "channels": CHANNELS}
    sizes = {path.name: path.stat().st_size for path in (exported / "package").rglob("*") if path.is_file()}
    others = sum(sizes[name] for name in (WEIGHTS, LABELS, STATISTICS))
    icons = sum(sizes.values()) - others - sizes["card.json"] - sizes["MODEL_CARD.md"]
    monkeypatch.setattr(export, "_MOST_BYTES", others + export._CARDS + icons - 1)
    export.export(exported / "robust.checkpoint.pt", quality=75, **chosen)
    assert json.loads((exported / "smaller/card.json").read_text())["icons"]["quality"] == 70
    assert sum(path.stat().st_size for path in (exported / "smaller/icons").iterdir()) < icons
    monkeypatch.setattr(export, "_MOST_BYTES", 1_000)
    with pytest.raises(SystemExit, match="more than"):
        export.export(exported / "robust.checkpoint.pt", quality=75, **chosen)
