"""The smallest report that has every part: two units in a layer, one in the other, a sheet of pieces for each."""

import datetime
import io

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


def webp(width: int, height: int) -> bytes:
    """One colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (40, 120, 200)).save(buffer, "WEBP")
    return buffer.getvalue()


def make_small_report() -> Bundle:
    """A report of two layers, `conv` and `late`."""
    measure = EvidenceEntry(about="rendering:conv:0", name="activation", value=0.9, sentence="It fires.", says="for")
    layers = [
        ReportLayer(
            name=name,
            rows=4,
            columns=4,
            channels=6,
            icons=IconSheet(file=f"icons/{name}.webp", side=16, columns=2, channels=channels),
            exemplars=PatchSheets(
                files=[f"pieces/{name}-{number}.webp" for number in range(len(channels))],
                side=8,
                columns=3,
                cells=1,
                counts=[3, 2][: len(channels)],
            ),
            units=[ReportUnit(channel=channel, says="for", evidence=[measure]) for channel in channels],
            methods=[
                MethodScore(
                    method=method,
                    unit=unit,  # pyright: ignore[reportArgumentType]
                    value=0.8,
                    low=0.7,
                    high=0.9,
                    control=0.2,
                    says="for",
                    seconds=0.1,
                )
                for method, unit in (("linear", "set"), ("linear", "channel"), ("removal", "set"))
            ],
            evidence=[EvidenceEntry(about=f"renderings:{name}", name="hold", value=1, control=0, sentence="All hold.")],
        )
        for name, channels in (("conv", [5, 0]), ("late", [3]))
    ]
    manifest = ReportManifest(
        provenance=Provenance(
            model="tiny",
            weights="sha256:00",
            seconds=0.25,
            created=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        ),
        body=ReportBody(
            title="What to believe of tiny",
            model=ModelCard(name="tiny", input_rows=24, input_columns=24),
            images=30,
            photos=4,
            layers=layers,
        ),
    )
    files = {"icons/conv.webp": webp(32, 16), "icons/late.webp": webp(32, 16)}
    files |= {f"pieces/{name}.webp": webp(24, 8) for name in ("conv-0", "conv-1", "late-0")}
    return Bundle(manifest, files)
