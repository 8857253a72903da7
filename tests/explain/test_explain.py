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
from pellucid.attribution import attribute
from pellucid.attribution._removal import measure_removals
from pellucid.bundle import read_bundle, unpack_numbers
from pellucid.errors import InputError, ModelError, TargetError
from pellucid.explain import _explain
from pellucid.explain._bundle import to_bundle
from pellucid.explain._icons import Look
from pellucid.record import Tail
from pellucid.targets import Logit
from pellucid.trust import correlation, intervene, intervene_each

ICONS = {"icon_size": 16, "icon_steps": 2, "grid_seconds": 0}


@pytest.fixture(autouse=True)
def _few_groups(monkeypatch):
    """Up to four groups, and icons that take no time."""
    monkeypatch.setattr(_explain, "_MOST_GROUPS", 4)
    monkeypatch.setattr(_explain, "QUICK", Look(12, 1))


def explain(model, image, **settings):
    return pellucid.explain(model, image, **{**ICONS, "n_groups": 3, **settings})


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
        assert set(np.unique(entry.top).tolist()) <= set(entry.icons.keys)
        assert entry.icons.images.shape == (len(entry.icons.keys), 16, 16, 4)  # with opacity
        assert entry.icons[int(entry.top[0, 0, 0])].shape == (16, 16, 4)


def test_maps_and_evidence_are_those_of_attribution_and_removal(network, photo):
    explanation = explain(network, photo, classes=["lemon", 4], layers="3")
    assert {score.index for score in explanation.classes} == {1, 4}
    assert explanation.versus == (1, 4)
    after = intervene_each(network, explanation.image, layer="3", units="positions")
    before = pellucid.record(network, explanation.image[None], "logits")["logits"].values[0]
    strength = np.linalg.norm(explanation.semantic_dictionary("3").activations, axis=2)
    for index in (1, 4):
        expected = attribute(network, explanation.image, layer="3", target=index)
        np.testing.assert_allclose(explanation.attribution("3", index).values, expected.values, rtol=1e-4, atol=1e-6)
        (evidence,) = [
            entry
            for entry in explanation.evidence
            if entry.about == f"spatial:3:{index}" and entry.name == "agreement with removal of positions"
        ]
        lost = before[index] - after[:, index]
        assert evidence.value == pytest.approx(correlation(expected.positions().ravel(), lost), abs=1e-3)
        assert evidence.control == pytest.approx(correlation(strength.ravel(), lost), abs=1e-3)
    assert explanation.spatial("3", "Lemon") is explanation.spatial("3", 1)
    assert explanation.attribution("3", "Lemon") is explanation.attribution("3", 1)


def test_maps_agree_with_removals_and_random_sets_judge_them(network, photo):
    explanation = explain(network, photo, classes=["lemon", 4], layers="1", seed=3)
    before = pellucid.record(network, explanation.image[None], "logits")["logits"].values[0]
    count = explanation.activations["1"][:, :, 0].size
    columns = explanation.activations["1"].shape[1]
    generator = np.random.default_rng(3)
    sets = [np.argsort(generator.random((32, count)), axis=1) < round(share * count) for share in (0.1, 0.3, 0.5)]
    after = [
        np.stack(
            [
                intervene(
                    network, explanation.image, layer="1", remove=[divmod(int(p), columns) for p in np.flatnonzero(one)]
                ).logits_after
                for one in some[:4]
            ]
        )
        for some in sets
    ]
    for index in (1, 4):
        expected = attribute(network, explanation.image, layer="1", target=index, method="removal", steps=16)
        found = explanation.spatial("1", index)
        assert found.method == "removal"
        np.testing.assert_allclose(found.positions(), expected.positions(), rtol=1e-3, atol=1e-4)
        told = {entry.name: entry for entry in explanation.evidence if entry.about == f"spatial:1:{index}"}
        ours, classic = (told[f"agreement with removal of random sets{more}"] for more in ("", ", linear"))
        assert ours.control == classic.control
        assert ours.value != classic.value
        assert max(ours.value, classic.value) > ours.control
        # The first sets of each size, run one by one, lose what the evidence's own runs have lost.
        for some, logits in zip(sets, after, strict=True):
            lost = measure_removals(
                Tail(network, explanation.image, layer="1"), [(Logit(index), None)], some[:4], batch_size=3
            )
            np.testing.assert_allclose(lost[0], before[index] - logits[:, index], atol=1e-4)
        map_ = found.positions().ravel()
        tail = Tail(network, explanation.image, layer="1")
        within = [
            correlation(some @ map_, measure_removals(tail, [(Logit(index), None)], some, batch_size=32)[0])
            for some in sets
        ]
        assert ours.value == pytest.approx(np.mean(within), abs=1e-3)


def test_two_classes_set_against_each_other(network, photo):
    explanation = explain(network, photo, classes=["lemon", 4], layers="3")
    found = explanation.channels("3", "lemon", versus=4)
    expected = attribute(network, explanation.image, layer="3", target=1, versus=4).by_channel()
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
    for_lemon, against = found.supporting(), found.inhibiting()
    assert [value for _, value in for_lemon] == sorted((v for v in found.values if v > 0), reverse=True)[:6]
    assert all(value < 0 for _, value in against)
    np.testing.assert_allclose(explanation.channels("3", 4, versus="lemon").values, -found.values)
    with pytest.raises(InputError, match="lemon is compared with itself"):
        explanation.channels("3", "lemon", versus=1)


def test_groups_and_flow_add_up(network, photo):
    explanation = explain(network, photo, layers=["1", "3"])
    groups = explanation.groups("3")
    assert groups.channels.shape == (3, 6)
    values = explanation.activations["3"]
    error = np.linalg.norm(values - groups.reconstruct()[0]) / np.linalg.norm(values)
    assert groups.error == pytest.approx(error, rel=1e-3)
    assert explanation.groups("3", 4).error <= groups.error + 1e-6
    flow = explanation.flow(["1", "3"], align=False)
    assert [link.shape for link in flow.links] == [(3, 3)]
    assert flow.class_links.shape == (5, 3)
    best = explanation.classes[0]
    np.testing.assert_allclose(
        flow.class_links[0], explanation.attribution("3", best.index).by_group(groups), rtol=1e-5
    )
    # What reaches a group from all groups below, and from what they leave over, is the attribution of its strength.
    pattern = pellucid.targets.Group("3", tuple(groups.channels[0]), tuple(map(tuple, groups.spatial[0, :, :, 0])))
    direct = attribute(network, explanation.image, layer="1", target=pattern)
    np.testing.assert_allclose(flow.links[0][0], direct.by_group(explanation.groups("1")), rtol=1e-3, atol=1e-4)
    aligned = explanation.flow(["1", "3"])
    assert aligned.groups[0].method == "aligned"
    assert aligned.links[0].shape == (3, 3)
    with pytest.raises(TargetError, match="divided into 2, 3, 4 groups, not into 9"):
        explanation.groups("3", 9)
    with pytest.raises(TargetError, match="neighbours"):
        explanation.flow(["3", "1"])


def test_experiments_are_those_of_intervening(network, photo):
    explanation = explain(network, photo, layers="3")
    shown = [score.index for score in explanation.classes]
    kinds = {(each.unit, each.groups, each.factor) for each in explanation.experiments}
    assert {("channel", 0, 0.0), ("group", 3, 2.0), ("position", 0, 0.0), ("square", 0, 0.0)} <= kinds
    for each in explanation.experiments:
        if each.unit == "channel" and each.factor == 2.0:
            channel = each.units[1]
            effect = intervene(network, explanation.image, layer="3", scale={channel: 2.0})
            np.testing.assert_allclose(
                each.change[1], (effect.logits_after - effect.logits_before)[shown], rtol=1e-3, atol=1e-4
            )
            np.testing.assert_allclose(each.probabilities[1], effect.probabilities_after[shown], atol=1e-4)
            assert each.winners[1] == effect.logits_after.argmax()
            adds = explanation.attribution("3", shown[0]).by_channel()[channel]
            assert each.predicted[1, 0] == pytest.approx(adds, rel=1e-4)
        if each.unit == "group" and each.groups == 3 and each.factor == 0.0:
            effect = intervene(network, explanation.image, layer="3", remove=[(explanation.groups("3"), 2)])
            np.testing.assert_allclose(
                each.change[2], (effect.logits_after - effect.logits_before)[shown], rtol=1e-3, atol=1e-4
            )


def test_influence_of_positions_and_channels(network, photo):
    explanation = explain(network, photo, layers=["1", "3"])
    influence = explanation.influences["1", "3"]
    assert influence.shape == (12, 12, 12, 12)
    direct = attribute(network, explanation.image, layer="1", target="3@4,7")
    np.testing.assert_allclose(influence[4, 7], direct.positions(), rtol=1e-3, atol=1e-5)
    # A 3 × 3 convolution sees no further than its neighbours.
    far = influence[4, 7].copy()
    far[3:6, 6:9] = 0
    np.testing.assert_allclose(far, 0, atol=1e-7)
    links = explanation.channel_links["1", "3"]
    assert links.shape == (len(explanation.told["3"]), len(explanation.told["1"]))


def test_layers_of_both_signs_have_groups(network, photo):
    explanation = explain(network, photo, layers=["0", "2"])
    assert (explanation.activations["2"] < 0).any()
    groups = explanation.groups("2")
    assert (groups.spatial >= 0).all()
    assert (groups.channels < 0).any()
    assert not explanation.flows["0", "2"].aligned
    assert 0 < groups.error < 1


def test_json_holds_the_same_numbers(network, photo):
    explanation = explain(network, photo, classes=[2], layers=["1", "3"], seed=7)
    document = json.loads(json.dumps(explanation.to_json()))
    assert document["title"] == "lemon on grass"
    assert document["model"] == {"name": "drawn", "weights": network.digest}
    assert document["classes"][0]["label"] == "tabby"
    layer = document["layers"]["3"]
    entry = explanation.semantic_dictionary("3")
    np.testing.assert_array_equal(layer["channels"], entry.top)
    np.testing.assert_allclose(layer["activations"], np.take_along_axis(entry.activations, entry.top, 2), atol=1e-4)
    np.testing.assert_allclose(layer["spatial"]["2"], explanation.spatial("3", 2).positions(), atol=1e-5)
    classic = explanation.attribution("3", 2).positions()
    np.testing.assert_allclose(layer["spatial_attribution"]["2"], classic, atol=1e-5)
    assert document["evidence"][0]["value"] == explanation.evidence[0].value
    assert document["settings"] == {
        "layers": ["1", "3"],
        "classes": [2],
        "n_groups": 3,
        "method": "linear",
        "seed": 7,
        "icon_size": 16,
        "icon_steps": 2,
        "grid_seconds": 0,
    }
    for panel in (
        "decision",
        "dictionary:3",
        "spatial:3",
        "channels:3",
        "groups:3",
        "experiments:3",
        "flow:3",
        "grid:3",
    ):
        assert document["seconds"][panel] >= 0
    grouped = layer["groups"]["3"]
    np.testing.assert_allclose(grouped["spatial"], explanation.groups("3").spatial[0], atol=1e-4)


@pytest.mark.parametrize("suffix", [".html", ".zip", ""])
def test_it_saves_as_page_bundle_and_folder(network, photo, tmp_path, suffix):
    explanation = explain(network, photo, layers=["1", "3"])
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
    assert [card.name for card in body.layers] == ["1", "3"]
    panel = body.dictionaries[1]
    entry = explanation.semantic_dictionary("3")
    np.testing.assert_array_equal(panel.top, entry.top)
    assert body.layers[1].icons.channels == list(entry.icons.keys)
    grouping = next(one for one in body.groups[1].groupings if len(one.icons) == 3)
    spatial = unpack_numbers(grouping.spatial).transpose(1, 2, 0)
    np.testing.assert_allclose(spatial, explanation.groups("3").spatial[0], atol=1e-3)
    np.testing.assert_allclose(
        body.spatial[1].maps[0].values, explanation.attribution("3", body.classes[0].index).positions(), atol=1e-5
    )
    np.testing.assert_allclose(
        body.spatial[1].removal[0].values, explanation.spatial("3", body.classes[0].index).positions(), atol=1e-5
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


def test_layers_count_once_and_come_in_the_networks_order(network, photo):
    assert explain(network, photo, layers=["3", "1", "3"], classes=[1]).layers == ("1", "3")


def test_the_usual_layer(network, photo):
    assert explain(network, photo).layers == ("1", "3")  # the favourite, and the first stage of as many positions
    plain = pellucid.wrap(network.module, size=24, name="plain")
    assert explain(plain, photo).layers == ("1", "3")  # the deepest stage of at least 10 × 10 positions


def test_icons_come_from_the_cache(network, photo, tmp_path):
    cache = pellucid.RenderCache(tmp_path / "cache")
    events = []
    first = explain(network, photo, cache=cache, layers="3")
    again = explain(network, photo, cache=cache, layers="3", progress=events.append)
    assert not [event for event in events if event.task.startswith("rendering")]
    np.testing.assert_array_equal(first.icons["3"].images, again.icons["3"].images)
    np.testing.assert_array_equal(first.group_icons["3"].images, again.group_icons["3"].images)


def test_the_model_comes_back_as_it_was(network, photo):
    network.module.train()
    explain(network, photo)
    assert network.module.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.module.parameters())
    assert not any(part._forward_hooks for part in network.module.modules())


def test_progress_says_what_is_done(network, photo):
    events = []
    explain(network, photo, progress=events.append)
    tasks = [event.task for event in events]
    for task in ("attributing to 3", "factorizing 3", "experimenting on 3", "rendering 3", "testing 3"):
        assert any(each.startswith(task) for each in tasks), task
    assert (events[-1].task, events[-1].done) == ("testing 3", events[-1].total)
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
        ({"classes": ["lemon", 1]}, InputError, "lemon is named twice"),
        ({"n_groups": 0}, InputError, "n_groups is 0"),
        ({"n_groups": 7, "layers": "3"}, InputError, "7 groups are more than 3 can have: 12×12 positions, 6 channels"),
        ({"method": "grad_cam"}, InputError, "no method 'grad_cam' for an explanation"),
        ({"grid_seconds": -1}, InputError, "grid_seconds is -1"),
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
    explanation = explain(network, photo, classes=[1], layers=["1", "3"])
    with pytest.raises(TargetError, match=r"about lemon; ask for 'wok' with explain\(…, classes=\['wok'\]\)"):
        explanation.spatial("3", "wok")
    with pytest.raises(TargetError, match=r"about 1, 3; ask for '2' with explain\(…, layers=\['2'\]\)"):
        explanation.semantic_dictionary("2")
    with pytest.raises(TargetError, match="no layer"):
        explanation.semantic_dictionary("nowhere")


def test_a_layer_that_is_zero_is_said(network, photo):
    network.module[2].bias.data.fill_(-100)
    with pytest.raises(InputError, match="3 is zero everywhere on this image"):
        explain(network, photo, layers="3")


def test_a_first_look_comes_before_many_icons(network, photo, monkeypatch):
    seen = []
    explain(network, photo, preview=seen.append)
    assert not seen  # few icons are rendered as quickly
    monkeypatch.setattr(_explain, "_MANY_ICONS", 3)
    finished = explain(network, photo, preview=seen.append)
    (first,) = seen
    assert first.settings["icon_steps"] == 1
    assert finished.settings["icon_steps"] == 2
    np.testing.assert_array_equal(first.groups("3").spatial, finished.groups("3").spatial)


def test_quick_puts_grids_together_from_icons(network, photo):
    quick = explain(network, photo, layers="3", quick=True, grid_seconds=5)
    assert not len(quick.grid("3").objective)
    finished = explain(network, photo, layers="3", grid_seconds=1)
    assert len(finished.grid("3").objective) >= 1
    assert finished.grid("3").strength.shape == (12, 12)


def test_a_notebook_shows_the_page_in_a_frame(network, photo):
    page = explain(network, photo, layers="3")._repr_html_()
    assert page.startswith("<iframe")
    assert "sandbox" in page
    assert "&lt;!doctype html&gt;" in page.lower()


def test_an_upper_layer_of_more_channels_than_the_lower(photo, monkeypatch):
    monkeypatch.setattr(_explain, "_MOST_GROUPS", 12)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 10, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(10, 3),
    )  # fmt: skip
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.data = 0.4 * torch.randn_like(parameter) + 0.1
    model = pellucid.wrap(module.eval(), size=16, mean=0.5, std=0.5, name="widening")
    explanation = explain(model, photo, layers=["1", "3"], n_groups=2)
    flow = explanation.flows["1", "3"]
    assert set(explanation.groupings["3"]) == set(range(2, 11))
    assert not flow.aligned
    assert flow.links[10, 4].shape == (10, 4)
    pellucid.bundle.check_manifest(to_bundle(explanation).manifest)
