"""How much each unit of a layer adds to a class: activation times gradient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError
from ..models import Layer, Model, borrowed
from ..record import run
from ..targets import LOGITS


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each unit of a layer adds to one number of the model's output, on one image.

    Args:
        layer: where.
        class_index: the output that is explained.
        values: float32 [rows, columns, channels], in units of the logit; positive supports it.
    """

    layer: Layer
    class_index: int
    values: np.ndarray

    def positions(self) -> np.ndarray:
        """The sum over channels: [rows, columns]."""
        return self.values.sum(2)

    def by_channel(self) -> np.ndarray:
        """The sum over positions: [channels]."""
        return self.values.sum((0, 1))


def attribute_classes(model: Model, image: Tensor, layer: str, classes: Sequence[int | str]) -> list[Attribution]:
    """The attribution of each class to a layer, a = h · ∂logit/∂h: exact where the rest of the network is linear.

    The network runs once; each class costs a backward pass from the logits to the layer.

    Args:
        model: it comes back as it was.
        image: [channels, height, width], sRGB in [0, 1].
        layer: name of a grid or token layer.
        classes: numbers or labels.

    Raises:
        TargetError: no such layer or class.
        ModelError: the class does not depend on the layer.

    Source: Olah et al., The Building Blocks of Interpretability, Distill 2018, doi 10.23915/distill.00010.

    Example:
        >>> attribute_classes(model, image, "8", [0])[0].positions().shape
        (10, 10)
    """
    place = model.layer(layer)
    indices = [model.class_index(label) for label in classes]
    images = model.check_images(image[None])
    leaves: list[Tensor] = []

    def cut(grid: Tensor) -> Tensor:
        leaves.append(grid.detach().requires_grad_())
        return leaves[0].clone()  # what follows may work in place, which a leaf does not allow

    with borrowed(model.module), torch.enable_grad():
        logits = run(model, images, [LOGITS], edits={place.name: cut})[LOGITS].flatten(1)
        if not logits.requires_grad:
            raise ModelError(f"the logits of {model.name} do not depend on {place.name}.")
        results = []
        for number, index in enumerate(indices):
            (gradient,) = torch.autograd.grad(logits[0, index], leaves[0], retain_graph=number + 1 < len(indices))
            values = (leaves[0].detach() * gradient)[0].float().permute(1, 2, 0).cpu().numpy()
            results.append(Attribution(place, index, np.ascontiguousarray(values)))
    return results
