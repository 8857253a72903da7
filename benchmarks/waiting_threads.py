"""How threads that have nothing to do should wait: seconds for some icons, alone and beside a busy process.

    python benchmarks/waiting_threads.py --busy

Each setting gets a process of its own, because GNU OpenMP reads the environment once, when PyTorch is loaded. Timed are
12 icons of the embedded network, 96 px, 40 steps; loading is not, and no cache is asked. `--busy` measures each setting
a second time beside one process that runs in circles. Other work falsifies both numbers: leave the machine alone.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
_SETTINGS: tuple[dict[str, str], ...] = (
    {},
    {"GOMP_SPINCOUNT": "0"},
    {"GOMP_SPINCOUNT": "1000"},
    {"GOMP_SPINCOUNT": "10000"},
    {"GOMP_SPINCOUNT": "100000"},
    {"OMP_WAIT_POLICY": "ACTIVE"},
    {"OMP_WAIT_POLICY": "PASSIVE"},
    {"OMP_NUM_THREADS": "1"},
)


def draw(icons: int, steps: int) -> float:
    """Seconds for the icons, in this process."""
    import pellucid
    from pellucid.features.objectives import neuron

    model = pellucid.load()
    start = time.perf_counter()
    pellucid.render(model, [neuron("mixed4d", channel) for channel in range(icons)], size=96, steps=steps, alpha=True)
    return time.perf_counter() - start


def measure(setting: dict[str, str], icons: int, steps: int) -> float:
    """Seconds for the icons, in a process that starts with the setting."""
    kept = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
    command = [sys.executable, __file__, "--icons", str(icons), "--steps", str(steps), "--here"]
    done = subprocess.run(command, env=kept | setting, check=True, capture_output=True, text=True)
    return float(done.stdout)


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    """A process that keeps one core busy for as long as the block runs."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--icons", type=int, default=12)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--busy", action="store_true", help="measure beside a busy process as well")
    parser.add_argument("--here", action="store_true", help="print the seconds of this process, as it was started")
    options = parser.parse_args()
    if options.here:
        print(draw(options.icons, options.steps))
        return
    print(f"{options.icons} icons, {options.steps} steps, {os.cpu_count()} cores", flush=True)
    for setting in _SETTINGS:
        name = " ".join(f"{key}={value}" for key, value in setting.items()) or "default"
        seconds = [measure(setting, options.icons, options.steps)]
        if options.busy:
            with busy_process():
                seconds.append(measure(setting, options.icons, options.steps))
        print(f"{name}: " + " / ".join(f"{number:.1f}" for number in seconds) + " s", flush=True)


if __name__ == "__main__":
    main()
