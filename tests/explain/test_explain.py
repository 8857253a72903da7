"""An explanation says what the network does: its numbers against recording, attribution and removal by themselves."""

import json
import zipfile

import numpy as np
import pytest
import torch
from drawn_network import make_network
from PIL import Image
from torch import nn

import pellucid
from pellucid.attribution import attribute_classes
from pellucid.bundle import read_bundle
from pellucid.errors import InputError, ModelError, TargetError
from pellucid.trust import correlation, measure_removals

ICONS = {"icon_size": 16, "icon_steps": 2}


def explain(model, image, **settings):
    return pellucid.explain(model, image, **{**ICONS, **settings})


def test_the_numbers_are_the_networks(network, photo):
    explanation = explain(network, photo, layers=["1", "3"])
    view = pellucid.load_image(photo, size=48)
    small = Image.fromarray((view.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)).resize((24, 24), 1)
    np.testing.assert_allclose(explanation.image, np.asarray(small).transpose(2, 0, 1) / 255, atol=1e-6)
    recorded = pellucid.record(network, explanation.image[None], ["1", "3", "logits"])
    logits = recorded["logits"].values[0]
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert [score.index for score in explanation.classes] == np.argsort(-logits)[:5].tolist()
    for score in explanation.classes:
        assert score.label == network.labels[score.index]
        assert score.logit == pytest.approx(logits[score.index], rel=1e-5)
        assert score.probability == pytest.approx(probabilities[score.index], rel=1e-4)
    for layer in ("1", "3"):
        entry = explanation.semantic_dictionary(layer)
        values = recorded[layer].values[0]
        np.testing.assert_array_equal(entry.activations, values)
        rows, columns, _ = values.shape
        assert entry.top.shape == (rows, columns, 4)
        shown = np.take_along_axis(values, entry.top, 2)
        np.testing.assert_array_equal(shown, -np.sort(-values, axis=2)[:, :, :4])
        assert entry.at(3, 5) == [(int(c), float(values[3, 5, c])) for c in entry.top[3, 5]]
        assert entry.channels == tuple(np.unique(entry.top).tolist())
        assert entry.icons.images.shape == (len(entry.channels), 16, 16, 4)  # with opacity
        assert entry.icons.targets == tuple(f"{layer}:{channel}@centre" for channel in entry.channels)


def test_maps_and_evidence_are_those_of_attribution_and_removal(network, photo):
    explanation = explain(network, photo, classes=["lemon", 4])
    assert [score.index for score in explanation.classes] == [1, 4]
    changes = measure_removals(network, explanation.image, "3")
    strength = np.linalg.norm(explanation.semantic_dictionary("3").activations, axis=2)
    for evidence, index in zip(explanation.evidence, (1, 4), strict=True):
        (expected,) = attribute_classes(network, explanation.image, "3", [index])
        np.testing.assert_allclose(explanation.spatial("3", index).values, expected.values, rtol=1e-5, atol=1e-7)
        assert evidence.about == f"spatial:3:{index}"
        assert evidence.value == pytest.approx(correlation(expected.positions(), -changes[:, :, index]), abs=1e-4)
        assert evidence.control == pytest.approx(correlation(strength, -changes[:, :, index]), abs=1e-4)
    assert explanation.spatial("3", "Lemon") is explanation.spatial("3", 1)


def test_json_holds_the_same_numbers(network, photo):
    explanation = explain(network, photo, classes=[2], seed=7)
    document = json.loads(json.dumps(explanation.to_json()))
    assert document["title"] == "lemon on grass"
    assert document["model"] == {"name": "drawn", "weights": network.digest}
    assert document["classes"][0]["label"] == "tabby"
    layer = document["layers"]["3"]
    entry = explanation.semantic_dictionary("3")
    np.testing.assert_array_equal(layer["channels"], entry.top)
    np.testing.assert_allclose(layer["activations"], np.take_along_axis(entry.activations, entry.top, 2), atol=1e-4)
    np.testing.assert_allclose(layer["spatial"]["2"], explanation.spatial("3", 2).positions(), atol=1e-5)
    assert document["evidence"][0]["value"] == explanation.evidence[0].value
    assert document["settings"] == {"layers": ["3"], "icon_size": 16, "icon_steps": 2, "seed": 7, "method": "linear"}


@pytest.mark.parametrize("suffix", [".html", ".zip", ""])
def test_it_saves_as_page_bundle_and_folder(network, photo, tmp_path, suffix):
    explanation = explain(network, photo)
    path = explanation.save(tmp_path / f"report{suffix}")
    if suffix == ".html":
        page = path.read_text(encoding="utf-8")
        assert page.lower().startswith("<!doctype html>")
        assert "<b>&" not in page  # a label cannot become markup
        assert "http://" not in page.replace("http://www.w3.org", "")
        return
    if suffix == ".zip":
        assert zipfile.ZipFile(path).testzip() is None
    bundle = read_bundle(path)
    body = bundle.manifest.body
    assert body.title == "lemon on grass"
    assert [score.index for score in body.classes] == [score.index for score in explanation.classes]
    (panel,) = body.dictionaries
    entry = explanation.semantic_dictionary("3")
    np.testing.assert_array_equal(panel.top, entry.top)
    assert panel.icons.channels == list(entry.channels)
    np.testing.assert_allclose(
        body.spatial[0].maps[0].values, explanation.spatial("3", body.classes[0].index).positions(), atol=1e-5
    )


def test_every_form_of_the_image(network, photo):
    from_file = explain(network, photo)
    with Image.open(photo) as picture:
        from_picture = explain(network, picture)
    np.testing.assert_allclose(from_picture.image, from_file.image, atol=2 / 255)
    from_tensor = explain(network, from_file.image)
    from_array = explain(network, from_file.image.numpy())
    for explanation in (from_tensor, from_array):
        assert [score.index for score in explanation.classes] == [score.index for score in from_file.classes]
        first = explanation.classes[0].index
        found, expected = (one.spatial("3", first).values for one in (explanation, from_file))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert from_file.title == "lemon on grass"
    assert "lemon on grass" in repr(from_file)


def test_a_model_of_grey_pictures(photo, tmp_path):
    explanation = explain(make_network(channels=1), photo)
    assert explanation.image.shape == (1, 24, 24)
    assert explanation.semantic_dictionary("3").icons.images.shape[3] == 2
    assert explanation.save(tmp_path / "report.html").is_file()
    read_bundle(explanation.save(tmp_path / "report.zip"))


def test_a_model_of_five_channels_takes_an_array(photo, tmp_path):
    model = make_network(channels=5)
    with pytest.raises(InputError, match="give it an array"):
        explain(model, photo)
    explanation = explain(model, torch.rand(5, 24, 24, generator=torch.Generator().manual_seed(0)))
    assert explanation.save(tmp_path / "report.html").is_file()


def test_without_labels_classes_are_numbered(network, photo):
    plain = pellucid.wrap(network.module, size=24, name="plain")
    explanation = explain(plain, photo, layers="3", classes=[4])
    assert explanation.classes[0].label == "class 4"


def test_repeated_layers_and_classes_count_once(network, photo):
    explanation = explain(network, photo, layers=["3", "3"], classes=[1, "lemon", "1"])
    assert [score.index for score in explanation.classes] == [1]
    assert explanation.settings["layers"] == ["3"]
    assert len(explanation.evidence) == 1


def test_the_usual_layer(network, photo):
    assert list(explain(network, photo).dictionaries) == ["3"]
    plain = pellucid.wrap(network.module, size=24, name="plain")
    assert list(explain(plain, photo).dictionaries) == ["3"]  # the deepest of at least 10 × 10 positions


def test_icons_come_from_the_cache(network, photo, tmp_path):
    cache = pellucid.RenderCache(tmp_path / "cache")
    first, again = (explain(network, photo, cache=cache) for _ in range(2))
    icons = [explanation.semantic_dictionary("3").icons for explanation in (first, again)]
    assert icons[1].provenance["from_cache"] == len(icons[1])
    np.testing.assert_array_equal(icons[0].images, icons[1].images)


def test_the_model_comes_back_as_it_was(network, photo):
    network.module.train()
    explain(network, photo)
    assert network.module.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.module.parameters())
    assert not any(part._forward_hooks for part in network.module.modules())


def test_progress_says_what_is_done(network, photo):
    events = []
    explain(network, photo, progress=events.append)
    assert events[0].task == "attributing classes to 3"
    assert events[-1].task.startswith("rendering 3")
    assert events[-1].done == events[-1].total


@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupt_among_the_icons_ends_the_work(network, photo, at, monkeypatch):
    from pellucid.features import _render

    monkeypatch.setattr(_render, "_batch_size", lambda *_: 2)
    steps = []

    def stop(event):
        if event.task.startswith("rendering"):
            steps.append(event)
            if len(steps) == at:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain(network, photo, progress=stop)


def test_icons_that_were_cut_short_are_not_passed_off_as_finished(network, photo):
    def stop(event):
        if event.task.startswith("rendering"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # also when all of them were in one batch
        explain(network, photo, progress=stop)


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"layers": ["33"]}, TargetError, "no layer '33' in drawn"),
        ({"layers": "6"}, TargetError, "6 has no positions"),
        ({"layers": ["3", "logits"]}, TargetError, "logits has no positions"),
        ({"classes": ["zebra"]}, TargetError, "no class 'zebra' among the 6 labels"),
        ({"classes": [6]}, TargetError, "numbered 0 to 5"),
        ({"classes": ["lemmon"]}, TargetError, "did you mean 'lemon'"),
        ({"icon_size": 1}, InputError, "size is 1"),
        ({"icon_steps": 0}, InputError, "steps is 0"),
    ],
)
def test_what_does_not_fit_is_said(network, photo, settings, error, match):
    with pytest.raises(error, match=match):
        explain(network, photo, **settings)


def test_bad_images(network, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for image, match in (
        (tmp_path / "text.jpg", "not a picture"),
        (tmp_path / "nowhere.jpg", "no file"),
        (tmp_path, "is a folder"),
        (torch.rand(24, 24), "image has shape"),
        (torch.rand(24, 24, 3), "images have shape"),
        (torch.rand(3, 24, 24) * 9, "range from"),
        (torch.full((3, 24, 24), float("nan")), "not finite"),
    ):
        with pytest.raises(InputError, match=match):
            explain(network, image)


def test_a_model_without_logits_is_said(photo):
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x), 0

    with pytest.raises(ModelError, match="output=0"):
        explain(pellucid.wrap(Pair(), size=24), photo, layers="conv")


def test_asking_for_what_was_not_explained(network, photo):
    explanation = explain(network, photo, classes=[1])
    with pytest.raises(TargetError, match=r"about lemon; ask for 'wok' with explain\(…, classes=\['wok'\]\)"):
        explanation.spatial("3", "wok")
    with pytest.raises(TargetError, match=r"about 3; ask for '1' with explain\(…, layers=\['1'\]\)"):
        explanation.semantic_dictionary("1")
    with pytest.raises(TargetError, match="no layer"):
        explanation.semantic_dictionary("nowhere")
