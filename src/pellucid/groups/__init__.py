"""A layer's activations as a few groups: non-negative matrix factorization, principal components, aligned groups."""

from ._align import align_groups as align_groups
from ._factorize import factorize as factorize, factorize_range as factorize_range
from ._groups import Groups as Groups
