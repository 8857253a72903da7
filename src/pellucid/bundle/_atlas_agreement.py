"""Where the parts of an atlas disagree, and the pictures that it names."""

from collections.abc import Iterator

from ._agreement import FILE_NAME, array_problems, beyond, repeats, unsorted
from ._atlas import AtlasBody, CellChannels, CellMap, PatchSheets, Tiles
from ._numbers import unpack_numbers


def atlas_pictures(body: AtlasBody) -> dict[str, tuple[int, int]]:
    """Width and height in pixels of every picture of an atlas, by file name."""
    sizes: dict[str, tuple[int, int]] = {}
    for _, _, cells in _maps(body):
        sizes |= _tile_sizes(cells.tiles)
        if cells.patches is not None:
            sizes |= patch_sizes(cells.patches)
    for trial in body.trials:
        sizes[trial.file] = (trial.side, trial.side)
        sizes |= {photo.file: (photo.width, photo.height) for photo in trial.examples}
    for placed in body.photos:
        sizes[placed.photo.file] = (placed.photo.width, placed.photo.height)
    return sizes


def atlas_problems(body: AtlasBody) -> Iterator[str]:
    """Disagreements between parts of `body`, as clauses that name the place; none when all agree.

    Args:
        body: one whose fields have the right types.
    """
    layers = [layer.name for layer in body.layers]
    yield from repeats("layer", layers)
    known = set(layers)
    for what, name in (
        *(("a class atlas", entry.layer) for entry in body.class_atlases),
        *(("a map of two classes", entry.layer) for entry in body.two_class_maps),
        *(("a trial", entry.layer) for entry in body.trials),
        *(("a photo", entry.layer) for entry in body.photos),
    ):
        if name not in known:
            yield f"{what} is of layer {name!r}, which is not among `layers`"
    count = len(body.labels)
    for where, square, cells in _maps(body):
        yield from _map_problems(where, square, cells, count)
    for layer in body.layers:
        yield from unsorted(f"the grids of {layer.name!r}", [cells.columns for cells in layer.maps])
    numbers = [entry.class_index for entry in body.class_atlases]
    numbers += [number for entry in body.two_class_maps for number in (entry.first, entry.second)]
    numbers += [number for entry in body.trials for number in (entry.source, entry.aim)]
    yield from beyond("the atlas", numbers, count, "class", "the network")
    for trial in body.trials:
        for share in trial.shares:
            if share.flipped > share.total or share.low > share.high:
                yield f"a trial counts {share.flipped} of {share.total} photos between {share.low} and {share.high}"
    for placed in body.photos:
        shape = tuple(placed.positions.shape)
        if len(shape) != 3:
            yield f"the positions of {placed.title!r} have {len(shape)} axes, not 3"
        else:
            where = f"the positions of {placed.title!r}"
            yield from array_problems(where, placed.positions, (*shape[:2], 2), low=0, high=1)


def _maps(body: AtlasBody) -> Iterator[tuple[str, bool, CellMap]]:
    """Every map, what a sentence calls it, and whether it has to be a square."""
    for layer in body.layers:
        for cells in layer.maps:
            yield f"the grid of {cells.columns} of {layer.name!r}", True, cells
    for entry in body.class_atlases:
        yield f"the atlas of class {entry.class_index} in {entry.layer!r}", False, entry.map
    for entry in body.two_class_maps:
        yield f"the map of classes {entry.first} and {entry.second} in {entry.layer!r}", False, entry.map


def _map_problems(where: str, square: bool, cells: CellMap, classes: int) -> Iterator[str]:
    count = len(cells.counts)
    if square and cells.rows != cells.columns:
        yield f"{where} has {cells.rows} rows"
    found = list(array_problems(f"`places` of {where}", cells.places, (count, 2), low=0))
    yield from found
    if not found and count:
        places = unpack_numbers(cells.places).round()
        if places[:, 0].max() >= cells.columns or places[:, 1].max() >= cells.rows:
            yield f"{where} has a cell outside {cells.columns} × {cells.rows}"
        yield from repeats(f"in {where}, cell", list(map(tuple, places.astype(int).tolist())))
    if len(cells.top) != count:
        yield f"`top` of {where} tells of {len(cells.top)} cells, not of {count}"
    yield from beyond(where, {number for best in cells.top for number in best}, classes, "class", "the network")
    yield from unsorted(f"`classes` of {where}", cells.classes)
    yield from repeats(f"in {where}, class", cells.classes)
    yield from beyond(where, cells.classes, classes, "class", "the network")
    yield from array_problems(f"`attribution` of {where}", cells.attribution, (count, len(cells.classes)))
    yield from _tile_problems(where, cells.tiles)
    if cells.patches is not None:
        yield from patch_problems(where, cells.patches, count)
    if cells.channels is not None:
        yield from _channel_problems(where, cells.channels, count)


def _channel_problems(where: str, told: CellChannels, count: int) -> Iterator[str]:
    channels = len(told.cells)
    if len(told.top) != count:
        yield f"the channels of {where} are of {len(told.top)} cells, not of {count}"
    yield from beyond(where, {number for best in told.top for number in best}, channels, "channel", "the layer")
    yield from beyond(where, {number for best in told.cells for number in best}, count, "cell", "the map")
    for what, lists, numbers in (("values", told.top, told.values), ("peaks", told.cells, told.peaks)):
        most = max(map(len, lists), default=0)
        yield from array_problems(f"`{what}` of the channels of {where}", numbers, (len(lists), most), low=0)


def _tile_problems(where: str, tiles: Tiles) -> Iterator[str]:
    expected = -(-tiles.width // tiles.side) * -(-tiles.height // tiles.side)
    if len(tiles.files) != expected:
        yield f"{where} has {len(tiles.files)} tiles, not {expected}"
    yield from name_problems(name for name in tiles.files if name)


def patch_problems(where: str, patches: PatchSheets, count: int) -> Iterator[str]:
    if len(patches.counts) != count:
        yield f"the pieces of {where} are of {len(patches.counts)} cells, not of {count}"
    if len(patches.files) != -(-count // patches.cells):
        yield f"the pieces of {where} are in {len(patches.files)} files"
    if any(number > patches.columns for number in patches.counts):
        yield f"a cell of {where} has more than {patches.columns} pieces"
    yield from name_problems(patches.files)


def name_problems(names: Iterator[str] | list[str]) -> Iterator[str]:
    for name in names:
        if not FILE_NAME.fullmatch(name) or name == "manifest.json":
            yield f"{name!r} is not a file name a bundle may hold; use letters, digits, '_', '-', '.' and '/'"


def _tile_sizes(tiles: Tiles) -> dict[str, tuple[int, int]]:
    columns = -(-tiles.width // tiles.side)
    return {
        name: (
            min(tiles.side, tiles.width - tiles.side * (number % columns)),
            min(tiles.side, tiles.height - tiles.side * (number // columns)),
        )
        for number, name in enumerate(tiles.files)
        if name
    }


def patch_sizes(patches: PatchSheets) -> dict[str, tuple[int, int]]:
    width, left = patches.columns * patches.side, len(patches.counts)
    sizes = {}
    for name in patches.files:
        sizes[name] = (width, patches.side * min(patches.cells, left))
        left -= patches.cells
    return sizes
