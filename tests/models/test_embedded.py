"""The network inside the package: there in every kind of installation, whole, and as good as its card says."""

import csv
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import seeded
from PIL import Image
from safetensors.torch import load_file, save_file

import pellucid
from pellucid.errors import WeightsError
from pellucid.explain._icons import ICON_SIZE, ICON_STEPS, channel_icon, render_icons
from pellucid.models import _embedded, load_channel_statistics
from pellucid.models._embedded import LABELS, STATISTICS, WEIGHTS, embedded_folder
from pellucid.models._tiny_inception import MAIN_LAYERS, TinyInception
from pellucid.store import RenderCache, RenderPack
from pellucid.store._render_pack import shipped_packs

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    """No file outside the package, and no network."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PELLUCID_OFFLINE", "1")
    monkeypatch.delenv("PELLUCID_DATA", raising=False)


@pytest.fixture
def damaged(tmp_path, monkeypatch) -> Path:
    """A copy of the package's files, to be damaged."""
    folder = tmp_path / "embedded"
    folder.mkdir()
    for name in (WEIGHTS, LABELS, STATISTICS):
        (folder / name).write_bytes((embedded_folder() / name).read_bytes())
    monkeypatch.setattr(_embedded, "embedded_folder", lambda: folder)
    return folder


def card() -> dict:
    return json.loads((embedded_folder() / "card.json").read_text())


def test_it_is_the_default(embedded_model):
    assert embedded_model.name == "tiny_inception"
    assert embedded_model.default_layer in embedded_model.layers
    assert embedded_model.size == (_embedded.SIZE, _embedded.SIZE)
    assert len(embedded_model.labels) == embedded_model.layers["logits"].channels == 100
    assert embedded_model.class_index("Egyptian cat") != embedded_model.class_index("espresso")
    assert pellucid.load("tiny_inception").digest == embedded_model.digest == card()["weights"]
    assert pellucid.known_models()[0].name == "tiny_inception"
    assert Path(pellucid.known_models()[0].where).is_file()
    assert embedded_model.source["file"] == WEIGHTS
    assert not embedded_model.module.training
    assert embedded_model.dtype == torch.float32


def test_loading_changes_no_random_numbers():
    torch.manual_seed(5)
    first = torch.rand(3)
    torch.manual_seed(5)
    pellucid.load()
    torch.testing.assert_close(torch.rand(3), first)


def test_each_load_is_its_own():
    one, other = pellucid.load(), pellucid.load()
    one.module.logits.bias.data += 1
    assert not torch.equal(one.module.logits.bias, other.module.logits.bias)


@pytest.mark.parametrize("size", [32, 64, 100, 160])
def test_it_takes_any_size(embedded_model, size):
    values = pellucid.record(embedded_model, torch.rand(1, 3, size, size + 8), ["mixed4d", "logits"])
    assert values["mixed4d"].values.shape[1:3] == (-(-size // 8), -(-(size + 8) // 8))
    assert np.isfinite(values["logits"].values).all()


def test_preprocessing_is_that_of_the_training():
    from training import data

    assert (data.MEAN, data.STD) == (_embedded.MEAN, _embedded.STD)


def test_weights_of_the_same_kind_may_be_given(tmp_path, embedded_model):
    module = seeded(TinyInception)
    path = tmp_path / "mine.safetensors"
    save_file(module.state_dict(), path)
    mine = pellucid.load(weights=path)
    assert mine.digest != embedded_model.digest
    assert mine.labels == embedded_model.labels
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = module.eval()(mine.preprocess(image)).numpy()
    np.testing.assert_allclose(pellucid.record(mine, image, "logits")["logits"].values, expected, atol=1e-5)
    with pytest.raises(TypeError, match="takes no option 'pretrained'"):
        pellucid.load(pretrained=False)
    with pytest.raises(WeightsError, match="no weights file"):
        pellucid.load(weights=tmp_path / "nowhere.safetensors")
    save_file({"logits.bias": torch.zeros(100)}, path)
    with pytest.raises(WeightsError, match=r"mine\.safetensors is not tiny_inception: conv2d0.* is missing, expected"):
        pellucid.load(weights=path)
    save_file({**module.state_dict(), "logits.bias": torch.zeros(7)}, path)
    with pytest.raises(WeightsError, match=r"logits\.bias has shape \[7\], expected shape \[100\]"):
        pellucid.load(weights=path)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        (WEIGHTS, lambda data: data[: len(data) // 2]),
        (WEIGHTS, lambda data: b""),
        (WEIGHTS, None),
        (LABELS, None),
        (LABELS, lambda data: b"\xff\xfe\x00"),
        (LABELS, lambda data: b"wnid\n1\n"),
        (LABELS, lambda data: data.splitlines()[0]),
        (STATISTICS, lambda data: data[:-50]),
        (STATISTICS, None),
    ],
)
def test_a_damaged_package_is_said_in_one_sentence(damaged, file, damage):
    if damage is None:
        (damaged / file).unlink()
    else:
        (damaged / file).write_bytes(damage((damaged / file).read_bytes()))
    with pytest.raises(WeightsError) as caught:
        load_channel_statistics() if file == STATISTICS else pellucid.load()
    message = str(caught.value)
    assert message.startswith("the network inside the package is damaged: ")
    assert message.endswith("pip install --force-reinstall --no-deps pellucid.")
    assert "\n" not in message


def test_statistics_cover_the_main_layers(embedded_model):
    statistics = load_channel_statistics()
    assert list(statistics) == sorted((*MAIN_LAYERS, "logits"))
    for name, layer in statistics.items():
        for array in vars(layer).values():
            assert array.shape == (embedded_model.layers[name].channels,)
            assert np.isfinite(array).all()
        assert (layer.peak_mean >= layer.mean - 1e-5).all()  # a vector has one position: the two are the same, rounded
        assert (layer.deviation >= 0).all()
        if name != "logits":
            assert (layer.mean >= 0).all()  # after a ReLU


def test_photos_are_pictures_with_licences():
    photos = pellucid.example_photos()
    assert next(iter(photos)) == "coffee"
    licences = (embedded_folder() / "photos" / "LICENCES.md").read_text(encoding="utf-8")
    for name, path in photos.items():
        assert pellucid.load_image(path).shape[0] == 3
        assert f"`{path.name}`" in licences
        assert name == path.stem


def test_every_icon_that_explain_may_ask_for_is_there(embedded_model):
    """Read one by one: a recipe that changed anywhere on the way shows here."""
    (pack,) = shipped_packs()
    assert len(pack) == card()["icons"]["count"] == sum(embedded_model.layers[name].channels for name in MAIN_LAYERS)
    for name in MAIN_LAYERS:
        channels = range(embedded_model.layers[name].channels)
        found = render_icons(embedded_model, [channel_icon(name, channel) for channel in channels])
        assert found.provenance["from_cache"] == len(channels), name
        assert found.images.shape == (len(channels), ICON_SIZE, ICON_SIZE, 4)
        assert found.objective.shape == (len(channels), ICON_STEPS)
        # An icon is opaque somewhere and clear somewhere; a sheet that is cut wrongly is not.
        opacity = found.images[..., 3]
        assert (opacity.reshape(len(channels), -1).max(1) > 0.25).mean() > 0.95, name
        assert np.median(opacity) < 0.3


@pytest.mark.slow
def test_an_icon_in_the_package_is_what_rendering_gives(embedded_model):
    targets = [channel_icon("mixed4d", channel) for channel in (3, 77, 150, 288 - 1)]
    there = render_icons(embedded_model, targets)
    fresh = render_icons(embedded_model, targets, cache=None)
    ground = 0.5
    shown = [
        made.images[..., :3] * made.images[..., 3:] + ground * (1 - made.images[..., 3:]) for made in (there, fresh)
    ]
    alike = np.array([[np.corrcoef(a.ravel(), b.ravel())[0, 1] for b in shown[1]] for a in shown[0]])
    assert (alike.argmax(1) == np.arange(4)).all()
    assert (np.diag(alike) > 0.5).all()


def test_the_pack_fits_no_other_weights(tmp_path):
    save_file(seeded(TinyInception).state_dict(), tmp_path / "mine.safetensors")
    mine = pellucid.load(weights=tmp_path / "mine.safetensors")
    icons = render_icons(mine, [channel_icon("mixed3a", 0)], steps=1)
    assert icons.provenance["from_cache"] == 0


def test_a_pack_that_is_gone_means_rendering(embedded_model, tmp_path):
    cache = RenderCache(tmp_path, packs=[RenderPack(tmp_path / "nowhere")])
    assert render_icons(embedded_model, [channel_icon("mixed3a", 0)], steps=1, cache=cache).images.shape[0] == 1


def test_the_package_is_small():
    files = [path for path in embedded_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 9_000_000
    weights = load_file(embedded_folder() / WEIGHTS)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}


def test_labels_are_those_of_the_data(data):
    with (data / "images/tiny_imagenet_100_classes.tsv").open(encoding="utf-8", newline="") as file:
        expected = [row["name"] for row in csv.DictReader(file, delimiter="\t")]
    assert list(pellucid.load().labels) == expected


@pytest.mark.slow
def test_it_is_as_good_as_its_card_says(data, embedded_model):
    """On the same photos that the card's number is of; another machine may decide a close case otherwise."""
    archive = data / "images/tiny_imagenet_100_val.tar"
    with (data / "images/tiny_imagenet_100_classes.tsv").open(encoding="utf-8", newline="") as file:
        number = {row["wnid"]: index for index, row in enumerate(csv.DictReader(file, delimiter="\t"))}
    subset = card()["subset"]
    assert subset["size"] == embedded_model.size[0]
    images, classes = [], []
    with tarfile.open(archive) as tar:
        entries = sorted((entry for entry in tar if entry.isfile()), key=lambda entry: entry.name)
        for entry in entries[:: subset["every"]]:
            picture = Image.open(io.BytesIO(tar.extractfile(entry).read())).convert("RGB")
            picture = picture.resize((subset["size"], subset["size"]), Image.Resampling.LANCZOS)
            images.append(np.asarray(picture, np.float32).transpose(2, 0, 1) / 255)
            classes.append(number[entry.name.split("/")[-2]])
    answers = [
        pellucid.record(embedded_model, torch.from_numpy(np.stack(images[start : start + 100])), "logits")["logits"]
        for start in range(0, len(images), 100)
    ]
    right = np.concatenate([answer.values.argmax(1) for answer in answers]) == np.array(classes)
    assert right.mean() == pytest.approx(subset["top1"], abs=0.01)


INSTALLED = """
import importlib.resources, pathlib, sys
import pellucid
from pellucid.store._render_pack import shipped_packs
assert pathlib.Path(pellucid.__file__).is_relative_to(sys.argv[1]), pellucid.__file__
model = pellucid.load()
assert importlib.resources.files("pellucid").joinpath("embedded", "MODEL_CARD.md").is_file()
assert len(shipped_packs()[0]) and all(path.is_file() for path in pellucid.example_photos().values())
print(model.digest)
"""


@pytest.mark.slow
def test_an_installed_wheel_has_everything(tmp_path, embedded_model):
    if find_spec("hatchling") is None:
        pytest.skip("needs hatchling, which builds the wheel: pip install hatchling")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", tmp_path, ROOT], check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("pellucid-*.whl")
    assert wheel.stat().st_size <= 10_000_000
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{INSTALLED}", tmp_path / "site"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == embedded_model.digest
