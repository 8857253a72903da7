"""The activation atlas: a map of everything that a layer saw in many images."""

from ._atlas import Atlas as Atlas, open_atlas as open_atlas
from ._build import add_images as add_images, build_atlas as build_atlas
from ._cells import Cells as Cells
