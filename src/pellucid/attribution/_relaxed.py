"""Max pools whose gradient does not depend on which of several near-equal inputs happened to win."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

# Keeps the ratio of averages finite where a window holds nothing; from the source of Building Blocks (2018).
_FLOOR = 1e-2
_BLUR = torch.tensor([[0.0625, 0.125, 0.0625], [0.125, 0.25, 0.125], [0.0625, 0.125, 0.0625]])


class _RelaxedMaxPool(torch.autograd.Function):
    """A max pool with the gradient of avgpool(h²) / (0.01 + avgpool|h|), blurred where the pool strides."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, kernel: Any, stride: Any, padding: Any, ceil_mode: bool) -> Tensor:
        ctx.save_for_backward(input)
        ctx.options = (kernel, stride, padding, ceil_mode)
        return F.max_pool2d(input, kernel, stride, padding, 1, ceil_mode)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (input,), (kernel, stride, padding, ceil_mode) = ctx.saved_tensors, ctx.options
        with torch.enable_grad():
            leaf = input.detach().requires_grad_()
            # Padding is left out of the averages, as it never wins a maximum.
            square, size = (
                F.avg_pool2d(part, kernel, stride, padding, ceil_mode, count_include_pad=False)
                for part in (leaf.square(), leaf.abs())
            )
            (gradient,) = torch.autograd.grad(square / (_FLOOR + size), leaf, gradients[0])
        if stride not in (1, (1, 1), [1, 1]):
            gradient = _blurred(gradient)
        return gradient, None, None, None, None


def _blurred(gradient: Tensor) -> Tensor:
    """A 3×3 blur; at the edge of the grid the weights of what lies outside go to what lies inside."""
    channels = gradient.shape[1]
    kernel = _BLUR.to(gradient).expand(channels, 1, 3, 3)
    inside = F.conv2d(torch.ones_like(gradient[:1, :1]), kernel[:1], padding=1)
    return F.conv2d(gradient, kernel, padding=1, groups=channels) / inside


class RelaxedMaxPools(TorchFunctionMode):
    """While it is entered, every max pool with gradients is a relaxed one, whoever calls it.

    Source: Olah et al., The Building Blocks of Interpretability, Distill 2018, doi 10.23915/distill.00010.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (F.max_pool2d, torch.max_pool2d):
            relaxed = _relax(*args, **kwargs)
            if relaxed is not None:
                return relaxed
        return func(*args, **kwargs)


def _relax(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    """The relaxed pool, or `None` where there is none: dilated windows cannot be averaged, indices not relaxed."""
    if not input.requires_grad or return_indices or dilation not in (1, (1, 1), [1, 1]):
        return None
    return _RelaxedMaxPool.apply(input, kernel_size, stride or kernel_size, padding, ceil_mode)
