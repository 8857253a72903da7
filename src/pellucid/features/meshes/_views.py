"""A parametrization whose images are views of one mesh with one texture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import Fourier, Parametrization, Shape
from ._mesh import Mesh
from ._rasterize import Camera, rasterize

# Samples of a pixel along each side: what is finer than a pixel, as a texture seen at a slant is, becomes its mean.
_SAMPLES = 2
# A light beside the camera, up and to the left; how bright a surface is that turns away from it.
_LIGHT = np.array([-0.4, 0.6, 0.8]) / np.linalg.norm([-0.4, 0.6, 0.8])
_AMBIENT = 0.6
_TEXELS = 16, 4096


@dataclass(frozen=True, eq=False)
class Surface:
    """Views of a mesh, as far as they do not depend on its texture.

    Args:
        u, v: float32 [views, height, width, samples]: places on the texture.
        light: float32 of the same shape: how bright a sample is, 0 outside of the mesh.
        opacity: float32 [views, height, width], the share of a pixel's samples that show the mesh.
    """

    u: Tensor
    v: Tensor
    light: Tensor
    opacity: Tensor


def surface(mesh: Mesh, cameras: Sequence[Camera], size: tuple[int, int]) -> Surface:
    """The views of a mesh at a size, height and width in px."""
    views = []
    for camera in cameras:
        raster = rasterize(mesh, camera, (size[0] * _SAMPLES, size[1] * _SAMPLES))
        light = _AMBIENT + (1 - _AMBIENT) * (raster.normals @ _LIGHT).clip(0)
        layers = [raster.coordinates[..., 0], raster.coordinates[..., 1], light * raster.covered, raster.covered]
        samples = np.stack(layers).astype(np.float32).reshape(4, size[0], _SAMPLES, size[1], _SAMPLES)
        views.append(samples.transpose(0, 1, 3, 2, 4).reshape(4, *size, _SAMPLES**2))
    u, v, light, covered = torch.from_numpy(np.stack(views, 1)).unbind()
    return Surface(u, v, light, covered.mean(-1))


def show(texture: Tensor, seen: Surface) -> Tensor:
    """The views with a texture: [textures · views, channels + 1, height, width], the last channel opacity.

    Args:
        texture: [textures, channels, rows, columns]; it repeats beyond its edges, where the mesh wraps.
    """
    count, channels, rows, columns = texture.shape
    views, height, width, samples = seen.u.shape
    # A border of what lies at the other edge; then texel k has its centre at k + 1, of columns + 2.
    padded = F.pad(texture, (1, 1, 1, 1), mode="circular")
    x = ((seen.u % 1) * columns + 0.5) / (columns + 1) * 2 - 1
    y = ((-seen.v % 1) * rows + 0.5) / (rows + 1) * 2 - 1
    places = torch.stack([x, y], -1).view(1, views * height, width * samples, 2).expand(count, -1, -1, -1)
    colours = F.grid_sample(padded, places, mode="bilinear", padding_mode="border", align_corners=True)
    colours = colours.view(count, channels, views, height, width, samples).transpose(1, 2)
    lit = (colours * seen.light[:, None]).mean(-1) / seen.opacity[:, None].clamp(min=1 / samples)
    opacity = seen.opacity[None, :, None].expand(count, -1, -1, -1, -1)
    return torch.cat([lit, opacity], 2).flatten(0, 1)


@dataclass(frozen=True, eq=False)
class TexturedViews:
    """The images of a job are views of one mesh; what is optimized is its texture, which they share.

    Each is the texture where the mesh shows it, times the light that falls there, with an opacity of 0 outside of the
    mesh: the loop shows it on other random grounds at every step. A job needs as many copies as there are cameras.
    `render_texture` does all of it.

    Args:
        mesh: what is seen.
        cameras: from where; one for each image.
        texture_size: height and width of the texture, texels.
        texture: how the texture is parametrized. The Fourier kind repeats without a seam, as textures do.

    Example:
        >>> cameras = pellucid.meshes.cameras_around(3)
        >>> views = pellucid.meshes.TexturedViews(pellucid.meshes.torus(), cameras, texture_size=(64, 128))
        >>> parameters = views.start((3, 32, 32), 3, torch.Generator().manual_seed(0))
        >>> views.decode(parameters, (3, 32, 32)).shape, views.paint(parameters, 3).shape
        (torch.Size([3, 4, 32, 32]), torch.Size([1, 3, 64, 128]))
    """

    mesh: Mesh
    cameras: tuple[Camera, ...]
    texture_size: tuple[int, int]
    texture: Parametrization = field(default_factory=Fourier)
    learning_rate: ClassVar[float] = 0.07
    betas: ClassVar[tuple[float, float]] = (0.0, 0.9)

    def start(self, shape: Shape, copies: int, generator: torch.Generator) -> list[Tensor]:
        return self.texture.start((shape[0], *self.texture_size), 1, generator)

    def decode(self, parameters: Sequence[Tensor], shape: Shape) -> Tensor:
        return show(self.paint(parameters, shape[0]), self._surface(shape[1:], parameters[0].device))

    def paint(self, parameters: Sequence[Tensor], channels: int) -> Tensor:
        """The texture itself: [jobs, channels, rows, columns], values in (0, 1)."""
        return self.texture.decode(parameters, (channels, *self.texture_size))

    def _surface(self, size: tuple[int, int], device: torch.device) -> Surface:
        made = self._surfaces
        if (size, device) not in made:
            made[size, device] = Surface(
                **{name: value.to(device) for name, value in vars(surface(self.mesh, self.cameras, size)).items()}
            )
        return made[size, device]

    @cached_property
    def _surfaces(self) -> dict[tuple[tuple[int, int], torch.device], Surface]:
        return {}


def usual_texture_size(mesh: Mesh, cameras: Sequence[Camera], size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a texture that is about as fine as the views: a texel a pixel, where it is seen head-on."""
    pixels = max(camera.zoom for camera in cameras) * min(size) / 2 / mesh.radius
    width, height = (min(max(8 * math.ceil(side * pixels / 8), _TEXELS[0]), _TEXELS[1]) for side in mesh.extent)
    return height, width
