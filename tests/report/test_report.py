"""A model's report on networks whose truth is known: what holds, what misleads, which methods are exact."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from benchmarks._known_networks import PATTERNS, draw_scenes, fill_with_pattern, planted_network
from pellucid.bundle import check_manifest, check_pictures, read_bundle
from pellucid.errors import InputError, TargetError
from pellucid.report import _report_model
from pellucid.report._methods import MOST_POSITIONS
from pellucid.report._report_model import report_layers
from tests.networks import ResidualNet, TokenNet, plain_net, seeded

WRONG = (7, 30, 41)


def another(index: int) -> int:
    """A pattern of another colour and another texture."""
    return next(
        o for o, parts in enumerate(PATTERNS) if all(a != b for a, b in zip(parts, PATTERNS[index], strict=True))
    )


@pytest.fixture(scope="module")
def report():
    """Of the planted detectors, with a picture of each; those of three show another pattern."""

    def drawn(model, targets, **_):
        channels = [target.index for target in targets]
        shown = [another(channel) if channel in WRONG else channel for channel in channels]
        images = np.stack([fill_with_pattern(pattern) for pattern in shown]).transpose(0, 2, 3, 1)
        images = np.concatenate([images, np.ones_like(images[..., :1])], 3)
        return pellucid.Rendering(images, np.zeros((len(images), 1)), tuple(f"patterns:{each}" for each in channels))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_report_model, "render_icons", drawn)
        return pellucid.report_model(planted_network(), draw_scenes(260), layers="patterns", units=64, photos=5)


def test_pictures_of_what_a_unit_detects_hold_and_others_mislead(report):
    layer = report.layers["patterns"]
    assert set(WRONG) <= set(layer.misleading)
    assert len(layer.misleading) <= len(WRONG) + 2
    assert not set(layer.holding) & set(layer.misleading)
    assert len(layer.holding) > 40


def test_the_same_pictures_in_another_channels_place_do_not_hold(report):
    (whole,) = [each for each in report.layers["patterns"].evidence if each.name == "pictures that hold"]
    assert whole.value == pytest.approx(len(report.layers["patterns"].holding) / 64, abs=1e-4)
    assert whole.control is not None
    assert whole.control < 0.1
    assert whole.low < whole.value < whole.high
    assert whole.high - whole.low < 0.25


def test_the_headline_of_a_channel_comes_first(report):
    of_channel = report.layers["patterns"].of_channel(7)
    assert of_channel[0].name == "same cause as on photos"
    assert of_channel[0].says == "against"
    assert {each.about for each in of_channel} == {"rendering:patterns:7"}


def test_exemplars_are_the_images_that_fire_a_channel_most(report):
    layer = report.layers["patterns"]
    scenes = draw_scenes(260)
    fired = pellucid.record(report.model, scenes, "patterns")["patterns"].values.max((1, 2))
    for place in (0, 17, 63):
        best = np.argsort(-fired[:, layer.channels[place]], kind="stable")[: len(layer.exemplars[place])]
        assert [each.number for each in layer.exemplars[place]] == best.tolist()
    # The piece is cut where the pattern is: its mean colour is nearer to the pattern than the scene's.
    nearer = 0
    for place, channel in enumerate(layer.channels):
        wanted = fill_with_pattern(channel).mean((1, 2))
        piece = layer.pieces[place][0].mean((0, 1)) / 255
        scene = scenes[layer.exemplars[place][0].number].mean((1, 2))
        nearer += np.linalg.norm(piece - wanted) < np.linalg.norm(scene - wanted)
    assert nearer > 55


def test_methods_are_exact_where_the_rest_of_the_network_is_a_mean(report):
    scores = report.layers["patterns"].methods
    assert {score.unit for score in scores} == {"set", "channel", "group"}
    for score in scores:
        assert score.value > 0.99, score
        assert score.low <= score.value <= score.high
        assert score.control < score.value
        assert score.says == "for"


def test_a_report_is_a_bundle_that_agrees_with_itself(report, tmp_path):
    bundle = read_bundle(report.save(tmp_path / "trust.zip"))
    check_manifest(bundle.manifest)
    check_pictures(bundle.manifest, bundle.files)
    (layer,) = bundle.manifest.body.layers
    assert [unit.channel for unit in layer.units if unit.says == "against"] == list(
        report.layers["patterns"].misleading
    )
    assert [unit.channel for unit in layer.units if unit.says == "for"] == list(report.layers["patterns"].holding)
    assert bundle.manifest.body.images == 260
    assert bundle.manifest.body.photos == 5


def test_a_notebook_shows_the_page(report):
    shown = report._repr_html_()
    assert shown.startswith('<iframe title="What to believe of')
    assert "&quot;kind&quot;:&quot;report&quot;" in shown


def test_every_number_is_in_the_json(report):
    told = json.loads(json.dumps(report.to_json()))
    layer = told["layers"]["patterns"]
    assert layer["misleading"] == list(report.layers["patterns"].misleading)
    assert layer["units"]["7"][0]["says"] == "against"
    assert len(layer["methods"]) == len(report.layers["patterns"].methods)


class Saturating(nn.Module):
    """Behind `grid`, most of the answer is made of channels that are clipped: no gradient tells what they add."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Sequential(nn.Conv2d(3, 12, 5, 2), nn.ReLU())
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        y = self.grid(x)
        return self.head(torch.cat([y[:, :6], 30 * y[:, 6:].clamp(max=0.05)], 1).mean((2, 3)))


def test_removal_is_best_where_gradients_say_nothing():
    model = pellucid.wrap(seeded(Saturating).eval(), size=32)
    report = pellucid.report_model(model, draw_scenes(40), layers="grid", units=2, photos=6, cache=None)
    by_set = {score.method: score for score in report.layers["grid"].methods if score.unit == "set"}
    assert by_set["removal"].value > by_set["linear"].value + 0.05
    assert report.layers["grid"].best("set").value == max(score.value for score in by_set.values())


def test_channels_that_never_change_are_said_and_not_drawn():
    network = seeded(plain_net).eval()
    with torch.no_grad():
        network[7].bias[[1, 4]] = -100.0
    report = pellucid.report_model(pellucid.wrap(network, size=32), draw_scenes(30), layers="8", units=9, photos=0)
    assert not {1, 4} & set(report.layers["8"].channels)
    assert any("of the 10 channels of 8 never change" in remark for remark in report.remarks)
    assert report.layers["8"].methods == ()


@pytest.mark.parametrize(
    ("images", "settings", "words"),
    [
        (draw_scenes(10), {}, "10 images are too few to judge a model by"),
        (draw_scenes(30), {"units": 1}, "expected at least 2 units"),
        (draw_scenes(30), {"photos": -1}, "0 or more photos"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(images, settings, words):
    with pytest.raises(InputError, match=words):
        pellucid.report_model(pellucid.wrap(seeded(plain_net).eval(), size=32), images, layers="7", **settings)


def test_a_layer_without_positions_is_refused():
    with pytest.raises(TargetError, match="has no positions"):
        pellucid.report_model(pellucid.wrap(seeded(plain_net).eval(), size=32), draw_scenes(30), layers="10")


@pytest.mark.parametrize(("network", "size"), [(ResidualNet, 64), (TokenNet, 32), (plain_net, 32)])
def test_default_layers_have_positions_and_weights(network, size):
    model = pellucid.wrap(seeded(network).eval(), size=size)
    names = report_layers(model)
    assert 1 <= len(names) <= 6
    for name in names:
        layer = model.layer(name)
        assert 1 < layer.rows * layer.columns <= MOST_POSITIONS
        assert list(model.module.get_submodule(layer.path).parameters())


def test_default_layers_of_the_embedded_network(embedded_model):
    assert report_layers(embedded_model) == ["mixed4a", "mixed4b", "mixed4c", "mixed4d", "mixed5a", "mixed5b"]
