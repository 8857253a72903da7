"""How the command `pellucid` starts: it decides how threads wait, which has to be done before PyTorch is loaded.

Threads of GNU OpenMP that have finished their part of an operation wait for the others by running in circles. Where
other work needs the processor, that keeps away the very thread that is waited for, and rendering takes several times as
long; where threads go to sleep at once, waking them costs a fifth to two fifths. A short wait has neither fault
(docs/speed.md has the numbers). The package itself leaves this alone; importing it has no side effect.
"""

import os

SPINS = "1000"


def main() -> None:
    """Run the command line, its threads asleep after a short wait unless the environment decides otherwise."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    from pellucid.cli import main as run

    run()
