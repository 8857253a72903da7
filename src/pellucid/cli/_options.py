"""Options that several commands share."""

import os
from pathlib import Path
from typing import Any

import click

from ..errors import InputError

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


class OutPath(click.Path):
    """A place to write to, refused before anything is computed where nothing can be written.

    Args:
        endings: that a file's name may have; a name without any is a folder.
    """

    def __init__(self, *endings: str) -> None:
        super().__init__()
        self.endings = endings

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path, option = Path(value), param.opts[0] if param else "--out"
        if self.endings and path.suffix and path.suffix.lower() not in self.endings:
            known = " or ".join(self.endings)
            self.fail(f"{value} ends in {path.suffix}; expected {known}.", param, ctx)
        above = next((folder for folder in path.absolute().parents if folder.exists()), path.absolute())
        if not above.is_dir():
            raise InputError(
                f"cannot write {value}: {above} is a file, not a folder; name another place with {option}."
            )
        if not os.access(above, os.W_OK):
            raise InputError(f"cannot write {value}: {above} may not be written to; name another place with {option}.")
        return super().convert(value, param, ctx)


def load_model(name: str, weights: str | None, progress: Any) -> Any:
    from ..models import load

    return load(name, weights=weights, progress=progress)
