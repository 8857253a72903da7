"""Controls and measures that yield Evidence."""

from ._evidence import Evidence as Evidence, compare_with_removals as compare_with_removals, correlation as correlation
from ._removal import measure_removals as measure_removals
