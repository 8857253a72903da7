"""Pages of explanations and atlases as widgets of a notebook; needs `pip install 'pellucid[notebook]'`."""

from ..errors import missing_extra

try:
    import anywidget as _anywidget  # noqa: F401
except ModuleNotFoundError:
    raise missing_extra("anywidget", "notebook") from None

from ._atlas_widget import AtlasWidget as AtlasWidget
from ._explanation_widget import ExplanationWidget as ExplanationWidget
from ._page_widget import PageWidget as PageWidget
