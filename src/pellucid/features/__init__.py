"""Feature visualization: images that make a unit fire."""

from . import images as images, meshes as meshes, objectives as objectives, transforms as transforms
from ._dream import dream as dream
from ._grid import ActivationGrid as ActivationGrid, cut_out as cut_out, preview_grid as preview_grid
from ._render import find_rendered as find_rendered, render as render
from ._render_grid import render_grid as render_grid
from ._rendering import Rendering as Rendering, load_rendering as load_rendering
from ._studies import (
    render_accentuation as render_accentuation,
    render_caricature as render_caricature,
    render_diverse as render_diverse,
    render_interpolation as render_interpolation,
    render_inversion as render_inversion,
    render_magnitude_constrained as render_magnitude_constrained,
    render_style as render_style,
)
from ._textures import (
    TexturedMesh as TexturedMesh,
    render_texture as render_texture,
    render_texture_style as render_texture_style,
)
