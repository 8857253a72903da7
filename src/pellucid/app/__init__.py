"""The web pages and the hosts that show them."""

from ._export import export_html as export_html, export_site as export_site, page_html as page_html
