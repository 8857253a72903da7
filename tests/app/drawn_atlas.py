"""An atlas made of drawn shapes: two layers, twelve classes, each with its own region of the map."""

import datetime
import math

import numpy
from drawn_bundle import draw_photo, webp
from PIL import Image, ImageDraw

from pellucid.bundle import (
    AtlasBody,
    AtlasLayer,
    AtlasManifest,
    Bundle,
    CellChannels,
    CellMap,
    ClassAtlas,
    EvidenceEntry,
    ModelCard,
    PatchSheets,
    PatchTrial,
    Photo,
    PlacedPhoto,
    Provenance,
    Share,
    Tiles,
    TwoClassMap,
    pack_numbers,
)

# Name, shape, colour, where on the map (x to the right, y down), how far it reaches, how many activations it has.
CLASSES = [
    ("barn", "house", (186, 52, 44), (0.24, 0.22), 0.13, 5200),
    ("boathouse", "house", (70, 110, 150), (0.38, 0.16), 0.10, 2600),
    ("alp", "peak", (120, 130, 160), (0.72, 0.16), 0.12, 3900),
    ("volcano", "peak", (150, 84, 60), (0.86, 0.28), 0.08, 1500),
    ("soccer ball", "ball", (60, 62, 70), (0.20, 0.74), 0.11, 3100),
    ("croquet ball", "ball", (206, 90, 48), (0.34, 0.84), 0.10, 2400),
    ("daisy", "flower", (240, 196, 60), (0.76, 0.78), 0.12, 4300),
    ("sunflower with a long name", "flower", (232, 150, 30), (0.88, 0.66), 0.08, 1700),
    ("ladder", "stripes", (150, 110, 70), (0.52, 0.40), 0.11, 2900),
    ("zebra", "stripes", (40, 40, 44), (0.58, 0.56), 0.09, 2100),
    ("lakeside", "waves", (60, 130, 180), (0.50, 0.66), 0.12, 3300),
    ("spider web", "rays", (110, 120, 130), (0.10, 0.48), 0.08, 1300),
]
LABELS = [entry[0] for entry in CLASSES]
PLACE = numpy.array([entry[3] for entry in CLASSES])
REACH = numpy.array([entry[4] for entry in CLASSES])
MANY = numpy.array([entry[5] for entry in CLASSES])

# So many channels fire at a cell of each class: channel c for class c mod 12, the weaker, the higher its number.
FIRING = 5

# Rows and channels of each layer's grid on the images; the earlier one has seen less, and turns the map a little.
LAYERS = {"mixed4a": (14, 508), "mixed4d": (14, 528)}
GRIDS = [10, 20, 40]
CELL = {10: 64, 20: 64, 40: 48}
TILE = 256
PIECE = 40
PHOTO = 224


def density(x: numpy.ndarray, y: numpy.ndarray, layer: str) -> numpy.ndarray:
    """[..., classes]: how much of each class lies at a place of the map of `layer`."""
    place = PLACE if layer == "mixed4d" else 0.5 + (PLACE - 0.5)[:, ::-1] * 0.94
    far = (x[..., None] - place[:, 0]) ** 2 + (y[..., None] - place[:, 1]) ** 2
    return numpy.exp(-far / (2 * REACH**2))


def cells(columns: int, layer: str) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Places [n, 2], counts [n] and attribution [n, classes] of the cells that hold something."""
    side = (numpy.arange(columns) + 0.5) / columns
    x, y = numpy.meshgrid(side, side)
    shares = density(x, y, layer)
    counts = numpy.rint((shares * MANY).sum(-1) * 3 / columns**2 * (1.2 if layer == "mixed4d" else 1)).astype(int)
    row, column = numpy.nonzero((counts > 0) & (shares.max(-1) > 0.12))
    found = shares[row, column]
    # What argues for one class argues a little against its opposite in the list.
    attribution = 4 * found - 1.5 * numpy.roll(found, 6, axis=-1) - 0.2
    return numpy.stack([column, row], -1), counts[row, column], attribution


def draw_shape(name: str, color: tuple[int, int, int], side: int) -> Image.Image:
    """One shape on a ground of a lighter shade of its colour."""
    light = tuple(int(255 - (255 - part) * 0.28) for part in color)
    picture = Image.new("RGB", (4 * side, 4 * side), light)
    draw = ImageDraw.Draw(picture)

    def at(*numbers: float) -> list[float]:
        return [4 * side * number for number in numbers]

    if name == "house":
        draw.rectangle(at(0.26, 0.46, 0.74, 0.84), fill=(236, 226, 208))
        draw.polygon(at(0.16, 0.48, 0.5, 0.14, 0.84, 0.48), fill=color)
        draw.rectangle(at(0.43, 0.58, 0.57, 0.84), fill=color)
    elif name == "peak":
        draw.polygon(at(0.05, 0.88, 0.42, 0.16, 0.8, 0.88), fill=color)
        draw.polygon(at(0.45, 0.88, 0.7, 0.4, 0.97, 0.88), fill=tuple(part // 2 + 40 for part in color))
    elif name == "ball":
        draw.ellipse(at(0.14, 0.14, 0.86, 0.86), fill=(246, 244, 238))
        for turn in range(3):
            draw.pieslice(at(0.14, 0.14, 0.86, 0.86), 120 * turn, 120 * turn + 60, fill=color)
    elif name == "flower":
        for turn in range(8):
            x, y = 0.5 + 0.27 * math.cos(turn * math.pi / 4), 0.5 + 0.27 * math.sin(turn * math.pi / 4)
            draw.ellipse(at(x - 0.13, y - 0.13, x + 0.13, y + 0.13), fill=color)
        draw.ellipse(at(0.36, 0.36, 0.64, 0.64), fill=(110, 70, 40))
    elif name == "stripes":
        for line in range(5):
            draw.rectangle(at(0.08, 0.1 + 0.17 * line, 0.92, 0.19 + 0.17 * line), fill=color)
    elif name == "waves":
        for line in range(4):
            for step in range(4):
                draw.chord(at(0.25 * step, 0.1 + 0.2 * line, 0.25 * step + 0.25, 0.3 + 0.2 * line), 0, 180, fill=color)
    else:
        for turn in range(12):
            end = 0.5 + 0.42 * math.cos(turn * math.pi / 6), 0.5 + 0.42 * math.sin(turn * math.pi / 6)
            draw.line(at(0.5, 0.5, *end), fill=color, width=side // 6)
        for radius in (0.16, 0.3):
            draw.ellipse(at(0.5 - radius, 0.5 - radius, 0.5 + radius, 0.5 + radius), outline=color, width=side // 8)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


SHAPES = [draw_shape(shape, color, 64) for _, shape, color, *_ in CLASSES]


def draw_cells(
    columns: int, rows: int, side: int, places: numpy.ndarray, counts: numpy.ndarray, best: numpy.ndarray, name: str
) -> tuple[Tiles, dict[str, bytes]]:
    """The icons of a grid, the larger the more activations, cut into tiles; empty ones are left out."""
    whole = Image.new("RGBA", (columns * side, rows * side))
    for (column, row), count, shape in zip(places, counts, best, strict=True):
        size = max(8, round(side * min(1.0, 0.35 + 0.65 * math.sqrt(count / max(1, counts.max())))) - 2)
        icon = SHAPES[shape].resize((size, size), Image.Resampling.BILINEAR)
        corner = int(column * side + (side - size) // 2), int(row * side + (side - size) // 2)
        whole.paste(icon, corner)
    files: list[str] = []
    content: dict[str, bytes] = {}
    for top in range(0, whole.height, TILE):
        for left in range(0, whole.width, TILE):
            tile = whole.crop((left, top, min(whole.width, left + TILE), min(whole.height, top + TILE)))
            if tile.getbbox() is None:
                files.append("")
                continue
            files.append(f"{name}/{top // TILE}-{left // TILE}.webp")
            content[files[-1]] = webp(tile)
    return Tiles(width=whole.width, height=whole.height, side=TILE, files=files), content


def draw_pieces(best: numpy.ndarray, counts: numpy.ndarray, name: str) -> tuple[PatchSheets, dict[str, bytes]]:
    """Up to four pieces a cell, 50 cells a file: the shape of its class, each time turned another way."""
    many = numpy.minimum(4, counts)
    content: dict[str, bytes] = {}
    turned = [[s.rotate(8 * k - 12, fillcolor=s.getpixel((1, 1))) for k in range(4)] for s in SHAPES]
    small = [[picture.resize((PIECE, PIECE)) for picture in pictures] for pictures in turned]
    for first in range(0, len(best), 50):
        part = best[first : first + 50]
        sheet = Image.new("RGB", (4 * PIECE, PIECE * len(part)), (255, 255, 255))
        for row, shape in enumerate(part):
            for piece in range(many[first + row]):
                sheet.paste(small[shape][piece], (piece * PIECE, row * PIECE))
        content[f"{name}/{first // 50}.webp"] = webp(sheet)
    return PatchSheets(files=list(content), side=PIECE, columns=4, cells=50, counts=many.tolist()), content


def cell_map(
    places: numpy.ndarray,
    counts: numpy.ndarray,
    attribution: numpy.ndarray,
    columns: int,
    rows: int,
    name: str,
    pieces: bool = False,
    channels: int = 528,
) -> tuple[CellMap, dict[str, bytes]]:
    """A map of these cells and its pictures."""
    order = numpy.argsort(-attribution, axis=-1)[:, :3]
    top = [[int(index) for index in row if attribution[cell, index] > 0] for cell, row in enumerate(order)]
    tiles, content = draw_cells(columns, rows, CELL.get(columns, 64), places, counts, order[:, 0], f"tiles/{name}")
    sheets = None
    if pieces:
        sheets, more = draw_pieces(order[:, 0], counts, f"pieces/{name}")
        content |= more
    found = CellMap(
        columns=columns,
        rows=rows,
        places=pack_numbers(places),
        counts=counts.tolist(),
        top=top,
        attribution=pack_numbers(attribution),
        classes=list(range(len(CLASSES))),
        tiles=tiles,
        patches=sheets,
        channels=cell_channels(attribution, channels),
    )
    return found, content


def channel_means(attribution: numpy.ndarray, channels: int) -> numpy.ndarray:
    """[cells, channels]: channel c fires for class c mod 12, the weaker, the higher its number; the last ones never."""
    number = numpy.arange(channels)
    shares = numpy.maximum(attribution, 0)[:, number % len(CLASSES)] / (1 + number // len(CLASSES))
    return numpy.where(number < FIRING * len(CLASSES), shares, 0)


def cell_channels(attribution: numpy.ndarray, channels: int) -> CellChannels:
    means = channel_means(attribution, channels)

    def best(values: numpy.ndarray, count: int) -> tuple[list[list[int]], numpy.ndarray]:
        order = numpy.argsort(-values, axis=1, kind="stable")[:, :count]
        found = numpy.take_along_axis(values, order, 1)
        return [row[height > 0].tolist() for row, height in zip(order, found, strict=True)], found

    (top, values), (where, peaks) = best(means, 4), best(means.T, 6)
    return CellChannels(
        top=top,
        values=pack_numbers(values[:, : max(map(len, top))]),
        cells=where,
        peaks=pack_numbers(peaks[:, : max(map(len, where))]),
    )


def _layer(layer: str) -> tuple[AtlasLayer, dict[str, bytes]]:
    maps, content = [], {}
    for columns in GRIDS:
        found, files = cell_map(
            *cells(columns, layer),
            columns,
            columns,
            f"{layer}-{columns}",
            layer == "mixed4d" and columns > 10,
            LAYERS[layer][1],
        )
        maps.append(found)
        content |= files
    side, channels = LAYERS[layer]
    total = sum(maps[-1].counts)
    return AtlasLayer(name=layer, rows=side, columns=side, channels=channels, activations=total, maps=maps), content


def _class_atlas() -> tuple[ClassAtlas, dict[str, bytes]]:
    """What argues for barn alone, on 12 × 12 cells."""
    side = (numpy.arange(12) + 0.5) / 12
    x, y = numpy.meshgrid(side * 0.4 + 0.04, side * 0.4 + 0.02)
    shares = density(x, y, "mixed4d")
    row, column = numpy.nonzero(shares[..., 0] > 0.2)
    counts = numpy.rint(90 * shares[row, column, 0]).astype(int)
    found, content = cell_map(
        numpy.stack([column, row], -1), counts, 4 * shares[row, column] - 0.3, 12, 12, "class", pieces=True
    )
    return ClassAtlas(layer="mixed4d", class_index=0, map=found), content


def _two_classes() -> tuple[TwoClassMap, dict[str, bytes]]:
    """Soccer ball at the left, croquet ball at the right, on 16 × 8 cells."""
    column, row = (axis.ravel() for axis in numpy.meshgrid(numpy.arange(16), numpy.arange(8)))
    lean = (column - 7.5) / 8
    kept = numpy.abs(row - 3.5) < 4 - 2 * numpy.abs(lean)
    column, row, lean = column[kept], row[kept], lean[kept]
    attribution = numpy.zeros((len(lean), len(CLASSES)))
    attribution[:, 4], attribution[:, 5] = 1.5 - 1.6 * lean, 1.5 + 1.6 * lean
    counts = numpy.rint(10 + 60 * (1 - numpy.abs(lean))).astype(int)
    found, content = cell_map(numpy.stack([column, row], -1), counts, attribution, 16, 8, "two")
    return TwoClassMap(layer="mixed4d", first=4, second=5, reach=3.2, map=found), content


def share(name: str, setting: str, flipped: int, total: int = 60) -> Share:
    """`flipped` of `total` with the 95 % interval of Wilson."""
    rate, z = flipped / total, 1.96
    middle = (rate + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(rate * (1 - rate) / total + z**2 / (4 * total**2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Share(name=name, setting=setting, flipped=flipped, total=total, low=low, high=high)


def _trial() -> tuple[PatchTrial, dict[str, bytes]]:
    patch = SHAPES[5].resize((96, 96))
    examples = []
    content = {"trials/patch.webp": webp(patch)}
    for place, corner in enumerate([(8, 8), (8, PHOTO - 88), (PHOTO - 88, 8)]):
        photo = draw_photo().resize((PHOTO, PHOTO))
        photo.paste(patch.resize((80, 80)), corner)
        name = f"trials/photo-{place}.webp"
        content[name] = webp(photo)
        examples.append(Photo(file=name, width=PHOTO, height=PHOTO))
    shares = [share("patch", "any", 41), share("noise", "any", 2), share("random cells", "any", 5)]
    shares += [share("real photo", "any", 12), share("nothing", "any", 0)]
    shares += [share("patch", "40 %, lower left", 33), share("real photo", "40 %, lower left", 7)]
    trial = PatchTrial(
        layer="mixed4d",
        source=4,
        aim=5,
        place=(6, 17),
        columns=20,
        file="trials/patch.webp",
        side=96,
        shares=shares,
        found=True,
        examples=examples,
        sentence="With the patch 41 of 60 photos of a soccer ball are read as a croquet ball; with a piece of a real "
        "photo of one in its place, 12.",
    )
    return trial, content


def photo_positions() -> numpy.ndarray:
    """[14, 14, 2]: sky and hills of the drawn photo near alp, the barn near barn, the meadow near lakeside."""
    y, x = numpy.meshgrid(numpy.linspace(0, 1, 14), numpy.linspace(0, 1, 14), indexing="ij")
    goals = [((0.1, 0.5), 2), ((0.5, 0.35), 0), ((0.85, 0.7), 4), ((0.85, 0.25), 10)]
    weights = numpy.stack([numpy.exp(-((y - row) ** 2 + (x - column) ** 2) / 0.03) for (row, column), _ in goals], -1)
    weights /= weights.sum(-1, keepdims=True)
    places = weights @ PLACE[[index for _, index in goals]]
    return numpy.clip(places + 0.012 * numpy.stack([numpy.sin(9 * y), numpy.cos(7 * x)], -1), 0, 1)


def make_atlas(**changes: object) -> Bundle:
    """An atlas of two layers with everything that the page shows; `changes` replace fields of its body."""
    files: dict[str, bytes] = {}
    layers = []
    for layer in LAYERS:
        found, content = _layer(layer)
        layers.append(found)
        files |= content
    (single, one), (two, both), (trial, tried) = _class_atlas(), _two_classes(), _trial()
    files |= one | both | tried | {"photo.webp": webp(draw_photo())}
    photo = PlacedPhoto(
        title="a barn on a hill",
        photo=Photo(file="photo.webp", width=448, height=448),
        layer="mixed4d",
        positions=pack_numbers(photo_positions()),
    )
    fields: dict[str, object] = {
        "title": "An atlas of drawn things",
        "model": ModelCard(name="inception_v1", input_rows=224, input_columns=224),
        "labels": LABELS,
        "images": 4000,
        "layers": layers,
        "class_atlases": [single],
        "two_class_maps": [two],
        "trials": [trial],
        "photos": [photo],
        "evidence": EVIDENCE,
        "seconds": {"record": 12.0, "render": 140.0},
    }
    body = AtlasBody(**{**fields, **changes})  # pyright: ignore
    manifest = AtlasManifest(
        provenance=Provenance(
            model="inception_v1",
            weights="sha256:5c1f0a7e8d2b",
            settings={"images": 4000, "grids": GRIDS},
            seed=7,
            versions={"pellucid": "0.1.0"},
            seconds=152.0,
            created=datetime.datetime(2026, 1, 15, 12, 30, tzinfo=datetime.UTC),
        ),
        body=body,
    )
    return Bundle(manifest, files)


EVIDENCE = [
    EvidenceEntry(
        about="atlas:mixed4d",
        name="neighbours kept",
        value=0.74,
        control=0.02,
        sentence="Answers that are alike lie side by side on the map; on a shuffled one they do not.",
    ),
    EvidenceEntry(
        about="atlas:mixed4a",
        name="neighbours kept",
        value=0.61,
        control=0.02,
        sentence="The earlier layer's map keeps fewer neighbours.",
    ),
    EvidenceEntry(
        about="trials",
        name="trials that beat their controls",
        value=1.0,
        control=0.0,
        sentence="One trial was made, and its patch beat every control.",
    ),
]
