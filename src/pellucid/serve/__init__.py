"""Pages that explain photos while one looks: a local web application."""

from ._limits import Limits as Limits
from ._run import serve as serve
