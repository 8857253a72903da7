"""Controls and measures that yield Evidence."""

from ._evidence import Evidence as Evidence, correlation as correlation
from ._intervene import (
    ClassChange as ClassChange,
    Effect as Effect,
    intervene as intervene,
    intervene_each as intervene_each,
)
from ._units import Region as Region
