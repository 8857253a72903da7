"""Progress as values: long work emits events, and whoever called decides how to draw them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One step of long work.

    Args:
        task: what is being done, in words for a person: `"rendering mixed4d"`. One bar per task.
        done: units done so far; never falls within a task, except where work starts again.
        total: units in all, or `None` where that is not known.
        unit: what is counted: `"step"`, `"byte"`, `"image"`.
        message: a remark for the person (`"out of memory: batch halved to 4"`), or empty.
    """

    task: str
    done: float
    total: float | None = None
    unit: str = "step"
    message: str = ""


Progress = Callable[[Event], None]
"""Receives events; an exception that it raises ends the work."""


def silent(event: Event) -> None:
    """Drop an event: the default receiver.

    Example:
        >>> silent(Event("rendering", 1))
    """
