"""Manifests whose parts do not agree are refused, both when written and when read."""

import math

import msgspec
import pytest

from pellucid.bundle import Bundle, check_manifest, decode_manifest, encode_manifest
from pellucid.errors import BundleError


def changed(bundle: Bundle, change):
    """The manifest after `change` edited it as plain lists and dicts."""
    plain = msgspec.json.decode(msgspec.json.encode(bundle.manifest))
    change(plain["body"])
    return msgspec.json.encode(plain)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b["dictionaries"][0]["top"].pop(), "`top` of the dictionary of 'conv' is 1 × 3, not 2 × 3"),
        (lambda b: b["dictionaries"][0]["values"][1].pop(), "`values` of the dictionary of 'conv' is 2 × 2/3"),
        (lambda b: b["dictionaries"][0]["top"][0][0].pop(), "same number of channels"),
        (lambda b: b["dictionaries"][0]["top"][0][0].__setitem__(0, 3), "channel 3 but its icons do not show it"),
        (lambda b: b["dictionaries"][0]["top"][0][0].__setitem__(0, 6), "channel 6 but the layer has 6"),
        (lambda b: b["dictionaries"][0]["icons"].update(channels=[0, 2, 2, 5]), "channel 2 is there twice"),
        (lambda b: b["dictionaries"][0]["icons"].update(labels=["a"]), "1 labels for 3 channels"),
        (lambda b: b["dictionaries"].append(b["dictionaries"][0]), "there twice"),
        (lambda b: b["dictionaries"][0]["icons"].update(file="photo.webp"), "'photo.webp' is there twice"),
        (lambda b: b["spatial"].append(b["spatial"][0]), "the spatial attribution of layer 'conv' is there twice"),
        (lambda b: b["spatial"][0]["maps"][0]["values"].clear(), "is 0 × 0, not 2 × 3"),
        (lambda b: b["spatial"][0]["maps"][0].update(class_index=1), "class 1, which is not among the classes"),
        (lambda b: b["spatial"][0]["maps"].append(b["spatial"][0]["maps"][0]), "class 4 is there twice"),
        (lambda b: b["classes"].append(b["classes"][0]), "class 4 is there twice"),
    ],
)
def test_disagreement(bundle: Bundle, change, says: str) -> None:
    data = changed(bundle, change)
    with pytest.raises(BundleError) as caught:
        decode_manifest(data)
    assert says in str(caught.value)
    with pytest.raises(BundleError):
        encode_manifest(msgspec.json.decode(data, type=type(bundle.manifest)))


def test_agreement(bundle: Bundle) -> None:
    check_manifest(bundle.manifest)
    assert decode_manifest(encode_manifest(bundle.manifest)) == bundle.manifest


def test_panels_are_optional(bundle: Bundle) -> None:
    data = changed(bundle, lambda body: [body.pop(name) for name in ("dictionaries", "spatial", "evidence", "seconds")])
    body = decode_manifest(data).body
    assert (body.dictionaries, body.spatial, body.evidence, body.seconds) == ([], [], [], {})


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None])
def test_a_number_that_is_none_is_not_written(bundle: Bundle, value: object) -> None:
    body = bundle.manifest.body
    scores = [msgspec.structs.replace(body.classes[0], logit=value), *body.classes[1:]]
    manifest = msgspec.structs.replace(bundle.manifest, body=msgspec.structs.replace(body, classes=scores))
    with pytest.raises(BundleError, match="logit"):
        encode_manifest(manifest)


def test_a_setting_that_json_cannot_hold(bundle: Bundle) -> None:
    provenance = msgspec.structs.replace(bundle.manifest.provenance, settings={"model": object()})
    with pytest.raises(BundleError, match="does not fit its schema"):
        encode_manifest(msgspec.structs.replace(bundle.manifest, provenance=provenance))


def test_structs_are_frozen(bundle: Bundle) -> None:
    with pytest.raises(AttributeError):
        bundle.manifest.body.title = "other"  # pyright: ignore[reportAttributeAccessIssue]
