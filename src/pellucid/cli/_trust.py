"""The command `pellucid trust`: what to believe of a network."""

import json
from pathlib import Path

import click

from ._options import MODEL, QUIET, SEED, WEIGHTS, OutPath, load_model
from ._progress import bars


@click.command(short_help="Report which layers, units and methods of a network can be believed.")
@MODEL
@WEIGHTS
@click.option(
    "--images",
    required=True,
    type=click.Path(),
    help="Folder, tar or Parquet of images such as the network was trained on; labels are not needed.",
)
@click.option(
    "--layer", "layer_names", multiple=True, help="Layer to test; may be repeated.  [default: up to six of the model's]"
)
@click.option("--units", default=16, show_default=True, help="Channels of each layer, drawn by chance.")
@click.option("--photos", default=12, show_default=True, help="Images on which attribution is tested; 0 leaves it out.")
@click.option("--most", default=1000, show_default=True, help="Images to look at, drawn by chance.")
@SEED
@click.option(
    "--out",
    default="trust.html",
    show_default=True,
    type=OutPath(".html", ".htm", ".zip"),
    help="Page (.html) or bundle (.zip).",
)
@click.option("--json", "json_file", type=OutPath(), help="Also write the numbers to this file.")
@click.option("--no-cache", is_flag=True, help="Render anew, and keep nothing.")
@QUIET
def trust(
    name: str,
    weights: str | None,
    images: str,
    layer_names: tuple[str, ...],
    units: int,
    photos: int,
    most: int,
    seed: int,
    out: str,
    json_file: str | None,
    no_cache: bool,
    quiet: bool,
) -> None:
    """Report which layers, units and methods of a network can be believed, in one page.

    In each layer, pictures of some channels are held beside the photos that fire these channels, and what attribution
    methods predict beside what is measured when parts of the layer are removed.

    \b
    Examples:
      pellucid trust --images photos/
      pellucid trust --model inception_v1 --images photos/ --out trust.html
      pellucid trust --images photos/ --layer mixed4d --units 48
      pellucid trust --images photos.tar --photos 0 --json numbers.json
    """
    from ..atlas.sources import open_images
    from ..report import report_model
    from ..store import RenderCache, write_file

    source = open_images(images)  # what cannot be read is said at once, not after the weights have been loaded
    with bars(quiet) as progress:
        model = load_model(name, weights, progress)
        report = report_model(
            model,
            source,
            layers=layer_names or None,
            units=units,
            photos=photos,
            most=most,
            seed=seed,
            cache=None if no_cache else RenderCache(),
            progress=progress,
        )
    for layer, each in report.layers.items():
        for entry in each.evidence:
            click.echo(f"{layer}: {entry.sentence}")
        for unit, what in (("set", "places"), ("channel", "channels"), ("group", "groups")):
            best = each.best(unit)
            if best is not None:
                click.echo(
                    f"{layer}: for {what}, {best.method} predicts removals best: {best.value:.2f}; mere strength "
                    f"{best.control:.2f}."
                )
    for remark in report.remarks:
        click.echo(remark, err=True)
    if json_file:
        write_file(Path(json_file), json.dumps(report.to_json(), indent=1).encode())
        click.echo(json_file)
    click.echo(report.save(out))
