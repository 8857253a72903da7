"""Small networks with fixed random weights."""

import pytest
import torch
from torch import nn

import pellucid


def draw_weights(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        # Biases above zero, so that every ReLU passes something.
        parameter.data = drawn * (2 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.3 + 0.1 * drawn
    return module.eval()


class Branches(nn.Module):
    """Two branches joined, as in an Inception block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width, 5, 1)
        self.wide = nn.Conv2d(width, 7, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.cat([self.narrow(x), self.wide(x)], 1))


class Small(nn.Module):
    """Convolution, pool, joined branches, another convolution, logits; `branching` makes it untraceable."""

    def __init__(self, channels: int = 3, branching: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 5, stride=2, padding=2)
        self.pool = nn.MaxPool2d(2, 2)
        self.block = Branches(8)
        self.last = nn.Conv2d(12, 10, 3, padding=1)
        self.head = nn.Linear(10, 4)
        self.branching = branching

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        if self.branching and x.mean() > 1e6:
            x = -x
        x = torch.relu(self.last(self.block(self.pool(x))))
        return self.head(x.mean((2, 3)))


def make_small(channels: int = 3, branching: bool = False, size: int = 32) -> pellucid.Model:
    labels = ["barn", "lemon", "tabby cat", "snorkel"]
    module = draw_weights(Small(channels, branching))
    return pellucid.wrap(module, size=size, mean=0.45, std=0.25, labels=labels, name="small")


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small lose more to handing work from thread to thread than they win."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small() -> pellucid.Model:
    return make_small()


@pytest.fixture
def make_model():
    return make_small
