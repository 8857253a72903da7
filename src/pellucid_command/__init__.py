"""How the command `pellucid` starts: it decides how threads wait, which has to be done before PyTorch is loaded.

Threads of GNU OpenMP that have finished their part of an operation wait for the others by running in circles. Where
other work needs the processor, that keeps away the very thread that is waited for, and rendering takes several times as
long; where threads go to sleep at once, waking them costs a fifth to two fifths. A short wait has neither fault
(docs/speed.md has the numbers). The package itself leaves this alone; importing it has no side effect.
"""

import importlib.util
import os
import sys
import types

SPINS = "1000"
COMPLETE = "_PELLUCID_COMPLETE"


def main() -> None:
    """Run the command line, its threads asleep after a short wait unless the environment decides otherwise."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    if COMPLETE in os.environ:
        _leave_out_the_library()
    from pellucid.cli import main as run

    run()


def _leave_out_the_library() -> None:
    """Let `pellucid.cli` be imported without what is around it: at a press of the tab key nobody waits for PyTorch.

    The package is there by its place alone, and its own `__init__` does not run. Names of commands and options are all
    that is asked for.
    """
    spec = importlib.util.find_spec("pellucid")
    if spec is None or spec.submodule_search_locations is None:
        return
    bare = types.ModuleType("pellucid")
    bare.__path__ = list(spec.submodule_search_locations)
    bare.__dict__["__version__"] = ""
    sys.modules["pellucid"] = bare
