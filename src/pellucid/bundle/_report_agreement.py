"""Where the parts of a report disagree, and the pictures that it names."""

from collections.abc import Iterator

from ._agreement import interval_problems, repeats, sheet_problems, sheet_size
from ._atlas_agreement import name_problems, patch_problems, patch_sizes
from ._report import ReportBody, ReportLayer


def report_pictures(body: ReportBody) -> dict[str, tuple[int, int]]:
    """Width and height in pixels of every picture of a report, by file name."""
    sizes: dict[str, tuple[int, int]] = {}
    for layer in body.layers:
        sizes[layer.icons.file] = sheet_size(layer.icons)
        sizes |= patch_sizes(layer.exemplars)
    return sizes


def report_problems(body: ReportBody) -> Iterator[str]:
    """Disagreements between parts of `body`, as clauses that name the place; none when all agree.

    Args:
        body: one whose fields have the right types.
    """
    yield from repeats("layer", [layer.name for layer in body.layers])
    yield from name_problems([layer.icons.file for layer in body.layers])
    yield from repeats(
        "a picture", [name for layer in body.layers for name in (layer.icons.file, *layer.exemplars.files)]
    )
    for layer in body.layers:
        yield from _layer_problems(layer)


def _layer_problems(layer: ReportLayer) -> Iterator[str]:
    units = [unit.channel for unit in layer.units]
    yield from sheet_problems(f"the icons of {layer.name!r}", layer.icons, layer.channels)
    if layer.icons.channels != units:
        yield f"the icons of {layer.name!r} are not those of its units"
    yield from patch_problems(repr(layer.name), layer.exemplars, len(units))
    yield from repeats(f"in {layer.name!r}, the method", [(score.method, score.unit) for score in layer.methods])
    for score in layer.methods:
        if not score.low <= score.value <= score.high:
            yield f"{score.method!r} in {layer.name!r} has {score.value} outside {score.low} to {score.high}"
    for entry in (*layer.evidence, *(entry for unit in layer.units for entry in unit.evidence)):
        yield from interval_problems(entry)
