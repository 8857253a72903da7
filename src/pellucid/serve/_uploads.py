"""Uploads: read with limits, decoded in a process of their own, never written to the disk as they came."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from ..errors import InputError
from ..pictures import decode_picture
from ._decoder import FORMATS
from ._limits import Limits

ACCEPTS = list(FORMATS.values())
_DECODER = Path(__file__).with_name("_decoder.py")


def decode_upload(content: bytes, limits: Limits) -> Image.Image:
    """The picture in an upload, turned the way it was taken, no longer than 2,048 px a side.

    Args:
        content: the bytes that were sent.
        limits: pixels, and seconds that decoding may take.

    Raises:
        InputError: no picture, more pixels than allowed, a file that is something else as well, or too slow to read.
    """
    if not content:
        raise InputError("the upload is empty; give a picture.")
    command = [sys.executable, "-I", str(_DECODER), str(limits.decode_seconds), str(limits.most_pixels)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=limits.decode_seconds, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"the picture took longer than {limits.decode_seconds} s to read; save it anew.") from None
    said, rest = done.stdout[:1], done.stdout[1:]
    if said == b"-":
        raise InputError(rest.decode())
    if done.returncode or said != b"+":
        raise InputError("the picture could not be read within the memory and time that one picture may have.")
    return decode_picture(rest, "the picture")
