"""A process that turns the bytes of an upload into a plain PNG, or says in one sentence why not.

Run as a file of its own (`python -I _decoder.py`), so that it starts in a tenth of a second and holds nothing that an
attack on an image reader could be after. Reads the upload from standard input; writes one letter, `+` and a PNG or `-`
and a sentence, to standard output.
"""

import contextlib
import io
import sys
import warnings
import zipfile
from typing import NoReturn

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "BMP": "image/bmp"}
# No network looks at more.
_LONGEST_SIDE = 2048
_MEMORY = 2 * 2**30
# Words by which programs take a file for something that is no picture, where they look for them.
_FOREIGN = (b"<svg", b"<html", b"<!doctype", b"<script", b"<?php", b"%pdf-", b"#!/")
_LOOKED_AT = 1024


def main() -> None:
    seconds, most_pixels = int(sys.argv[1]), int(sys.argv[2])
    _limit(seconds)
    content = sys.stdin.buffer.read()
    from PIL import Image, ImageOps

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
            picture = ImageOps.exif_transpose(opened)
            if picture.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"):
                picture = picture.convert("RGB")
            if max(picture.size) > _LONGEST_SIDE:
                if picture.mode in ("1", "P"):
                    picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
                picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
            plain = io.BytesIO()
            picture.save(plain, "PNG", compress_level=1)
    except Image.UnidentifiedImageError:
        _refuse("this is not a picture that can be read; give a JPEG, PNG, WebP, GIF or BMP.")
    except MemoryError:
        _refuse("the picture needs more memory than one picture may have.")
    except Exception as error:  # Pillow's readers raise almost anything on a damaged file
        _refuse(f"the picture is damaged or cut short ({type(error).__name__}).")
    sys.stdout.buffer.write(b"+" + plain.getvalue())


def _refuse(sentence: str) -> NoReturn:
    sys.stdout.buffer.write(b"-" + sentence.encode())
    sys.stdout.buffer.flush()
    sys.exit(0)


def _limit(seconds: int) -> None:
    """Memory and processor time, where the system can limit them."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


if __name__ == "__main__":
    main()
