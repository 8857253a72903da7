"""The layers that are looked at where none is named: where they ought to lie in networks of every make."""

import pytest
from networks import ResidualNet, plain_net, seeded
from torch import nn

import pellucid
from pellucid.errors import TargetError
from pellucid.models import stages, usual_layers


def usual(module: nn.Module, size: int, **settings) -> list[str]:
    return usual_layers(pellucid.wrap(module, size=size, **settings))


def unit(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


def test_known_networks(embedded_model):
    assert usual_layers(embedded_model) == ["mixed4a", "mixed4d"]
    # The favourite decides, wherever it stands.
    assert usual(plain_net(), 32, default_layer="3") == ["1", "3"]
    assert usual(plain_net(), 32, default_layer="1") == ["1"]


def test_all_stages_in_their_order(embedded_model):
    mixed = [f"mixed{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "5a", "5b")]
    assert stages(embedded_model) == ["conv2d0", "conv2d1", *mixed]
    assert stages(pellucid.wrap(plain_net(), size=32)) == ["1", "3", "6", "8"]
    assert stages(pellucid.wrap(plain_net(), size=32, default_layer="2")) == ["1", "3", "6", "8"]


def test_a_stage_is_looked_at_behind_its_norm_and_activation():
    module = nn.Sequential(
        *unit(3, 8), *unit(8, 8, 2), *unit(8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    assert usual(module, 40) == ["5", "8"]
    assert usual(ResidualNet(), 64)[-1].startswith("block")


def test_containers_are_looked_into():
    features = nn.Sequential(*unit(3, 8), *unit(8, 8, 2), nn.MaxPool2d(2), *unit(8, 16), *unit(16, 16))
    head = nn.Sequential(nn.Dropout(), nn.Conv2d(16, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module = nn.Sequential()
    module.features, module.classifier = features, head
    # Neither the dropout behind the features nor the map of classes.
    assert usual(module, 64) == ["features.9", "features.12"]


def test_in_small_pictures_few_positions_are_enough():
    assert usual(plain_net(), 32) == ["6", "8"]
    shrinking = nn.Sequential(*unit(3, 8), *unit(8, 8, 2), *unit(8, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module = nn.Sequential(*shrinking, nn.Linear(8, 2))
    assert usual(module, 20) == ["5", "8"], "5 × 5 positions are a quarter of 20 px"
    assert usual(module, 64)[-1] == "8"


def test_a_transformers_blocks_a_quarter_and_three_quarters_up():
    timm = pytest.importorskip("timm")
    module = seeded(timm.create_model, "vit_tiny_patch16_224", pretrained=False, img_size=64, num_classes=4)
    assert usual(module, 64) == ["blocks.2", "blocks.8"]


def test_without_positions_or_weights():
    with pytest.raises(TargetError, match="no layer with positions"):
        usual(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), 4)
    assert usual(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), 16) == ["1"], "a network without an answer"
    assert usual(nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)), 16) == ["0", "1"]
