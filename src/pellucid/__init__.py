"""See what a vision network sees, and test why it decides."""

__version__ = "0.1.0"

from .atlas import Atlas as Atlas, build_atlas as build_atlas, open_atlas as open_atlas
from .attribution import Attribution as Attribution, attribute as attribute, attribute_many as attribute_many
from .errors import (
    BundleError as BundleError,
    DownloadError as DownloadError,
    InputError as InputError,
    MissingExtraError as MissingExtraError,
    ModelError as ModelError,
    PellucidError as PellucidError,
    ResourceError as ResourceError,
    TargetError as TargetError,
    WeightsError as WeightsError,
)
from .events import Event as Event
from .explain import Explanation as Explanation, explain as explain
from .features import (
    ActivationGrid as ActivationGrid,
    Rendering as Rendering,
    TexturedMesh as TexturedMesh,
    dream as dream,
    images as images,
    load_rendering as load_rendering,
    meshes as meshes,
    objectives as objectives,
    render as render,
    render_accentuation as render_accentuation,
    render_caricature as render_caricature,
    render_diverse as render_diverse,
    render_grid as render_grid,
    render_interpolation as render_interpolation,
    render_inversion as render_inversion,
    render_magnitude_constrained as render_magnitude_constrained,
    render_style as render_style,
    render_texture as render_texture,
    render_texture_style as render_texture_style,
    transforms as transforms,
)
from .groups import (
    Groups as Groups,
    align_groups as align_groups,
    factorize as factorize,
    factorize_range as factorize_range,
)
from .models import (
    Layer as Layer,
    Model as Model,
    example_photos as example_photos,
    known_models as known_models,
    load as load,
    wrap as wrap,
)
from .pictures import load_image as load_image
from .record import Activations as Activations, record as record
from .report import ModelReport as ModelReport, report_model as report_model
from .store import RenderCache as RenderCache
from .targets import (
    Channel as Channel,
    Direction as Direction,
    Group as Group,
    Logit as Logit,
    Neuron as Neuron,
    Position as Position,
    parse_target as parse_target,
)
from .trust import Effect as Effect, Region as Region, intervene as intervene, intervene_each as intervene_each
