"""Models: a module with its layers, preprocessing and labels."""

from ._embedded import (
    ChannelStatistics as ChannelStatistics,
    example_photos as example_photos,
    load_channel_statistics as load_channel_statistics,
)
from ._inception_v1 import InceptionV1 as InceptionV1
from ._layers import Layer as Layer
from ._load import Known as Known, known_models as known_models, load as load
from ._model import Model as Model, borrowed as borrowed, wrap as wrap
from ._receptive import receptive_fields as receptive_fields
from ._usual import stages as stages, usual_layers as usual_layers
from ._view import View as View, view as view
