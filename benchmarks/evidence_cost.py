"""What the evidence of an explanation costs, beside all the rest of it.

    python benchmarks/evidence_cost.py                                    # the network and the photos in the package
    python benchmarks/evidence_cost.py --model inception_v1 photo.jpg --layer mixed4a --layer mixed4d --quick

Seconds of the processor on one core, for each photo: an explanation whose icons have to be rendered as far as they do
not come with the package, the same again with icons from the cache, and its evidence.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import pellucid
from pellucid.models import example_photos


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", default=[str(path) for path in example_photos().values()])
    parser.add_argument("--model", default="tiny_inception")
    parser.add_argument("--layer", action="append", help="by default the model's usual ones")
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    model = pellucid.load(chosen.model)
    print("| photo | rendered | again | evidence | of again |")
    print("| --- | --- | --- | --- | --- |")
    for photo in chosen.photos:
        spent: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            settings = {"layers": chosen.layer, "quick": chosen.quick, "evidence": False}
            for name in ("rendered", "again"):
                with clock(spent, name):
                    cache = pellucid.RenderCache(folder)
                    explanation = pellucid.explain(model, photo, cache=cache, **settings)
        with clock(spent, "evidence"):
            explanation.judged()
        share = f"{spent['evidence'] / spent['again']:.0%}"
        numbers = " | ".join(f"{spent[name]:.1f}" for name in ("rendered", "again", "evidence"))
        print(f"| {Path(photo).stem} | {numbers} | {share} |", flush=True)


@contextmanager
def clock(spent: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of the processor that the block takes."""
    began = time.process_time()
    yield
    spent[name] = spent.get(name, 0.0) + time.process_time() - began


if __name__ == "__main__":
    main()
