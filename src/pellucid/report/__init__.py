"""What to believe of a network: pictures of its units, attribution methods and groups, each put to the test."""

from ._report import LayerReport as LayerReport, ModelReport as ModelReport
from ._report_model import report_model as report_model
