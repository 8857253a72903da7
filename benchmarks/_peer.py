"""torch-lucent beside Pellucid: installed by the benchmark into a folder of its own, never by the project."""

import os
import subprocess
import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FOLDER = Path(os.environ.get("PELLUCID_PEERS", Path(__file__).parent / "peers"))
_PACKAGES = ["torch-lucent==0.1.8", "decorator", "tqdm"]


def install() -> None:
    """torch-lucent 0.1.8 with `--no-deps`, and what it imports; nothing of it touches the project's environment."""
    if not (FOLDER / "lucent").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(FOLDER), *_PACKAGES]
        subprocess.run(command, check=True)
    sys.path.insert(0, str(FOLDER))
    _let_torchvision_import()
    _stand_in_for_imports()


def _let_torchvision_import() -> None:
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    try:
        torch.ops.load_library(str(Path(spec.origin).with_name("_C.so")))
    except OSError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _stand_in_for_imports() -> None:
    """The four functions of old kornia that lucent calls; today's has none under these names."""

    def translate(image: Tensor, shift: Tensor) -> Tensor:
        return _warp(image, torch.tensor([[[1.0, 0.0, shift[0, 0]], [0.0, 1.0, shift[0, 1]]]]), tuple(image.shape[2:]))

    def rotation(center: Tensor, angle: Tensor, scale: Tensor) -> Tensor:
        radians = torch.deg2rad(angle)
        a, b = scale[:, 0] * torch.cos(radians), scale[:, 0] * torch.sin(radians)
        x, y = center[:, 0], center[:, 1]
        rows = [torch.stack([a, b, (1 - a) * x - b * y], 1), torch.stack([-b, a, b * x + (1 - a) * y], 1)]
        return torch.stack(rows, 1)

    def warp(image: Tensor, matrix: Tensor, dsize: tuple[int, int]) -> Tensor:
        return _warp(image, matrix, dsize)

    kornia = types.ModuleType("kornia")
    geometry, transform = types.ModuleType("kornia.geometry"), types.ModuleType("kornia.geometry.transform")
    kornia.__version__ = "0.6.0"  # type: ignore[attr-defined]
    kornia.get_rotation_matrix2d, kornia.warp_affine = rotation, warp  # type: ignore[attr-defined]
    transform.translate = translate  # type: ignore[attr-defined]
    # Lucent imports IPython to show images; nothing is shown here.
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.display = display  # type: ignore[attr-defined]
    sys.modules.setdefault("IPython", ipython)
    sys.modules.setdefault("IPython.display", display)
    sys.modules.update({"kornia": kornia, "kornia.geometry": geometry, "kornia.geometry.transform": transform})


def _warp(image: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """The image moved by a forward 2×3 matrix in pixels: what kornia's `warp_affine` computes."""
    count, channels, height, width = image.shape
    last = torch.tensor([0.0, 0.0, 1.0]).expand(len(matrix), 1, 3)
    inverse = torch.linalg.inv(torch.cat([matrix, last], 1))
    # Pixels to −1…1 with corners aligned, on both sides.
    to_unit = torch.tensor([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])
    from_unit = torch.linalg.inv(torch.tensor([[2 / (size[1] - 1), 0, -1], [0, 2 / (size[0] - 1), -1], [0, 0, 1.0]]))
    theta = (to_unit @ inverse @ from_unit)[:, :2].expand(count, 2, 3)
    grid = F.affine_grid(theta, [count, channels, *size], align_corners=True)
    return F.grid_sample(image, grid, align_corners=True)


def lucent_steps(
    module: nn.Module,
    layer: str,
    channels: list[int],
    *,
    size: int,
    steps: int,
    on_step: Callable[[], None],
    seed: int = 0,
) -> Tensor:
    """Render with torch-lucent's own code: Fourier image, standard transforms, Adam at 0.05, parameters as they come.

    Args:
        module: takes images in [0, 1].
        layer: path of a submodule.
        channels: one image for each, optimized in one batch by hand where there are several.
        on_step: called after each step.

    Returns:
        The images, [n, 3, size, size] in [0, 1].
    """
    import numpy as np
    from lucent.optvis import objectives, param, render  # type: ignore[import-not-found]

    torch.manual_seed(seed)
    np.random.seed(seed)
    # Lucent names layers by underscores, and reads a digit after a colon as a channel.
    name = layer.replace(".", "_")
    if len(channels) == 1:
        goal = objectives.channel(name, channels[0])
    else:
        goal = objectives.Objective.sum([objectives.channel(name, c, batch=i) for i, c in enumerate(channels)])
    made: list[Tensor] = []

    def parameters():
        params, image = param.image(size, batch=len(channels))
        made.append(image)
        return params, image

    class Adam(torch.optim.Adam):
        def step(self, closure=None):
            result = super().step(closure)
            on_step()
            return result

    render.render_vis(
        module,
        goal,
        parameters,
        optimizer=lambda params: Adam(params, lr=0.05),
        thresholds=(steps,),
        preprocess=False,
        progress=False,
        show_image=False,
    )
    return made[0]().detach()
