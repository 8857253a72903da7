"""Manifests whose parts do not agree are refused, both when written and when read."""

import math

import msgspec
import numpy as np
import pytest

from pellucid.bundle import Bundle, check_manifest, decode_manifest, encode_manifest, pack_numbers
from pellucid.errors import BundleError

PANELS = ("layers", "dictionaries", "grids", "spatial", "influences", "channels", "channel_links")
PANELS += ("groups", "flows", "effects", "evidence", "curves", "seconds", "versus")


def changed(bundle: Bundle, change):
    """The manifest after `change` edited it as plain lists and dicts."""
    plain = msgspec.json.decode(msgspec.json.encode(bundle.manifest))
    change(plain["body"])
    return msgspec.json.encode(plain)


def zeros(*shape: int) -> dict:
    return msgspec.to_builtins(pack_numbers(np.zeros(shape)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b["dictionaries"][0]["top"].pop(), "`top` of the dictionary of 'conv' is 1 × 3, not 2 × 3"),
        (lambda b: b["dictionaries"][0]["values"][1].pop(), "`values` of the dictionary of 'conv' is 2 × 2/3"),
        (lambda b: b["dictionaries"][0]["top"][0][0].pop(), "same number of channels"),
        (lambda b: b["dictionaries"][0]["top"][0][0].__setitem__(0, 3), "channel 3 but the icons of the layer"),
        (lambda b: b["dictionaries"][0]["top"][0][0].__setitem__(0, 6), "channel 6 but the layer has 6"),
        (lambda b: b["dictionaries"].append(b["dictionaries"][0]), "the dictionary of layer 'conv' is there twice"),
        (lambda b: b["dictionaries"][0].update(layer="none"), "'none', which is not among `layers`"),
        (lambda b: b["layers"].append(b["layers"][0]), "there twice"),
        (lambda b: b["layers"].reverse(), "rising order"),
        (lambda b: b["layers"][0]["icons"].update(channels=[0, 2, 2, 5]), "channel 2 is there twice"),
        (lambda b: b["layers"][0]["icons"].update(channels=[0, 2, 6]), "channel 6 but the layer has 6"),
        (lambda b: b["layers"][0]["icons"].update(labels=["a"]), "1 labels for 3 channels"),
        (lambda b: b["layers"][0]["icons"].update(file="photo.webp"), "'photo.webp' is there twice"),
        (lambda b: b["grids"][0].update(file="groups/conv.webp"), "'groups/conv.webp' is there twice"),
        (lambda b: b["grids"][0].update(strength=zeros(3, 2)), "activation grid of 'conv' is 3 × 2, not 2 × 3"),
        (lambda b: b["grids"][0]["strength"].update(scale=1.0), "beyond 0 and 1"),
        (lambda b: b["spatial"].append(b["spatial"][0]), "the spatial attribution of layer 'conv' is there twice"),
        (lambda b: b["spatial"][0]["maps"][0]["values"].clear(), "is 0 × 0, not 2 × 3"),
        (lambda b: b["spatial"][0]["maps"][0].update(class_index=1), "class 1, which is not among the classes"),
        (lambda b: b["spatial"][0]["maps"].append(b["spatial"][0]["maps"][0]), "class 4 is there twice"),
        (lambda b: b["influences"][0].update(values=zeros(2, 3, 1, 2)), "2 × 3 × 1 × 2, not 1 × 2 × 2 × 3"),
        (lambda b: b["influences"][0].update(lower="late"), "not neighbours in `layers`"),
        (lambda b: b["influences"][0].update(upper="nowhere"), "'nowhere', which is not among `layers`"),
        (lambda b: b["influences"].append(b["influences"][0]), "the influence from layer 'conv' is there twice"),
        (lambda b: b["channels"][0].update(channels=[2, 0, 5]), "not in rising order"),
        (lambda b: b["channels"][0].update(channels=[0, 2, 4]), "channel 4 but the icons of the layer"),
        (lambda b: b["channels"][0].update(attribution=zeros(3, 2)), "is 3 × 2, not 2 × 3"),
        (lambda b: b["channels"][0].update(firing=zeros(3, 3, 2)), "3 × 3 × 2, not 3 × 2 × 3"),
        (lambda b: b["channels"][0]["firing"].update(data="AAA"), "are not base64"),
        (lambda b: b["channels"][0]["firing"].update(data="AAAA"), "hold 3 bytes, not the 36 of 3 × 2 × 3 integers"),
        (lambda b: b["channels"].pop(), "need the channel attribution of both layers"),
        (lambda b: b["channel_links"][0].update(values=zeros(3, 2)), "is 3 × 2, not 2 × 3"),
        (lambda b: b["groups"][0].update(usual=4), "usually 4, but there is no such grouping"),
        (lambda b: b["groups"][0]["groupings"].reverse(), "not in rising order"),
        (lambda b: b["groups"][0]["groupings"][0].update(icons=[0, 2]), "names icon 2 but the sheet has 2"),
        (lambda b: b["groups"][0]["groupings"][0].update(spatial=zeros(2, 6)), "is 2 × 6, not 2 × 2 × 3"),
        (lambda b: b["groups"][0]["groupings"][0].update(attribution=zeros(2, 3)), "is 2 × 3, not 2 × 2"),
        (lambda b: b["groups"][0]["groupings"][0].update(channels=[[5]]), "tell of 1 groups, not of 2"),
        (lambda b: b["groups"][0]["groupings"][0].update(channels=[[5], [3]]), "names channel 3"),
        (lambda b: b["groups"][0]["icons"].update(channels=[0, 5]), "not numbered from 0 up"),
        (lambda b: b["groups"].pop(), "needs the groups of both layers"),
        (lambda b: b["flows"][0]["links"][0].pop(), "must have a row for each grouping of 'late'"),
        (lambda b: b["flows"][0]["links"][0].reverse(), "is 2 × 3, not 2 × 2"),
        (lambda b: b["flows"][0].update(aligned=b["flows"][0]["aligned"] * 2), "2 entries, not one for each grouping"),
        (lambda b: b["flows"][0].update(aligned_links=[]), "0 entries for 1 of `aligned`"),
        (lambda b: b["flows"][0]["aligned"][0]["icons"].pop(), "aligns 1 groups with 2"),
        (lambda b: b["flows"][0]["aligned_links"][0].update(zeros(2, 3)), "is 2 × 3, not 2 × 2"),
        (lambda b: b["effects"][0].update(logits=zeros(2, 2)), "is 2 × 2, not 3 × 2"),
        (lambda b: b["effects"][1].update(groups=0), "says 0 groups"),
        (lambda b: b["effects"][0].update(groups=2), "says 2 groups"),
        (lambda b: b["effects"][1].update(groups=4), "4 groups, but there is no such grouping"),
        (lambda b: b["effects"][2].update(layer="late"), "is 6 × 2, not 2 × 2"),
        (lambda b: b["effects"][3]["probabilities"].update(scale=1.0), "beyond 0 and 1"),
        (lambda b: b["effects"][3]["winners"].pop(), "has 5 entries, not 6"),
        (lambda b: b["effects"][0].update(names=["cat"]), "names name 1 but `names` has 1"),
        (lambda b: b["evidence"][0].update(low=0.1), "'agreement' of 'spatial:conv:4' has only one end"),
        (lambda b: b["evidence"][0].update(low=0.6, high=0.8), "from 0.6 to 0.8, beside the value 0.5"),
        (lambda b: b["curves"][0].update(layer="other"), "a curve is of layer 'other', which is not among `layers`"),
        (lambda b: b["curves"][0].update(class_index=1), "class 1 in 'conv' are of no class of the explanation"),
        (lambda b: b["curves"][0].update(shares=[0, 0.5, 0.9]), "reach from 0 to 0.9 of the positions"),
        (lambda b: b["curves"][0].update(shares=[0, 0.5, 0.4, 1]), "is not in rising order"),
        (lambda b: b["curves"][0]["random_deletion"][0].pop(), "class 4 in 'conv' have 2/3 points for 3 shares"),
        (lambda b: b["curves"][0]["random_deletion"].clear(), "have 0 and 1 random orders"),
        (lambda b: b["curves"].append(b["curves"][0]), "a curve ('conv', 4) is there twice"),
        (lambda b: b["effects"].append(b["effects"][0]), "the experiment ('conv', 'channel', 0, 0.5) is there twice"),
        (lambda b: b["classes"].append(b["classes"][0]), "class 4 is there twice"),
        (lambda b: b.update(versus=[4, 4]), "not two of the classes"),
        (lambda b: b.update(versus=[4, 5]), "not two of the classes"),
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
    data = changed(bundle, lambda body: [body.pop(name) for name in PANELS])
    body = decode_manifest(data).body
    assert not any(getattr(body, name) for name in PANELS)


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
