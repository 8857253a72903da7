"""Peak memory of laying out, placing and summing up made-up vectors, stage by stage.

    python benchmarks/atlas_memory.py --vectors 1000000 --channels 832

The vectors are sparse mixtures of 40 directions, written in shards as collecting does. Each line is the largest
resident memory of the process so far; the layout is computed for 200,000 of them, the others are placed among those.
"""

import argparse
import resource
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from pellucid.atlas._cells import cell_of, sum_up
from pellucid.atlas._folder import Folder
from pellucid.atlas._project import Layout, into_square, principal_basis, project, reduce
from pellucid.atlas._vectors import Vectors
from pellucid.atlas._whiten import second_moment
from pellucid.events import silent

_SHARD = 32_768


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=832)
    parser.add_argument("--fitted", type=int, default=200_000)
    parser.add_argument("--projection", default="umap")
    asked = parser.parse_args()
    began = time.perf_counter()

    def report(stage: str) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{stage:28} {peak:5.2f} GB at most, {time.perf_counter() - began:6.0f} s", flush=True)

    random = np.random.default_rng(0)
    mix = random.gamma(0.5, size=(40, asked.channels)).astype(np.float32)
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place))
        keys, starts = [], [*range(0, asked.vectors, _SHARD), asked.vectors]
        for first, last in pairwise(starts):
            kinds = random.integers(0, 8, last - first)
            strength = random.gamma(0.3, size=(last - first, 40)).astype(np.float32)
            strength *= np.where((np.arange(40) // 5)[None] == kinds[:, None], 4, 0.5)
            keys.append(f"{first:024}")
            arrays = {"values": (strength @ mix).astype(np.float16), "image": np.arange(first, last, dtype=np.int32)}
            folder.write("vectors", keys[-1], arrays)
        vectors = Vectors(folder, tuple(keys), tuple(starts), asked.channels, 0)
        report("vectors written")
        basis = principal_basis(second_moment(vectors, silent))
        report("whitened")
        chosen = np.sort(random.permutation(asked.vectors)[: min(asked.fitted, asked.vectors)])
        points = reduce(vectors.take(chosen), basis)
        report("sample taken")
        positions = into_square(project(points, method=asked.projection, neighbours=50))
        report(f"{len(chosen):,} laid out")
        layout = Layout(basis, points.astype(np.float16), positions, chosen)
        where = np.concatenate([layout.place(part) for _, part in vectors.parts()])
        report("all placed")
        cells = sum_up(vectors, cell_of(where, 40, 40), 40, 40, least=5)
        report(f"{len(cells)} cells summed up")


if __name__ == "__main__":
    main()
