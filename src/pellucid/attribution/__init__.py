"""What a layer's units add to a decision, or to a later layer."""

from ._attribute import (
    Method as Method,
    attribute as attribute,
    attribute_many as attribute_many,
)
from ._attribution import Attribution as Attribution
from ._removal import from_removals as from_removals
from ._strength import strength as strength
