"""Truncated runs: read activations, give gradients, intervene."""

from ._record import Activations as Activations, record as record
from ._run import run as run
