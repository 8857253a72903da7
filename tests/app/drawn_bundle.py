"""A bundle made of drawn shapes: a barn, a tree and a ball, and one icon for each thing."""

import datetime
import io
import math
from collections.abc import Callable

import drawn_parts
import numpy
from PIL import Image, ImageDraw

from pellucid.bundle import (
    Bundle,
    ClassMap,
    ClassScore,
    DictionaryPanel,
    EvidenceEntry,
    ExplanationBody,
    ExplanationManifest,
    GridPanel,
    IconSheet,
    LayerCard,
    ModelCard,
    Photo,
    Provenance,
    SpatialPanel,
    pack_numbers,
)

PHOTO = 448
ICON = 128
CLASSES = [
    (425, "barn", 14.2, 0.713),
    (449, "boathouse", 12.4, 0.118),
    (970, "alp", 11.6, 0.053),
    (805, "soccer ball", 11.1, 0.032),
    (522, "croquet ball", 10.2, 0.013),
]

# Rows, columns and channels of each layer; panels other than grids and maps are of the last two.
LAYERS = {"mixed3b": (28, 28, 512), "mixed4d": (14, 14, 528), "mixed5a": (7, 7, 832)}
UPPER = ["mixed4d", "mixed5a"]

# Drawn things: name, channel, where on the photo (row and column in 0–1), how far it reaches, how strong it is.
THINGS = [
    ("red roof", 208, (0.42, 0.36), 0.15, 886.0),
    ("sun", 11, (0.16, 0.80), 0.12, 640.0),
    ("round tree", 139, (0.50, 0.76), 0.13, 702.0),
    ("striped ball", 300, (0.84, 0.72), 0.10, 811.0),
    ("door", 426, (0.66, 0.36), 0.09, 540.0),
    ("window", 77, (0.58, 0.26), 0.10, 498.0),
    ("hill", 350, (0.74, 0.16), 0.22, 420.0),
    ("cloud", 501, (0.15, 0.28), 0.16, 455.0),
    ("grass", 64, (0.90, 0.40), 0.30, 310.0),
    ("sky", 5, (0.20, 0.52), 0.42, 260.0),
]

CHANNELS = numpy.array([thing[1] for thing in THINGS])

# [things, classes]: how much a unit of each thing speaks for each class.
WEIGHTS = numpy.array(
    [
        [1.0, -0.2, 0.15, -0.9, 0.6, 0.5, 0.2, -0.1, 0.0, 0.0],
        [0.5, 0.0, 0.1, -0.3, 0.3, 0.4, -0.6, 0.1, -0.2, 0.2],
        [-0.7, 0.3, 0.1, -0.6, -0.2, -0.2, 0.8, 0.5, 0.1, 0.4],
        [-0.6, 0.0, -0.1, 1.1, -0.2, 0.0, 0.1, 0.0, 0.7, 0.0],
        [-0.5, -0.1, 0.2, 0.8, -0.1, 0.0, 0.1, 0.0, 0.9, -0.1],
    ]
).T


def _canvas(side: int, ground: tuple[int, ...]) -> tuple[Image.Image, ImageDraw.ImageDraw, Callable[..., list[float]]]:
    picture = Image.new("RGB" if len(ground) == 3 else "RGBA", (side * 4, side * 4), ground)
    return picture, ImageDraw.Draw(picture), lambda *numbers: [number * side * 4 for number in numbers]


def draw_photo() -> Image.Image:
    """A barn with a red roof, a tree, a ball, hills, sun and cloud: nothing a reader could mistake for noise."""
    picture, draw, at = _canvas(PHOTO, (255, 255, 255))
    for line in range(picture.height):
        share = line / picture.height
        draw.line([(0, line), (picture.width, line)], (int(120 + 105 * share), int(180 + 50 * share), 238))
    draw.ellipse(at(0.70, 0.06, 0.90, 0.26), (255, 208, 70))
    for x, y, radius in [(0.20, 0.17, 0.06), (0.28, 0.13, 0.08), (0.36, 0.17, 0.06)]:
        draw.ellipse(at(x - radius, y - radius, x + radius, y + radius), (250, 251, 253))
    draw.ellipse(at(-0.35, 0.55, 0.65, 1.5), (122, 168, 92))
    draw.ellipse(at(0.25, 0.62, 1.45, 1.7), (98, 150, 78))
    draw.rectangle(at(0.18, 0.50, 0.54, 0.76), (214, 186, 150))
    draw.polygon(at(0.13, 0.51, 0.36, 0.30, 0.59, 0.51), (186, 52, 44))
    draw.rectangle(at(0.31, 0.58, 0.41, 0.76), (110, 66, 44))
    draw.rectangle(at(0.21, 0.55, 0.28, 0.63), (70, 110, 150))
    draw.rectangle(at(0.44, 0.55, 0.51, 0.63), (70, 110, 150))
    draw.rectangle(at(0.74, 0.56, 0.78, 0.74), (98, 66, 40))
    draw.ellipse(at(0.64, 0.36, 0.88, 0.64), (44, 104, 60))
    _ball(draw, at, 0.72, 0.84, 0.075)
    return picture.resize((PHOTO, PHOTO), Image.Resampling.LANCZOS)


def _ball(draw: ImageDraw.ImageDraw, at: Callable[..., list[float]], x: float, y: float, radius: float) -> None:
    colors = [(222, 72, 60), (250, 248, 240), (48, 104, 190), (250, 248, 240), (238, 180, 52), (250, 248, 240)]
    for part, color in enumerate(colors):
        draw.pieslice(at(x - radius, y - radius, x + radius, y + radius), part * 60 + 15, part * 60 + 75, color)
    draw.ellipse(at(x - radius / 5, y - radius / 5, x + radius / 5, y + radius / 5), (250, 248, 240))


def draw_icon(name: str) -> Image.Image:
    """One thing alone on a clear ground, as an icon of the channel that likes it."""
    picture, draw, at = _canvas(ICON, (0, 0, 0, 0))
    if name == "red roof":
        draw.polygon(at(0.10, 0.70, 0.50, 0.22, 0.90, 0.70), (186, 52, 44))
        for step in range(5):
            y = 0.34 + 0.08 * step
            draw.line(at(0.5 - (y - 0.22) * 0.8, y, 0.5 + (y - 0.22) * 0.8, y), (128, 30, 26), 14)
    elif name == "sun":
        for ray in range(12):
            turn = ray * math.pi / 6
            end = [0.5 + 0.42 * math.cos(turn), 0.5 + 0.42 * math.sin(turn)]
            draw.line(at(0.5, 0.5, *end), (240, 160, 30), 22)
        draw.ellipse(at(0.26, 0.26, 0.74, 0.74), (255, 208, 70))
    elif name == "round tree":
        draw.rectangle(at(0.45, 0.6, 0.55, 0.92), (98, 66, 40))
        draw.ellipse(at(0.2, 0.1, 0.8, 0.7), (44, 104, 60))
        draw.ellipse(at(0.3, 0.16, 0.6, 0.44), (72, 138, 84))
    elif name == "striped ball":
        _ball(draw, at, 0.5, 0.5, 0.38)
    elif name == "door":
        draw.rectangle(at(0.30, 0.12, 0.70, 0.90), (110, 66, 44))
        draw.rectangle(at(0.37, 0.20, 0.63, 0.48), (140, 90, 62))
        draw.ellipse(at(0.60, 0.52, 0.66, 0.58), (236, 196, 90))
    elif name == "window":
        draw.rectangle(at(0.16, 0.16, 0.84, 0.84), (246, 240, 226))
        for x in (0.22, 0.53):
            for y in (0.22, 0.53):
                draw.rectangle(at(x, y, x + 0.25, y + 0.25), (70, 110, 150))
    elif name == "hill":
        draw.chord(at(-0.1, 0.35, 0.75, 1.4), 180, 360, (122, 168, 92))
        draw.chord(at(0.3, 0.5, 1.2, 1.4), 180, 360, (98, 150, 78))
    elif name == "cloud":
        for x, y, radius in [(0.3, 0.56, 0.18), (0.5, 0.44, 0.24), (0.7, 0.56, 0.18)]:
            draw.ellipse(at(x - radius, y - radius, x + radius, y + radius), (252, 253, 255))
    elif name == "grass":
        for blade in range(9):
            x = 0.12 + 0.095 * blade
            tip = x + 0.06 * math.sin(blade * 2.1)
            draw.polygon(at(x - 0.05, 0.9, tip, 0.2 + 0.1 * (blade % 3), x + 0.05, 0.9), (70 + 8 * blade, 150, 70))
    else:
        draw.ellipse(at(0.08, 0.08, 0.92, 0.92), (140, 192, 240))
        draw.chord(at(0.08, 0.08, 0.92, 0.92), 20, 160, (208, 228, 246))
    return picture.resize((ICON, ICON), Image.Resampling.LANCZOS)


def webp(picture: Image.Image) -> bytes:
    """`picture` as the content of a WebP file."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=88)
    return buffer.getvalue()


def strengths(layer: str) -> numpy.ndarray:
    """[rows, columns, things]: how strongly each thing's channel fires at each position of `layer`."""
    rows, columns, _ = LAYERS[layer]
    y = (numpy.arange(rows)[:, None, None] + 0.5) / rows
    x = (numpy.arange(columns)[None, :, None] + 0.5) / columns
    place = numpy.array([thing[2] for thing in THINGS])
    reach = numpy.array([thing[3] for thing in THINGS])
    peak = numpy.array([thing[4] for thing in THINGS])
    return peak * numpy.exp(-((y - place[:, 0]) ** 2 + (x - place[:, 1]) ** 2) / (2 * reach**2))


def contributions(layer: str) -> numpy.ndarray:
    """[rows, columns, things, classes]: what each channel adds to each logit at each position of `layer`."""
    rows = LAYERS[layer][0]
    return strengths(layer)[..., None] * WEIGHTS * (14 / rows) ** 2 / 1844


def card(layer: str) -> LayerCard:
    """Grid and icons of `layer`; the channels have names in mixed4d only."""
    rows, columns, channels = LAYERS[layer]
    labels = [thing[0] for thing in THINGS] if layer == "mixed4d" else []
    icons = IconSheet(file=f"icons/{layer}.webp", side=ICON, columns=4, channels=CHANNELS.tolist(), labels=labels)
    return LayerCard(name=layer, rows=rows, columns=columns, channels=channels, icons=icons)


def _icons() -> Image.Image:
    sheet = Image.new("RGBA", (4 * ICON, 3 * ICON))
    for place, thing in enumerate(THINGS):
        sheet.paste(draw_icon(thing[0]), (place % 4 * ICON, place // 4 * ICON))
    return sheet


def _dictionary(layer: str) -> DictionaryPanel:
    found = strengths(layer)
    order = numpy.argsort(-found, axis=-1)[..., :6]
    values = numpy.take_along_axis(found, order, axis=-1).round(2)
    return DictionaryPanel(layer=layer, top=CHANNELS[order].tolist(), values=values.tolist())


def _spatial(layer: str) -> SpatialPanel:
    """One map for each class but the last."""
    maps = contributions(layer).sum(2).round(4)
    entries = [ClassMap(class_index=CLASSES[place][0], values=maps[..., place].tolist()) for place in range(4)]
    return SpatialPanel(layer=layer, method="linear", maps=entries)


def _grid(layer: str, icons: list[Image.Image]) -> tuple[GridPanel, bytes]:
    """The icon of the strongest thing at every position, on that position's own colour."""
    rows, columns, _ = LAYERS[layer]
    found = strengths(layer)
    side = 448 // columns
    photo = draw_photo().resize((columns, rows), Image.Resampling.BOX)
    whole = Image.new("RGB", (columns * side, rows * side))
    small = [icon.resize((side, side), Image.Resampling.LANCZOS) for icon in icons]
    for row in range(rows):
        for column in range(columns):
            cell = Image.new("RGB", (side, side), photo.getpixel((column, row)))  # pyright: ignore[reportArgumentType]
            icon = small[int(found[row, column].argmax())]
            cell.paste(icon, (0, 0), icon)
            whole.paste(cell, (column * side, row * side))
    length = numpy.linalg.norm(found, axis=-1)
    panel = GridPanel(
        layer=layer,
        file=f"grids/{layer}.webp",
        side=side,
        strength=pack_numbers(numpy.sqrt(length / length.max())),
        optimized=layer == "mixed5a",
    )
    return panel, webp(whole)


def make_bundle(**changes: object) -> Bundle:
    """An explanation of the drawn photo with every panel; `changes` replace fields of its body."""
    icons = [draw_icon(thing[0]) for thing in THINGS]
    sheet = webp(_icons())
    grids = [_grid(layer, icons) for layer in LAYERS]
    files = {"photo.webp": webp(draw_photo())}
    files |= {f"icons/{layer}.webp": sheet for layer in LAYERS}
    files |= {panel.file: picture for panel, picture in grids}
    files |= {f"groups/{layer}.webp": sheet for layer in UPPER}
    fields: dict[str, object] = {
        "title": "A barn, a tree and a ball",
        "photo": Photo(file="photo.webp", width=PHOTO, height=PHOTO),
        "model": ModelCard(name="inception_v1", input_rows=224, input_columns=224),
        "classes": [ClassScore(index=i, label=name, logit=logit, probability=p) for i, name, logit, p in CLASSES],
        "layers": [card(layer) for layer in LAYERS],
        "dictionaries": [_dictionary(layer) for layer in UPPER],
        "grids": [panel for panel, _ in grids],
        "spatial": [_spatial(layer) for layer in LAYERS],
        **drawn_parts.parts(),
        "evidence": EVIDENCE,
        "seconds": {"dictionary:mixed4d": 31.4, "spatial:mixed4d": 0.42},
    }
    manifest = ExplanationManifest(
        provenance=Provenance(
            model="inception_v1",
            weights="sha256:5c1f0a7e8d2b",
            settings={"steps": 512, "method": "gradient × activation", "transforms": ["jitter", "scale"]},
            seed=7,
            versions={"pellucid": "0.1.0", "torch": "2.9.0"},
            seconds=33.1,
            created=datetime.datetime(2026, 1, 15, 12, 30, tzinfo=datetime.UTC),
        ),
        body=ExplanationBody(**{**fields, **changes}),  # pyright: ignore
    )
    return Bundle(manifest, files)


EVIDENCE = [
    EvidenceEntry(
        about="explanation",
        name="stability under small changes",
        value=0.97,
        control=0.31,
        sentence="Shifting the photo by a few pixels leaves the answer as it is; another photo changes it.",
    ),
    EvidenceEntry(
        about="spatial:mixed4d:425",
        name="deletion agreement",
        value=0.83,
        control=0.06,
        sentence="Greying out the places that the map marks changes the answer as the map predicts; "
        "a shuffled map predicts nothing.",
    ),
    EvidenceEntry(
        about="spatial:mixed4d",
        name="completeness",
        value=0.94,
        sentence="The cells of the map add up to 94 % of the logit.",
    ),
    EvidenceEntry(
        about="dictionary:mixed4d",
        name="icon recall",
        value=0.91,
        control=0.02,
        sentence="Shown its own icon, a channel is among the ten strongest of its layer nine times in ten.",
    ),
    EvidenceEntry(
        about="channels:mixed4d:425",
        name="removal agreement",
        value=0.88,
        control=-0.03,
        sentence="Channels that speak for barn cost it most when they are removed; shuffled channels do not.",
    ),
    EvidenceEntry(
        about="groups:mixed4d",
        name="stability",
        value=0.92,
        control=0.4,
        sentence="Other starting numbers lead to the same groups.",
    ),
    EvidenceEntry(
        about="experiments:mixed4d",
        name="correlation",
        value=0.95,
        control=0.02,
        sentence="What removing a part did to the answer follows what attribution had predicted.",
    ),
]
