"""`make demo`: explain a photo with real weights, and say where the page is."""

import os
import subprocess
import sys
from pathlib import Path

import pellucid

_PHOTO = Path("reference/photos/dog_cat.jpeg")


def main() -> int:
    places = [Path(place) for place in os.environ.get("PELLUCID_DATA", "").split(os.pathsep) if place]
    photo = next((place / _PHOTO for place in places if (place / _PHOTO).is_file()), None)
    try:
        pellucid.load("inception_v1", download=False)
    except pellucid.WeightsError as error:
        print(f"The demo needs the weights of InceptionV1, and they are not here: {error}", file=sys.stderr)
        return 1
    if photo is None:
        print(
            f"The demo needs a photo, and there is no {_PHOTO} in PELLUCID_DATA; "
            "explain one of your own with: .venv/bin/pellucid explain photo.jpg",
            file=sys.stderr,
        )
        return 1
    page = Path("demo/report.html").resolve()
    command = [sys.executable, "-m", "pellucid", "explain", str(photo), "--out", str(page)]
    done = subprocess.run(command, check=False)
    if done.returncode == 0:
        print(f"\nOpen {page.as_uri()}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
