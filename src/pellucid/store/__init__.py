"""What is kept on disk between runs: whole or not at all, found by content."""

from ._files import write_file as write_file
from ._render_cache import SHIPPED as SHIPPED, RenderCache as RenderCache, cache_folder as cache_folder
from ._render_pack import Packed as Packed, RenderPack as RenderPack, write_pack as write_pack
