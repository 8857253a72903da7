"""Options that several commands share."""

from typing import Any

import click

MODEL = click.option("--model", "name", default="tiny_inception", show_default=True, help="See `pellucid models`.")
WEIGHTS = click.option("--weights", type=click.Path(), help="File or folder of weights, instead of looking for them.")
SEED = click.option("--seed", default=0, show_default=True, help="Of all randomness.")
QUIET = click.option("--quiet", is_flag=True, help="No progress bars.")


def load_model(name: str, weights: str | None, progress: Any) -> Any:
    from ..models import load

    return load(name, weights=weights, progress=progress)
