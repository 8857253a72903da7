"""Reading and clicking the page in a notebook's frame."""

import os
from pathlib import Path

HERE = Path(__file__).parent
IMPORTS = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
"""Where a kernel under test finds its modules."""
PATIENCE = 120
"""Seconds that a server, a kernel or a page may take."""


def click_position(frame, row: int, column: int, count: int) -> None:
    """Pin a position of the dictionary's photo, of a grid with `count` rows and columns."""
    photo = frame.get_by_role("region", name="What the network sees at a position").locator(".picker")
    box = photo.bounding_box()
    photo.click(position={"x": box["width"] * (column + 0.5) / count, "y": box["height"] * (row + 0.5) / count})
