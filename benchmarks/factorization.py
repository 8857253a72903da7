"""Groups beside scikit-learn's NMF, in one run: seconds and error, on large matrices and on one photo's.

    PELLUCID_DATA=../shared/data python benchmarks/factorization.py --rounds 3

With PELLUCID_DATA, the rows are mixed4d of InceptionV1 on photos of imagenet_1000.tar; without, sparse mixtures with
noise. Rounds alternate between the two, so that a busy machine slows both; processor seconds leave out what other work
took. scikit-learn runs with its defaults. The error is that of the largest number of groups.
"""

import argparse
import io
import os
import statistics
import tarfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import NMF

import pellucid
from pellucid.groups import factorize, factorize_range

_CHANNELS = 528
_COUNTS = range(2, 13)


def activations(positions: int) -> tuple[np.ndarray, str]:
    """At least that many rows of 528 channels, and where they come from."""
    folder = Path(os.environ.get("PELLUCID_DATA", "absent"))
    if not (folder / "images" / "imagenet_1000.tar").is_file():
        random = np.random.default_rng(0)
        mixed = random.gamma(0.3, size=(positions, 20)) @ random.gamma(0.3, size=(20, _CHANNELS))
        noise = 0.5 * mixed.std() * random.normal(size=mixed.shape)
        return np.maximum(mixed + noise, 0).astype(np.float32), "made-up mixtures"
    model = pellucid.load("inception_v1", download=False)
    needed, parts = -(-positions // 196), []
    with tarfile.open(folder / "images" / "imagenet_1000.tar") as archive:
        photos = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()][:needed]
        for start in range(0, needed, 64):
            images = np.stack([picture(photo.read()) for photo in photos[start : start + 64] if photo])
            batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
            parts.append(pellucid.record(model, batch, "mixed4d")["mixed4d"].values.reshape(-1, _CHANNELS))
    return np.concatenate(parts), f"mixed4d on {needed} photos"


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224)))


def seconds(work: Callable[[], float]) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processor, and the error that it gives."""
    start, used = time.perf_counter(), time.process_time()
    error = work()
    return time.perf_counter() - start, time.process_time() - used, error


def peer(matrix: np.ndarray, counts: list[int]) -> float:
    models = [NMF(count, random_state=0) for count in counts]  # pyright: ignore[reportArgumentType]
    errors = [model.fit(matrix).reconstruction_err_ for model in models]
    return float(errors[-1] / np.linalg.norm(matrix.astype(np.float64)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[12_544, 100_000])
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn warns where 200 iterations do not suffice
    rows, source = activations(max(*options.rows, 196))
    print(f"{source}; {torch.get_num_threads()} threads", flush=True)
    cases = [
        ("1×14×14×528, 2 to 12 groups", rows[:196].reshape(1, 14, 14, -1), list(_COUNTS)),
        *((f"{count}×528, 6 groups", rows[:count].reshape(1, 1, count, -1), [6]) for count in options.rows),
    ]
    for name, grid, counts in cases:
        matrix = np.ascontiguousarray(grid.reshape(-1, _CHANNELS))
        ways: dict[str, Callable[[], float]] = {
            "pellucid": lambda grid=grid, counts=counts: factorize_range(grid, counts)[counts[-1]].error,
            "pellucid pca": lambda grid=grid, counts=counts: factorize(grid, counts[-1], method="pca").error,
            "scikit-learn": lambda matrix=matrix, counts=counts: peer(matrix, counts),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        processor: dict[str, list[float]] = {way: [] for way in ways}
        errors: dict[str, float] = {}
        if len(matrix) < 1000:
            for work in ways.values():
                work()
        for _ in range(options.rounds):
            for way, work in ways.items():
                took, used, errors[way] = seconds(work)
                times[way].append(took)
                processor[way].append(used)
        for way in ways:
            took = sorted(times[way])
            print(
                f"{name}: {way} {statistics.median(took):.3f} s ({took[0]:.3f} to {took[-1]:.3f}), "
                f"processor {statistics.median(processor[way]):.3f} s, error {errors[way]:.5f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
