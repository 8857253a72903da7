"""Reports whose parts do not agree are refused, both when written and when read."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pellucid.bundle import (
    Bundle,
    ReportManifest,
    check_pictures,
    decode_manifest,
    encode_manifest,
    pictures,
    read_bundle,
    write_bundle,
)
from pellucid.errors import BundleError
from tests.small_report import make_small_report, webp


@pytest.fixture
def report() -> Bundle:
    return make_small_report()


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
