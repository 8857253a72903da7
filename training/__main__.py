"""`python -m training`: everything from the photos to the files inside the package; each stage is kept and resumed."""

import argparse
from pathlib import Path

from .compare import main as compare
from .data import read_photos
from .export import main as export
from .teacher import teacher_logits
from .train import Recipe, train

OUT = Path(__file__).parent / "out"

PLAIN = Recipe("plain", sizes=(48,) * 6 + (64,) * 8)
ROBUST = Recipe("robust", sizes=(48,) * 2 + (64,) * 7, epsilon=0.5, learning_rate=0.1, start="plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["plain", "robust"], help="train no further than this candidate")
    arguments = parser.parse_args()
    train_photos, val_photos = read_photos("train", OUT), read_photos("val", OUT)
    teacher = teacher_logits(train_photos, val_photos, OUT)
    train(PLAIN, train_photos, val_photos, teacher, OUT)
    if arguments.only != "plain":
        train(ROBUST, train_photos, val_photos, teacher, OUT)
        compare([])
        export([str(OUT / "robust.pt")])


if __name__ == "__main__":
    main()
