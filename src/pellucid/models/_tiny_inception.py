"""The embedded network: a small GoogLeNet of our own, trained in `training/`, whose weights ship inside the package."""

import torch
from torch import Tensor, nn

# Output channels of each block's parts: 1×1; 3×3 bottleneck, 3×3; 5×5 bottleneck, 5×5; pool reduction.
_BLOCKS = {
    "mixed3a": (32, 32, 48, 8, 16, 16),
    "mixed3b": (48, 48, 80, 12, 24, 24),
    "mixed4a": (72, 56, 112, 16, 32, 32),
    "mixed4b": (72, 56, 112, 16, 32, 32),
    "mixed4c": (72, 64, 120, 16, 32, 32),
    "mixed4d": (80, 64, 128, 16, 40, 40),
    "mixed5a": (128, 96, 192, 24, 64, 64),
    "mixed5b": (128, 96, 192, 24, 64, 64),
}
MAIN_LAYERS = tuple(_BLOCKS)


class ConvReLU(nn.Module):
    """A convolution and its ReLU, with a batch norm between them while it is trained."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, input: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(input)))


class Mixed(nn.Module):
    """Four branches over one input, joined along the channels."""

    def __init__(
        self, inputs: int, one: int, three_in: int, three: int, five_in: int, five: int, pooled: int, *, norm: bool
    ) -> None:
        super().__init__()
        self.channels = one + three + five + pooled
        self.add_module("1x1", ConvReLU(inputs, one, 1, norm=norm))
        self.add_module("3x3_bottleneck", ConvReLU(inputs, three_in, 1, norm=norm))
        self.add_module("3x3", ConvReLU(three_in, three, 3, norm=norm))
        self.add_module("5x5_bottleneck", ConvReLU(inputs, five_in, 1, norm=norm))
        self.add_module("5x5", ConvReLU(five_in, five, 5, norm=norm))
        self.add_module("pool", _average(1))
        self.add_module("pool_reduce", ConvReLU(inputs, pooled, 1, norm=norm))

    def forward(self, input: Tensor) -> Tensor:
        part = self.get_submodule
        branches = [
            part("1x1")(input),
            part("3x3")(part("3x3_bottleneck")(input)),
            part("5x5")(part("5x5_bottleneck")(input)),
            part("pool_reduce")(part("pool")(input)),
        ]
        return torch.cat(branches, 1)


class TinyInception(nn.Module):
    """GoogLeNet's plan at a twentieth of its size, with average pooling, so that gradients carry no checkerboard.

    Takes [n, 3, h, w] of any size from 32 up (64 in training), standardized RGB, and returns [n, classes] logits.
    Strides: `mixed3*` 4 px, `mixed4*` 8 px, `mixed5*` 16 px.

    Args:
        classes: number of outputs.
        norm: with batch norms, as it is trained; without, as it ships, they are part of the convolutions.

    Source: the plan of its blocks is that of Szegedy et al., Going Deeper with Convolutions, 2014 (arXiv 1409.4842).
    """

    def __init__(self, classes: int = 100, *, norm: bool = False) -> None:
        super().__init__()
        self.conv2d0 = ConvReLU(3, 32, 5, 2, norm=norm)
        self.pool0 = _average(2)
        self.conv2d1 = ConvReLU(32, 64, 3, norm=norm)
        channels = 64
        for name, parts in _BLOCKS.items():
            block = Mixed(channels, *parts, norm=norm)
            self.add_module(name, block)
            channels = block.channels
            if name in ("mixed3b", "mixed4d"):
                self.add_module("pool3" if name == "mixed3b" else "pool4", _average(2))
        self.pool5 = nn.AdaptiveAvgPool2d(1)
        self.logits = nn.Linear(channels, classes)

    def forward(self, input: Tensor) -> Tensor:
        for name, module in self.named_children():
            if name == "logits":
                input = torch.flatten(input, 1)
            input = module(input)
        return input


def _average(stride: int) -> nn.AvgPool2d:
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
