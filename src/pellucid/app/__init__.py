"""The web pages and the hosts that show them."""

from ._export import (
    export_html as export_html,
    export_site as export_site,
    page_html as page_html,
    save_bundle as save_bundle,
    served_html as served_html,
)
from ._notebook import (
    PAGE_HEIGHT as PAGE_HEIGHT,
    frame_html as frame_html,
    in_kernel as in_kernel,
    output_below as output_below,
    output_beside as output_beside,
    page_below as page_below,
)
