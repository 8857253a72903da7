"""Running a notebook's source in a process of its own, and which file of tests runs which notebooks.

They are divided by what they are about, into files that take about as long as one another, so that several workers of
pytest-xdist (`--dist loadfile`) can share them.
"""

import os
import subprocess
import sys
from pathlib import Path

from scripts.notebooks import FOLDER

RUN_BY = {
    "test_pictures_of_units.py": ("deepdream", "feature_visualization", "parametrizations"),
    "test_one_photo.py": ("building_blocks", "trust", "tutorial"),
    "test_own_networks.py": ("own_model", "shortcut", "transformers", "two_models"),
    "test_many_images.py": ("activation_atlas", "sparse_dictionaries"),
}
_ROOT = FOLDER.parent
# A plain process, but for the torchvision of machines with a CPU build of torch, which the tests' conftest mends.
_RUN = """
import runpy, sys
sys.path[:0] = sys.argv[2:]
import tests.conftest
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run(source: str, folder: Path) -> str:
    """What a notebook's source prints, run in a process of its own with an empty folder to write to."""
    script = folder / "notebook.py"
    script.write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(script), str(FOLDER), str(_ROOT)],
        cwd=folder,
        env={**os.environ, "PELLUCID_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def assert_runs(name: str, folder: Path) -> None:
    """Each notebook asserts, beside its figures, what its text claims about them."""
    assert run((FOLDER / f"{name}.py").read_text(), folder)
