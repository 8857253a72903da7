"""A model's report: what was measured of its pictures, attribution methods and groups, layer by layer."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..bundle import MethodScore
from ..features import Rendering
from ..models import Layer, Model
from ..trust import SAME_CAUSE, Evidence, Exemplar, RenderingEvidence, holding, misleading


@dataclass(frozen=True, eq=False)
class LayerReport:
    """What can be believed about one layer.

    Args:
        layer: which.
        channels: those that were drawn by chance.
        rendering: a picture of each, with evidence.
        exemplars: for each, the images that fire it most.
        pieces: for each, what it mostly looks at there: uint8 [side, side, 3].
        methods: how well attribution predicts removals: for sets of positions, channels and groups, the best first.
        evidence: of the layer as a whole.
    """

    layer: Layer
    channels: tuple[int, ...]
    rendering: Rendering
    exemplars: tuple[tuple[Exemplar, ...], ...]
    pieces: tuple[tuple[np.ndarray, ...], ...] = field(repr=False)
    methods: tuple[MethodScore, ...]
    evidence: tuple[Evidence, ...]

    def of_channel(self, channel: int) -> tuple[RenderingEvidence, ...]:
        """What was measured about the picture of one channel, the headline first."""
        about = f"rendering:{self.rendering.targets[self.channels.index(channel)]}"
        found = [each for each in self.rendering.evidence if each.about == about]
        return tuple(sorted(found, key=lambda each: each.name != SAME_CAUSE))  # type: ignore[arg-type]

    @property
    def misleading(self) -> tuple[int, ...]:
        """The channels whose pictures do not show what fires them on photos."""
        return self._channels(misleading(self.rendering.evidence))

    @property
    def holding(self) -> tuple[int, ...]:
        """The channels whose pictures do; of the others, nothing can be said."""
        return self._channels(holding(self.rendering.evidence))

    def _channels(self, about: Sequence[str]) -> tuple[int, ...]:
        names = zip(self.channels, self.rendering.targets, strict=True)
        return tuple(channel for channel, name in names if f"rendering:{name}" in about)

    def best(self, unit: str) -> MethodScore | None:
        """The method that predicts the removal of a kind of part best: `set`, `channel` or `group`."""
        return next((score for score in self.methods if score.unit == unit), None)


@dataclass(frozen=True, eq=False)
class ModelReport:
    """Which layers, units and methods of a model can be believed; made by `report_model`.

    Args:
        model: which.
        images: how many natural images were looked at.
        photos: names of those on which attribution was compared with removals.
        layers: by name, from the first to the last.
        remarks: what was left out, and why.
        settings: of the computation.
        seconds: how long each part took.
    """

    model: Model
    images: int
    photos: tuple[str, ...]
    layers: Mapping[str, LayerReport]
    remarks: tuple[str, ...]
    settings: Mapping[str, Any]
    seconds: Mapping[str, float]

    def __repr__(self) -> str:
        return f"<ModelReport of {self.model.name}: {', '.join(self.layers)}, {self.images:,} images>"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a page (`.html`) or a bundle (`.zip`, folder) and return its path.

        Raises:
            InputError: the path cannot be written.
            ResourceError: the disk is full.

        Example:
            >>> report.save("trust.html")                                  # doctest: +SKIP
            PosixPath('trust.html')
        """
        from ..app import save_bundle
        from ._bundle import to_bundle

        return save_bundle(to_bundle(self), path)

    def _repr_html_(self) -> str:
        """The page in a frame: what a notebook shows."""
        from ..app import frame_html, page_html
        from ._bundle import to_bundle

        bundle = to_bundle(self)
        return frame_html(page_html(bundle), bundle.manifest.body.title)

    def to_json(self) -> dict[str, Any]:
        """Every number of the report, without pictures."""
        return {
            "model": {"name": self.model.name, "weights": self.model.digest},
            "images": self.images,
            "photos": list(self.photos),
            "layers": {
                name: {
                    "channels": list(each.channels),
                    "holding": list(each.holding),
                    "misleading": list(each.misleading),
                    "units": {
                        str(channel): [vars(entry) for entry in each.of_channel(channel)] for channel in each.channels
                    },
                    "methods": [msgspec.to_builtins(score) for score in each.methods],
                    "evidence": [vars(entry) for entry in each.evidence],
                }
                for name, each in self.layers.items()
            },
            "remarks": list(self.remarks),
            "settings": dict(self.settings),
            "seconds": dict(self.seconds),
        }
