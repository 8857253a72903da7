"""The exceptions Pellucid raises.

    PellucidError
    ├── InputError          a picture, array or setting that cannot be used   (also ValueError)
    ├── TargetError         a layer, unit or text that names nothing          (also LookupError)
    ├── ModelError          a model that cannot be loaded, run or read        (also RuntimeError)
    ├── WeightsError        weights that are missing, incomplete or wrong     (also RuntimeError)
    │   └── DownloadError   weights that could not be fetched
    ├── BundleError         a bundle or cache entry that cannot be read       (also ValueError)
    ├── ResourceError       memory or disk that ran out                       (also RuntimeError)
    └── MissingExtraError   an optional package that is not installed         (also ImportError)

Every message says what was given, what was expected and the nearest fix, in one sentence.
"""


class PellucidError(Exception):
    """The root of every exception that Pellucid raises on purpose."""


class InputError(PellucidError, ValueError):
    """A picture, array or setting cannot be used."""


class TargetError(PellucidError, LookupError):
    """A layer, unit, class or their text form names nothing in this model."""


class ModelError(PellucidError, RuntimeError):
    """A model cannot be loaded, run or understood."""


class WeightsError(PellucidError, RuntimeError):
    """Weights are missing, incomplete, or not those of this model."""


class DownloadError(WeightsError):
    """Weights could not be fetched."""


class BundleError(PellucidError, ValueError):
    """A bundle or cache entry is damaged, or of a schema that this version does not read."""


class ResourceError(PellucidError, RuntimeError):
    """Memory or disk space ran out."""


class MissingExtraError(PellucidError, ImportError):
    """An optional package is needed and not installed."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The exception for an optional `package` that `pip install 'pellucid[extra]'` provides.

    Example:
        >>> str(missing_extra("umap-learn", "atlas"))
        "umap-learn is not installed; pip install 'pellucid[atlas]' provides it."
    """
    return MissingExtraError(f"{package} is not installed; pip install 'pellucid[{extra}]' provides it.")
