"""Cascading randomization against maps that read single weights, and on the trained network."""

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid import attribute, record
from pellucid.errors import InputError
from pellucid.trust import correlation, randomize_cascade

IMAGE = torch.rand(3, 14, 14, generator=torch.Generator().manual_seed(1))


class Parts(nn.Module):
    """Its head is declared first and computed last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 4)
        self.low = nn.Conv2d(3, 5, 3)
        self.high = nn.Conv2d(5, 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.high(self.low(x).relu()).relu().mean((2, 3)))


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return pellucid.wrap(Parts(), size=14)


def weights(path):
    return lambda model: model.module.get_submodule(path).weight.detach().numpy().ravel()


def test_the_last_goes_first(model):
    for number, path in enumerate(("head", "high", "low")):
        found = randomize_cascade(model, weights(path), seeds=2)
        assert found.modules == ("head", "high", "low")
        assert found.similarities[:, :number] == pytest.approx(1)
        assert (found.similarities[:, number:] < 0.7).all()
        # A module is shuffled once and then stays.
        assert np.ptp(found.similarities[:, number:], axis=1) == pytest.approx(0)
        assert found.similarities[0, -1] != found.similarities[1, -1]


def test_numbers_are_shuffled_and_the_model_stays(model):
    before = {name: parameter.clone() for name, parameter in model.module.named_parameters()}
    seen = []

    def watch(network):
        seen.append(weights("low")(network).copy())
        return seen[-1]

    digest = model.digest
    found = randomize_cascade(model, watch)
    np.testing.assert_allclose(np.sort(seen[-1]), np.sort(seen[0]))
    assert found.similarities[0, -1] == pytest.approx(correlation(seen[-1], seen[0]))
    assert all(torch.equal(before[name], parameter) for name, parameter in model.module.named_parameters())
    assert pellucid.wrap(model.module, size=14, name=model.name).digest == digest


def test_stages_end_with_the_whole_network(model):
    assert randomize_cascade(model, weights("low"), stages=1).modules == ("low",)
    assert randomize_cascade(model, weights("low"), stages=2).modules == ("high", "low")
    assert randomize_cascade(model, weights("low"), stages=9).similarities.shape == (1, 3)


def test_a_map_that_does_not_look_is_not_sensitive(model):
    found = randomize_cascade(model, lambda _: np.arange(5.0), control_of=weights("head"))
    assert found.sensitivity == pytest.approx(0)
    entry = found.evidence("spatial:low:1")
    assert entry.control is not None
    assert entry.value <= entry.control
    assert randomize_cascade(model, lambda _: np.arange(5.0)).evidence("x").control is None


def test_linear_attribution_of_the_trained_network_forgets(embedded_model):
    image = pellucid.load_image(next(iter(pellucid.example_photos().values())), size=embedded_model.size)
    top = int(record(embedded_model, image[None], "logits")["logits"].values[0].argmax())

    def linear(network):
        return attribute(network, image, layer="mixed4d", target=top).positions()

    found = randomize_cascade(embedded_model, linear, stages=3)
    assert found.modules[-1].startswith("conv2d0")
    assert np.abs(found.similarities[0]).max() < 0.6
    assert found.sensitivity > 0.5


def test_errors(model):
    with pytest.raises(InputError, match="no weights"):
        randomize_cascade(pellucid.wrap(nn.Sequential(nn.AvgPool2d(2), nn.Flatten()), size=4), lambda _: np.zeros(2))
    with pytest.raises(InputError, match="stages is 0"):
        randomize_cascade(model, weights("low"), stages=0)
    with pytest.raises(InputError, match="not finite"):
        randomize_cascade(model, lambda _: np.full(2, np.inf))
    sizes = iter([3, 4, 4, 4])
    with pytest.raises(InputError, match=r"\[4\] on the random network"):
        randomize_cascade(model, lambda _: np.zeros(next(sizes)))
