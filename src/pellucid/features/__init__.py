"""Feature visualization: images that make a unit fire."""

from . import images as images, objectives as objectives, transforms as transforms
from ._render import render as render
from ._rendering import Rendering as Rendering, load_rendering as load_rendering
