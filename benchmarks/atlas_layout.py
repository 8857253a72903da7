"""The layout of an atlas beside UMAP's plain one, on the same vectors, in one run: trustworthiness and seconds.

    python benchmarks/atlas_layout.py atlas/ --layer mixed4d --vectors 10000

Plain UMAP gets the vectors as they are, with its own defaults, and once more with the cosine. Trustworthiness (15
neighbours) is measured in the vectors' own space, by the angle between them, for all alike.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import umap
from sklearn.manifold import trustworthiness

import pellucid
from pellucid.atlas._project import principal_basis, project, reduce


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas")
    parser.add_argument("--layer", help="by default the last")
    parser.add_argument("--vectors", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    atlas = pellucid.open_atlas(asked.atlas)
    layer = asked.layer or atlas.layers[-1]
    vectors = atlas.vectors(layer)
    chosen = np.sort(np.random.default_rng(asked.seed).permutation(len(vectors))[: asked.vectors])
    values = vectors.take(chosen).astype(np.float32)
    points = reduce(values, principal_basis(atlas.moment(layer)))
    own = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)

    def plain(metric: str) -> Callable[[], np.ndarray]:
        return lambda: umap.UMAP(metric=metric, random_state=asked.seed, n_jobs=1).fit_transform(values)

    ways: dict[str, Callable[[], np.ndarray]] = {
        "UMAP, its defaults": plain("euclidean"),
        "UMAP, cosine": plain("cosine"),
        **{
            f"pellucid, {method}": lambda method=method: project(points, method=method, seed=asked.seed)
            for method in ("umap", "pacmap", "tsne", "pca")
        },
    }
    warnings.simplefilter("ignore")
    umap.UMAP(n_neighbors=5, random_state=0, n_jobs=1).fit(values[:200])  # compiles
    print(f"{len(values):,} vectors of {layer}, {values.shape[1]} channels")
    for name, way in ways.items():
        began = time.perf_counter()
        found = way()
        seconds = time.perf_counter() - began
        near = trustworthiness(own, found, n_neighbors=15)
        print(f"{name:20} trustworthiness {near:.3f}  {seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
