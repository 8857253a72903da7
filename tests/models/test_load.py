"""Networks by name: InceptionV1 in both of its file forms, and the adapters of timm and torchvision."""

import builtins
import importlib
import io
import tarfile

import numpy as np
import pytest
import torch
from graph_writer import stored
from networks import seeded
from PIL import Image
from safetensors.torch import load_file, save_file

import pellucid
from pellucid.errors import MissingExtraError, ModelError, TargetError, WeightsError
from pellucid.models import InceptionV1
from pellucid.models._inception_v1 import tensor_names
from pellucid.pictures import to_array

LABELS = "index\twnid\tname\n" + "".join(f"{i}\tn{i}\tclass number {i}\n" for i in range(1008))


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    """No weights but those that a test names, and no network."""
    monkeypatch.setenv("PELLUCID_DATA", "")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PELLUCID_OFFLINE", "1")


@pytest.fixture(scope="module")
def inception():
    return seeded(InceptionV1).eval()


def tensors(module):
    return {name: dict(module.named_parameters())[key].detach() for key, name in tensor_names(module).items()}


@pytest.fixture(scope="module")
def weights(inception, tmp_path_factory):
    """One network's weights as safetensors in half precision and as a frozen graph in single, in a folder each."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "half" / "models").mkdir(parents=True)
    (folder / "graph").mkdir()
    mine = tensors(inception)
    save_file(
        {name: value.half() for name, value in mine.items()}, folder / "half/models/inception_v1_2015.safetensors"
    )
    (folder / "half/models/inception_v1_2015_labels.tsv").write_text(LABELS)
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    graph = b"".join(stored(name, v.permute(axes[v.ndim]).contiguous().numpy()) for name, v in mine.items())
    (folder / "graph/tensorflow_inception_graph.pb").write_bytes(graph)
    (folder / "graph/imagenet_comp_graph_label_strings.txt").write_text("dummy\nkit fox\n" + "x\n" * 1006)
    return folder


def logits(model, images):
    return pellucid.record(model, images, "logits")["logits"].values


def test_inception_v1_from_both_forms(inception, weights):
    images = torch.rand(2, 3, 64, 80)
    with torch.no_grad():
        expected = inception(images * 255 - 117).numpy()
    graph = pellucid.load("inception_v1", weights=weights / "graph")
    half = pellucid.load("inception_v1", weights=weights / "half/models/inception_v1_2015.safetensors")
    assert np.abs(logits(graph, images) - expected).max() < 1e-4 * np.abs(expected).max()
    assert 0 < np.abs(logits(half, images) - expected).max() < 1e-2 * np.abs(expected).max()
    assert graph.labels[:2] == ("dummy", "kit fox")
    assert half.class_index("Class number 208") == 208
    assert len(half.labels) == len(graph.labels) == half.layers["logits"].channels == 1008
    assert half.default_layer == "mixed4d"
    assert half.source["file"] == "inception_v1_2015.safetensors"
    assert len(half.source["sha256"]) == 64
    assert half.digest != graph.digest
    assert not half.module.training


def test_inception_v1_layers(inception):
    model = pellucid.wrap(inception, size=224)
    widths = {name: layer.channels for name, layer in model.layers.items() if layer.kind == "grid" and "." not in name}
    expected = {"conv2d0": 64, "conv2d1": 64, "conv2d2": 192, "mixed3a": 256, "mixed3b": 480, "mixed4a": 508}
    expected |= {"mixed4b": 512, "mixed4c": 512, "mixed4d": 528, "mixed4e": 832, "mixed5a": 832, "mixed5b": 1024}
    assert {name: widths[name] for name in expected} == expected
    sides = {"conv2d0": 112, "maxpool0": 56, "mixed3b": 28, "mixed4d": 14, "mixed5b": 7}
    assert {name: model.layers[name].rows for name in sides} == sides
    assert model.layer("mixed4a_3x3_bottleneck").name == "mixed4a.3x3_bottleneck"
    assert model.layer("mixed4a/3x3_bottleneck").channels == 96
    assert list(model.layers)[-1] == "logits"


def test_weights_are_found_in_the_data_folder(weights, monkeypatch):
    with pytest.raises(WeightsError, match="PELLUCID_OFFLINE forbids fetching them"):
        pellucid.load("inception_v1")
    with pytest.raises(WeightsError, match="download=False forbids"):
        pellucid.load("inception_v1", download=False)
    assert "not here; downloaded on first use" in pellucid.known_models()[1].where
    monkeypatch.setenv("PELLUCID_DATA", str(weights / "half"))
    assert pellucid.load("inception_v1").label(3) == "class number 3"
    assert pellucid.known_models()[1].where == str(weights / "half/models/inception_v1_2015.safetensors")


def test_networks_without_labels(weights, tmp_path):
    path = tmp_path / "mine.pb"
    path.write_bytes((weights / "graph/tensorflow_inception_graph.pb").read_bytes())
    model = pellucid.load("inception_v1", weights=path)
    assert model.labels is None
    assert model.label(3) == "class 3"


def test_weights_of_another_network(inception, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv2d0_w": torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(WeightsError, match=r"other\.safetensors is not InceptionV1: \w+ is missing, expected shape"):
        pellucid.load("inception_v1", weights=path)
    wrong = tensors(inception) | {"mixed4a_3x3_w": torch.zeros(208, 96, 3, 3)}
    save_file(wrong, path)
    with pytest.raises(
        WeightsError, match=r"mixed4a_3x3_w has shape \[208, 96, 3, 3\], expected shape \[204, 96, 3, 3\]"
    ):
        pellucid.load("inception_v1", weights=path)
    path.write_bytes(b"not at all")
    with pytest.raises(WeightsError, match="not a safetensors file, or is damaged"):
        pellucid.load("inception_v1", weights=path)
    graph = tmp_path / "other.pb"
    graph.write_bytes(stored("conv2d0_w", np.zeros((7, 7, 3, 64), np.float32)))
    with pytest.raises(WeightsError, match=r"missing|no "):
        pellucid.load("inception_v1", weights=graph)
    with pytest.raises(WeightsError, match="no weights file"):
        pellucid.load("inception_v1", weights=tmp_path / "absent.safetensors")
    broken = tensors(inception)
    broken["mixed5b_1x1_b"] = torch.full_like(broken["mixed5b_1x1_b"], torch.nan)
    save_file(broken, path)
    with pytest.raises(
        ModelError, match=r"mixed5b\.1x1\.conv\.bias of inception_v1 contains values that are not finite"
    ):
        pellucid.load("inception_v1", weights=path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("inception_v2", "no model 'inception_v2'; did you mean 'inception_v1'"),
        ("zzz", "no model 'zzz'; `pellucid models` lists"),
        ("keras:resnet50", "no model 'keras:resnet50'"),
        ("timm:", "no model 'timm:'"),
        ("timm:resnet5O", "resnet50"),
        ("torchvision:resnet5O", "torchvision has no model 'resnet5O'; did you mean resnet50"),
        ("torchvision:fcn_resnet50", "torchvision has no model 'fcn_resnet50'"),
    ],
)
def test_unknown_networks(name, message):
    with pytest.raises(TargetError, match=message):
        pellucid.load(name)


def test_inception_v1_takes_no_options():
    with pytest.raises(TypeError, match="takes no option 'pretrained'"):
        pellucid.load("inception_v1", pretrained=True)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_missing_libraries(package, monkeypatch):
    def fail(name, *rest):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(
        MissingExtraError, match=rf"{package} is not installed; pip install 'pellucid\[{package}\]'"
    ) as raised:
        pellucid.load(f"{package}:resnet18")
    assert isinstance(raised.value, ImportError)
    where = {known.name: known.where for known in pellucid.known_models()}
    assert "is not installed" in where[f"{package}:NAME"]


def test_libraries_that_do_not_fit(monkeypatch):
    def fail(name, *rest):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ModelError, match="torchvision is installed but does not import beside torch"):
        pellucid.load("torchvision:resnet18")


def test_what_an_installed_library_misses_is_named(monkeypatch):
    def fail(name, *rest):
        raise ModuleNotFoundError("No module named 'yaml'", name="yaml")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match="yaml"):
        pellucid.load("timm:resnet10t")


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:squeezenet1_1"])
@pytest.mark.parametrize("options", [{}, {"download": False}])
def test_no_network_is_random_unless_asked_for(name, options):
    with pytest.raises(WeightsError, match=r"no weights for .*pretrained=False"):
        pellucid.load(name, **options)


@pytest.mark.parametrize(
    ("name", "kind", "layer", "size"),
    [
        ("timm:resnet10t", "grid", "layer4", 176),
        ("timm:vit_tiny_patch16_224", "tokens", "blocks.5", 224),
        ("torchvision:squeezenet1_1", "grid", "features.12", 224),
    ],
)
def test_adapters_with_random_weights(name, kind, layer, size):
    model = pellucid.load(name, pretrained=False)
    assert model.name == name
    assert model.size == (size, size)
    assert model.layers[layer].kind == kind
    assert len(model.labels) == model.layers["logits"].channels == 1000
    assert "goldfish" in model.label(1)
    assert not model.module.training
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    images = torch.rand(2, 3, size, size)
    values = pellucid.record(model, images, [layer, "logits"])
    with torch.no_grad():
        expected = model.module(model.preprocess(images)).numpy()
    assert np.allclose(values["logits"].values, expected, atol=1e-4)
    place = model.layers[layer]
    assert values[layer].values.shape == (2, place.rows, place.columns, place.channels)
    assert not any(part._forward_hooks for part in model.module.modules())
    part = pellucid.record  # slices of real architectures equal their runs
    from pellucid.record import slice_network

    with torch.no_grad():
        grid = slice_network(model, [layer], size=(size, size))(images)[layer]
    own = part(model, images, layer)[layer].values.transpose(0, 3, 1, 2)
    assert np.abs(grid.numpy() - own).max() < 1e-4 * np.abs(own).max()


def test_options_reach_the_libraries():
    model = pellucid.load("timm:resnet10t", pretrained=False, num_classes=7, in_chans=1)
    assert (model.input_channels, model.layers["logits"].channels, model.labels) == (1, 7, None)
    model = pellucid.load("torchvision:squeezenet1_1", pretrained=False, num_classes=7)
    assert (model.layers["logits"].channels, model.labels) == (7, None)


def test_fixed_sizes_of_transformers_are_told():
    model = pellucid.load("timm:vit_tiny_patch16_224", pretrained=False, num_classes=3)
    with pytest.raises(ModelError, match="cannot run on an input of 160×160 px"):
        pellucid.record(model, torch.rand(1, 3, 160, 160), "logits")


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:squeezenet1_1"])
def test_weights_that_do_not_fit_an_adapter(name, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"w\.safetensors does not fit"):
        pellucid.load(name, weights=path)
    path.write_bytes(b"broken")
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        pellucid.load(name, weights=path)
    with pytest.raises(WeightsError, match="absent"):
        pellucid.load(name, weights=tmp_path / "absent.safetensors")
    pickled = tmp_path / "w.pth"
    pickled.write_bytes(b"broken")
    with pytest.raises(WeightsError, match=r"w\.pth"):
        pellucid.load(name, weights=pickled)


def test_pickled_state_dicts(tmp_path):
    source = pellucid.load("torchvision:squeezenet1_1", pretrained=False)
    torch.save(source.module.state_dict(), tmp_path / "w.pth")
    model = pellucid.load("torchvision:squeezenet1_1", weights=tmp_path / "w.pth")
    assert all(torch.equal(a, b) for a, b in zip(model.module.parameters(), source.module.parameters(), strict=True))


def photos(data, size, count):
    """Photos of `imagenet_1000.tar`, each with the number of its class: they come in the order of the classes."""
    with tarfile.open(data / "images/imagenet_1000.tar") as archive:
        members = sorted((m for m in archive.getmembers() if m.isfile()), key=lambda m: m.name)
        assert len(members) == 1000
        chosen = range(0, 1000, 1000 // count)
        pictures = [Image.open(io.BytesIO(archive.extractfile(members[i]).read())) for i in chosen]
        images = np.stack([to_array(p.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)) for p in pictures])
    return torch.from_numpy(images), list(chosen)


def test_deit_tiny_knows_photos(data):
    model = pellucid.load("timm:deit_tiny_patch16_224", weights=data / "models/deit_tiny_patch16_224.safetensors")
    images, classes = photos(data, 224, 12)
    assert model.dtype == torch.float32
    top = logits(model, images).argmax(1)
    assert (top == classes).mean() >= 0.6
    assert all(torch.isfinite(p).all() for p in model.module.parameters())


def test_squeezenet_gives_its_publishers_logits(data):
    model = pellucid.load("torchvision:squeezenet1_1", weights=data / "models/squeezenet1_1.safetensors")
    input_, output = (np.load(data / f"reference/squeezenet1_1/{name}_0.npy") for name in ("input", "output"))
    images = torch.from_numpy(input_) * torch.tensor(model.std)[:, None, None] + torch.tensor(model.mean)[:, None, None]
    assert np.allclose(model.preprocess(images).numpy(), input_, atol=1e-5)
    with torch.no_grad():
        assert np.abs(model.module(torch.from_numpy(input_)).numpy() - output.reshape(-1, 1000)).max() < 2e-4


def test_inception_v1_golden_values(data):
    model = pellucid.load("inception_v1", weights=data / "models")
    golden = np.load(data / "models/inception_v1_2015_golden.npz")
    images = torch.from_numpy(golden["input_u8"]).permute(0, 3, 1, 2) / 255
    values = pellucid.record(model, images, ["conv2d0", "mixed3a", "mixed4a", "mixed4d", "mixed5b", "logits"])
    assert np.abs(values["logits"].values - golden["logits"]).max() <= 0.03
    mixed4d = golden["mixed4d"]
    assert np.abs(values["mixed4d"].values - mixed4d).max() <= 5e-3 * np.abs(mixed4d).max()
    assert np.linalg.norm(values["mixed4d"].values - mixed4d) <= 5e-3 * np.linalg.norm(
        mixed4d
    )  # of rounding the weights to float16
    for name in ("conv2d0", "mixed3a", "mixed4a", "mixed5b"):
        expected = golden[f"{name}_mean"]
        error = values[name].values.mean((1, 2)) - expected
        assert np.linalg.norm(error) <= 5e-3 * np.linalg.norm(expected), name
        assert np.abs(error).max() <= 1e-2 * np.abs(expected).max(), name
    assert model.label(model.class_index("labrador retriever")) == "Labrador retriever"
    assert len(load_file(data / "models/inception_v1_2015.safetensors")) == 116


def test_libraries_are_imported_when_needed_only(monkeypatch, weights):
    real = builtins.__import__

    def watch(name, *rest, **options):
        assert name.partition(".")[0] not in ("timm", "torchvision")
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", watch)
    monkeypatch.setattr(importlib, "import_module", watch)
    pellucid.load("inception_v1", weights=weights / "graph")
