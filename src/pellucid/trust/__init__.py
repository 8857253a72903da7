"""Controls and measures that yield Evidence."""

from ._evidence import Evidence as Evidence, compare_with_removals as compare_with_removals, correlation as correlation
from ._intervene import (
    ClassChange as ClassChange,
    Effect as Effect,
    intervene as intervene,
    intervene_each as intervene_each,
)
from ._removal import measure_removals as measure_removals
from ._units import Region as Region
