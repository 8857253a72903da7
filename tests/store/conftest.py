"""A network that renders in a moment."""

import pytest
import torch
from torch import nn

import pellucid


@pytest.fixture
def tiny() -> pellucid.Model:
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    module[0].weight.data = torch.randn(module[0].weight.shape, generator=generator) * 0.2
    module[0].bias.data = torch.full((4,), 0.2)
    return pellucid.wrap(module, size=16, name="tiny")
