"""Events drawn as bars on the terminal; one line for each task, nothing where output is not a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..events import Event, Progress as Receiver

# Work that ends within this many seconds shows no bar.
_PATIENCE = 1.0


@contextmanager
def bars(quiet: bool = False) -> Iterator[Receiver]:
    """A receiver that draws on standard error while the block runs."""
    console = Console(stderr=True)
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=False,
        disable=quiet or not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}
    began: dict[str, float] = {}

    def receive(event: Event) -> None:
        if event.message:
            console.print(f"[yellow]{event.message}[/]")
        first = began.setdefault(event.task, time.monotonic())
        if event.task not in tasks:
            if time.monotonic() - first < _PATIENCE:
                return
            tasks[event.task] = shown.add_task(event.task, total=event.total)
        shown.update(tasks[event.task], completed=event.done, total=event.total)

    with shown:
        yield receive
