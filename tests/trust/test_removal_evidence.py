"""Removals against a loop that zeroes one position at a time; agreement against scipy."""

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

import pellucid
from pellucid.attribution import attribute_classes
from pellucid.errors import TargetError
from pellucid.trust import compare_with_removals, correlation, measure_removals


class Added(nn.Module):
    """Something is added beside the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.layer = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.tanh(x + self.layer(x))
        return self.head(x.amax((2, 3)))


class Joined(Added):
    """Something is joined beside the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.head(torch.tanh(torch.cat([x, self.layer(x)], 1)).amax((2, 3)))


class Counting(Added):
    """The number of images is taken from before the layer."""

    def forward(self, x):
        count = len(x)
        x = torch.relu(self.stem(x))
        return self.head(torch.tanh(self.layer(x)).reshape(count, 6, -1).amax(2))


class Plain(Added):
    """The layer is all there is, and what follows works in place."""

    def forward(self, x):
        return self.head(torch.relu_(self.layer(torch.relu(self.stem(x)))).mean((2, 3)))


IMAGE = torch.rand(3, 21, 25, generator=torch.Generator().manual_seed(1))


def make(kind: type[nn.Module]) -> pellucid.Model:
    torch.manual_seed(0)
    return pellucid.wrap(kind(), size=(21, 25), mean=0.4, std=0.3, name="network")


@pytest.mark.parametrize("kind", [Plain, Added, Joined, Counting])
@pytest.mark.parametrize("layer", ["layer", "stem"])
def test_against_one_removal_at_a_time(kind, layer):
    model = make(kind)
    changes = measure_removals(model, IMAGE, layer)
    rows, columns = model.layers[layer].rows, model.layers[layer].columns
    assert changes.shape == (rows, columns, 4)  # 120 places: more than one batch
    assert changes.dtype == np.float32
    module, pixels = model.module.eval(), model.preprocess(IMAGE[None])
    with torch.no_grad():
        whole = module(pixels)[0]
        for row in range(rows):
            for column in range(columns):

                def remove(_module, _inputs, output, row=row, column=column):
                    output = output.clone()
                    output[:, :, row, column] = 0
                    return output

                with getattr(module, layer).register_forward_hook(remove):
                    expected = module(pixels)[0] - whole
                np.testing.assert_allclose(changes[row, column], expected, atol=2e-6)
    assert np.abs(changes).max() > 1e-4


def test_the_model_comes_back_as_it_was():
    model = make(Joined)
    model.module.train()
    measure_removals(model, IMAGE, "layer")
    assert model.module.training
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert not any(part._forward_hooks for part in model.module.modules())


def test_no_such_layer():
    with pytest.raises(TargetError, match="did you mean 'layer'"):
        measure_removals(make(Plain), IMAGE, "layr")


def test_attribution_predicts_removals_exactly_where_the_rest_is_linear():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(480, 3))
    model = pellucid.wrap(module, size=(21, 25))
    (attribution,) = attribute_classes(model, IMAGE, "1", [1])
    changes = measure_removals(model, IMAGE, "1")[:, :, 1]
    np.testing.assert_allclose(-changes, attribution.positions(), atol=1e-5)
    strength = np.linalg.norm(pellucid.record(model, IMAGE[None], "1")["1"].values[0], axis=2)
    evidence = compare_with_removals(attribution.positions(), strength, changes, "spatial:1:1")
    assert evidence.value == pytest.approx(1.0)
    assert evidence.control < 0.9
    assert evidence.about == "spatial:1:1"
    assert "1.00" in evidence.sentence


ARRAYS = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=30)


@given(pairs=ARRAYS)
@settings(max_examples=60, deadline=None)
def test_correlation_is_scipys(pairs):
    first, second = np.array(pairs).T
    if min(first.std(), second.std()) < 1e-3:
        return
    assert correlation(first, second) == pytest.approx(scipy.stats.pearsonr(first, second).statistic, abs=1e-6)


def test_correlation_of_maps_and_constants():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 7)).astype(np.float32)
    expected = scipy.stats.pearsonr(first.ravel(), second.ravel()).statistic
    assert correlation(first, second) == pytest.approx(expected, abs=1e-5)
    assert correlation(first, first) == pytest.approx(1)
    assert correlation(first, -2 * first + 3) == pytest.approx(-1)
    assert correlation(np.ones((5, 7)), second) == 0
    assert correlation(np.full(100, 0.1), np.arange(100)) == 0
    assert correlation(np.full((7, 7), 0.1, np.float32), rng.normal(size=(7, 7))) == 0
