"""`make demo`: explain the photo that comes with the package, with the network that does, and say where the page is."""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    page = Path("demo/report.html").resolve()
    command = [str(Path(sys.executable).with_name("pellucid")), "explain", "--out", str(page)]
    done = subprocess.run(command, check=False)
    if done.returncode == 0:
        print(f"\nOpen {page.as_uri()}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
