"""The activation atlas: a map of everything that a layer saw in many images."""

from ._atlas import Atlas as Atlas, open_atlas as open_atlas
from ._build import add_images as add_images, build_atlas as build_atlas
from ._cells import Cells as Cells
from ._classes import ClassMap as ClassMap, class_atlas as class_atlas, compare_classes as compare_classes
from ._icons import CellIcons as CellIcons
from ._page import to_bundle as to_bundle
from ._pasting import Share as Share, paste as paste, wilson as wilson
from ._patches import Trial as Trial, search_patches as search_patches, try_patch as try_patch
from ._place import Placed as Placed, place_photo as place_photo
from ._project import project as project
from .sources import Images as Images, open_images as open_images
