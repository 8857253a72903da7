"""A coloured corner that decides a class is found by attribution, groups and removal; a harmless one is not blamed."""

import numpy as np
import pytest

import pellucid
from benchmarks._known_networks import CLEAR, FAINT, draw_striped, points_at_corner, train_striped

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shortcut", [True, False])
def test_the_corner_is_found_where_it_decides_and_only_there(shortcut):
    contrast = FAINT if shortcut else CLEAR
    model = train_striped(shortcut)
    scenes, classes = draw_striped(300, np.arange(300) % 2 == 0, contrast=contrast, seed=5)
    answers = pellucid.record(model, scenes, "logits")["logits"].values.argmax(1)
    # The truth: what the network's answers follow when corner and stripes disagree.
    assert ((answers == 1) == (np.arange(300) % 2 == 0)).mean() > 0.95 or not shortcut
    assert (answers == classes).mean() > 0.95 or shortcut
    scenes, classes = draw_striped(80, contrast=contrast, seed=77)
    found = np.array([points_at_corner(model, scene) for scene in scenes[classes == 1][:24]]).mean(0)
    attribution, group, removal, elsewhere = found
    if shortcut:
        assert min(attribution, group) > 0.9
        assert removal > 0.7
        assert elsewhere < 0.3
    else:
        assert max(attribution, group) < 0.35
        assert removal < 0.1
