"""The hundred classes of Tiny ImageNet as arrays."""

import csv
import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

# Of a photo of Tiny ImageNet's training set, measured once over every tenth; per channel, sRGB in [0, 1].
MEAN = (0.468, 0.435, 0.378)
STD = (0.267, 0.258, 0.272)


@dataclass(frozen=True)
class Photos:
    """uint8 [n, 64, 64, 3] and the class of each, numbered in the order of `tiny_imagenet_100_classes.tsv`."""

    images: np.ndarray
    classes: np.ndarray


def data_folder() -> Path:
    """Where the photos and the teacher's weights lie: the first folder of PELLUCID_DATA."""
    folder = os.environ.get("PELLUCID_DATA", "").split(os.pathsep)[0]
    if not folder or not Path(folder).is_dir():
        raise SystemExit("training needs PELLUCID_DATA: a folder with images/tiny_imagenet_100_train.tar and models/.")
    return Path(folder)


def read_classes() -> list[tuple[str, str]]:
    """(wnid, name) of each class, in the order of the network's outputs."""
    with (data_folder() / "images/tiny_imagenet_100_classes.tsv").open(encoding="utf-8", newline="") as file:
        return [(row["wnid"], row["name"]) for row in csv.DictReader(file, delimiter="\t")]


def read_photos(split: str, out: Path) -> Photos:
    """The photos of `train` or `val`, sorted by name; kept as arrays in `out`, since decoding takes a minute."""
    images_file, classes_file = out / f"{split}_images.npy", out / f"{split}_classes.npy"
    if not classes_file.exists():
        number = {wnid: index for index, (wnid, _) in enumerate(read_classes())}
        with tarfile.open(data_folder() / f"images/tiny_imagenet_100_{split}.tar") as archive:
            entries = sorted((m for m in archive if m.isfile()), key=lambda member: member.name)
            classes = np.array([number[entry.name.split("/")[-2]] for entry in entries], np.int64)
            images = np.empty((len(entries), 64, 64, 3), np.uint8)
            for index, entry in enumerate(entries):
                content = archive.extractfile(entry)
                assert content is not None
                images[index] = np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB"))
        out.mkdir(parents=True, exist_ok=True)
        np.save(images_file, images)
        np.save(classes_file, classes)
    return Photos(np.load(images_file, mmap_mode="r"), np.load(classes_file))
