"""Pictures that stand for targets, with everything needed to make them again."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import BundleError
from ..figures import sheet
from ..pictures import to_picture
from ..store import write_file

if TYPE_CHECKING:
    from ..models import Model
    from ..trust import RenderingEvidence

_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Rendering:
    """Images that stand for targets (feature visualization).

    Args:
        images: float32 [n, height, width, channels], sRGB in [0, 1]; a fourth channel is opacity.
        objective: float32 [n, steps]: what each image was worth after each step; NaN where only the end was kept.
        targets: n texts, one for each image.
        snapshots: for each step that was asked for, the images after it, as `images`.
        provenance: model and weights digest, objectives, every setting, seed, versions, seconds.
        judgement: what `judged` found, or `None` before that.
    """

    images: np.ndarray
    objective: np.ndarray
    targets: tuple[str, ...]
    snapshots: Mapping[int, np.ndarray] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    judgement: tuple["RenderingEvidence", ...] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"<Rendering of {', '.join(self.targets[:4])}{' …' if len(self) > 4 else ''}: {list(self.images.shape)}>"

    def _repr_png_(self) -> bytes:
        """The images with their targets: what a notebook shows."""
        buffer = BytesIO()
        self.picture().save(buffer, "PNG")
        return buffer.getvalue()

    @cached_property
    def evidence(self) -> tuple["RenderingEvidence", ...]:
        """How far each picture can be trusted: what `judged` found; measured on first use and kept.

        Of pictures of the embedded network that were not judged, what the statistics in the package tell: how unusual
        the activation is, and whether other units are raised more.

        Raises:
            InputError: not judged, and of another network, for which no natural images are known.
        """
        from ..trust import evidence_at_hand

        return self.judgement if self.judgement is not None else tuple(evidence_at_hand(self))

    def judged(self, model: "Model", images: Any, **settings: Any) -> "Rendering":
        """The same pictures with evidence from natural images, which `save` keeps.

        Args:
            model: that they were rendered for.
            images: a folder, a tar, arrays or a `Survey`.
            settings: passed on to `pellucid.trust.judge_renderings`, which see for the measures and errors.

        Example:
            >>> rendering.judged(model, "photos/").evidence[0].sentence    # doctest: +SKIP
            'The unit fires more on this picture than on 100% of 2,000 photos …'
        """
        from ..trust import judge_renderings

        return replace(self, judgement=tuple(judge_renderings(model, self, images, **settings)))

    def sheet(self, columns: int | None = None, gap: int = 4) -> np.ndarray:
        """All images on one white ground: float32 [height, width, channels].

        Args:
            columns: images in a row; by default as many as make the sheet about square, at most 8.
            gap: white between images, px.
        """
        count, height, width, channels = self.images.shape
        columns = columns or min(8, max(1, round(count**0.5 + 0.49)), count)
        rows = -(-count // columns)
        sheet = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), np.float32)
        for index, image in enumerate(self.images):
            top, left = index // columns * (height + gap), index % columns * (width + gap)
            sheet[top : top + height, left : left + width] = image
        return sheet

    def picture(
        self, captions: Sequence[object] | None = None, *, columns: int | None = None, side: int | None = None
    ) -> Image.Image:
        """All images with captions, as one RGB Pillow image: `.save("sheet.png")` writes it.

        Args:
            captions: one for each image; by default the targets.
            columns, side: images in a row, and the longer side of each, px; as in `pellucid.figures.sheet`.

        Raises:
            InputError: other captions than images, or a side or number of columns below 1.

        Example:
            >>> rendering = pellucid.render(model, ["8:0", "8:1"], size=32, steps=2)
            >>> rendering.picture(side=128).size
            (264, 148)
        """
        return sheet(self.images, self.targets if captions is None else captions, columns=columns, side=side)

    def files(self) -> list[str]:
        """The name of each image's PNG file in a folder, distinct also where targets repeat."""
        names: list[str] = []
        taken: set[str] = set()
        for target in self.targets:
            plain = re.sub(r"[^\w.+-]+", "_", target).strip("_.")[:100] or "image"
            name, copy = plain, 1
            while name.casefold() in taken:  # some file systems do not tell a from A
                copy += 1
                name = f"{plain}~{copy}"
            taken.add(name.casefold())
            names.append(f"{name}.png")
        return names

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write a PNG for each image, one for each snapshot, and `render.json`; returns the folder.

        Each file appears whole or not at all.

        Raises:
            ResourceError: the disk is full.
            InputError: the folder cannot be written to.

        Example:
            >>> rendering.save("out/")                                 # doctest: +SKIP
            PosixPath('out')
        """
        folder = Path(folder)

        def write(name: str, image: np.ndarray) -> None:
            buffer = BytesIO()
            to_picture(image).save(buffer, "PNG")
            write_file(folder / name, buffer.getvalue())

        for name, image in zip(self.files(), self.images, strict=True):
            write(name, image)
        for step, images in self.snapshots.items():
            for name, image in zip(self.files(), images, strict=True):
                write(f"{name.removesuffix('.png')}.step{step}.png", image)
        document = {
            "schema": _SCHEMA,
            "targets": [
                {"target": target, "file": file} for target, file in zip(self.targets, self.files(), strict=True)
            ],
            "snapshots": sorted(self.snapshots),
            "objective": [
                [None if np.isnan(value) else round(value, 5) for value in curve]
                for curve in self.objective.astype(float).tolist()
            ],
            "provenance": dict(self.provenance),
        }
        if self.judgement is not None:
            document["evidence"] = [vars(each) for each in self.judgement]
        write_file(folder / "render.json", json.dumps(document, indent=1).encode())
        return folder


def load_rendering(folder: str | os.PathLike[str]) -> Rendering:
    """The rendering that `Rendering.save` wrote, its images rounded to 1/255.

    Raises:
        BundleError: `render.json` or a picture is missing or damaged.

    Example:
        >>> load_rendering("out/").targets                             # doctest: +SKIP
        ('mixed4d:426',)
    """
    from ..trust import RenderingEvidence

    folder = Path(folder)

    def read(name: str) -> np.ndarray:
        with Image.open(folder / name) as picture:
            array = np.asarray(picture, dtype=np.float32) / 255
        return array if array.ndim == 3 else array[:, :, None]

    try:
        document = json.loads((folder / "render.json").read_bytes())
        if document["schema"] != _SCHEMA:
            raise BundleError(f"{folder} has schema {document['schema']}; this version reads {_SCHEMA}.")
        files = [entry["file"] for entry in document["targets"]]
        return Rendering(
            images=np.stack([read(name) for name in files]),
            objective=np.asarray(document["objective"], dtype=np.float32),
            targets=tuple(entry["target"] for entry in document["targets"]),
            snapshots={
                step: np.stack([read(f"{name.removesuffix('.png')}.step{step}.png") for name in files])
                for step in document["snapshots"]
            },
            provenance=document["provenance"],
            judgement=tuple(RenderingEvidence(**each) for each in document["evidence"])
            if "evidence" in document
            else None,
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{folder} holds no rendering that can be read: {error}.") from error
