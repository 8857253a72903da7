"""`pellucid atlas build | add | open | export | compare | class | patch | place`."""

import json
from pathlib import Path
from typing import Any

import click

from ._options import MODEL, QUIET, SEED, WEIGHTS, OutPath, load_model
from ._progress import bars

_LAYER = click.option("--layer", help="One of the atlas's layers.  [default: its last]")
_FOLDER = click.argument("folder", metavar="ATLAS", type=click.Path())
_IMAGES = click.argument("images", type=click.Path())
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group()
def atlas() -> None:
    """Map everything that a layer sees in many images.

    \b
    Examples:
      pellucid atlas build photos/ --out atlas/
      pellucid atlas open atlas/
    """


@atlas.command(short_help="Build the atlas of a folder of images, a tar, Parquet …")
@_IMAGES
@MODEL
@WEIGHTS
@click.option("--layers", help="Names, separated by commas.  [default: the model's usual one]")
@click.option("--out", default="atlas", show_default=True, type=OutPath(), help="Folder for the atlas.")
@click.option("--per-image", default="1", show_default=True, help="Activations of each image and layer, or `all`.")
@click.option("--grids", default="10,20,40", show_default=True, help="Cells a side, coarse to fine.")
@click.option(
    "--projection",
    default="umap",
    show_default=True,
    type=click.Choice(["umap", "pacmap", "tsne", "pca", "cuml"]),
    help="How vectors are laid out in the plane; cuml is UMAP on a GPU.",
)
@click.option("--least", default=5, show_default=True, help="Leave out cells of fewer activations.")
@click.option(
    "--icon-size", type=int, help="Side of the cells' icons, px.  [default: half the model's size, 96 at least]"
)
@click.option("--icon-steps", default=64, show_default=True, help="Optimizer steps for each of them.")
@click.option("--tries", default=1, show_default=True, help="Renderings of each cell, of which the best is kept.")
@click.option("--resume", is_flag=True, help="Go on with an atlas that is there.")
@SEED
@QUIET
def build(
    images: str,
    name: str,
    weights: str | None,
    layers: str | None,
    out: str,
    per_image: str,
    grids: str,
    projection: str,
    least: int,
    icon_size: int | None,
    icon_steps: int,
    tries: int,
    resume: bool,
    seed: int,
    quiet: bool,
) -> None:
    """Build the atlas of IMAGES: a folder, a tar, a Parquet file, a Hugging Face dataset.

    \b
    Examples:
      pellucid atlas build photos/ --out atlas/
      pellucid atlas build photos/ --out atlas/ --resume
      pellucid atlas build photos.tar --layers mixed4a,mixed4d --grids 10,20 --per-image all
      pellucid atlas build photos/ --model inception_v1 --layers mixed4c --projection pacmap
    """
    from ..atlas import build_atlas

    try:
        sides = [int(part) for part in grids.split(",") if part.strip()]
        count = None if per_image == "all" else int(per_image)
    except ValueError:
        raise click.BadParameter("--grids takes numbers such as 10,20,40, --per-image a number or `all`.") from None
    with bars(quiet) as progress:
        model = load_model(name, weights, progress)
        made = build_atlas(
            model,
            images,
            out,
            layers=[part.strip() for part in layers.split(",") if part.strip()] if layers else None,
            grids=sides,
            per_image=count,
            projection=projection,
            least=least,
            icon_size=icon_size,
            icon_steps=icon_steps,
            tries=tries,
            resume=resume,
            weights=weights,
            seed=seed,
            progress=progress,
        )
    _report(made)
    click.echo(f"{out}: look at it with `pellucid atlas open {out}`")


@atlas.command()
@_IMAGES
@_FOLDER
@click.option("--refit", is_flag=True, help="Lay everything out anew instead of placing the new among the old.")
@QUIET
def add(images: str, folder: str, refit: bool, quiet: bool) -> None:
    """Add IMAGES to ATLAS; only what changes is computed again.

    \b
    Examples:
      pellucid atlas add more_photos/ atlas/
      pellucid atlas add more_photos/ atlas/ --refit
    """
    from ..atlas import add_images

    with bars(quiet) as progress:
        opened, model = _opened(folder, progress)
        made = add_images(model, images, opened, refit=refit, progress=progress)
    _report(made)
    click.echo(folder)


@atlas.command("open")
@_FOLDER
@click.option("--no-browser", is_flag=True, help="Only write the page and say where it is.")
@QUIET
def open_page(folder: str, no_browser: bool, quiet: bool) -> None:
    """Write the page of ATLAS into it, and open it.

    \b
    Examples:
      pellucid atlas open atlas/
      pellucid atlas open atlas/ --no-browser
    """
    page = _exported(folder, Path(folder) / "page", quiet)
    click.echo(page)
    if not no_browser:
        click.launch(page.resolve().as_uri())


@atlas.command(short_help="Write the page of an atlas for any server of files.")
@_FOLDER
@click.option(
    "--out",
    default="site",
    show_default=True,
    type=OutPath(".html", ".htm", ".zip"),
    help="Folder, one .html file, or .zip.",
)
@click.option("--no-photos", is_flag=True, help="Show no piece of a real image: for images that may not be given away.")
@QUIET
def export(folder: str, out: str, no_photos: bool, quiet: bool) -> None:
    """Write the page of ATLAS for any server of files: a folder, or one file that holds everything.

    \b
    Examples:
      pellucid atlas export atlas/ --out site/
      pellucid atlas export atlas/ --out atlas.html --no-photos
    """
    click.echo(_exported(folder, Path(out), quiet, photos=not no_photos))


@atlas.command(short_help="Map what tells two classes apart.")
@_FOLDER
@click.argument("first")
@click.argument("second")
@_LAYER
@QUIET
def compare(folder: str, first: str, second: str, layer: str | None, quiet: bool) -> None:
    """Map what tells the classes FIRST and SECOND apart, and keep it in ATLAS.

    \b
    Examples:
      pellucid atlas compare atlas/ "sports car" convertible
      pellucid atlas compare atlas/ lemon orange --layer mixed4d
    """
    from ..atlas import compare_classes

    with bars(quiet) as progress:
        opened, model = _opened(folder, progress)
        found = compare_classes(opened, model, first, second, layer=layer, progress=progress)
    click.echo(
        f"{len(found.cells)} cells of {found.cells.counts.sum()} activations; see `pellucid atlas open {folder}`"
    )


@atlas.command("class", short_help="Map only what argues for one class.")
@_FOLDER
@click.argument("label")
@_LAYER
@QUIET
def one_class(folder: str, label: str, layer: str | None, quiet: bool) -> None:
    """Map only what argues for the class LABEL, and keep it in ATLAS.

    \b
    Examples:
      pellucid atlas class atlas/ lemon
      pellucid atlas class atlas/ "sports car" --layer mixed4d
    """
    from ..atlas import class_atlas

    with bars(quiet) as progress:
        opened, model = _opened(folder, progress)
        found = class_atlas(opened, model, label, layer=layer, progress=progress)
    click.echo(
        f"{len(found.cells)} cells of {found.cells.counts.sum()} activations; see `pellucid atlas open {folder}`"
    )


@atlas.command(short_help="Paste a cell's icon on photos: is another class seen?")
@_FOLDER
@click.option("--from", "source", help="Class of the photos.")
@click.option("--to", "aim", help="Class that the network shall see instead.")
@click.option("--images", required=True, type=click.Path(), help="Photos to paste on, as for `build`.")
@_LAYER
@click.option("--cell", help="Column,row of the cell to paste.  [default: the best of a few]")
@click.option("--grid", type=int, help="Cells a side of the grid that the cell is of.  [default: the finest]")
@click.option("--search", is_flag=True, help="Look over all pairs of classes for surprising patches.")
@click.option("--count", default=10, show_default=True, help="Pairs that --search tries.")
@SEED
@_JSON
@QUIET
def patch(
    folder: str,
    source: str | None,
    aim: str | None,
    images: str,
    layer: str | None,
    cell: str | None,
    grid: int | None,
    search: bool,
    count: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Paste a cell's icon on photos of one class: does the network see another, and more often than with controls?

    \b
    Examples:
      pellucid atlas patch atlas/ --from mantis --to snail --images photos/
      pellucid atlas patch atlas/ --from mantis --to snail --images photos/ --cell 3,5 --grid 10
      pellucid atlas patch atlas/ --search --count 12 --images photos.tar --json
    """
    from ..atlas import search_patches, try_patch

    if search == bool(source or aim):
        raise click.BadParameter("name two classes with --from and --to, or give --search.")
    try:
        column, row = (int(part) for part in cell.split(",")) if cell else (None, None)
    except ValueError:
        raise click.BadParameter(f"--cell is {cell!r}; expected column,row, such as 3,5.") from None
    place = None if column is None or row is None else (column, row)
    common: dict[str, Any] = {"layer": layer, "grid": grid, "seed": seed}
    with bars(quiet) as progress:
        opened, model = _opened(folder, progress)
        if search:
            trials = search_patches(opened, model, images, count=count, progress=progress, **common)
        elif source is None or aim is None:
            raise click.BadParameter("name two classes with --from and --to.")
        else:
            trials = [try_patch(opened, model, images, source, aim, cell=place, progress=progress, **common)]
    if as_json:
        click.echo(json.dumps([trial.to_json() for trial in trials], indent=1))
        return
    for trial in trials:
        column, row = trial.place
        click.echo(
            f"{'found' if trial.found else 'no finding'}: cell {column},{row} of {trial.columns}. {trial.sentence}"
        )
    click.echo(f"Pictures: `pellucid atlas open {folder}`")


@atlas.command()
@_FOLDER
@click.argument("photo", type=click.Path())
@_JSON
@QUIET
def place(folder: str, photo: str, as_json: bool, quiet: bool) -> None:
    """Say which cells of ATLAS a PHOTO visits, layer by layer.

    \b
    Examples:
      pellucid atlas place atlas/ photo.jpg
      pellucid atlas place atlas/ photo.jpg --json
    """
    from ..atlas import place_photo

    with bars(quiet) as progress:
        opened, model = _opened(folder, progress)
        found = place_photo(opened, model, photo, progress=progress)
    if as_json:
        told = [
            {"layer": one.layer, "grid": opened.grids[0], "cells": [list(visit) for visit in one.visits]}
            for one in found
        ]
        click.echo(json.dumps(told, indent=1))
        return
    for one in found:
        cells = opened.cells(one.layer)
        click.echo(f"{one.layer}: {len(one.visits)} cells of {len(cells)}")
        for column, row, count in one.visits[:5]:
            number = cells.number_at(column, row)
            about = "no icon here" if number is None else opened.cell_classes(one.layer, opened.grids[0], number)
            click.echo(f"  {column},{row}: {count} positions ({about})")


def _opened(folder: str, progress: Any) -> tuple[Any, Any]:
    """The atlas and its network."""
    from ..atlas import open_atlas
    from ..errors import InputError

    found = open_atlas(folder)
    model = load_model(found.manifest.model, found.manifest.weights, progress)
    if model.digest != found.manifest.digest:
        raise InputError(
            f"the atlas is of {found.manifest.model} with other weights than the ones that are "
            "here now; put those back, or build the atlas anew in another folder."
        )
    return found, model


def _exported(folder: str, out: Path, quiet: bool, *, photos: bool = True) -> Path:
    from ..app import export_html, export_site
    from ..atlas import to_bundle
    from ..bundle import write_bundle

    with bars(quiet) as progress:
        found, model = _opened(folder, progress)
        bundle = to_bundle(found, model, photos=photos, progress=progress)
        if out.suffix.lower() in (".html", ".htm"):
            return export_html(bundle, out)
        if out.suffix.lower() == ".zip":
            return write_bundle(bundle.manifest, bundle.files, out)
        return export_site(bundle, out)


def _report(made: Any) -> None:
    for entry in made.evidence:
        click.echo(f"{entry.about.partition(':')[2]}: {entry.sentence}")
    if made.skipped:
        click.echo(made.skipped_sentence(), err=True)
    for remark in made.remarks:
        click.echo(remark, err=True)
    click.echo(f"{made.images} images, {sum(made.manifest.seconds.values()):.0f} s")
