"""A small network with drawn weights."""

import torch
from torch import nn

import pellucid


def make_network(channels: int = 3, **settings) -> pellucid.Model:
    module = nn.Sequential(
        nn.Conv2d(channels, 8, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 6),
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.data = drawn * (2 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.2 + 0.1 * drawn
    labels = ["barn", "lemon", "tabby", "snorkel", "wok", "<b>&"]
    return pellucid.wrap(
        module.eval(), size=24, mean=0.45, std=0.25, labels=labels, name="drawn", default_layer="3", **settings
    )
