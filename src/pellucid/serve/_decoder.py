"""A process that turns the bytes of an upload into plain pixels, or says in one sentence why not.

Run as a file of its own (`python -I _decoder.py SECONDS PIXELS`), so that it starts in a tenth of a second and holds
nothing that an attack on an image reader could be after. Reads the upload from standard input; writes to standard
output `-` and a sentence, or `+`, mode, width and height, a line's end, and the pixels. No reader of pictures sees what
it writes, and nothing but pixels leaves it: no place of taking, no colour profile, no texts.
"""

import contextlib
import io
import sys
import warnings
import zipfile
from typing import NoReturn

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "BMP": "image/bmp"}
# Modes in which pixels are handed over, of which `opaque` makes RGB, and bytes of a pixel in each.
MODES = {"L": 1, "LA": 2, "I": 4, "I;16": 2, "RGB": 3, "RGBA": 4}
# No network looks at more.
_LONGEST_SIDE = 2048
_MEMORY = 2 * 2**30
# Words by which programs take a file for something that is no picture, where they look for them.
_FOREIGN = (b"<svg", b"<html", b"<!doctype", b"<script", b"<?php", b"%pdf-")
_LOOKED_AT = 1024


def main() -> None:
    seconds, most_pixels = int(sys.argv[1]), int(sys.argv[2])
    content = sys.stdin.buffer.read()
    from PIL import Image, ImageOps

    _limit(seconds)
    head = content[:_LOOKED_AT].lower()
    if b"<svg" in head:
        _refuse("SVG is a program more than a picture; give a JPEG, PNG or WebP.")
    if any(word in head for word in _FOREIGN) or zipfile.is_zipfile(io.BytesIO(content)):
        _refuse("this file is a picture and something else at once; save the picture anew and try again.")
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the check below has a limit of its own
    try:
        with Image.open(io.BytesIO(content), formats=list(FORMATS)) as opened:
            if opened.width * opened.height > most_pixels:
                _refuse(
                    f"the picture has {opened.width} × {opened.height} pixels; at most {most_pixels:,} in all are read."
                )
            opened.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
            opened.load()
            picture = opened
            with contextlib.suppress(Exception):  # pixels can do without damaged metadata
                picture = ImageOps.exif_transpose(opened)
            if picture.mode not in MODES:
                clear = "transparency" in picture.info or picture.mode in ("PA", "RGBa", "La")
                picture = picture.convert("RGBA" if clear else "RGB")
            elif "transparency" in picture.info and picture.mode in ("L", "RGB"):
                picture = picture.convert("RGBA")
            if max(picture.size) > _LONGEST_SIDE:
                picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
            said = f"+{picture.mode} {picture.width} {picture.height}\n".encode() + picture.tobytes()
    except Image.UnidentifiedImageError:
        _refuse("this is not a picture that can be read; give a JPEG, PNG, WebP, GIF or BMP.")
    except MemoryError:
        _refuse("the picture needs more memory than one picture may have.")
    except Exception as error:  # Pillow's readers raise almost anything on a damaged file
        _refuse(f"the picture is damaged or cut short ({type(error).__name__}).")
    sys.stdout.buffer.write(said)


def _refuse(sentence: str) -> NoReturn:
    sys.stdout.buffer.write(b"-" + sentence.encode())
    sys.stdout.buffer.flush()
    sys.exit(0)


def _limit(seconds: int) -> None:
    """Memory and processor time; no files, no other processes. Each where the system can limit it."""
    try:
        import resource
    except ImportError:
        return
    limits = {
        "RLIMIT_AS": (_MEMORY, _MEMORY),
        "RLIMIT_CPU": (seconds, seconds + 1),
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_NPROC": (0, 0),
    }
    for name, limit in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), limit)


if __name__ == "__main__":
    main()
