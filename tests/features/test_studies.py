"""Studies of several images, or from an image: each does what it is for, compared with not doing it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pellucid
from pellucid.errors import InputError, TargetError
from pellucid.features.images import MagnitudeConstrained
from pellucid.features.objectives import Caricature, Difference, Likeness, Style, channel
from pellucid.features.transforms import Noise, RandomCrop

SETTINGS = {"size": 32, "steps": 40, "precision": "float32"}


def grid(model, images: np.ndarray, layer: str) -> torch.Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(np.asarray(images).transpose(0, 3, 1, 2)))
    values = pellucid.record(model, pixels, [layer])[layer].values
    return torch.from_numpy(values).permute(0, 3, 1, 2)


class Seen:
    """Readings of finished images."""

    def __init__(self, model, images: np.ndarray) -> None:
        self.model, self.array = model, images
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self.opacity = torch.ones(len(images), *images.shape[1:3])

    def grid(self, layer: str) -> torch.Tensor:
        return grid(self.model, self.array, layer)

    def channel(self, layer: str, index: int) -> torch.Tensor:
        return self.grid(layer)[:, index]


def photo(seed: int = 0, size: tuple[int, int] = (32, 32)) -> torch.Tensor:
    """A smooth colourful picture."""
    small = torch.rand((1, 3, 6, 6), generator=torch.Generator().manual_seed(seed))
    return F.interpolate(small, size, mode="bicubic").clamp(0.02, 0.98)[0]


def as_images(picture: torch.Tensor) -> np.ndarray:
    return picture.permute(1, 2, 0).numpy()[None]


def test_diverse_images_are_less_alike(small):
    plain = pellucid.render_diverse(small, "block:7", copies=3, diversity=0, **SETTINGS)
    diverse = pellucid.render_diverse(small, "block:7", copies=3, diversity=0.9, **SETTINGS)
    alike = [Likeness("block").value(Seen(small, r.images)).mean().item() for r in (plain, diverse)]
    assert alike[1] < alike[0]
    worth = [grid(small, r.images, "block")[:, 7].mean().item() for r in (plain, diverse)]
    start = pellucid.render(small, "block:7", **{**SETTINGS, "steps": 1, "learning_rate": 0.0})
    assert worth[1] > grid(small, start.images, "block")[:, 7].mean()  # and still of the target
    assert diverse.images.shape == (3, 32, 32, 3)


@pytest.mark.parametrize("target", ["-block:7", "-last:1"])
def test_diverse_images_of_a_negative_target_are_less_alike_too(small, target):
    plain = pellucid.render_diverse(small, target, copies=3, diversity=0, layer="block", **SETTINGS)
    diverse = pellucid.render_diverse(small, target, copies=3, diversity=0.9, layer="block", **SETTINGS)
    alike = [Likeness("block").value(Seen(small, r.images)).mean().item() for r in (plain, diverse)]
    assert alike[1] < alike[0]


def test_an_interpolation_goes_from_one_target_to_the_other(small):
    rendering = pellucid.render_interpolation(small, "last:1", "last:7", copies=4, **SETTINGS)
    found = grid(small, rendering.images, "last").mean((2, 3))
    assert found[0, 1] > found[-1, 1]
    assert found[-1, 7] > found[0, 7]
    alone = pellucid.render_interpolation(small, "last:1", "block:3", copies=1, **SETTINGS)
    assert len(alone) == 1


def test_alignment_brings_neighbours_together(small):
    def roughness(alignment):
        images = pellucid.render_interpolation(
            small, "last:1", "last:7", copies=4, alignment=alignment, layer="first", **SETTINGS
        ).images
        seen = grid(small, images, "first")
        return (seen[1:] - seen[:-1]).square().mean().item()

    assert roughness(20.0) < roughness(0.0)


def test_what_is_shared_is_nearer_than_what_is_not(small):
    from pellucid.features.images import Fourier

    settings = {**SETTINGS, "steps": 2}
    shared = pellucid.render_interpolation(small, "last:1", "last:7", copies=3, **settings).images
    apart = pellucid.render_interpolation(
        small, "last:1", "last:7", copies=3, parametrization=Fourier(), **settings
    ).images
    relative = [np.diff(images, axis=0).std() / images.std() for images in (shared, apart)]
    assert relative[0] < relative[1]


@pytest.mark.parametrize("from_image", [False, True])
def test_a_caricature_exaggerates(small, from_image):
    picture = photo()
    reference = grid(small, as_images(picture), "block")[0].numpy()
    made = pellucid.render_caricature(small, picture, "block", from_image=from_image, steps=60, precision="float32")
    assert made.images.shape == (1, 32, 32, 3)
    worth = Caricature("block", reference).value
    assert worth(Seen(small, made.images)) > 1.1 * worth(Seen(small, as_images(picture)))
    if from_image:
        unlike = np.abs(made.images - as_images(picture)).mean()
        assert unlike < np.abs(made.images - as_images(photo(3))).mean()


def test_an_inversion_comes_near(small):
    picture = photo()
    reference = grid(small, as_images(picture), "first")[0].numpy()
    distance = Difference("first", reference).value
    made = pellucid.render_inversion(small, picture, "first", steps=120, precision="float32")
    start = pellucid.render_inversion(small, picture, "first", steps=1, learning_rate=0.0, precision="float32")
    assert distance(Seen(small, made.images)) < 0.3 * distance(Seen(small, start.images))
    assert np.abs(made.images - as_images(picture)).mean() < np.abs(start.images - as_images(picture)).mean()


@pytest.mark.parametrize("size", [(32, 32), (40, 27)])
def test_an_accentuation_raises_its_target_and_stays_near(small, size):
    picture = photo(size=size)
    made = pellucid.render_accentuation(small, picture.numpy(), "last:1", steps=20, precision="float32", transforms=())
    assert made.images.shape == (1, *size, 3)
    assert grid(small, made.images, "last")[0, 1].mean() > grid(small, as_images(picture), "last")[0, 1].mean()
    noise = pellucid.render(small, "last:1", size=size, steps=20, precision="float32", transforms=())
    away = [np.abs(images - as_images(picture)).mean() for images in (made.images, noise.images)]
    assert away[0] < away[1]


def test_style_comes_near_the_texture(small):
    style = photo(1, (44, 36))
    reference = grid(small, as_images(style), "first")[0].numpy()
    far = Style("first", reference).value
    settings = {**SETTINGS, "transforms": ()}
    made = pellucid.render_style(small, style, ["first", "block"], **{**settings, "steps": 80})
    start = pellucid.render_style(small, style, ["first", "block"], **{**settings, "steps": 1, "learning_rate": 0.0})
    assert far(Seen(small, made.images)) < 0.6 * far(Seen(small, start.images))


def test_style_with_content_starts_from_the_content(small):
    content = photo(2, (30, 42))
    made = pellucid.render_style(small, photo(1), ["first"], content=content, steps=5, precision="float32")
    assert made.images.shape == (1, 30, 42, 3)
    assert np.abs(made.images - as_images(content)).mean() < np.abs(made.images - as_images(photo(3, (30, 42)))).mean()
    only = pellucid.render_style(
        small, photo(1), ["first"], content=content, content_layer="block", style_weight=0, steps=2
    )
    assert np.abs(only.images - as_images(content)).mean() < 0.1


def test_magnitude_constrained_renderings_rise(small):
    made = pellucid.render_magnitude_constrained(small, ["block:7", "last:1"], **SETTINGS)
    settings = made.provenance["settings"]
    assert settings["optimizer"] == "nadam"
    assert settings["draws"] == 2
    assert [kind["kind"] for kind in settings["transforms"]] == ["RandomCrop", "Scale", "Window", "Noise"]
    assert (made.objective[:, -10:].mean(1) > made.objective[:, :3].mean(1)).all()


def test_magnitude_constrained_pictures_are_twice_as_large_as_what_the_network_sees(small):
    made = pellucid.render_magnitude_constrained(small, "block:7", steps=2)
    assert made.images.shape == (1, 64, 64, 3)
    clear = pellucid.render_magnitude_constrained(small, "block:7", steps=2, alpha=True).images
    assert clear.shape == (1, 64, 64, 4)
    assert clear[..., 3].mean() > 0.2
    np.testing.assert_allclose(clear[..., :3], made.images, atol=1e-6)


@pytest.mark.parametrize("size", [None, 20, 32, (40, 50)])
def test_magnitude_constrained_pictures_of_any_size_suit_networks_of_one(size):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.Flatten(), torch.nn.Linear(4 * 16, 5))
    fixed = pellucid.wrap(module, size=32)
    made = pellucid.render_magnitude_constrained(fixed, "2:3", size=size, steps=2)
    assert made.images.shape[1:3] == (size if isinstance(size, tuple) else (size or 64, size or 64))
    assert np.isfinite(made.objective).all()


@pytest.mark.parametrize(("size", "shown"), [((64, 64), 1.0), ((40, 80), 0.5), ((80, 40), 0.5)])
def test_what_the_network_sees_is_cut_from_the_picture_alone(small, size, shown):
    made = pellucid.render_magnitude_constrained(small, "block:7", size=size, steps=1)
    _, fit, window, _ = made.provenance["settings"]["transforms"]
    height, width = (side * fit["factors"][0] for side in size)
    assert window["size"] == [32, 32]
    assert min(height, width) == 32
    assert 32 * 32 / (height * width) == pytest.approx(shown)


def test_magnitude_constrained_pictures_fire_their_units_where_one_small_crop_a_step_does_not():
    model = pellucid.load()
    units = [52, 200, 3]
    goals = [f"mixed4d:{unit}" for unit in units]
    made = pellucid.render_magnitude_constrained(model, goals, steps=48)
    single = pellucid.render(
        model,
        goals,
        steps=96,
        parametrization=MagnitudeConstrained(),
        transforms=(RandomCrop(0.25, 0.1), Noise(0.1)),
        optimizer="nadam",
        schedule="constant",
        learning_rate=1.0,
    )
    peaks = []
    for images in (made.images, single.images):
        values = pellucid.record(model, torch.from_numpy(images).permute(0, 3, 1, 2), "mixed4d")["mixed4d"].values
        peaks.append(values.reshape(len(units), -1, values.shape[-1]).max(1)[range(len(units)), units])
    assert (peaks[0] > 1.5 * peaks[1]).all()


@pytest.mark.parametrize("size", [0, 1, (64, 1)])
def test_magnitude_constrained_pictures_have_sides(small, size):
    with pytest.raises(InputError, match=r"size is .*; expected at least 2 px"):
        pellucid.render_magnitude_constrained(small, "block:7", size=size)


def mean_square(model, image: np.ndarray, layer: str) -> float:
    return grid(model, image[None], layer).square().mean().item()


@pytest.mark.parametrize("size", [(70, 131), (64, 64), (33, 200), (40, 40), (9, 12)])
def test_a_dream_of_any_size_sees_more(small, size):
    picture = photo(size=size)
    dreamt = pellucid.dream(small, picture, "block", octaves=3, steps=10)
    assert dreamt.shape == (*size, 3)
    assert dreamt.dtype == np.float32
    assert dreamt.min() >= 0
    assert dreamt.max() <= 1
    assert mean_square(small, dreamt, "block") > 1.01 * mean_square(small, as_images(picture)[0], "block")


def test_dreams_of_targets_and_their_opposites(small):
    picture = photo(size=(70, 90))
    more, less = (pellucid.dream(small, picture, f"{sign}last:1", octaves=1, steps=5) for sign in ("", "-"))
    before = grid(small, as_images(picture), "last")[0, 1].mean()
    found = [grid(small, image[None], "last")[0, 1].mean() for image in (more, less)]
    assert found[1] < before < found[0]
    value = pellucid.dream(small, picture, channel("last", 1), octaves=1, steps=5)
    np.testing.assert_array_equal(value, more)


def test_a_dream_steps_through_octaves(small):
    events = []
    first = pellucid.dream(small, photo(size=(100, 140)), "block", octaves=4, steps=2, progress=events.append)
    # 36, 51, 71 and 100 px: the first two are smaller than an octave may be.
    assert [event.done for event in events] == [1, 2, 3, 4]
    assert events[-1].total == 4
    again = pellucid.dream(small, photo(size=(100, 140)), "block", octaves=4, steps=2)
    np.testing.assert_array_equal(first, again)
    other = pellucid.dream(small, photo(size=(100, 140)), "block", octaves=4, steps=2, seed=1)
    assert not np.array_equal(first, other)


def test_a_dream_without_tracing_and_without_gradients(small, make_model):
    picture = photo(size=(70, 80))
    expected = pellucid.dream(small, picture, "block", octaves=1, steps=2)
    with torch.no_grad():
        hooked = pellucid.dream(make_model(branching=True), picture, "block", octaves=1, steps=2)
    assert np.abs(hooked - expected).mean() < 0.01


def test_dreams_that_cannot_be(small):
    with pytest.raises(InputError, match="octaves"):
        pellucid.dream(small, photo(), "block", octaves=0)
    with pytest.raises(InputError, match="octaves"):
        pellucid.dream(small, photo(), "block", octave_scale=1.0)
    with pytest.raises(TargetError, match="did you mean 'block'"):
        pellucid.dream(small, photo(), "blok")
    with pytest.raises(InputError, match="images have shape"):
        pellucid.dream(small, photo()[:1], "block")
    with pytest.raises(InputError, match="does not look at any layer"):
        pellucid.dream(small, photo(), pellucid.objectives.TotalVariation())


def test_studies_leave_the_module_as_it_was(small):
    small.module.train()
    pellucid.render_caricature(small, photo(), "block", steps=1)
    pellucid.dream(small, photo(), "block", octaves=1, steps=1)
    assert all(part.training for part in small.module.modules())
    assert all(parameter.requires_grad for parameter in small.module.parameters())
