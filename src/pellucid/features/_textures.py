"""Textures of solids: one that makes a target fire from every side, or that carries the style of an image."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..events import Progress, silent
from ..figures import sheet
from ..models import Model, borrowed
from ..pictures import opaque, to_picture
from ..store import RenderCache, write_file
from ._optimize import Job, Settings
from ._render import (
    Goal,
    Precision,
    _learning_rate,
    _precision,
    _provenance,
    _render_missing,
    height_and_width,
)
from ._rendering import Rendering
from ._studies import STEADY, style_objective
from .images import Fourier, Parametrization
from .meshes import Camera, Mesh, TexturedViews, cameras_around
from .meshes._obj import obj_files
from .meshes._views import show, surface, usual_texture_size
from .objectives import as_objective, to_json
from .transforms import Transform, Window, standard

_STEPS = 128
_MOVING = {".gif": "GIF", ".webp": "WEBP"}


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A solid with a texture.

    Args:
        mesh: its shape.
        texture: float32 [rows, columns, channels], sRGB in [0, 1], the uppermost row first.
        views: from where it was optimized, with opacity, and what each was worth; everything needed to make it again.
        cameras: one for each view.
    """

    mesh: Mesh
    texture: np.ndarray
    views: Rendering
    cameras: tuple[Camera, ...]

    def __repr__(self) -> str:
        rows, columns = self.texture.shape[:2]
        return f"<TexturedMesh of {self.views.targets[0].partition('~')[0]}: {rows}×{columns} texels on {self.mesh!r}>"

    def _repr_png_(self) -> bytes:
        """The views and the texture: what a notebook shows."""
        buffer = BytesIO()
        self.picture().save(buffer, "PNG")
        return buffer.getvalue()

    def look(self, cameras: Camera | Sequence[Camera], size: int | tuple[int, int] = 256) -> np.ndarray:
        """Views from other places: float32 [views, height, width, channels + 1], the last one opacity.

        Args:
            cameras: from where.
            size: height and width, px.

        Example:
            >>> solid = pellucid.render_texture(model, "8:1", pellucid.meshes.torus(), views=2, size=32, steps=2)
            >>> solid.look(pellucid.meshes.Camera(elevation=60), 128).shape
            (1, 128, 128, 4)
        """
        given = [cameras] if isinstance(cameras, Camera) else list(cameras)
        box = height_and_width(size)
        texture = torch.from_numpy(self.texture).permute(2, 0, 1)[None]
        # One at a time: a turntable of many views would not fit in the memory of a small machine.
        views = [show(texture, surface(self.mesh, [camera], box)) for camera in given]
        return torch.cat(views).permute(0, 2, 3, 1).contiguous().numpy()

    def turntable(self, frames: int = 36, size: int | tuple[int, int] = 256, elevation: float = 15.0) -> np.ndarray:
        """Views once around: float32 [frames, height, width, channels + 1], the last one opacity.

        Args:
            frames: evenly around the y axis.
            size: height and width, px.
            elevation: of the camera, degrees.

        Example:
            >>> solid = pellucid.render_texture(model, "8:1", pellucid.meshes.torus(), views=2, size=32, steps=2)
            >>> solid.turntable(8, size=64).shape
            (8, 64, 64, 4)
        """
        return self.look([Camera(360 * frame / frames, elevation) for frame in range(frames)], size)

    def picture(self, *, columns: int | None = None, side: int | None = None) -> Image.Image:
        """The views and the texture on one sheet: an RGB Pillow image.

        Args:
            columns, side: as in `pellucid.figures.sheet`.

        Example:
            >>> solid = pellucid.render_texture(model, "8:1", pellucid.meshes.torus(), views=2, size=32, steps=2)
            >>> solid.picture(side=96).size
            (304, 132)
        """
        captions = [f"azimuth {camera.azimuth:.0f}, elevation {camera.elevation:.0f}" for camera in self.cameras]
        return sheet([*self.views.images, self.texture], [*captions, "texture"], columns=columns, side=side)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a Wavefront OBJ file, with its material (MTL) and texture (PNG) beside it; returns the path.

        Any 3-D program opens it. Each file appears whole or not at all.

        Args:
            path: that ends in `.obj`.

        Raises:
            ResourceError: the disk is full.
            InputError: another ending, or a folder that cannot be written to.

        Example:
            >>> solid.save("cup.obj")                                    # doctest: +SKIP
            PosixPath('cup.obj')
        """
        path = Path(path)
        if path.suffix.lower() != ".obj":
            raise InputError(f"{path} does not end in .obj, which is what is written; a film is save_turntable's.")
        for name, content in obj_files(self.mesh, self.texture, path.stem).items():
            write_file(path if name.endswith(".obj") else path.with_name(name), content)
        return path

    def save_turntable(
        self,
        path: str | os.PathLike[str],
        frames: int = 36,
        size: int | tuple[int, int] = 256,
        elevation: float = 15.0,
        seconds: float = 4.0,
    ) -> Path:
        """Write the turning solid on white, as a film that repeats; returns the path.

        Args:
            path: that ends in `.gif` or `.webp`.
            frames, size, elevation: as in `turntable`.
            seconds: of one turn.

        Raises:
            ResourceError: the disk is full.
            InputError: another ending, or a folder that cannot be written to.

        Example:
            >>> solid.save_turntable("cup.gif")                          # doctest: +SKIP
            PosixPath('cup.gif')
        """
        path = Path(path)
        if path.suffix.lower() not in _MOVING:
            raise InputError(f"{path} does not end in {' or '.join(_MOVING)}, which is what is written.")
        first, *rest = [opaque(to_picture(view)) for view in self.turntable(frames, size, elevation)]
        content = BytesIO()
        duration = round(1000 * seconds / frames)
        first.save(content, _MOVING[path.suffix.lower()], save_all=True, append_images=rest, duration=duration, loop=0)
        write_file(path, content.getvalue())
        return path


def render_texture(
    model: Model,
    target: Goal,
    mesh: Mesh,
    *,
    views: int | Sequence[Camera] = 12,
    size: int | tuple[int, int] | None = None,
    texture_size: int | tuple[int, int] | None = None,
    steps: int = _STEPS,
    seed: int = 0,
    parametrization: Parametrization | None = None,
    transforms: Sequence[Transform] | None = None,
    learning_rate: float | None = None,
    precision: Precision = "auto",
    progress: Progress = silent,
) -> TexturedMesh:
    """A solid whose texture makes a target fire from every side (feature visualization on a mesh).

    One texture is optimized; at each step all views of it are shown to the network, lit from beside the camera, on
    other random grounds. The shape stays as it is. Ctrl-C returns what there is.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        target: text, target or objective; one that compares images, as `objectives.Interpolation`, compares the views.
        mesh: a solid of `pellucid.meshes`, or what `meshes.read_mesh` read.
        views: how many, spread around the mesh by `meshes.cameras_around`, or cameras. The time taken grows with them.
        size: height and width of the views, px; by default the model's own.
        texture_size: height and width of the texture, or both as one number; by default about a texel for each
            pixel where the surface is seen head-on, in the proportions that the texture has on it.
        steps: of the optimizer.
        seed: of all randomness.
        parametrization: of the texture, `images.Fourier()` by default: its pictures repeat without a seam.
        transforms: small random changes of the views, `transforms.standard()` by default.
        learning_rate: as in `render`.
        precision: as in `render`.
        progress: receives an event for each step.

    Raises:
        TargetError: the model has no such unit.
        InputError: a setting does not fit.
        ResourceError: the views do not fit in memory.

    Source: Mordvintsev, Pezzotti, Schubert, Olah, Differentiable Image Parameterizations, Distill 2018,
    doi 10.23915/distill.00012; there one random view at each step.

    Example:
        >>> solid = pellucid.render_texture(model, "8:1", pellucid.meshes.torus(), views=2, size=32, steps=2)
        >>> solid.texture.shape, solid.views.images.shape
        ((32, 80, 3), (2, 32, 32, 4))
    """
    began = time.perf_counter()
    cameras = tuple(cameras_around(views) if isinstance(views, int) else views)
    if not cameras:
        raise InputError("there are no views; expected 1 or more.")
    if not isinstance(mesh, Mesh):
        raise InputError(
            f"mesh is {type(mesh).__name__}; expected a Mesh, as meshes.torus() or meshes.read_mesh(path)."
        )
    if steps < 1:
        raise InputError(f"steps is {steps}; expected 1 or more.")
    shape = model.size if size is None else height_and_width(size)
    texels = usual_texture_size(mesh, cameras, shape) if texture_size is None else height_and_width(texture_size)
    seen = TexturedViews(mesh, cameras, texels, parametrization or Fourier())
    kind = seen.texture
    settings = Settings(
        size=shape,
        steps=steps,
        parametrization=seen,
        transforms=tuple(standard() if transforms is None else transforms),
        learning_rate=_learning_rate(kind, steps, "anneal") if learning_rate is None else learning_rate,
        betas=kind.betas,
        precision=_precision(precision, model),
        seed=seed,
    )
    objective = as_objective(target).checked(model)
    job = Job(objective, len(cameras), RenderCache.key(to_json(objective)))
    remarks: list[str] = []
    with borrowed(model.module):
        ((_, result),) = _render_missing(model, [job], [0], settings, None, progress, remarks)
    with torch.no_grad():
        texture = seen.paint(result.parameters, model.input_channels)[0]
    text = target.strip() if isinstance(target, str) else repr(objective)
    rendering = Rendering(
        images=result.images.permute(0, 2, 3, 1).contiguous().numpy(),
        objective=result.objective.numpy(),
        targets=tuple(f"{text}~{number + 1}" for number in range(len(cameras))),
        provenance={
            **_provenance(model, settings),
            "objectives": [to_json(objective)],
            "interrupted": result.interrupted,
            "remarks": remarks,
            "seconds": round(time.perf_counter() - began, 3),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return TexturedMesh(mesh, texture.permute(1, 2, 0).contiguous().numpy(), rendering, cameras)


def render_texture_style(
    model: Model, style: Tensor | np.ndarray, layers: Sequence[str], mesh: Mesh, **settings: Any
) -> TexturedMesh:
    """A solid that carries the style of an image (texture style transfer).

    The Gram matrices of some layers, averaged over all views and over where the solid is in them, are brought to those
    of the image.

    Args:
        style: [channels, height, width], sRGB in [0, 1]; any size.
        layers: whose Gram matrices are matched; early ones give fine texture, later ones larger patterns.
        mesh: as in `render_texture`.
        settings: passed on to `render_texture`; the transforms are small by default.

    Source: Mordvintsev et al. 2018, doi 10.23915/distill.00012, section Style Transfer 3D; without its content term,
    which keeps an older texture recognizable.

    Example:
        >>> solid = pellucid.render_texture_style(
        ...     model, torch.rand(3, 40, 40), ["6"], pellucid.meshes.torus(), views=2, size=32, steps=2
        ... )
        >>> solid.views.images.shape
        (2, 32, 32, 4)
    """
    settings.setdefault("transforms", (*STEADY, Window()))
    return render_texture(model, style_objective(model, style, layers, together=True), mesh, **settings)
