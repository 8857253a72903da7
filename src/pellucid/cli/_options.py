"""Options that several commands share."""

from typing import Any

import click

_MODELS = ("tiny_inception", "inception_v1", "timm:", "torchvision:")


def complete_model(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """What the shell offers for a model that is being typed."""
    return [name for name in _MODELS if name.startswith(incomplete)]


MODEL = click.option(
    "--model",
    "name",
    default="tiny_inception",
    show_default=True,
    shell_complete=complete_model,
    help="See `pellucid models`.",
)
WEIGHTS = click.option("--weights", type=click.Path(), help="File or folder of weights.  [default: looked for]")
SEED = click.option("--seed", default=0, show_default=True, help="Of all randomness.")
QUIET = click.option("--quiet", is_flag=True, help="No progress bars.")


def load_model(name: str, weights: str | None, progress: Any) -> Any:
    from ..models import load

    return load(name, weights=weights, progress=progress)
