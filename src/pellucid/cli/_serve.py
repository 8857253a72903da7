"""`pellucid serve`."""

import re
from functools import partial
from pathlib import Path

import click

from ._options import WEIGHTS

_UNITS = {"m": 60, "h": 3600, "d": 24 * 3600}


class _Time(click.ParamType):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", str(value).strip())
        if not found:
            self.fail(f"{value!r} is not a time such as 30m, 12h or 7d.", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.command(short_help="Serve pages that explain dropped photos.")
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]…", type=click.Path())
@click.option("--model", "names", multiple=True, help="Networks to choose from.  [default: tiny_inception]")
@WEIGHTS
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0 for any that is free.  [default: 8391, or the next that is free]"
)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where explanations are kept.")
@click.option("--retention", default="7d", show_default=True, type=_Time(), help="How long they are kept.")
@click.option("--token", envvar="PELLUCID_TOKEN", help="What people need beyond this machine.  [default: made up]")
@click.option("--open", "browse", is_flag=True, help="Open the page in the browser.")
def serve(
    bundles: tuple[str, ...],
    names: tuple[str, ...],
    weights: str | None,
    host: str,
    port: int | None,
    folder: Path | None,
    retention: float,
    token: str | None,
    browse: bool,
) -> None:
    """Serve pages that explain dropped photos while one looks; also each BUNDLE of `explain`, `atlas` or `trust`.

    Nothing that is sent leaves this machine. Ctrl-C ends it.

    \b
    Examples:
      pellucid serve
      pellucid serve --model tiny_inception --model inception_v1 --open
      pellucid serve report.zip atlas.zip
    """
    from ..events import silent
    from ..serve import Limits, serve as run
    from ._options import load_model

    wanted = names or ("tiny_inception",)
    if weights is not None and len(wanted) > 1:
        raise click.BadParameter("--weights is for one network; name one --model with it.")

    def ready(address: str) -> None:
        click.echo(f"Pellucid is at {address}")
        if browse:
            click.launch(address)

    run(
        bundles,
        models={name: partial(load_model, name, weights, silent) for name in wanted},
        host=host,
        port=port,
        folder=folder,
        limits=Limits(retention_seconds=retention),
        token=token,
        ready=ready,
    )
