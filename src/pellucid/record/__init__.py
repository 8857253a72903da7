"""Truncated runs: read activations, give gradients, intervene."""

from ._record import Activations as Activations, record as record
from ._run import run as run
from ._slice import Slice as Slice, Untraceable as Untraceable, slice_network as slice_network
from ._tail import Tail as Tail
