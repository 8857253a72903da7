"""What all tests share: a torchvision that imports beside a CPU build of torch, and the data that some of them need."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

# The browser of the page tests runs beside PyTorch; see pellucid_command.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# Workers of pytest-xdist share the cores.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _WORKERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _WORKERS)))

import torch  # noqa: E402  # OpenMP reads the lines above when it is loaded

import pellucid  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def _let_torchvision_import() -> None:
    """Declare the two operators that torchvision's compiled part would have, where that part does not load."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    try:
        torch.ops.load_library(str(Path(spec.origin).with_name("_C.so")))
    except OSError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


_let_torchvision_import()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real weights and photos; the test skips where it is absent."""
    places = [
        *os.environ.get("PELLUCID_DATA", "").split(os.pathsep),
        str(Path(__file__).parents[2] / "shared" / "data"),
    ]
    for place in filter(None, places):
        if (Path(place) / "models").is_dir():
            return Path(place).resolve()
    pytest.skip("needs real weights and photos: set PELLUCID_DATA to a folder with models/ and images/")


@pytest.fixture(scope="session")
def embedded_model() -> pellucid.Model:
    """The network inside the package, shared by all tests: trained, small, and to be left as it is."""
    return pellucid.load()
