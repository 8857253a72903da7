"""The command line: `pellucid explain | render | dream | atlas | trust | serve | models | layers`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from .. import __version__
from ..errors import PellucidError
from ._atlas import atlas
from ._completion import completion
from ._options import MODEL, QUIET, SEED, WEIGHTS, OutPath, load_model
from ._progress import bars
from ._serve import serve
from ._trust import trust

_NO_CACHE = click.option("--no-cache", is_flag=True, help="Render anew, and keep nothing.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pellucid")
def cli() -> None:
    """See what a vision network sees, and test why it decides.

    \b
    Examples:
      pellucid explain photo.jpg
      pellucid render mixed4d:26 --out out/
      pellucid atlas build photos/ --out atlas/
      pellucid trust --images photos/
      pellucid COMMAND --help
    """


cli.add_command(atlas)
cli.add_command(trust)
cli.add_command(serve)
cli.add_command(completion)


@cli.command(short_help="List the networks that can be loaded.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def models(as_json: bool) -> None:
    """List the networks that can be loaded, and where their weights are.

    \b
    Examples:
      pellucid models
      pellucid models --json
    """
    from ..models import known_models

    known = known_models()
    if as_json:
        click.echo(json.dumps([vars(one) for one in known], indent=1))
        return
    _print_table(("name", "what", "from where"), [(one.name, one.summary, one.where) for one in known])


@cli.command(short_help="List a network's layers.")
@MODEL
@WEIGHTS
@click.option("--all", "everything", is_flag=True, help="Also the parts inside blocks.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@QUIET
def layers(name: str, weights: str | None, everything: bool, as_json: bool, quiet: bool) -> None:
    """List a network's layers: name, kind, channels, size, receptive field.

    \b
    Examples:
      pellucid layers
      pellucid layers --model inception_v1 --all
      pellucid layers --model timm:resnet50 --json
    """
    from ..models import receptive_fields

    with bars(quiet) as progress:
        model = load_model(name, weights, progress)
        fields = receptive_fields(model)
    rows = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "channels": layer.channels,
            "rows": layer.rows,
            "columns": layer.columns,
            "receptive_field": fields.get(layer.name),
        }
        for layer in model.layers.values()
    ]
    top = min((row["name"].count(".") for row in rows), default=0)
    # Where everything sits in a few containers (`features.0`), the first level alone would say nothing.
    while sum(row["name"].count(".") <= top for row in rows) < min(8, len(rows)):
        top += 1
    listed = rows if everything else [row for row in rows if row["name"].count(".") <= top]
    if as_json:
        click.echo(json.dumps(listed, indent=1))
        return

    def field(row: dict[str, Any]) -> str:
        return (
            "—"
            if row["kind"] == "vector"
            else "whole picture"
            if row["receptive_field"] is None
            else f"{row['receptive_field']} px"
        )

    def size(row: dict[str, Any]) -> str:
        return "—" if row["kind"] == "vector" else f"{row['rows']} × {row['columns']}"

    _print_table(
        ("layer", "kind", "channels", "size", "receptive field"),
        [(row["name"], row["kind"], str(row["channels"]), size(row), field(row)) for row in listed],
    )
    if len(listed) < len(rows):
        click.echo(f"{len(listed)} of {len(rows)} layers; --all lists the parts inside them too.")


@cli.command()
@click.argument("targets", nargs=-1, required=True)
@MODEL
@WEIGHTS
@click.option("--size", type=int, help="Height and width, px.  [default: the model's own]")
@click.option("--steps", default=None, type=int, help="Of the optimizer.  [default: 256]")
@SEED
@click.option("--copies", default=1, show_default=True, help="Different images of each target (diversity).")
@click.option("--negative", is_flag=True, help="What suppresses the targets instead of what raises them.")
@click.option("--alpha", is_flag=True, help="A transparent ground where the target needs nothing.")
@click.option("--maco", is_flag=True, help="Keep the spectrum of natural photos, optimize its phase.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of arithmetic; auto takes bfloat16 where the processor computes in it.",
)
@click.option("--batch", type=int, help="Images at a time.  [default: what suits the machine]")
@click.option("--snapshots", default="", help="Steps whose images to keep as well, as 32,64,128.  [default: none]")
@click.option(
    "--images",
    type=click.Path(),
    help="Folder, tar or Parquet of photos to judge the pictures by, kept in render.json.  [default: not judged]",
)
@click.option("--out", default="out", show_default=True, type=OutPath(), help="Folder for PNGs and render.json.")
@_NO_CACHE
@QUIET
def render(
    targets: tuple[str, ...],
    name: str,
    weights: str | None,
    size: int | None,
    steps: int | None,
    seed: int,
    copies: int,
    negative: bool,
    alpha: bool,
    maco: bool,
    precision: Any,
    batch: int | None,
    snapshots: str,
    images: str | None,
    out: str,
    no_cache: bool,
    quiet: bool,
) -> None:
    """Render what TARGETS respond to, as pictures.

    A target is a channel (mixed4d:26), one at a position (mixed4d:26@4,1) or at the centre (mixed4d:26@centre),
    several (mixed4d:0-63), a whole layer (mixed4d:*), or a class (logits:lemon).

    \b
    Examples:
      pellucid render mixed4d:26 mixed4a:11 --out out/
      pellucid render "logits:Labrador retriever" --size 224 --steps 512
      pellucid render mixed4d:26 --copies 4
      pellucid render mixed4d:26@centre --alpha
      pellucid render mixed4d:0-15 --images photos/
    """
    from ..atlas.sources import open_images
    from ..features import render as render_targets, render_diverse, render_magnitude_constrained
    from ..store import RenderCache
    from ..trust import ACTIVATION, SAME_CAUSE

    try:
        marks = tuple(int(part) for part in snapshots.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"{snapshots!r} is not a list of steps such as 32,64,128.") from None
    if copies < 1 or (copies > 1 and maco):
        raise click.BadParameter("--copies takes a number from 1 up, and more than 1 does not go with --maco.")
    if images is not None and negative:
        raise click.BadParameter("--images judges what fires a target, and does not go with --negative.")
    photos = None if images is None else open_images(images)  # said at once if it cannot be read
    goals = [f"-{target}" for target in targets] if negative else list(targets)
    settings: dict[str, Any] = {
        "size": size,
        "seed": seed,
        "alpha": alpha,
        "precision": precision,
        "batch_size": batch,
        "snapshots": marks,
        "cache": None if no_cache else RenderCache(),
    }
    if steps is not None:
        settings["steps"] = steps
    with bars(quiet) as progress:
        model = load_model(name, weights, progress)
        settings["progress"] = progress
        if copies > 1:
            made = []
            for goal in goals:
                made.append(render_diverse(model, goal, copies=copies, **settings))
                if made[-1].provenance["interrupted"]:
                    break
        elif maco:
            made = [render_magnitude_constrained(model, goals, **settings)]
        else:
            made = [render_targets(model, goals, **settings)]
    for index, rendering in enumerate(made):
        folder = rendering.save(Path(out) if len(made) == 1 else Path(out) / f"{index + 1}")
        for file in rendering.files():
            click.echo(folder / file)
        if rendering.provenance["interrupted"]:
            raise click.ClickException("interrupted: the images are as far as they got.")
        if photos is not None:
            with bars(quiet) as progress:
                judged = rendering.judged(model, photos, seed=seed, progress=progress)
            judged.save(folder)
            for entry in judged.evidence:
                if entry.name in (SAME_CAUSE, ACTIVATION):
                    click.echo(f"{entry.about.partition(':')[2]}: {entry.sentence}")


@cli.command(short_help="Explain what a network sees in a photo and why it decides.")
@click.argument("photo", type=click.Path(), required=False)
@MODEL
@WEIGHTS
@click.option(
    "--layer", "layer_names", multiple=True, help="Layer to show; may be repeated.  [default: two of the model's]"
)
@click.option(
    "--class", "classes", multiple=True, help="Class to explain; two are compared.  [default: the 5 most probable]"
)
@click.option("--groups", default=None, type=int, help="How many groups to show first.  [default: 6]")
@click.option(
    "--method",
    type=click.Choice(["linear", "integrated", "relaxed"]),
    default="linear",
    show_default=True,
    help="Of attribution to the classes.",
)
@click.option("--quick", is_flag=True, help="Coarser icons, and grids made of them: a first look.")
@click.option("--grid-seconds", type=float, help="For each activation grid; 0 makes it of icons.  [default: 20]")
@click.option(
    "--icon-size", default=None, type=int, help="Side of the rendered channels, px.  [default: 96, with --quick 64]"
)
@click.option(
    "--icon-steps", default=None, type=int, help="Optimizer steps for each of them.  [default: 64, with --quick 24]"
)
@click.option("--no-evidence", is_flag=True, help="Do not put to the test what the page says.")
@SEED
@click.option(
    "--out",
    default="report.html",
    show_default=True,
    type=OutPath(".html", ".htm", ".zip"),
    help="Page (.html) or bundle (.zip, folder).",
)
@click.option("--json", "json_file", type=OutPath(), help="Also write the numbers to this file.")
@_NO_CACHE
@QUIET
def explain(
    photo: str | None,
    name: str,
    weights: str | None,
    layer_names: tuple[str, ...],
    classes: tuple[str, ...],
    groups: int | None,
    method: Any,
    quick: bool,
    grid_seconds: float | None,
    icon_size: int | None,
    icon_steps: int | None,
    no_evidence: bool,
    seed: int,
    out: str,
    json_file: str | None,
    no_cache: bool,
    quiet: bool,
) -> None:
    """Explain what a network sees in PHOTO and why it decides, in one page.

    Without PHOTO, it is about the photo of a cup that comes with the package.

    \b
    Examples:
      pellucid explain
      pellucid explain photo.jpg --out mine.html
      pellucid explain photo.jpg --model inception_v1 --layer mixed4a --layer mixed4d
      pellucid explain photo.jpg --class "Labrador retriever" --class "golden retriever"
      pellucid explain photo.jpg --quick --json numbers.json
    """
    from ..explain import explain as explain_photo
    from ..models import example_photos
    from ..pictures import open_picture
    from ..store import RenderCache, write_file

    photo = photo or str(next(iter(example_photos().values())))
    open_picture(photo)  # an unreadable photo is said at once, not after the weights have been loaded
    settings: dict[str, Any] = {"icon_size": icon_size, "icon_steps": icon_steps}
    settings |= {"n_groups": groups, "grid_seconds": grid_seconds}

    def first_look(found: Any) -> None:
        click.echo(f"{found.save(out)}: a first look; the finished one will take its place.", err=True)

    with bars(quiet) as progress:
        model = load_model(name, weights, progress)
        explanation = explain_photo(
            model,
            photo,
            layers=layer_names or None,
            classes=classes or None,
            method=method,
            quick=quick,
            evidence=not no_evidence,
            seed=seed,
            cache=None if no_cache else RenderCache(),
            preview=first_look if out.lower().endswith((".html", ".htm")) else None,
            progress=progress,
            **{key: value for key, value in settings.items() if value is not None},
        )
    for score in explanation.classes:
        click.echo(f"{score.probability:6.1%}  {score.label}")
    if json_file:
        write_file(Path(json_file), json.dumps(explanation.to_json(), indent=1).encode())
        click.echo(json_file)
    click.echo(explanation.save(out))


@cli.command(short_help="Put more of what a layer sees into a photo (DeepDream).")
@click.argument("photo", type=click.Path())
@click.option("--layer", "goal", required=True, help="Layer (see `pellucid layers`) or target: mixed4c, mixed4d:426.")
@MODEL
@WEIGHTS
@click.option("--octaves", default=4, show_default=True, help="Sizes, each 1.4 times the one before.")
@click.option("--steps", default=12, show_default=True, help="At each octave.")
@SEED
@click.option(
    "--out",
    default="dream.png",
    show_default=True,
    type=OutPath(".png", ".webp", ".jpg", ".jpeg"),
    help="File for the picture (.png, .webp or .jpg).",
)
@QUIET
def dream(
    photo: str, goal: str, name: str, weights: str | None, octaves: int, steps: int, seed: int, out: str, quiet: bool
) -> None:
    """Put more of everything that a layer sees into PHOTO (DeepDream), at its own size.

    \b
    Examples:
      pellucid dream photo.jpg --layer mixed4c
      pellucid dream photo.jpg --layer mixed4d:26 --octaves 3 --steps 20 --out cat.png
    """
    from io import BytesIO

    from PIL import Image

    from ..features import dream as dream_of
    from ..pictures import load_image, to_picture
    from ..store import write_file

    image = load_image(photo)
    with bars(quiet) as progress:
        model = load_model(name, weights, progress)
        dreamt = dream_of(model, image, goal, octaves=octaves, steps=steps, seed=seed, progress=progress)
    buffer = BytesIO()
    kind = Image.registered_extensions()[Path(out).suffix.lower() or ".png"]
    to_picture(dreamt).save(buffer, kind, quality=92)
    write_file(Path(out), buffer.getvalue())
    click.echo(out)


def _print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=not sys.stdout.isatty()).print(table)


def main() -> None:
    """Run the command line; what goes wrong on purpose is one sentence on standard error."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("pellucid: interrupted.", err=True)
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"pellucid: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except PellucidError as error:
        click.echo(f"pellucid: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("pellucid: interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has gone (`pellucid layers | head`); nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
