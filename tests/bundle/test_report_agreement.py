"""Reports whose parts do not agree are refused, both when written and when read."""

import datetime
import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
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
    check_pictures,
    decode_manifest,
    encode_manifest,
    pictures,
    read_bundle,
    write_bundle,
)
from pellucid.errors import BundleError


def webp(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (40, 120, 200)).save(buffer, "WEBP")
    return buffer.getvalue()


@pytest.fixture
def report() -> Bundle:
    """Two units in a layer, one in the other; their pieces in sheets of one unit each."""
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


@pytest.mark.parametrize("name", ["report", "report.zip"])
def test_round_trip(report: Bundle, tmp_path: Path, name: str) -> None:
    again = read_bundle(write_bundle(report.manifest, report.files, tmp_path / name))
    assert again.manifest == report.manifest
    assert {name: again.files[name] for name in report.files} == report.files


def test_pictures_are_those_that_are_named(report: Bundle) -> None:
    sizes = pictures(report.manifest)
    assert set(sizes) == set(report.files)
    assert sizes["icons/conv.webp"] == (32, 16)
    assert sizes["pieces/conv-1.webp"] == (24, 8)
    check_pictures(report.manifest, report.files)
    with pytest.raises(BundleError, match="32 × 16 pixels but the manifest says 24 × 8"):
        check_pictures(report.manifest, {**report.files, "pieces/late-0.webp": webp(32, 16)})


def _layer(change: Callable[[dict], object]) -> Callable[[dict], object]:
    return lambda body: change(body["layers"][0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b["layers"].append(b["layers"][0]), "layer 'conv' is there twice"),
        (lambda b: b["layers"][1]["icons"].update(file="icons/conv.webp"), "'icons/conv.webp' is there twice"),
        (lambda b: b["layers"][1]["exemplars"].update(files=["icons/conv.webp"]), "'icons/conv.webp' is there twice"),
        (_layer(lambda layer: layer["icons"].update(file="../a.webp")), "'../a.webp' is not a file name"),
        (_layer(lambda layer: layer["icons"].update(file="manifest.json")), "'manifest.json' is not a file name"),
        (
            _layer(lambda layer: layer["icons"].update(channels=[0, 5])),
            "the icons of 'conv' are not those of its units",
        ),
        (_layer(lambda layer: layer["icons"].update(labels=["ear"])), "1 labels for 2 channels"),
        (_layer(lambda layer: layer.update(channels=5)), "names channel 5 but the layer has 5"),
        (_layer(lambda layer: layer["units"].pop()), "the icons of 'conv' are not those of its units"),
        (_layer(lambda layer: layer["exemplars"]["counts"].pop()), "the pieces of 'conv' are of 1 cells, not of 2"),
        (_layer(lambda layer: layer["exemplars"]["files"].pop()), "the pieces of 'conv' are in 1 files"),
        (_layer(lambda layer: layer["exemplars"].update(columns=2)), "a cell of 'conv' has more than 2 pieces"),
        (_layer(lambda layer: layer["exemplars"]["files"].__setitem__(0, "/a.webp")), "'/a.webp' is not a file name"),
        (
            _layer(lambda layer: layer["methods"].append(layer["methods"][0])),
            "the method ('linear', 'set') is there twice",
        ),
        (_layer(lambda layer: layer["methods"][0].update(low=0.85)), "'linear' in 'conv' has 0.8 outside 0.85 to 0.9"),
        (_layer(lambda layer: layer["methods"][0].update(high=0.75)), "'linear' in 'conv' has 0.8 outside 0.7 to 0.75"),
        (
            _layer(lambda layer: layer["evidence"][0].update(low=0.2)),
            "the interval of 'hold' of 'renderings:conv' has only",
        ),
        (
            _layer(lambda layer: layer["units"][1]["evidence"][0].update(low=0.1, high=0.5)),
            "the interval of 'activation' of 'rendering:conv:0' reaches from 0.1 to 0.5",
        ),
    ],
)
def test_disagreement(report: Bundle, change: Callable[[dict], object], says: str) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(report.manifest))
    change(plain["body"])
    data = msgspec.json.encode(plain)
    with pytest.raises(BundleError) as caught:
        decode_manifest(data)
    assert says in str(caught.value)
    with pytest.raises(BundleError):
        encode_manifest(msgspec.json.decode(data, type=ReportManifest))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b.update(layers=[]), "layers"),
        (_layer(lambda layer: layer.update(units=[])), "units"),
        (_layer(lambda layer: layer["units"][0].update(says="maybe")), "says"),
        (_layer(lambda layer: layer["methods"][0].update(unit="pixel")), "unit"),
        (_layer(lambda layer: layer["methods"][0].pop("control")), "control"),
        (lambda b: b.update(other=1), "other"),
    ],
)
def test_what_does_not_fit_the_schema(report: Bundle, change: Callable[[dict], object], says: str) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(report.manifest))
    change(plain["body"])
    with pytest.raises(BundleError, match=says):
        decode_manifest(msgspec.json.encode(plain))
