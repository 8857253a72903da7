"""Solids with a texture: triangle meshes, cameras around them, and what each pixel of a view shows of the texture.

Only the texture is optimized, never the shape. So a view is rasterized once, into a map from pixels to places on the
texture; the picture is the texture sampled there, which has a gradient, on any machine and without a graphics card.
Axes are those of Wavefront OBJ: x to the right, y up, z towards who looks from azimuth 0. Texture coordinates (u, v)
run from 0 to 1, u to the right and v upwards, and textures repeat beyond.
"""

from ._mesh import Mesh as Mesh
from ._obj import read_mesh as read_mesh
from ._rasterize import Camera as Camera, Raster as Raster, cameras_around as cameras_around, rasterize as rasterize
from ._shapes import (
    revolve as revolve,
    sphere as sphere,
    torus as torus,
    torus_knot as torus_knot,
    vase as vase,
)
from ._views import TexturedViews as TexturedViews
