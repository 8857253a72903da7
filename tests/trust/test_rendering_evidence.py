"""Evidence for renderings on networks whose truth is known: what is wrong is flagged, what is right passes."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from benchmarks._known_networks import (
    PATTERNS,
    draw_scenes,
    fill_with_pattern,
    fool,
    planted_network,
    with_two_meanings,
)
from pellucid.errors import InputError
from pellucid.trust import SAME_CAUSE, Survey, judge_renderings, misleading, survey_images
from pellucid.trust._rendered import scramble
from tests.networks import plain_net, seeded


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    return draw_scenes(260)


@pytest.fixture(scope="module")
def planted() -> pellucid.Model:
    return planted_network()


@pytest.fixture(scope="module")
def survey(planted, scenes) -> Survey:
    return survey_images(planted, scenes, "patterns")


def drawn(channels: list[int], patterns: list[int]) -> pellucid.Rendering:
    """Pictures that claim to be of channels and show patterns."""
    images = np.stack([fill_with_pattern(pattern) for pattern in patterns]).transpose(0, 2, 3, 1)
    return pellucid.Rendering(images, np.zeros((len(images), 1)), tuple(f"patterns:{each}" for each in channels))


@functools.cache
def unlike(index: int) -> int:
    """A pattern of another colour and another texture."""
    choices = [
        o for o, parts in enumerate(PATTERNS) if all(a != b for a, b in zip(parts, PATTERNS[index], strict=True))
    ]
    return choices[(index * 7) % len(choices)]


def named(evidence, name: str) -> dict[str, object]:
    return {each.about: each for each in evidence if each.name == name}


def test_pictures_of_what_a_unit_detects_pass_and_all_others_are_flagged(planted, survey):
    channels = list(range(0, 64, 3))
    right = judge_renderings(planted, drawn(channels, channels), survey)
    wrong = judge_renderings(planted, drawn(channels, [unlike(each) for each in channels]), survey)
    assert misleading(right) == []
    assert len(misleading(wrong)) == len(channels)
    assert min(each.value for each in named(right, SAME_CAUSE).values()) > 0.6
    # The right pictures fire their units more than photos do, and more than pictures of others.
    firing = named(right, "activation beside photos").values()
    assert np.mean([each.value for each in firing]) > 0.9
    assert all(each.value > each.control for each in firing)
    assert np.mean([each.value for each in named(wrong, "activation beside photos").values()]) < 0.3


def test_a_headline_says_what_anyone_understands(planted, survey):
    wrong = judge_renderings(planted, drawn([0], [unlike(0)]), survey)
    headline = named(wrong, SAME_CAUSE)["rendering:patterns:0"]
    assert "Do not take it for what the unit responds to." in headline.sentence
    right = named(judge_renderings(planted, drawn([0], [0]), survey), SAME_CAUSE)["rendering:patterns:0"]
    assert "through the same channels of parts as photos do" in right.sentence


def test_units_of_one_and_of_two_meanings_are_told_apart(planted, scenes):
    partners = {index: unlike(index) for index in range(0, 64, 4)}
    both = with_two_meanings(planted, "patterns", partners, torch.from_numpy(scenes))
    single = [index for index in range(64) if index % 4 == 1]
    channels = [*partners, *single]
    found = named(judge_renderings(both, drawn(channels, channels), scenes), "meanings")
    counts = {index: found[f"rendering:patterns:{index}"].value for index in channels}
    assert np.mean([counts[index] == 2 for index in partners]) >= 0.8
    assert all(counts[index] == 1 for index in single)
    one = found["rendering:patterns:0"]
    assert "about 2 meanings" in one.sentence
    assert "the picture shows 1 of them" in one.sentence
    assert one.says == "against"
    # Two pictures, one of each meaning, show all there is; and they do not agree with one another.
    pair = drawn([0, 0], [0, partners[0]])
    evidence = judge_renderings(both, pair, scenes)
    assert named(evidence, "meanings")["rendering:patterns:0"].says == "for"
    assert named(evidence, "agreement of its pictures")["rendering:patterns:0"].says == "against"
    alike = judge_renderings(both, drawn([1, 1], [1, 1]), scenes)
    assert named(alike, "agreement of its pictures")["rendering:patterns:1"].says == "for"


@pytest.mark.slow
def test_a_fooling_circuit_is_found_and_honest_units_pass(planted, scenes):
    order = np.random.default_rng(0).permutation(64).tolist()
    decoys = {index: unlike(index) for index in order[:24]}
    fooled = fool(planted, "patterns", "parts", decoys, torch.from_numpy(draw_scenes(150, seed=1)), steps=24)
    rendering = pellucid.render(fooled.model, [f"patterns:{index}" for index in order], steps=24)
    pictures = torch.from_numpy(rendering.images).permute(0, 3, 1, 2)
    # The circuit works: it takes renderings for optimized and scenes for natural, and shows another unit.
    works = fooled.optimized(pictures)[:24]
    assert works.sum() >= 20
    assert not fooled.optimized(torch.from_numpy(scenes)).any()
    values = pellucid.record(fooled.model, scenes, "patterns")["patterns"].values
    np.testing.assert_allclose(values, pellucid.record(planted, scenes, "patterns")["patterns"].values, atol=1e-5)
    warned = misleading(rendering.judged(fooled.model, scenes).evidence)
    detected = [f"rendering:patterns:{index}" in warned for index, work in zip(decoys, works, strict=True) if work]
    alarms = [f"rendering:patterns:{index}" in warned for index in order[24:]]
    assert np.mean(detected) >= 0.95
    assert np.mean(alarms) <= 0.05


def test_scattered_parts_keep_mean_and_spectrum():
    images = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    scattered = scramble(images, 0)
    assert not torch.allclose(scattered, images, atol=0.05)
    torch.testing.assert_close(scattered.mean((2, 3)), images.mean((2, 3)), atol=1e-4, rtol=0)
    before, after = (torch.fft.rfft2(each).abs() for each in (images, scattered))
    torch.testing.assert_close(before, after, atol=1e-3, rtol=0)


def test_evidence_travels_with_the_pictures(planted, survey, tmp_path):
    judged = drawn([0, 5], [0, 5]).judged(planted, survey)
    assert judged.evidence is judged.judgement
    loaded = pellucid.load_rendering(judged.save(tmp_path / "out"))
    assert loaded.evidence == judged.evidence
    assert pellucid.load_rendering(drawn([0], [0]).save(tmp_path / "plain")).judgement is None


def test_pictures_of_the_embedded_network_have_evidence_at_hand(embedded_model):
    made = pellucid.render(embedded_model, ["mixed4d:11", "logits:lemon"], steps=24, size=64)
    assert made.evidence is made.evidence
    firing = {each.about: each for each in made.evidence if each.name.startswith("activation")}
    assert firing["rendering:logits:lemon"].value > 3 > firing["rendering:logits:lemon"].control
    # The same picture, said to be of another class, is no picture of that.
    objective = pellucid.render(embedded_model, "logits:0", steps=1, size=32).provenance["objectives"]
    other = dataclasses.replace(
        made, images=made.images[1:], targets=("logits:0",), provenance={**made.provenance, "objectives": objective}
    )
    assert [each.says for each in other.evidence] != [each.says for each in made.evidence[2:]]


def test_logits_and_directions_and_diverse_pictures_can_be_judged(scenes):
    model = pellucid.wrap(seeded(plain_net), size=32)
    vector = np.random.default_rng(0).normal(size=10)
    small = {"size": 24, "steps": 2}
    for made in (
        pellucid.render(model, ["logits:3", "8:2", pellucid.Direction("8", vector)], **small),
        pellucid.render_diverse(model, "8:1", copies=2, **small),
        pellucid.render(model, "8:1", alpha=True, **small),
    ):
        evidence = judge_renderings(model, made, scenes[:40], controls=3)
        assert {each.about for each in evidence} >= {f"rendering:{text}" for text in made.targets}
        assert [each.about for each in evidence if each.name == SAME_CAUSE] == [f"rendering:{t}" for t in made.targets]
        for each in evidence:
            assert np.isfinite([each.value, each.control]).all()
            assert each.says in ("for", "against", "nothing")


def test_a_model_of_one_size_sees_pictures_of_another_at_its_own(scenes):
    parts = (nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 6))
    model = pellucid.wrap(seeded(nn.Sequential, *parts), size=32)
    made = pellucid.render(model, ["logits:3", "logits:1"], size=40, steps=2)
    evidence = judge_renderings(model, made, scenes[:40], controls=3)
    assert len([each for each in evidence if each.name == SAME_CAUSE]) == 2


def test_what_cannot_be_judged_is_refused(planted, embedded_model, scenes):
    right = drawn([0], [0])
    with pytest.raises(InputError, match="too few"):
        judge_renderings(planted, right, scenes[:10])
    with pytest.raises(InputError, match="no natural images"):
        _ = right.evidence
    of_another = dataclasses.replace(right, provenance={"weights": "0123", "model": "other"})
    with pytest.raises(InputError, match="other"):
        judge_renderings(planted, of_another, scenes)
    for objective in (
        "-mixed4d:3",
        pellucid.objectives.channel("mixed4d", 3) + pellucid.objectives.channel("mixed4d", 4),
    ):
        made = pellucid.render(embedded_model, objective, size=32, steps=1)
        with pytest.raises(InputError, match=r"suppressed|one unit"):
            judge_renderings(embedded_model, made, scenes)
