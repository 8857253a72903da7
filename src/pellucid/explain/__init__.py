"""The building blocks put together for one image."""

from ._explain import explain as explain
from ._explanation import Explanation as Explanation
from ._parts import (
    ChannelAttribution as ChannelAttribution,
    ClassScore as ClassScore,
    Experiments as Experiments,
    GroupFlow as GroupFlow,
    Icons as Icons,
    SemanticDictionary as SemanticDictionary,
)
