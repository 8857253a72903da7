"""What a layer's units add to a decision."""

from ._linear import Attribution as Attribution, attribute_classes as attribute_classes
