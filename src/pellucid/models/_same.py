"""Convolution, pooling and normalization as TensorFlow 1 computed them, for weights that were trained there."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros to add before and after one axis under TensorFlow's "SAME" rule.

    The output has ⌈length / stride⌉ entries; an odd number of zeros puts the extra one at the end.
    """
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution with "SAME" padding, which is asymmetric where the stride is 2 and the size even."""

    def forward(self, input: Tensor) -> Tensor:
        top, bottom = same_padding(input.shape[-2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(input.shape[-1], self.kernel_size[1], self.stride[1])
        if (top, left) == (bottom, right):
            return F.conv2d(input, self.weight, self.bias, self.stride, (top, left))
        return F.conv2d(F.pad(input, (left, right, top, bottom)), self.weight, self.bias, self.stride)


class SameMaxPool2d(nn.Module):
    """A 3×3 max pool with "SAME" padding.

    Padding never wins a maximum, so the asymmetric case (even size, stride 2) is what `ceil_mode` computes.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        padding = [same_padding(length, 3, self.stride)[0] for length in input.shape[-2:]]
        return F.max_pool2d(input, 3, self.stride, padding, ceil_mode=True)

    def extra_repr(self) -> str:
        return f"3, stride={self.stride}"


class _Normalize(torch.autograd.Function):
    """x · r for r = (k + α Σ x²)^-½, with a gradient in four passes over memory instead of autograd's ten."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, band: Tensor, offset: Tensor) -> Tensor:
        root = F.conv2d(input * input, band, offset).rsqrt_()
        output = input * root
        ctx.save_for_backward(input, output, root, band)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # type: ignore[override]  # the decorator hides the names
        input, output, root, band = ctx.saved_tensors
        direct = grad_outputs[0] * root
        # ∂L/∂x_j = g_j r_j − x_j Σ_i α_ij g_i x_i r_i³, and the band is symmetric.
        through = F.conv2d((direct * output).mul_(root), band)
        return direct.addcmul_(input, through, value=-1), None, None


class LocalResponseNorm(nn.Module):
    """x / √(k + α Σ x²) over a window of 11 channels centred on each: β is ½ in InceptionV1.

    The window sum is a 1×1 convolution with a banded matrix: one matrix product instead of the 3-D pooling of
    `torch.nn.LocalResponseNorm`, which costs ten times as much on a CPU. α is not divided by the size of the window,
    as in TensorFlow.
    """

    band: Tensor

    def __init__(self, channels: int, size: int = 11, alpha: float = 1e-4, k: float = 2.0) -> None:
        super().__init__()
        self.channels, self.size, self.alpha, self.k = channels, size, alpha, k
        distance = torch.arange(channels)[:, None] - torch.arange(channels)[None, :]
        band = (distance.abs() <= size // 2).float() * alpha
        self.register_buffer("band", band[:, :, None, None], persistent=False)
        self.register_buffer("offset", torch.full((channels,), k), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return _Normalize.apply(input, self.band, self.offset)

    def extra_repr(self) -> str:
        return f"{self.channels}, size={self.size}, alpha={self.alpha:g}, k={self.k:g}"
