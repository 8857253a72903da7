"""Controls and measures that yield Evidence."""

from ._curves import Curves as Curves, removal_curves as removal_curves
from ._evidence import (
    Evidence as Evidence,
    correlation as correlation,
    correlation_interval as correlation_interval,
)
from ._exemplars import (
    Exemplar as Exemplar,
    Feature as Feature,
    Survey as Survey,
    as_feature as as_feature,
    survey_images as survey_images,
)
from ._intervene import (
    ClassChange as ClassChange,
    Effect as Effect,
    intervene as intervene,
    intervene_each as intervene_each,
)
from ._randomized import Randomization as Randomization, randomize_cascade as randomize_cascade
from ._rendering_evidence import (
    ACTIVATION as ACTIVATION,
    IDENTIFICATION as IDENTIFICATION,
    SAME_CAUSE as SAME_CAUSE,
    RenderingEvidence as RenderingEvidence,
    holding as holding,
    misleading as misleading,
)
from ._renderings import evidence_at_hand as evidence_at_hand, judge_renderings as judge_renderings
from ._stability import Stability as Stability, stability as stability
from ._units import Region as Region
