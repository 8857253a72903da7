"""Uploads: decoded in a process of their own with limits, never written to the disk as they came."""

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from ..errors import InputError, ResourceError
from ..pictures import opaque
from ._decoder import FORMATS, MODES
from ._limits import Limits

ACCEPTS = list(FORMATS.values())
_DECODER = Path(__file__).with_name("_decoder.py")
# All that a Python needs to start; the server's token and whatever else its environment holds stays with it.
_NEEDED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMPDIR")


def decode_upload(content: bytes | bytearray, limits: Limits) -> Image.Image:
    """The picture in an upload: RGB on white, turned the way it was taken, no longer than 2,048 px a side.

    Args:
        content: the bytes that were sent.
        limits: pixels, and seconds that decoding may take.

    Raises:
        InputError: no picture, more pixels than allowed, a file that is something else as well, or too slow to read.
        ResourceError: no process can be started.
    """
    if not content:
        raise InputError("the upload is empty; give a picture.")
    command = [sys.executable, "-I", str(_DECODER), str(limits.decode_seconds), str(limits.most_pixels)]
    environment = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=limits.decode_seconds, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"the picture took longer than {limits.decode_seconds} s to read; save it anew.") from None
    except OSError:
        raise ResourceError("the server is too busy to read the picture; try again in a minute.") from None
    said, rest = done.stdout[:1], done.stdout[1:]
    if said == b"-":
        raise InputError(rest.decode())
    head, _, pixels = rest.partition(b"\n")
    try:
        mode, *sides = head.decode("ascii").split()
        width, height = map(int, sides)
        if done.returncode or said != b"+" or len(pixels) != width * height * MODES.get(mode, -1):
            raise ValueError
        return opaque(Image.frombytes(mode, (width, height), pixels))
    except ValueError:  # killed at one of its limits
        raise InputError(
            "the picture could not be read within the memory and time that one picture may have."
        ) from None
