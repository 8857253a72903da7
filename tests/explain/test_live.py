"""Live questions: changes of several parts together, and what stands out in a part of the photo."""

import numpy as np
import pytest
import torch
from drawn_network import make_network

import pellucid
from pellucid.bundle import (
    ChannelChange,
    ExperimentRequest,
    GroupChange,
    RegionChange,
    RegionRequest,
    check_manifest,
)
from pellucid.errors import InputError, TargetError
from pellucid.explain import _explain
from pellucid.explain._bundle import to_bundle
from pellucid.explain._icons import Look
from pellucid.explain._live import Live, telling_layers

ICONS = {"icon_size": 16, "icon_steps": 2, "grid_seconds": 0, "n_groups": 3, "layers": ["1", "3"]}


@pytest.fixture
def explanation(network, photo, monkeypatch):
    monkeypatch.setattr(_explain, "_MOST_GROUPS", 4)
    return pellucid.explain(network, photo, **ICONS)


def after(explanation, layer: str, change) -> np.ndarray:
    """The classes after a change of a layer, by a network that is cut by hand."""
    module = explanation.model.module
    image = (explanation.image[None] - 0.45) / 0.25
    with torch.no_grad():
        grid = module[: int(layer) + 1](image)
        return module[int(layer) + 1 :](change(grid.clone()))[0].numpy()


def test_several_parts_are_changed_together(explanation) -> None:
    def by_hand(grid):
        grid[:, :, 3:6, 1:3] *= 2
        grid[:, 2] = 0
        return grid

    changes = [ChannelChange(channel=2, factor=0), RegionChange(rows=(3, 5), columns=(1, 2), factor=2)]
    answer = Live.of(explanation).experiment(ExperimentRequest(layer="3", changes=changes))
    classes = [score.index for score in explanation.classes]
    assert [outcome.index for outcome in answer.classes] == classes
    found = [outcome.logit_after for outcome in answer.classes]
    np.testing.assert_allclose(found, after(explanation, "3", by_hand)[classes], atol=1e-4)
    for outcome, score in zip(answer.classes, explanation.classes, strict=True):
        assert outcome.logit_before == pytest.approx(score.logit, abs=1e-4)
        assert outcome.probability_before == pytest.approx(score.probability, abs=1e-5)


def test_a_region_and_a_group(explanation) -> None:
    def region(grid):
        grid[:, :, 0:2, 4:8] = 0
        return grid

    request = ExperimentRequest(layer="1", changes=[RegionChange(rows=(0, 1), columns=(4, 7), factor=0)])
    live = Live.of(explanation)
    classes = [score.index for score in explanation.classes]
    found = [outcome.logit_after for outcome in live.experiment(request).classes]
    np.testing.assert_allclose(found, after(explanation, "1", region)[classes], atol=1e-4)

    groups = explanation.groups("3", 3)
    part = torch.from_numpy(groups.part(1)).permute(0, 3, 1, 2)
    request = ExperimentRequest(layer="3", changes=[GroupChange(groups=3, group=1, factor=0)])
    found = [outcome.logit_after for outcome in live.experiment(request).classes]
    np.testing.assert_allclose(found, after(explanation, "3", lambda g: (g - part).clamp(min=0))[classes], atol=1e-4)


def test_the_best_classes_come_first(explanation) -> None:
    request = ExperimentRequest(layer="3", changes=[ChannelChange(channel=0, factor=8)])
    answer = Live.of(explanation).experiment(request)
    logits = after(explanation, "3", lambda grid: grid * torch.where(torch.arange(6) == 0, 8.0, 1.0)[:, None, None])
    assert [outcome.index for outcome in answer.top] == np.argsort(-logits)[:5].tolist()
    assert sum(outcome.probability_after for outcome in answer.top) <= 1.0001


def test_a_region_of_the_photo(explanation) -> None:
    asked: list[tuple[str, int]] = []

    def icon(layer: str, channel: int) -> str:
        asked.append((layer, channel))
        return f"{layer}-{channel}"

    request = RegionRequest(top=0.25, left=0, bottom=0.5, right=0.25)
    answer = Live.of(explanation).region(request, icon)
    assert [layer.layer for layer in answer.layers] == telling_layers(explanation.model)
    told = next(layer for layer in answer.layers if layer.layer == "3")
    values = explanation.activations["3"]
    assert (told.rows, told.columns) == ((3, 5), (0, 2))
    assert told.covers == pytest.approx(9 / 144)
    mask = np.zeros((12, 12), bool)
    mask[3:6, 0:3] = True
    lead = values[mask].mean(0) - values[~mask].mean(0)
    best = [int(channel) for channel in np.argsort(-lead)[:4] if lead[channel] > 0]
    assert [entry.channel for entry in told.channels] == best
    for entry in told.channels:
        assert entry.inside == pytest.approx(values[mask].mean(0)[entry.channel], abs=1e-4)
        assert entry.outside == pytest.approx(values[~mask].mean(0)[entry.channel], abs=1e-4)
        assert entry.icon == f"3-{entry.channel}"
    assert ("3", best[0]) in asked


def test_the_whole_photo_has_nothing_outside(explanation) -> None:
    answer = Live.of(explanation).region(RegionRequest(top=0, left=0, bottom=1, right=1))
    for layer in answer.layers:
        assert layer.covers == 1
        assert all(entry.outside == 0 for entry in layer.channels)


def test_arrays_give_the_same_answers(explanation) -> None:
    live = Live.of(explanation)
    again = Live.from_arrays(make_network(), live.arrays())
    request = ExperimentRequest(layer="3", changes=[GroupChange(groups=2, group=0, factor=0.5)])
    assert again.experiment(request).classes == live.experiment(request).classes
    with pytest.raises(InputError, match="not the arrays of an explanation"):
        Live.from_arrays(make_network(), {"3|spatial|nowhere": np.zeros(3)})


@pytest.mark.parametrize(
    ("layer", "change", "says"),
    [
        ("nowhere", ChannelChange(channel=0, factor=0), "nowhere"),
        ("3", ChannelChange(channel=6, factor=0), "6"),
        ("3", GroupChange(groups=7, group=0, factor=0), "not divided into 7 groups"),
        ("3", GroupChange(groups=3, group=3, factor=0), "3"),
        ("3", RegionChange(rows=(0, 12), columns=(0, 1), factor=0), "12"),
        ("3", RegionChange(rows=(4, 2), columns=(0, 1), factor=0), "first row"),
    ],
)
def test_what_is_not_there_is_said(explanation, layer: str, change, says: str) -> None:
    with pytest.raises((TargetError, InputError), match=says):
        Live.of(explanation).experiment(ExperimentRequest(layer=layer, changes=[change]))


def test_an_empty_region_is_said(explanation) -> None:
    with pytest.raises(InputError, match="empty"):
        Live.of(explanation).region(RegionRequest(top=0.5, left=0.2, bottom=0.5, right=0.8))


def test_an_explanation_grows(network, photo, monkeypatch) -> None:
    monkeypatch.setattr(_explain, "_MOST_GROUPS", 4)
    seen: list[pellucid.Explanation] = []
    final = pellucid.explain(network, photo, **ICONS, partial=seen.append)
    assert seen[0].layers == ()
    assert [score.index for score in seen[0].classes] == [score.index for score in final.classes]
    assert [part.layers for part in seen[:3]] == [(), ("1",), ("1", "3")]
    assert [len(part.grids) for part in seen] == sorted(len(part.grids) for part in seen)
    for part in seen:
        check_manifest(to_bundle(part).manifest)
    # Grey squares stand where nothing is drawn; the last one is the finished explanation.
    blank = seen[1].icons["1"].images
    assert np.ptp(blank[..., :3]) == 0
    for name in final.layers:
        np.testing.assert_array_equal(seen[-1].icons[name].images, final.icons[name].images)
        np.testing.assert_array_equal(seen[-1].grids[name].image, final.grids[name].image)


def test_a_quick_look_stands_in_for_what_is_not_drawn(network, photo, monkeypatch) -> None:
    monkeypatch.setattr(_explain, "_MOST_GROUPS", 4)
    monkeypatch.setattr(_explain, "_MANY_ICONS", 2)
    monkeypatch.setattr(_explain, "QUICK", Look(12, 1))
    seen: list[pellucid.Explanation] = []
    pellucid.explain(network, photo, **ICONS, partial=seen.append)
    complete = [number for number, part in enumerate(seen) if len(part.grids) == 2]
    after_quick = seen[complete[0] + 1]
    assert np.ptp(after_quick.icons["3"].images[..., :3]) > 0.1
