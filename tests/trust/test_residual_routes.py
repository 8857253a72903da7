"""Routes where a layer adds to what an earlier one has: one channel has nearly all of them, whatever the picture."""

import numpy as np
import pytest
import torch

import pellucid
from pellucid.trust import SAME_CAUSE, judge_renderings
from pellucid.trust._rendering_evidence import compare_routes, is_passed_on
from pellucid.trust._routes import Routes

CHANNELS, UNIT = 24, 5


def routes(cause: int, count: int, seed: int) -> Routes:
    """A unit that carries 10 over from its own channel, and is raised by 1 through another, with noise."""
    values = np.random.default_rng(seed).normal(0, 0.1, (count, CHANNELS)).astype(np.float32)
    values[:, UNIT] += 10
    values[:, cause] += 1
    return Routes(values.sum(1), {"before": values}, {"before": values})


def usual(seed: int = 9) -> Routes:
    values = np.random.default_rng(seed).normal(0, 0.1, (32, CHANNELS)).astype(np.float32)
    values[:, UNIT] += 10
    return Routes(values.sum(1), {"before": values}, {"before": values})


def test_another_cause_is_told_from_what_is_passed_on():
    own = routes(2, 16, 0)
    others = [Routes(own.values, {}, {"before": np.roll(routes(2, 16, n).routes["before"], n, 1)}) for n in (3, 7, 11)]
    same, other = routes(2, 1, 20), routes(8, 1, 21)
    # The whole route cannot tell them apart.
    assert compare_routes("before", same, own, others, None).value > 0.95
    assert compare_routes("before", other, own, others, None).value > 0.95
    assert compare_routes("before", same, own, others, usual()).value == pytest.approx(1, abs=0.15)
    assert compare_routes("before", other, own, others, usual()).value < 0.25
    assert compare_routes("before", usual(10)[:1], own, others, usual()).value < 0.25


def test_a_channel_that_is_passed_on_is_known():
    unit = pellucid.trust.Feature("after", UNIT)
    found = routes(2, 16, 0).routes["before"]
    assert is_passed_on(unit, found, CHANNELS)
    assert not is_passed_on(pellucid.trust.Feature("after", 2), found, CHANNELS)
    assert not is_passed_on(unit, found, CHANNELS + 1)
    assert not is_passed_on(pellucid.trust.Feature("after", -1, (1.0,) * CHANNELS), found, CHANNELS)


class Stream(torch.nn.Module):
    """Eight filters of one colour each, whose channels a second layer passes on and adds to through a third."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.branch = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 8, 3, padding=1)
        self.add, self.head = torch.nn.Identity(), torch.nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        before = torch.relu(self.first(images))
        return self.head(self.add(before + 0.2 * torch.relu(self.branch(before))).mean((2, 3)))


def test_the_sentence_says_what_was_compared():
    torch.manual_seed(0)
    model = pellucid.wrap(Stream().eval(), size=(32, 32))
    images = np.random.default_rng(0).random((40, 3, 32, 32), dtype=np.float32)
    rendering = pellucid.render(model, ["add:1", "add:2"], size=32, steps=8)
    evidence = judge_renderings(model, rendering, images, layers=["first"])
    headlines = [each for each in evidence if each.name == SAME_CAUSE]
    assert len(headlines) == 2
    assert all("beyond what any photo does" in each.sentence for each in headlines)
    assert not any(each.name == "meanings" for each in evidence)  # all photos would be of one kind
