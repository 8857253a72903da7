"""What becomes of the pixels of an upload, and what the process that reads them may do."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pellucid.errors import InputError
from pellucid.pictures import decode_picture
from pellucid.serve import Limits, _decoder
from pellucid.serve._uploads import decode_upload


def saved(picture: Image.Image, kind: str = "PNG", **settings) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def drawn(mode: str) -> Image.Image:
    random = np.random.default_rng(0)
    if mode.startswith("I"):
        return Image.fromarray(random.integers(0, 65536, (30, 40), dtype=np.uint16))
    picture = Image.fromarray(random.integers(0, 256, (30, 40, 4), dtype=np.uint8), "RGBA")
    return (
        picture if mode == "RGBA" else picture.convert("RGB").convert(mode) if mode != "LA" else picture.convert("LA")
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pixels_are_those_of_reading_the_file_itself(mode: str) -> None:
    content = saved(drawn(mode))
    np.testing.assert_array_equal(
        np.asarray(decode_upload(content, Limits())), np.asarray(decode_picture(content, "picture"))
    )


def test_transparent_colours_of_palettes_become_white() -> None:
    picture = drawn("P")
    content = saved(picture, transparency=picture.getpixel((5, 7)))
    assert decode_upload(content, Limits()).getpixel((5, 7)) == (255, 255, 255)
    np.testing.assert_array_equal(
        np.asarray(decode_upload(content, Limits())), np.asarray(decode_picture(content, "picture"))
    )


def test_printers_colours_and_large_pictures_of_sixteen_bits() -> None:
    assert decode_upload(saved(drawn("RGB").convert("CMYK"), "JPEG"), Limits()).mode == "RGB"
    tall = Image.fromarray(np.full((4000, 20), 65535, np.uint16))
    found = decode_upload(saved(tall), Limits())
    assert (found.height, found.getpixel((0, 9))) == (2048, (255, 255, 255))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_moving_pictures_the_first_is_taken(kind: str) -> None:
    first, others = Image.new("RGB", (20, 20), "red"), [Image.new("RGB", (20, 20), "blue")] * 200
    content = saved(first, kind, save_all=True, append_images=others, duration=20)
    red, _, blue = decode_upload(content, Limits()).getpixel((9, 9))  # type: ignore[misc]
    assert red > 200 > 50 > blue


def test_damaged_metadata_harms_no_pixels() -> None:
    picture = drawn("RGB")
    content = saved(picture, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f" + b"\xff" * 200)
    assert decode_upload(content, Limits()).size == picture.size


def test_only_pixels_leave_the_decoder() -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret words"
    exif.get_ifd(0x8825)[1] = "secret place"
    content = saved(drawn("RGB"), "JPEG", exif=exif, icc_profile=b"secret profile" * 100, comment=b"secret comment")
    assert content.count(b"secret") > 100
    said = run(content)
    head, _, pixels = said.partition(b"\n")
    assert head == b"+RGB 40 30"
    assert len(pixels) == 40 * 30 * 3
    assert b"secret" not in said


def test_texts_that_unpack_to_gigabytes_end_soon() -> None:
    content = saved(drawn("RGB"))
    packer = zlib.compressobj(9)
    body = b"note\0\0" + b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    after_head = 8 + 25
    with pytest.raises(InputError, match="damaged"):
        decode_upload(content[:after_head] + chunk * 3 + content[after_head:], Limits())
    # A text of ordinary length is only left out.
    noted = PngImagePlugin.PngInfo()
    noted.add_text("note", "taken in spring", zip=True)
    assert decode_upload(saved(drawn("RGB"), pnginfo=noted), Limits()).size == (40, 30)


def run(content: bytes, script: str | None = None) -> bytes:
    command = [sys.executable, "-I", _decoder.__file__, "5", "1000000"]
    if script is not None:
        load = f"import runpy; decoder = runpy.run_path({_decoder.__file__!r}); decoder['_limit'](5)\n"
        command = [sys.executable, "-I", "-c", load + script]
    return subprocess.run(command, input=content, capture_output=True, check=False).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="limits of this kind are those of Unix")
def test_the_decoder_has_no_way_to_write_files(tmp_path: Path) -> None:
    path = str(tmp_path / "left")
    script = f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nopen({path!r}, 'wb').write(b'x' * 10)"
    run(b"", script)
    assert not Path(path).exists() or Path(path).stat().st_size == 0
    assert run(b"", "try:\n    bytearray(3 * 2**30)\nexcept MemoryError:\n    print('refused')") == b"refused\n"


def test_the_decoder_knows_nothing_of_the_server(monkeypatch, tmp_path: Path) -> None:
    told = tmp_path / "decoder.py"
    told.write_text("import json, os, sys\nprint('-' + json.dumps(dict(os.environ)), end='')")
    monkeypatch.setattr("pellucid.serve._uploads._DECODER", told)
    monkeypatch.setenv("PELLUCID_TOKEN", "a-token-of-the-server")
    monkeypatch.setenv("HOME", "/home/somebody")
    with pytest.raises(InputError) as refusal:
        decode_upload(b"x", Limits())
    found = json.loads(str(refusal.value))
    assert "a-token-of-the-server" not in found.values()
    assert "HOME" not in found


@pytest.mark.parametrize(
    "said",
    ["", "+", "+RGB 10 10\\n", "+RGB -1 3\\n", "+RGB 1 1\\nabcdef", "+F 1 1\\nabcd", "+RGB 1\\nabc", "?RGB 1 1\\nabc"],
)
def test_nonsense_of_the_decoder_is_not_believed(monkeypatch, tmp_path: Path, said: str) -> None:
    told = tmp_path / "decoder.py"
    told.write_text(f"print('{said}', end='')")
    monkeypatch.setattr("pellucid.serve._uploads._DECODER", told)
    with pytest.raises(InputError, match="could not be read"):
        decode_upload(b"x", Limits())
