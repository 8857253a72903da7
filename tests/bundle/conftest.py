"""The smallest explanation that has every part."""

import datetime
import io

import numpy as np
import pytest
from PIL import Image

from pellucid.bundle import (
    Bundle,
    ChannelLinks,
    ChannelPanel,
    ClassMap,
    ClassScore,
    DictionaryPanel,
    Effects,
    EvidenceEntry,
    ExplanationBody,
    ExplanationManifest,
    Flow,
    GridPanel,
    Grouping,
    GroupPanel,
    IconSheet,
    Influence,
    LayerCard,
    ModelCard,
    Numbers,
    Photo,
    Provenance,
    RemovalCurves,
    SpatialPanel,
    pack_numbers,
)


def webp(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(buffer, "WEBP")
    return buffer.getvalue()


def ramp(*shape: int) -> Numbers:
    """Numbers from 0 to 1 in the order of the axes."""
    return pack_numbers(np.linspace(0, 1, int(np.prod(shape))).reshape(shape))


def grouping(count: int, rows: int, columns: int) -> Grouping:
    return Grouping(
        spatial=ramp(count, rows, columns),
        icons=[number % 2 for number in range(count)],
        channels=[[5, 0]] * count,
        attribution=ramp(2, count),
        error=0.2,
    )


@pytest.fixture
def bundle() -> Bundle:
    manifest = ExplanationManifest(
        provenance=Provenance(
            model="tiny",
            weights="sha256:00",
            settings={"steps": 8, "transforms": ["jitter", None, {"size": 1.5}]},
            seed=3,
            versions={"pellucid": "0.1.0"},
            seconds=0.25,
            created=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        ),
        body=ExplanationBody(
            title="Two patches",
            photo=Photo(file="photo.webp", width=32, height=24),
            model=ModelCard(name="tiny", input_rows=24, input_columns=32),
            classes=[
                ClassScore(index=4, label="cat", logit=2.0, probability=0.7),
                ClassScore(index=9, label="dog", logit=1.0, probability=0.2),
            ],
            versus=(4, 9),
            layers=[
                LayerCard(
                    name="conv",
                    rows=2,
                    columns=3,
                    channels=6,
                    icons=IconSheet(
                        file="icons/conv.webp", side=16, columns=2, channels=[0, 2, 5], labels=["a", "b", "c"]
                    ),
                ),
                LayerCard(
                    name="late",
                    rows=1,
                    columns=2,
                    channels=8,
                    icons=IconSheet(file="icons/late.webp", side=16, columns=2, channels=[0, 5]),
                ),
            ],
            dictionaries=[
                DictionaryPanel(
                    layer="conv",
                    top=[[[5, 0], [0, 2], [2, 5]], [[0, 2], [5, 2], [2, 0]]],
                    values=[[[5.0, 1.0]] * 3, [[4.0, -0.5]] * 3],
                )
            ],
            grids=[GridPanel(layer="conv", file="grids/conv.webp", side=8, strength=ramp(2, 3), optimized=False)],
            spatial=[
                SpatialPanel(
                    layer="conv",
                    method="linear",
                    maps=[ClassMap(class_index=4, values=[[0.1, 0, -0.2], [1, 2, 3]])],
                )
            ],
            influences=[Influence(lower="conv", upper="late", values=ramp(1, 2, 2, 3))],
            channels=[
                ChannelPanel(layer="conv", channels=[0, 2, 5], attribution=ramp(2, 3), firing=ramp(3, 2, 3)),
                ChannelPanel(layer="late", channels=[0, 5], attribution=ramp(2, 2), firing=ramp(2, 1, 2)),
            ],
            channel_links=[ChannelLinks(lower="conv", upper="late", values=ramp(2, 3))],
            groups=[
                GroupPanel(
                    layer="conv",
                    icons=IconSheet(file="groups/conv.webp", side=16, columns=2, channels=[0, 1]),
                    groupings=[grouping(2, 2, 3), grouping(3, 2, 3)],
                    usual=3,
                ),
                GroupPanel(
                    layer="late",
                    icons=IconSheet(file="groups/late.webp", side=16, columns=1, channels=[0, 1]),
                    groupings=[grouping(2, 1, 2)],
                    usual=2,
                ),
            ],
            flows=[
                Flow(
                    lower="conv",
                    upper="late",
                    links=[[ramp(2, 2), ramp(2, 3)]],
                    aligned=[grouping(2, 2, 3)],
                    aligned_links=[ramp(2, 2)],
                )
            ],
            effects=[
                Effects(
                    layer="conv",
                    unit=unit,  # pyright: ignore[reportArgumentType]
                    groups=2 if unit == "group" else 0,
                    factor=0.5,
                    logits=ramp(units, 2),
                    predicted=ramp(units, 2),
                    probabilities=ramp(units, 2),
                    winners=[units % 2] * units,
                    names=["cat", "dog"],
                )
                for unit, units in (("channel", 3), ("group", 2), ("position", 6), ("square", 6))
            ],
            evidence=[EvidenceEntry(about="spatial:conv:4", name="agreement", value=0.5, sentence="It agrees.")],
            curves=[
                RemovalCurves(
                    layer="conv",
                    class_index=4,
                    shares=[0, 0.5, 1],
                    deletion=[3, 1, 0],
                    insertion=[0, 4, 3],
                    random_deletion=[[3, 2, 0]],
                    random_insertion=[[0, 1, 3]],
                )
            ],
            seconds={"spatial:conv": 0.1},
        ),
    )
    files = {
        "photo.webp": webp(32, 24),
        "icons/conv.webp": webp(32, 32),
        "icons/late.webp": webp(32, 16),
        "grids/conv.webp": webp(24, 16),
        "groups/conv.webp": webp(32, 16),
        "groups/late.webp": webp(16, 32),
    }
    return Bundle(manifest, files)
