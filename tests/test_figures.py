"""Captioned sheets and maps over photos, pixel by pixel where it is known what they must be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid
from pellucid.errors import InputError, TargetError
from pellucid.figures import as_picture, maps, overlay, sheet

RED, WHITE = (255, 0, 0), (255, 255, 255)
SUPPORT, INHIBIT = (11, 122, 117), (209, 102, 15)


def plain(colour: tuple[int, int, int], height: int = 40, width: int = 40) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def ink(picture: Image.Image) -> np.ndarray:
    """Which pixels are darker than white, bool [height, width]."""
    return np.asarray(picture).min(2) < 200


def test_without_captions_it_is_the_pictures_and_the_white_between_them():
    random = np.random.default_rng(0).integers(0, 256, (5, 6, 9, 3), dtype=np.uint8)
    whole = np.asarray(sheet(random, columns=2, gap=3))
    assert whole.shape == (3 * 9 - 3, 2 * 12 - 3, 3)
    np.testing.assert_array_equal(whole[9:15, 12:21], random[3])
    assert (whole[18:, 12:] == 255).all()
    assert (whole[6:9] == 255).all()


def test_a_caption_stands_above_its_own_picture():
    blank = plain(WHITE, 100, 100)
    for place in range(4):
        captions = ["", "", "", ""]
        captions[place] = "unit"
        whole = ink(sheet([blank] * 4, captions, columns=2, side=100, gap=10))
        rows, columns = np.nonzero(whole)
        assert columns.min() // 110 == columns.max() // 110 == place % 2
        assert abs(columns.mean() - (place % 2 * 110 + 50)) < 8, "in the middle"
        # In the row's own space above the picture: only rows with captions have any.
        assert (rows.min() > 100) == (place >= 2)
        assert len(whole) == 2 * 100 + 10 + 20


@pytest.mark.parametrize("caption", ["W" * 200, "many words " * 20, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 40, "a\nb\tc"])
def test_long_and_strange_captions_keep_to_their_picture(caption):
    whole = ink(sheet([plain(WHITE, 100, 100)] * 2, [caption, ""], side=100, gap=10))
    assert whole.any()
    assert not whole[:, 101:].any()


def test_letters_that_the_font_lacks_become_others():
    blank = [plain(WHITE, 60, 200)]
    for given, written in (("é − ü × →", "e - u x ->"), ("\N{CJK UNIFIED IDEOGRAPH-4E2D}", "?")):
        assert sheet(blank, [given]).tobytes() == sheet(blank, [written]).tobytes()


def test_pictures_of_other_sizes_come_to_one_side_and_keep_their_shape():
    whole = sheet([plain(RED, 20, 40), plain(RED, 90, 30)], side=60, columns=2, gap=4)
    assert whole.size == (60 + 4 + 60, 60)
    red = (np.asarray(whole) == RED).all(2)
    assert red[:, :60].sum() == 60 * 30
    assert red[:, 64:].sum() == 60 * 20


def test_single_pixels_are_squares_where_that_is_asked():
    checks = np.indices((4, 4)).sum(0) % 2 * 1.0
    sharp = np.asarray(sheet([checks], side=40, sharp=True))
    np.testing.assert_array_equal(sharp[:, :, 0], np.kron(checks, np.ones((10, 10))) * 255)
    assert len(np.unique(np.asarray(sheet([checks], side=40)))) > 2


@pytest.mark.parametrize(
    "image",
    [
        np.full((8, 9, 3), (1.0, 0, 0)),
        np.full((8, 9, 3), (255, 0, 0), np.uint8),
        torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand(3, 8, 9),
        np.full((8, 9, 4), (1.0, 0, 0, 1)),
        plain(RED, 8, 9),
    ],
    ids=["numbers", "bytes", "tensor", "opacity", "picture"],
)
def test_what_a_picture_may_be(image):
    assert as_picture(image).size == (9, 8)
    assert as_picture(image).getpixel((4, 4)) == RED


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_pictures_of_other_numbers_of_channels_are_grey(channels):
    values = np.full((8, 9, channels), 0.5)
    values[..., 1:] = 1.0  # opacity, of two
    grey = round(255 * (0.5 if channels < 3 else 6.5 / 7))
    assert as_picture(values).getpixel((4, 4)) == (grey, grey, grey)


def test_transparent_grounds_become_white():
    assert as_picture(np.zeros((5, 5, 4))).getpixel((0, 0)) == WHITE


def test_a_map_is_teal_for_and_orange_against_in_its_own_cells():
    values = np.zeros((2, 3))
    values[0, 1], values[1, 2] = 4, -4
    found = np.asarray(overlay(np.ones((60, 60, 3)), values, side=240)).astype(int)
    assert found.shape == (240, 240, 3)
    assert np.abs(found[:120, 80:160] - (0.9 * np.array(SUPPORT) + 0.1 * 255)).max() <= 1
    assert np.abs(found[120:, 160:] - (0.9 * np.array(INHIBIT) + 0.1 * 255)).max() <= 1
    assert (found[:120, :80] == 255).all(), "zero is white, on a white photo"


def test_one_limit_makes_maps_comparable():
    photo, weak = np.zeros((32, 32, 3)), np.full((2, 2), 0.5)
    alone, beside = (np.asarray(overlay(photo, weak, limit=limit)).astype(int) for limit in (None, 1.0))
    np.testing.assert_array_equal(alone, np.asarray(overlay(photo, 2 * weak, limit=1.0)))
    assert np.abs(alone - beside).max() > 40
    assert np.asarray(overlay(photo, 0 * weak)).std() == 0, "a map of zeros divides by nothing"


def test_maps_side_by_side_on_one_scale_or_each_on_its_own():
    photo, values = np.ones((40, 40, 3)), [np.eye(3), 0.5 * np.eye(2)]
    drawn = [overlay(photo, each, limit=1.0, side=60) for each in values]
    assert maps(photo, values, side=60, together=True).tobytes() == sheet(drawn).tobytes()
    alone = np.asarray(maps(photo, values, side=60))
    np.testing.assert_array_equal(alone[:, 68:], np.asarray(overlay(photo, np.eye(2), side=60)))


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 5), (6, 6), (7, 3), (9, 3), (40, 7), (100, 8)])
def test_how_many_stand_in_a_row(count, columns):
    assert sheet([plain(RED, 10, 10)] * count, gap=0).width == columns * 10


def test_errors():
    with pytest.raises(InputError, match="2 pictures and 1 captions"):
        sheet([plain(RED)] * 2, ["one"])
    with pytest.raises(InputError, match="0 pictures"):
        sheet([])
    with pytest.raises(InputError, match="side is -3; expected 1 or more"):
        sheet([plain(RED)], side=-3)
    with pytest.raises(InputError, match=r"not \(2, 2, 3, 3\)"):
        as_picture(np.zeros((2, 2, 3, 3)))
    with pytest.raises(InputError, match="finite numbers"):
        overlay(plain(RED), np.array([[np.nan]]))
    with pytest.raises(InputError, match=r"\[4\]"):
        overlay(plain(RED), np.zeros(4))


def test_results_draw_themselves(embedded_model: pellucid.Model):
    image = pellucid.load_image(pellucid.example_photos()["coffee"], size=embedded_model.size)
    found = pellucid.attribute(embedded_model, image, layer="mixed4d", target="espresso")
    assert found.picture(image).tobytes() == overlay(image, found.positions()).tobytes()
    assert found.picture(image, limit=99.0).tobytes() != found.picture(image).tobytes()
    with pytest.raises(TargetError, match="has no positions"):
        replace(found, layer=replace(found.layer, kind="vector")).picture(image)

    groups = pellucid.factorize(pellucid.record(embedded_model, image[None], "mixed4d")["mixed4d"], 3)
    drawn = [overlay(image, groups.spatial[0, :, :, group], side=150) for group in (2, 0)]
    shown = groups.picture(image, order=(2, 0), captions=["a", "b"], side=150)
    assert shown.tobytes() == sheet(drawn, ["a", "b"]).tobytes()
    with pytest.raises(TargetError, match="no group 3"):
        groups.picture(image, order=[3])
