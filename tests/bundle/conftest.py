"""The smallest explanation that has every part."""

import datetime
import io

import pytest
from PIL import Image

from pellucid.bundle import (
    Bundle,
    ClassMap,
    ClassScore,
    DictionaryPanel,
    EvidenceEntry,
    ExplanationBody,
    ExplanationManifest,
    IconSheet,
    ModelCard,
    Photo,
    Provenance,
    SpatialPanel,
)


def webp(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(buffer, "WEBP")
    return buffer.getvalue()


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
            dictionaries=[
                DictionaryPanel(
                    layer="conv",
                    rows=2,
                    columns=3,
                    channels=6,
                    top=[[[5, 0], [0, 2], [2, 5]], [[0, 2], [5, 2], [2, 0]]],
                    values=[[[5.0, 1.0]] * 3, [[4.0, -0.5]] * 3],
                    icons=IconSheet(
                        file="icons/conv.webp", side=16, columns=2, channels=[0, 2, 5], labels=["a", "b", "c"]
                    ),
                )
            ],
            spatial=[
                SpatialPanel(
                    layer="conv", rows=2, columns=3, maps=[ClassMap(class_index=4, values=[[0.1, 0, -0.2], [1, 2, 3]])]
                )
            ],
            evidence=[EvidenceEntry(about="spatial:conv:4", name="agreement", value=0.5, sentence="It agrees.")],
            seconds={"spatial:conv": 0.1},
        ),
    )
    return Bundle(manifest, {"photo.webp": webp(32, 24), "icons/conv.webp": webp(32, 32)})
