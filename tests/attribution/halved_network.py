"""A network in two parts, so that what follows a layer can be called by itself."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid


class Halves(nn.Module):
    """`low` gives the layer, `head` the rest: two branches, a strided pool, a later layer `high`, the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU())
        self.left = nn.Conv2d(6, 5, 3, padding=1)
        self.right = nn.Conv2d(6, 4, 1)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.high = nn.Conv2d(9, 8, 3, padding=1)
        self.last = nn.Linear(8, 5)

    def upper(self, grid: Tensor) -> Tensor:
        """What `high` gives."""
        parts = torch.cat([F.softplus(self.left(grid)), torch.tanh(self.right(grid))], 1)
        return self.high(self.pool(parts))

    def head(self, grid: Tensor) -> Tensor:
        """The logits."""
        return self.last(torch.tanh(self.upper(grid)).square().mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.low(x))


IMAGE = torch.rand(3, 23, 19, generator=torch.Generator().manual_seed(1))
LABELS = ["lemon", "lime", "orange", "ratio 3:4", "a@b"]


def halves(*, double: bool = False) -> tuple[pellucid.Model, Halves]:
    """The wrapped network and the module itself, whose layer `low` has 10 × 8 positions and `high` 5 × 4."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Halves().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2)  # so that it is far from linear
    module = module.double() if double else module
    model = pellucid.wrap(module, size=(23, 19), mean=0.4, std=0.3, labels=LABELS, name="halves")
    return model, module


def layer_of(model: pellucid.Model, module: Halves) -> Tensor:
    """What `low` gives, [1, 6, 10, 8]."""
    with torch.no_grad():
        return module.low(model.preprocess(IMAGE[None]))
