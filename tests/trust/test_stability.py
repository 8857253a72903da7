"""Small changes of a photo against what they do to maps that are known functions of it."""

import zlib

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import InputError
from pellucid.trust import correlation, stability

IMAGE = 0.3 + 0.4 * torch.rand(3, 12, 10, generator=torch.Generator().manual_seed(1))  # nothing is clipped


@pytest.fixture
def model():
    return pellucid.wrap(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(160, 2)), size=(12, 10))


def red(view):
    return view[0].numpy()


def test_the_photo_as_its_own_map(model):
    found = stability(model, IMAGE, red, noise=0.02, brightness=0.05, contrast=0.1, shift=2, copies=3)
    at = dict(zip(found.changes, zip(found.correlations, found.moved, strict=True), strict=True))
    assert len(found.changes) == 3 + 2 + 2 + 4
    image = red(IMAGE).astype(float)
    length = np.linalg.norm(image)
    for change in ("brighter by 0.05", "darker by 0.05"):
        assert at[change][0] == pytest.approx(1)
        assert at[change][1] == pytest.approx(0.05 * np.sqrt(image.size) / length, rel=1e-4)
    for change in ("contrast raised by 10%", "contrast lowered by 10%"):
        assert at[change][0] == pytest.approx(1)
        assert at[change][1] == pytest.approx(0.1 * np.linalg.norm(image - float(IMAGE.mean())) / length, rel=1e-4)
    padded = np.pad(image, 2, mode="edge")
    for side, (top, left) in {"down": (0, 2), "up": (4, 2), "right": (2, 0), "left": (2, 4)}.items():
        expected = correlation(padded[top : top + 12, left : left + 10], image)
        assert at[f"moved {side} by 2 px"][0] == pytest.approx(expected, abs=1e-6)
    assert found.control == pytest.approx(correlation(image[::-1, ::-1], image), abs=1e-6)
    # Independent noise of known size next to a photo of known spread.
    signal = image.std()
    for value in found.correlations[:3]:
        assert value == pytest.approx(signal / np.hypot(signal, 0.02), abs=0.01)
    assert len(set(found.correlations[:3])) == 3


def test_a_map_that_does_not_look_is_stable_and_so_is_its_control(model):
    still = np.arange(6.0)
    found = stability(model, IMAGE, lambda _: still)
    assert found.correlations == pytest.approx(1)
    assert not found.moved.any()
    entry = found.evidence("spatial:0:1")
    assert entry.control is not None
    assert entry.value <= entry.control  # says nothing here


def test_a_map_that_jumps_is_not(model):
    def jumps(view):
        return np.random.default_rng(zlib.crc32(view.contiguous().numpy().tobytes())).normal(size=400)

    found = stability(model, IMAGE, jumps)
    assert np.abs(found.correlations).max() < 0.3
    assert found.moved.min() > 1
    assert found.evidence("spatial:0:1").value == pytest.approx(found.correlations.min(), abs=1e-4)


def test_the_seed_decides_about_the_noise(model):
    first, again, other = (stability(model, IMAGE, red, seed=seed).correlations for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first[:4] != other[:4]).all()
    np.testing.assert_array_equal(first[4:], other[4:])


def test_views_stay_between_0_and_1_and_the_photo_as_it_was(model):
    before = IMAGE.clone()
    seen = []

    def watch(view):
        seen.append((float(view.min()), float(view.max())))
        return view[0].numpy()

    stability(model, IMAGE, watch, noise=1.0, brightness=0.9)
    assert all(low >= 0 and high <= 1 for low, high in seen)
    assert torch.equal(before, IMAGE)


def test_errors(model):
    with pytest.raises(InputError, match="no change is left"):
        stability(model, IMAGE, red, noise=0, brightness=0, contrast=0, shift=0)
    with pytest.raises(InputError, match="not finite"):
        stability(model, IMAGE, lambda view: np.full(3, np.nan))
    calls = iter([119, *[120] * 20])
    with pytest.raises(InputError, match=r"\[120\] for one view"):
        stability(model, IMAGE, lambda view: np.zeros(next(calls)))
    with pytest.raises(InputError, match="images have shape"):
        stability(model, IMAGE[:1], red)
