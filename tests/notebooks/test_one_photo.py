"""The notebooks on one photo run and find what they say; the tutorial on another network, too."""

from pathlib import Path

import pytest
from notebook_runs import RUN_BY, assert_runs, run

from scripts.notebooks import FOLDER, with_network


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_BY["test_one_photo.py"])
def test_runs_and_finds_what_it_says(name: str, tmp_path: Path) -> None:
    assert_runs(name, tmp_path)


@pytest.mark.slow
def test_another_network_by_one_line(tmp_path: Path) -> None:
    """The tutorial on a network that it was not written for: other layers, another size, no labels, random weights."""
    other = """
import torch
from torch import nn

torch.manual_seed(0)
network = nn.Sequential(
    *(nn.Conv2d(3, 24, 5, 2, 2), nn.ReLU(), nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU()),
    *(nn.Conv2d(32, 48, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 12)),
)
"""
    source = (FOLDER / "tutorial.py").read_text()
    printed = run(other + with_network(source, "pellucid.wrap(network, size=64, mean=0.5, std=0.25)"), tmp_path)
    assert "5: 16 × 16 places, 48 channels" in printed
