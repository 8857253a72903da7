"""Faithfulness and stability against Quantus, which computes the same numbers where the definitions agree."""

import numpy as np
import pytest
import torch

import pellucid
from pellucid.record import Tail
from tests.networks import ResidualNet, plain_net, seeded

pytest.importorskip("quantus", reason="compares with Quantus: pip install quantus --constraint constraints.txt")

from benchmarks._quantus import curves, each_position, noise, random_sets, randomization

LABEL = 2


@pytest.fixture(scope="module", params=[(plain_net, "4"), (ResidualNet, "block1")], ids=["plain", "residual"])
def cut(request):
    """A model, an image and the rest of the model from a layer on."""
    build, layer = request.param
    model = pellucid.wrap(seeded(build).eval(), size=32)
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(3))
    return model, image, Tail(model, image, layer=layer)


def maps(cut) -> list[np.ndarray]:
    """An attribution, and an order by chance, without ties: of those each library has its own order."""
    model, image, tail = cut
    linear = pellucid.attribute(model, image, layer=tail.layer.name, target=LABEL, tail=tail).positions()
    return [linear, np.random.default_rng(0).standard_normal(linear.shape)]


@pytest.mark.parametrize("step", [1, 2])
def test_deletion_and_insertion_are_those_of_pixel_flipping_and_selectivity(cut, step):
    model, image, tail = cut
    for values in maps(cut):
        assert len(np.unique(values)) == values.size
        assert values.size % step == 0
        found = curves(model, image, tail, values, LABEL, step)
        assert len(found) == (3 if step == 1 else 2)
        for both in found.values():
            assert both.ours.shape == both.theirs.shape == (values.size // step,)
            # One step too early or too late would be a hundredth of it.
            np.testing.assert_allclose(both.ours, both.theirs, rtol=0, atol=1e-4 * np.ptp(both.theirs))
            assert np.ptp(both.theirs) > 1e-3


def test_agreement_with_removals_is_faithfulness_estimate(cut):
    model, image, tail = cut
    for values in maps(cut):
        both = each_position(model, image, tail, values, LABEL)
        assert both.ours == pytest.approx(both.theirs, abs=1e-4)
    linear = each_position(model, image, tail, maps(cut)[0], LABEL)
    assert linear.theirs > 0.3  # so that the two do not agree on nothing


def test_agreement_with_random_sets_is_faithfulness_correlation(cut):
    _, _, tail = cut
    for values in maps(cut):
        both = random_sets(tail, values, LABEL, values.size // 3, 40, seed=5)
        assert both.ours == pytest.approx(both.theirs, abs=1e-4)
        other = random_sets(tail, values, LABEL, values.size // 3, 40, seed=6)
        assert other.theirs != pytest.approx(both.theirs, abs=1e-4)


def test_movement_under_noise_is_max_sensitivity(cut):
    model, image, _ = cut

    def squared(seen: torch.Tensor) -> np.ndarray:
        return seen.square().sum(0).numpy().astype(float)

    both = noise(model, image, squared, 3)
    assert both.ours == pytest.approx(both.theirs, rel=1e-6)
    assert both.theirs > 0.01


def test_maps_that_do_not_look_at_weights_keep_their_likeness_in_both(cut):
    model, image, _ = cut
    blind = np.random.default_rng(1).standard_normal((8, 8))
    both = randomization(model, image, lambda network: blind)
    assert both.ours == pytest.approx(1)
    assert both.theirs == pytest.approx(1)

    def logits(network: pellucid.Model) -> np.ndarray:
        found = pellucid.record(network, image[None], "logits")["logits"].values[0, :4]
        return found.reshape(2, 2).astype(float)

    both = randomization(model, image, logits)
    assert both.ours < 0.95
    assert both.theirs < 0.95
