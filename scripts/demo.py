"""`make demo`: explain the photo that comes with the package, with the network that does, and say what to open."""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    page = Path("demo/report.html").resolve()
    command = [str(Path(sys.executable).with_name("pellucid")), "explain", "--out", str(page)]
    done = subprocess.run(command, check=False)
    if done.returncode == 0:
        atlas = Path(__file__).resolve().parents[1] / "docs" / "pages" / "atlas.html"
        print(f"\nOpen\n  {page.as_uri()}   the photo, explained")
        print(f"  {atlas.as_uri()}   an atlas of what the same network sees in 50,000 images")
        print("or drop photos of your own: .venv/bin/pellucid serve --open")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
