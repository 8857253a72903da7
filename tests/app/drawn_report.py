"""A report made of drawn shapes: three layers, ten channels, and numbers that are known."""

import datetime

from drawn_bundle import draw_icon, webp
from PIL import Image

from pellucid.bundle import (
    Bundle,
    EvidenceEntry,
    IconSheet,
    MethodScore,
    ModelCard,
    PatchSheets,
    Provenance,
    ReportBody,
    ReportLayer,
    ReportManifest,
    ReportUnit,
)

ICON, PIECE, PIECES = 128, 64, 6

# By layer: its grid, its channels, and for each unit its number, what it says, what its picture shows, what fires it.
LAYERS = {
    "mixed3b": (
        (28, 480),
        [
            (11, "against", "sun", "striped ball"),
            (64, "against", "cloud", "grass"),
            (139, "nothing", "round tree", "hill"),
            (208, "for", "red roof", "red roof"),
        ],
    ),
    "mixed4d": (
        (14, 528),
        [
            (5, "for", "sky", "sky"),
            (77, "nothing", "window", "door"),
            (300, "for", "striped ball", "striped ball"),
            (350, "against", "hill", "round tree"),
            (426, "for", "door", "door"),
        ],
    ),
    "mixed5a": ((7, 832), [(501, "for", "cloud", "cloud")]),
}

# By layer and kind of part: method, median, quartiles, control, seconds.
METHODS = {
    ("mixed4d", "set"): [
        ("removal", 0.91, 0.86, 0.94, 0.26, 2.64),
        ("sampled", 0.83, 0.80, 0.88, 0.26, 0.21),
        ("linear", 0.62, 0.48, 0.71, 0.26, 0.03),
        ("grad_cam", 0.24, -0.05, 0.44, 0.26, 0.02),
    ],
    ("mixed4d", "channel"): [
        ("linear", 0.98, 0.97, 0.99, 0.31, 0.03),
        ("removal", 0.95, 0.93, 0.96, 0.31, 2.64),
    ],
    ("mixed4d", "group"): [("linear", 0.44, 0.2, 0.6, 0.52, 0.03), ("removal", 0.41, 0.1, 0.6, 0.52, 2.64)],
    ("mixed5a", "set"): [("removal", 0.99, 0.98, 0.99, 0.79, 0.8), ("linear", 0.95, 0.9, 0.97, 0.79, 0.02)],
    ("mixed5a", "channel"): [("linear", 0.96, 0.95, 0.98, 0.41, 0.02), ("removal", 0.92, 0.9, 0.95, 0.41, 0.8)],
}

MEASURES = [
    EvidenceEntry(
        about="groups:mixed4d",
        name="logit carried by the groups",
        value=0.82,
        control=0.31,
        sentence="On the median of 12 photos, 6 groups carry 82% of what the layer adds to the most probable class.",
    ),
    EvidenceEntry(
        about="spatial:mixed4d",
        name="sensitivity to randomized weights, linear",
        value=0.44,
        control=0.47,
        sentence="Maps lose 0.44 of their likeness to those of the trained network; mere strength loses 0.47.",
    ),
]


def evidence(layer: str, channel: int, says: str) -> list[EvidenceEntry]:
    """Three measures of a picture, the second of which speaks for it whatever the first says."""
    about = f"rendering:{layer}:{channel}"
    value, control = {"for": (0.9, 0.2), "against": (-0.1, 0.4), "nothing": (0.45, 0.4)}[says]
    told = {
        "for": "The picture fires the unit through the same channels as photos do.",
        "against": "The picture fires the unit through other channels than photos do.",
        "nothing": "The picture is neither like nor unlike the photos that fire the unit.",
    }[says]
    return [
        EvidenceEntry(
            about=about,
            name="same cause as on photos",
            value=value,
            control=control,
            sentence=told,
            says=says,  # pyright: ignore[reportArgumentType]
        ),
        EvidenceEntry(
            about=about,
            name="activation beside photos",
            value=0.99,
            control=0.31,
            sentence="The unit fires more on this picture than on 99% of 1,000 photos.",
            says="for",
        ),
        EvidenceEntry(
            about=about,
            name="self-identification",
            value=0.97,
            control=0.5,
            sentence="This picture raises 3 of the other units more than its own.",
            says="for",
        ),
    ]


def make_report(**changes: object) -> Bundle:
    """A report with every part; `changes` replace fields of its body."""
    files: dict[str, bytes] = {}
    layers = [_layer(name, files) for name in LAYERS]
    fields: dict[str, object] = {
        "title": "What to believe of inception_v1",
        "model": ModelCard(name="inception_v1", input_rows=224, input_columns=224),
        "images": 1000,
        "photos": 12,
        "layers": layers,
        "remarks": ["removal was not tried in mixed3b: one by one, its 784 positions take minutes."],
        "seconds": {"images": 41.5, "renderings:mixed4d": 21.2, "methods:mixed4d": 33.0},
    }
    manifest = ReportManifest(
        provenance=Provenance(
            model="inception_v1",
            weights="sha256:5c1f0a7e8d2b",
            settings={"units": 5, "photos": 12, "groups": 6},
            seed=7,
            versions={"pellucid": "0.1.0", "torch": "2.9.0"},
            seconds=95.7,
            created=datetime.datetime(2026, 1, 15, 12, 30, tzinfo=datetime.UTC),
        ),
        body=ReportBody(**{**fields, **changes}),  # pyright: ignore[reportArgumentType]
    )
    return Bundle(manifest, files)


def _layer(name: str, files: dict[str, bytes]) -> ReportLayer:
    (side, channels), units = LAYERS[name]
    files[f"icons/{name}.webp"] = webp(_icons([picture for *_, picture, _ in units]))
    # Two sheets where there are more units than fit in one.
    most = 3
    sheets = [units[start : start + most] for start in range(0, len(units), most)]
    for number, some in enumerate(sheets):
        files[f"pieces/{name}-{number}.webp"] = webp(_pieces([cause for *_, cause in some]))
    return ReportLayer(
        name=name,
        rows=side,
        columns=side,
        channels=channels,
        icons=IconSheet(
            file=f"icons/{name}.webp",
            side=ICON,
            columns=2,
            channels=[unit[0] for unit in units],
            labels=["sky", "", "striped ball", "", "door"] if name == "mixed4d" else [],
        ),
        exemplars=PatchSheets(
            files=[f"pieces/{name}-{number}.webp" for number in range(len(sheets))],
            side=PIECE,
            columns=PIECES,
            cells=most,
            counts=[PIECES] * len(units),
        ),
        units=[
            ReportUnit(
                channel=channel,
                says=says,  # pyright: ignore[reportArgumentType]
                evidence=evidence(name, channel, says),
            )
            for channel, says, *_ in units
        ],
        methods=[
            MethodScore(
                method=method,
                unit=unit,  # pyright: ignore[reportArgumentType]
                value=value,
                low=low,
                high=high,
                control=control,
                says="for" if value > control else "nothing",
                seconds=seconds,
            )
            for (layer, unit), scores in METHODS.items()
            if layer == name
            for method, value, low, high, control, seconds in scores
        ],
        evidence=[
            EvidenceEntry(
                about=f"renderings:{name}",
                name="pictures that hold",
                value=sum(says == "for" for _, says, *_ in units) / len(units),
                control=0.0,
                sentence=f"Of the same pictures of {name} in another channel's place, none pass.",
            ),
            *(MEASURES if name == "mixed4d" else []),
        ],
    )


def _icons(names: list[str]) -> Image.Image:
    sheet = Image.new("RGBA", (2 * ICON, -(-len(names) // 2) * ICON))
    for place, name in enumerate(names):
        sheet.paste(draw_icon(name), (place % 2 * ICON, place // 2 * ICON))
    return sheet


def _pieces(names: list[str]) -> Image.Image:
    """A line of pieces for each name: the thing on grounds of other colours, turned a little."""
    sheet = Image.new("RGB", (PIECES * PIECE, len(names) * PIECE))
    for row, name in enumerate(names):
        for column in range(PIECES):
            ground = Image.new("RGB", (PIECE, PIECE), (150 + 17 * column, 220 - 14 * column, 190 + 9 * column))
            thing = draw_icon(name).rotate(14 * column - 35).resize((PIECE, PIECE), Image.Resampling.LANCZOS)
            ground.paste(thing, (0, 0), thing)
            sheet.paste(ground, (column * PIECE, row * PIECE))
    return sheet
