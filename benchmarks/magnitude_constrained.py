"""What makes magnitude-constrained pictures fire their units: crops, draws, learning rate, schedule, size.

    PELLUCID_DATA=../shared/data OMP_NUM_THREADS=1 python benchmarks/magnitude_constrained.py
    … --sheet sheet.png

Some channels of InceptionV1, drawn by seed, are rendered with settings that differ in one thing each from a neighbour.
Printed is how strongly each picture fires its unit, at the position where it does so most, beside the strongest of
some photos; and the processor's seconds for a picture. All but the row with six draws run the network equally often.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from parametrizations_compared import loaded
from PIL import Image

import pellucid
from pellucid.features.images import MagnitudeConstrained
from pellucid.features.transforms import Noise, RandomCrop, Scale, Transform, Window, standard
from pellucid.trust import as_feature, survey_images

_SIDE = 448


def _crops(share: float, side: int = _SIDE) -> tuple[Transform, ...]:
    return RandomCrop(share, 0.1), Scale((224 / side,)), Window((224, 224)), Noise(0.1)


_EARLIER: dict[str, Any] = {"transforms": _crops(0.25), "learning_rate": 1.0, "schedule": "constant"}
_HALF: dict[str, Any] = {"transforms": _crops(0.5), "learning_rate": 1.0}
_NOW: dict[str, Any] = {"transforms": _crops(0.5), "learning_rate": 0.3}
_SMALL = {"size": 224, "transforms": _crops(0.25, 224)}
# The contrast that the natural magnitude has by itself at 224 px.
_ROWS: dict[str, dict[str, Any]] = {
    "one crop of .25, 192 steps, 1.0 constant, natural contrast, 224 px": {
        **_EARLIER,
        **_SMALL,
        "draws": 1,
        "steps": 192,
        "parametrization": MagnitudeConstrained(1.5),
    },
    "crops of .25, 1.0 constant, six draws (three times the work)": {**_EARLIER, "draws": 6},
    "crops of .25, 1.0 constant": _EARLIER,
    "crops of .25, 1.0 annealed": {**_EARLIER, "schedule": "anneal"},
    "crops of .5, 1.0 annealed": _HALF,
    "crops of .5, 0.3 annealed: kept": _NOW,
    "one draw, 192 steps": {**_NOW, "draws": 1, "steps": 192},
    "four draws, 48 steps": {**_NOW, "draws": 4, "steps": 48},
    "224 px": {**_NOW, "size": 224, "transforms": _crops(0.5, 224)},
    "standard() transforms, 224 px": {**_NOW, "size": 224, "transforms": standard()},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", default="mixed4d")
    parser.add_argument("--units", type=int, default=3)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--sheet", type=Path, help="where to put the pictures")
    options = parser.parse_args()
    data = Path(os.environ["PELLUCID_DATA"])
    model, layer = loaded("inception_v1", data), options.layer
    survey = survey_images(model, data / "images/imagenet_1000.tar", [layer], most=options.photos)
    units = np.random.default_rng(0).permutation(model.layer(layer).channels)[: options.units].tolist()
    goals = [f"{layer}:{unit}" for unit in units]
    strongest = [float(survey.values(as_feature(model, goal)).max()) for goal in goals]
    pictures = []
    for name, settings in _ROWS.items():
        started = time.process_time()
        images = pellucid.render_magnitude_constrained(model, goals, **{"size": _SIDE, "steps": 96, **settings}).images
        seconds = (time.process_time() - started) / len(units)
        firing = pellucid.record(model, torch.from_numpy(images).permute(0, 3, 1, 2), layer)[layer].values
        peaks = firing.reshape(len(units), -1, firing.shape[-1]).max(1)[range(len(units)), units] / strongest
        print(f"| {name} | {np.mean(peaks):.2f} ({peaks.min():.2f}–{peaks.max():.2f}) | {seconds:.0f} |", flush=True)
        small = [Image.fromarray((image * 255).astype(np.uint8)).resize((224, 224)) for image in images]
        pictures.append(np.concatenate([np.asarray(picture) for picture in small], 1))
    if options.sheet:
        Image.fromarray(np.concatenate(pictures)).save(options.sheet)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
