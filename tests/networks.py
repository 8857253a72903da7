"""Small networks with random weights, for tests of any part."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def seeded(build: Callable[..., Any], *args: Any, seed: int = 0, **options: Any) -> Any:
    """What `build` makes with the random numbers of that seed; the caller's own are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(*args, **options)


def plain_net(classes: int = 10, channels: int = 3) -> nn.Sequential:
    """Layers "0" … "8" are grids, of 10×10 positions and 10 channels at "8" for 32×32 px; then the head."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 8, 3), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3), nn.ReLU()),
        *(nn.Conv2d(8, 10, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, classes)),
    )


class Block(nn.Module):
    """A residual block with batch norm, whose one ReLU works in place and is called twice."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + self.shortcut(x))


class ResidualNet(nn.Module):
    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.block1 = Block(8, 8)
        self.block2 = Block(8, 12, 2)
        self.head = nn.Linear(12, classes)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):  # as after training: far from the identity
                nn.init.uniform_(part.weight, 0.5, 2)
                nn.init.normal_(part.bias, 0, 0.5)
                nn.init.normal_(part.running_mean, 0, 0.5)
                nn.init.uniform_(part.running_var, 0.2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.norm(self.stem(x))))
        return self.head(self.block2(self.block1(x)).mean((2, 3)))


class BranchedNet(nn.Module):
    """Two blocks of three branches of 4, 5 and 6 channels."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2)
        self.one = nn.ModuleList([nn.Conv2d(6, 4, 1), nn.Conv2d(6, 5, 3, padding=1), nn.Conv2d(6, 6, 5, padding=2)])
        self.two = nn.ModuleList([nn.Conv2d(15, 4, 1), nn.Conv2d(15, 5, 3, padding=1), nn.Conv2d(15, 6, 1)])
        self.join = nn.Identity()
        self.last = nn.Identity()
        self.head = nn.Linear(15, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = self.join(torch.cat([F.relu(branch(x)) for branch in self.one], 1))
        pooled = F.max_pool2d(x, 3, 1, 1)
        branches = [F.relu(self.two[0](x)), F.relu(self.two[1](x)), torch.relu(self.two[2](pooled))]
        x = self.last(torch.cat(branches, dim=1))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.mix(self.norm(x)).chunk(3, dim=2)
        return x + self.out(F.scaled_dot_product_attention(q, k, v))


class TokenNet(nn.Module):
    """A transformer on patches of 8×8 px with a class token (and registers); takes any multiple of 8 px."""

    def __init__(self, classes: int = 6, width: int = 12, extra: int = 1) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.extra = nn.Parameter(torch.randn(1, extra, width))
        self.blocks = nn.Sequential(Attention(width), Attention(width))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.extra.expand(x.shape[0], -1, -1), x], 1)
        return self.head(self.blocks(x)[:, 0])


class ChannelsLast(nn.Module):
    """[n, c, h, w] to [n, h, w, c]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class ChannelsLastNet(nn.Module):
    """Grids as Swin and ConvNeXt have them, channels last."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 20, 4, 4)
        self.turn = ChannelsLast()
        self.norm = nn.LayerNorm(20)
        self.mlp = nn.Sequential(nn.Linear(20, 30), nn.GELU())
        self.head = nn.Linear(30, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mlp(self.norm(self.turn(self.patches(x)))).mean((1, 2)))


@dataclass
class Answer:
    logits: Tensor
    features: Tensor


class AnsweringNet(nn.Module):
    """Returns its logits as a tuple, a dict, a dataclass with `.logits`, or a tensor of another shape."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.conv = nn.Conv2d(3, 4, 3)
        self.both = Both()
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> object:
        features, _ = self.both(self.conv(x))
        logits = self.head(features.mean((2, 3)))
        if self.form == "tuple":
            return logits, features
        if self.form == "dict":
            return {"scores": logits, "features": features}
        return Answer(logits, features) if self.form == "dataclass" else features


class Both(nn.Module):
    """Returns a tuple."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(x), torch.relu(-x)


class Preparing(nn.Module):
    """What follows works in place on what is recorded."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = self.relu(self.conv(x))
        y.mul_(3)
        return self.last(y).add_(1).mean((2, 3))
