"""The web pages and the hosts that show them."""

from ._export import export_html as export_html, page_html as page_html
