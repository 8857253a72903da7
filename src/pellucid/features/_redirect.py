"""A way out of dead starts: where no gradient passes a ReLU, let it through for the first steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class _RedirectedReLU(torch.autograd.Function):
    """ReLU whose gradient, where it is zero everywhere for an image, passes wherever it pushes the input up."""

    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        output = input.clamp(min=0)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (output,), (gradient,) = ctx.saved_tensors, gradients
        plain = gradient * (output > 0)
        dead = plain == 0
        for axis in range(1, plain.ndim):
            dead = dead.all(axis, keepdim=True)
        # The loss is minimized: a negative gradient is one that asks for more input.
        return torch.where(dead, gradient.clamp(max=0), plain) if dead.any() else plain


_RELUS = {torch.relu, torch.relu_, F.relu, F.relu_, Tensor.relu, Tensor.relu_}


class RedirectedReLUs(TorchFunctionMode):
    """While it is entered, every ReLU with gradients is a redirected one, whoever calls it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _RELUS and args and isinstance(args[0], Tensor) and args[0].requires_grad:
            return _RedirectedReLU.apply(args[0])
        return func(*args, **(kwargs or {}))
