"""Pictures in and out of files, damaged ones among them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from pellucid import pictures
from pellucid.errors import InputError
from pellucid.pictures import load_image, to_array, to_bytes, to_picture

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def photo(height=48, width=64):
    """A smooth colourful picture: what a JPEG keeps well."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack([y, x, 1 - (x + y) / 2], 2)


def saved(tmp_path, picture, name, **options):
    path = tmp_path / name
    picture.save(path, **options)
    return path


def pixels(path, **options):
    """uint8 [height, width, channels] of a loaded picture."""
    image = load_image(path, **options)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    return to_bytes(image.permute(1, 2, 0).numpy())


def test_png_comes_exactly(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(array), "a.png")
    assert (pixels(path) == array).all()
    assert (pixels(str(path)) == array).all()


@pytest.mark.parametrize("suffix", ["jpg", "webp", "gif", "tiff", "bmp"])
def test_formats(tmp_path, suffix):
    path = saved(tmp_path, to_picture(photo()), f"a.{suffix}")
    difference = np.abs(pixels(path).astype(float) - 255 * photo())
    assert difference.mean() < 6
    assert pixels(path).shape == (48, 64, 3)


def test_alpha_becomes_white_ground(tmp_path):
    picture = Image.new("RGBA", (3, 1), (0, 0, 255, 255))
    picture.putpixel((1, 0), (255, 0, 0, 0))
    picture.putpixel((2, 0), (0, 0, 0, 127))
    row = pixels(saved(tmp_path, picture, "a.png"))[0]
    assert row[0].tolist() == list(BLUE)
    assert row[1].tolist() == list(WHITE)
    assert row[2].tolist() == [128, 128, 128]


def test_grey_with_alpha(tmp_path):
    picture = Image.new("LA", (2, 1), (10, 255))
    picture.putpixel((1, 0), (10, 0))
    assert pixels(saved(tmp_path, picture, "a.png"))[0].tolist() == [[10] * 3, [255] * 3]


def test_palette_with_transparency(tmp_path):
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([*RED, *GREEN])
    picture.putpixel((1, 0), 1)
    assert pixels(saved(tmp_path, picture, "opaque.png"))[0].tolist() == [list(RED), list(GREEN)]
    assert pixels(saved(tmp_path, picture, "a.png", transparency=1))[0].tolist() == [list(RED), list(WHITE)]
    assert pixels(saved(tmp_path, picture, "a.gif", transparency=1))[0].tolist() == [list(RED), list(WHITE)]


def test_colour_key_of_rgb(tmp_path):
    picture = Image.new("RGB", (2, 1), RED)
    picture.putpixel((1, 0), GREEN)
    assert pixels(saved(tmp_path, picture, "a.png", transparency=GREEN))[0].tolist() == [list(RED), list(WHITE)]


@pytest.mark.parametrize("mode", ["L", "1"])
def test_greyscale(tmp_path, mode):
    path = saved(tmp_path, Image.fromarray(np.array([[0, 255]], np.uint8)).convert(mode), "a.png")
    assert pixels(path)[0].tolist() == [[0] * 3, [255] * 3]
    assert pixels(path, channels=1)[0].tolist() == [[0], [255]]


@pytest.mark.parametrize(("name", "kind"), [("a.png", "<u2"), ("a.tiff", "<u2"), ("big-endian.tiff", ">u2")])
def test_sixteen_bits_are_scaled(tmp_path, name, kind):
    values = np.array([[0, 257 * 40, 65535]], "<u2")
    picture = Image.frombytes("I;16B" if kind == ">u2" else "I;16", (3, 1), values.astype(kind).tobytes())
    assert pixels(saved(tmp_path, picture, name))[0, :, 0].tolist() == [0, 40, 255]


def test_floating_point_tiff_is_scaled_by_its_maximum(tmp_path):
    picture = Image.fromarray(np.array([[0.0, 2.0, 4.0]], np.float32))
    assert pixels(saved(tmp_path, picture, "a.tiff"))[0, :, 1].tolist() == [0, 127, 255]


@pytest.mark.parametrize("value", [0, 7])
def test_floating_point_tiff_without_contrast(tmp_path, value):
    picture = Image.fromarray(np.full((2, 2), value, np.float32))
    assert (pixels(saved(tmp_path, picture, "a.tiff")) == (255 if value else 0)).all()


def test_cmyk_jpeg(tmp_path):
    picture = to_picture(photo()).convert("CMYK")
    difference = np.abs(pixels(saved(tmp_path, picture, "a.jpg")).astype(float) - 255 * photo())
    assert difference.mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_the_camera(tmp_path, orientation):
    # How the stored pixels were made from the upright picture: the inverse of what the tag asks for.
    store = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: np.rot90,
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    upright = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(np.ascontiguousarray(store(upright))), "a.png", exif=exif)
    assert (pixels(path) == upright).all()


def test_size_covers_and_cuts_to_the_centre(tmp_path):
    stripes = np.zeros((10, 40, 3), np.uint8)
    stripes[:, 10:30] = GREEN
    path = saved(tmp_path, Image.fromarray(stripes), "a.png")
    assert pixels(path, size=(10, 20)).reshape(-1, 3).tolist() == [list(GREEN)] * 200
    assert pixels(path, size=(10, 40))[0].tolist() == stripes[0].tolist()
    assert load_image(path, size=7).shape == (3, 7, 7)
    assert load_image(path, size=7, channels=1).shape == (1, 7, 7)


@pytest.mark.parametrize("turned", [False, True])
def test_reading_a_jpeg_at_a_fraction_of_its_size_changes_little(tmp_path, turned):
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    rng = np.random.default_rng(0)
    texture = np.kron(rng.random((12, 50, 3)), np.ones((32, 32, 1)))  # sharp edges between squares of 32 px
    path = saved(tmp_path, to_picture(texture), "a.jpg", exif=exif, quality=95)
    upright = np.rot90(texture, -1) if turned else texture
    size = (50, 380) if turned else (40, 200)
    whole = Image.fromarray(np.ascontiguousarray(to_bytes(upright)))
    expected = np.asarray(ImageOps.fit(whole, size[::-1], Image.Resampling.LANCZOS)).astype(float)
    assert np.abs(pixels(path, size=size) - expected).mean() < 5


def test_one_pixel(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), RED), "a.png")
    assert load_image(path).shape == (3, 1, 1)
    assert (pixels(path, size=(4, 6)) == RED).all()


def test_ten_thousand_pixels_square(tmp_path):
    path = saved(tmp_path, Image.new("1", (10_000, 10_000), 1), "a.png", compress_level=1)
    assert (pixels(path, size=32) == 255).all()


def test_too_many_pixels(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("1", (15_000, 15_000)), "a.png", compress_level=1)
    with pytest.raises(InputError, match="more"):
        load_image(path)
    small = saved(tmp_path, Image.new("1", (20, 10)), "b.png")
    monkeypatch.setattr(pictures, "_MOST_PIXELS", 199)
    with pytest.raises(InputError, match=r"b\.png has 20×10 px, more than 199"):
        load_image(small)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tiff", "bmp"])
def test_files_cut_short(tmp_path, suffix):
    content = saved(tmp_path, to_picture(photo()), f"a.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match=r"cut\.\w+ is (damaged or cut short|not a picture)"):
        load_image(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tiff"])
def test_damaged_files_raise_nothing_else(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if suffix == "gif" else {"exif": exif}
    content = saved(tmp_path, to_picture(photo(8, 8)), f"a.{suffix}", **options).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / f"damaged.{suffix}"
    for _ in range(300):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 5)):
            damaged[at] = rng.integers(256)
        path.write_bytes(bytes(damaged[: rng.integers(len(content) // 2, 2 * len(content))]))
        message, shape = str(path), (3, 8, 8)
        try:
            shape = load_image(path, size=8).shape
        except InputError as error:
            message = str(error)
        assert str(path) in message
        assert shape == (3, 8, 8)


def test_what_is_no_picture(tmp_path):
    (tmp_path / "text.png").write_text("not a picture at all")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name in ("text.png", "empty.jpg"):
        with pytest.raises(InputError, match="is not a picture in a format that can be read"):
            load_image(tmp_path / name)
    with pytest.raises(InputError, match=r"no file .*absent\.png"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(InputError, match="is a folder, not a picture"):
        load_image(tmp_path)


@pytest.mark.parametrize("size", [0, -3, (0, 5), (5, 0)])
def test_sizes_without_pixels(tmp_path, size):
    path = saved(tmp_path, Image.new("RGB", (4, 4)), "a.png")
    with pytest.raises(InputError, match="size"):
        load_image(path, size=size)


def test_channels_that_pictures_do_not_have():
    with pytest.raises(InputError, match="the model takes 5; give it an array"):
        to_array(Image.new("RGB", (2, 2)), 5)


def test_bytes_are_rounded_and_clipped():
    assert to_bytes(np.array([-1, 0, 0.5 / 255 - 1e-9, 0.5 / 255 + 1e-9, 1, 2])).tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA"), (5, "L")])
def test_arrays_become_pictures(channels, mode):
    image = np.random.default_rng(0).random((4, 6, channels))
    picture = to_picture(image)
    assert (picture.size, picture.mode) == ((6, 4), mode)
    expected = image.mean(2, keepdims=True) if channels == 5 else image
    assert np.abs(np.asarray(picture).reshape(expected.shape) / 255 - expected).max() <= 0.51 / 255
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
