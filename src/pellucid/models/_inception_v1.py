"""InceptionV1 (GoogLeNet) as Google released it in 2015: the network of the three articles."""

import torch
from torch import Tensor, nn

from ._same import LocalResponseNorm, SameConv2d, SameMaxPool2d

# Output channels of each block's parts: 1×1; 3×3 bottleneck, 3×3; 5×5 bottleneck, 5×5; pool reduction.
# Read off the released weights; mixed4a's 204 (508 in all) is theirs, not the paper's 208.
_BLOCKS = {
    "mixed3a": (64, 96, 128, 16, 32, 32),
    "mixed3b": (128, 128, 192, 32, 96, 64),
    "mixed4a": (192, 96, 204, 16, 48, 64),
    "mixed4b": (160, 112, 224, 24, 64, 64),
    "mixed4c": (128, 128, 256, 24, 64, 64),
    "mixed4d": (112, 144, 288, 32, 64, 64),
    "mixed4e": (256, 160, 320, 32, 128, 128),
    "mixed5a": (256, 160, 320, 48, 128, 128),
    "mixed5b": (384, 192, 384, 48, 128, 128),
}


class ConvReLU(nn.Module):
    """A convolution and its ReLU; `conv` alone is the layer before the ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = SameConv2d(inputs, outputs, kernel, stride)

    def forward(self, input: Tensor) -> Tensor:
        return torch.relu(self.conv(input))


class Mixed(nn.Module):
    """Four branches over one input, joined along the channels."""

    def __init__(self, inputs: int, one: int, three_in: int, three: int, five_in: int, five: int, pooled: int) -> None:
        super().__init__()
        self.channels = one + three + five + pooled
        self.add_module("1x1", ConvReLU(inputs, one, 1))
        self.add_module("3x3_bottleneck", ConvReLU(inputs, three_in, 1))
        self.add_module("3x3", ConvReLU(three_in, three, 3))
        self.add_module("5x5_bottleneck", ConvReLU(inputs, five_in, 1))
        self.add_module("5x5", ConvReLU(five_in, five, 5))
        self.add_module("pool", SameMaxPool2d(1))
        self.add_module("pool_reduce", ConvReLU(inputs, pooled, 1))

    def forward(self, input: Tensor) -> Tensor:
        part = self.get_submodule
        branches = [
            part("1x1")(input),
            part("3x3")(part("3x3_bottleneck")(input)),
            part("5x5")(part("5x5_bottleneck")(input)),
            part("pool_reduce")(part("pool")(input)),
        ]
        return torch.cat(branches, 1)


class InceptionV1(nn.Module):
    """GoogLeNet with the layer names of the literature: `conv2d0` … `mixed5b`, `logits`.

    Takes [n, 3, h, w] of any size from 32 up, RGB in 0…255 minus 117, and returns [n, classes] logits.

    Source: Szegedy et al., Going Deeper with Convolutions, 2014 (arXiv 1409.4842); node names, local response
    normalization and padding as in TensorFlow's released graph (inception5h).
    """

    def __init__(self, classes: int = 1008) -> None:
        super().__init__()
        self.conv2d0 = ConvReLU(3, 64, 7, 2)
        self.maxpool0 = SameMaxPool2d(2)
        self.localresponsenorm0 = LocalResponseNorm(64)
        self.conv2d1 = ConvReLU(64, 64, 1)
        self.conv2d2 = ConvReLU(64, 192, 3)
        self.localresponsenorm1 = LocalResponseNorm(192)
        self.maxpool1 = SameMaxPool2d(2)
        channels = 192
        for name, parts in _BLOCKS.items():
            block = Mixed(channels, *parts)
            self.add_module(name, block)
            channels = block.channels
            if name in ("mixed3b", "mixed4e"):
                self.add_module("maxpool4" if name == "mixed3b" else "maxpool10", SameMaxPool2d(2))
        self.avgpool0 = nn.AdaptiveAvgPool2d(1)
        self.logits = nn.Linear(channels, classes)

    def forward(self, input: Tensor) -> Tensor:
        for name, module in self.named_children():
            if name == "logits":
                input = torch.flatten(input, 1)
            input = module(input)
        return input


def tensor_names(module: InceptionV1) -> dict[str, str]:
    """Name of each parameter in the released tensors: `{"conv2d0.conv.weight": "conv2d0_w", …}`."""
    names = {}
    for name, _ in module.named_parameters():
        path, kind = name.rsplit(".", 1)
        path = "softmax2" if path == "logits" else path.removesuffix(".conv").replace(".", "_")
        names[name] = f"{path}_{'w' if kind == 'weight' else 'b'}"
    return names
