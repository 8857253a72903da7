"""Renderings of real weights, judged by the network: no photo raises a channel as its own rendering does."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid
from pellucid.errors import WeightsError


@pytest.fixture(scope="module")
def inception(data: Path) -> pellucid.Model:
    try:
        return pellucid.load("inception_v1", weights=data / "models", download=False)
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def photos(data: Path) -> torch.Tensor:
    archive = data / "images" / "imagenet_1000.tar"
    if not archive.is_file():
        pytest.skip("needs images/imagenet_1000.tar")
    loaded = []
    with tarfile.open(archive) as tar:
        names = sorted(name for name in tar.getnames() if name.lower().endswith((".jpg", ".jpeg", ".png")))
        for name in names[:: len(names) // 32][:32]:
            member = tar.extractfile(name)
            assert member is not None
            with Image.open(io.BytesIO(member.read())) as picture:
                array = np.asarray(picture.convert("RGB").resize((96, 96)), dtype=np.float32) / 255
            loaded.append(torch.from_numpy(array.transpose(2, 0, 1).copy()))
    return torch.stack(loaded)


@pytest.mark.slow
def test_no_photo_raises_a_channel_as_its_rendering_does(inception, photos):
    channels = (11, 426)
    rendering = pellucid.render(inception, [f"mixed4a:{c}" for c in channels], size=96, steps=48, precision="float32")
    pixels = torch.from_numpy(rendering.images).permute(0, 3, 1, 2)
    made = pellucid.record(inception, pixels, "mixed4a")["mixed4a"].values.mean((1, 2))
    natural = pellucid.record(inception, photos, "mixed4a")["mixed4a"].values.mean((1, 2))
    for place, channel in enumerate(channels):
        assert made[place, channel] > natural[:, channel].max()
        # And the rendering is about this channel: no other is raised as far above what it does on photos.
        raised = (made[place] - natural.mean(0)) / (natural.std(0) + 1e-3)
        assert np.argmax(raised) == channel
    images = rendering.images
    assert images.std() > 0.05  # a picture, not grey
    assert ((images < 0.01) | (images > 0.99)).mean() < 0.3  # nor a cartoon of pure colours
