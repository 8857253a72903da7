"""What a model made of one image, in all its parts."""

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..app import output_below, output_beside
from ..attribution import Attribution
from ..errors import InputError, TargetError
from ..events import Progress, silent
from ..features import ActivationGrid
from ..groups import Groups
from ..models import Model
from ..trust import Curves, Evidence
from ._parts import ChannelAttribution, ClassScore, Experiments, GroupFlow, Icons, LayerFlow, SemanticDictionary

if TYPE_CHECKING:
    from ..widget import ExplanationWidget


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model made of one image; `save` writes the page, `show` opens it, `to_json` gives the numbers.

    Args:
        photo: the picture, cut to what the model saw.
        image: the model's view: float32 [channels, height, width], sRGB in [0, 1].
        classes: the strongest answers first.
        versus: two of their numbers that are set against each other, or `None`.
        layers: names, from the first to the last.
        activations: by layer: [rows, columns, channels].
        attributions: by layer, then by class number, of the method that was asked for.
        maps: the same of method `removal`: maps over positions that agree with what removing them does.
        dictionaries, grids: by layer.
        told: by layer: the channels that the page tells of.
        groupings: by layer, then by number of groups.
        n_groups: the number that is shown first.
        influences: by (lower, upper): [rows, columns of upper, rows, columns of lower].
        channel_links: by (lower, upper): [told channels of upper, told channels of lower].
        flows: by (lower, upper).
        experiments: what was measured by removing and scaling parts.
        icons: by layer, of its channels.
        group_icons: by layer; `group_icon_places` says which of them stands for a group.
        group_icon_places: by layer, then by (number of groups, whether aligned): a running number for each group.
        seconds: spent on each panel.
        settings: everything that the result depends on.
        evidence: what was measured about the above; empty until it is `judged`.
        curves: by layer, then by class number: what becomes of the class without the places that its map names first.
    """

    title: str
    model: Model
    photo: Image.Image
    image: Tensor
    classes: tuple[ClassScore, ...]
    versus: tuple[int, int] | None
    layers: tuple[str, ...]
    activations: Mapping[str, np.ndarray]
    attributions: Mapping[str, Mapping[int, Attribution]]
    maps: Mapping[str, Mapping[int, Attribution]]
    dictionaries: Mapping[str, SemanticDictionary]
    grids: Mapping[str, ActivationGrid]
    told: Mapping[str, tuple[int, ...]]
    groupings: Mapping[str, Mapping[int, Groups]]
    n_groups: int
    influences: Mapping[tuple[str, str], np.ndarray]
    channel_links: Mapping[tuple[str, str], np.ndarray]
    flows: Mapping[tuple[str, str], LayerFlow]
    experiments: tuple[Experiments, ...]
    icons: Mapping[str, Icons]
    group_icons: Mapping[str, Icons]
    group_icon_places: Mapping[str, Mapping[tuple[int, bool], tuple[int, ...]]]
    seconds: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    curves: Mapping[str, Mapping[int, Curves]] = field(default_factory=dict)

    def __repr__(self) -> str:
        first = self.classes[0]
        return f"<Explanation of {self.title}: {first.label} {first.probability:.0%}, {', '.join(self.layers)}>"

    def semantic_dictionary(self, layer: str) -> SemanticDictionary:
        """The strongest channels at each position of a layer."""
        return self.dictionaries[self._explained(layer)]

    def grid(self, layer: str) -> ActivationGrid:
        """The photo as a layer sees it: a small picture for each position."""
        return self.grids[self._explained(layer)]

    def spatial(self, layer: str, label: int | str) -> Attribution:
        """How much each position of a layer adds to a class, by `.positions()`: the map that agrees with removals."""
        return self.maps[self._explained(layer)][self._class(label)]

    def attribution(self, layer: str, label: int | str) -> Attribution:
        """How much each unit of a layer adds to a class, by the explanation's method: what channels and groups show."""
        return self.attributions[self._explained(layer)][self._class(label)]

    def channels(self, layer: str, label: int | str, *, versus: int | str | None = None) -> ChannelAttribution:
        """What each channel of a layer adds to a class, or to that class rather than `versus`.

        Raises:
            InputError: the two classes are the same.
            TargetError: the explanation is not about such a layer or class.
        """
        name, index = self._explained(layer), self._class(label)
        values = self.attributions[name][index].by_channel()
        other = None
        if versus is not None:
            other = self._class(versus)
            if other == index:
                raise InputError(f"{self.model.label(index)} is compared with itself; name two different classes.")
            values = values - self.attributions[name][other].by_channel()
        return ChannelAttribution(
            self.model.layer(name),
            self.model.label(index),
            None if other is None else self.model.label(other),
            values,
            self.activations[name],
        )

    def groups(self, layer: str, n_groups: int | None = None) -> Groups:
        """The activations of a layer divided into groups.

        Raises:
            TargetError: the explanation is not about such a layer, or has no such number of groups.
        """
        name = self._explained(layer)
        groupings = self.groupings[name]
        count = min(self.n_groups, max(groupings)) if n_groups is None else n_groups
        if count not in groupings:
            raise TargetError(f"{name} was divided into {', '.join(map(str, groupings))} groups, not into {count}.")
        return groupings[count]

    def flow(
        self, layers: Sequence[str] | None = None, *, n_groups: int | None = None, align: bool = True
    ) -> GroupFlow:
        """Groups of several layers and the classes, and how much each feeds the next.

        Args:
            layers: neighbours among the explanation's layers; by default all of them.
            n_groups: of every layer.
            align: make each layer's groups match those of the layer after it, where that can be done.

        Raises:
            TargetError: layers that are not neighbours in this explanation, or no such number of groups.
        """
        names = [self._explained(layer) for layer in layers or self.layers]
        first = self.layers.index(names[0])
        if tuple(names) != self.layers[first : first + len(names)]:
            raise TargetError(f"a flow runs through neighbours among {', '.join(self.layers)}, in that order.")
        last = self.groups(names[-1], n_groups)
        count = len(last.channels)
        parts, links = [last], []
        for lower, upper in reversed(list(itertools.pairwise(names))):
            flow = self.flows[lower, upper]
            # Only groups that the upper layer really shows can be matched: below an aligned layer there are none.
            if align and count in flow.aligned and len(parts) == 1:
                parts.insert(0, flow.aligned[count])
                links.insert(0, flow.aligned_links[count])
            else:
                parts.insert(0, self.groups(lower, count))
                links.insert(0, flow.links[count, count])
        return GroupFlow(
            tuple(names),
            tuple(parts),
            tuple(links),
            tuple(score.label for score in self.classes),
            np.stack([self.attributions[names[-1]][score.index].by_group(last) for score in self.classes]),
        )

    def judged(self, *, progress: Progress = silent) -> "Explanation":
        """The same with evidence: what it says, put to the test, each measure beside a control.

        `explain` does this unless it is told not to. The network is run again from each layer on; of the classes that
        were asked for, or else of the most probable one, more is measured than of the others: docs/trust.md has a list.

        Args:
            progress: receives events.

        Example:
            >>> quick = pellucid.explain(model, "photo.jpg", evidence=False)                        # doctest: +SKIP
            >>> quick.judged().evidence[0].sentence                                                 # doctest: +SKIP
        """
        from ._evidence import judge

        found = judge(self, progress)
        rest = {key: value for key, value in self.seconds.items() if key not in found.seconds}
        return replace(self, evidence=found.evidence, curves=found.curves, seconds={**rest, **found.seconds})

    def _explained(self, layer: str) -> str:
        name = self.model.layer(layer).name
        if name not in self.layers:
            raise TargetError(
                f"this explanation is about {', '.join(self.layers)}; "
                f"ask for {name!r} with explain(…, layers=[{name!r}])."
            )
        return name

    def _class(self, label: int | str) -> int:
        index = self.model.class_index(label)
        if index not in {score.index for score in self.classes}:
            shown = ", ".join(score.label for score in self.classes)
            raise TargetError(
                f"this explanation is about {shown}; ask for {label!r} with explain(…, classes=[{label!r}])."
            )
        return index

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the explanation; returns the path.

        Args:
            path: `.html` for a page that opens from the disk, `.zip` or a folder for the bundle behind it.

        Raises:
            ResourceError: the disk is full.
        """
        from ._bundle import save

        return save(self, Path(path))

    def show(self) -> Path:
        """Open the page: below the cell in a notebook, else in the browser; returns the file that it was written to."""
        from ._show import show

        return show(self)

    def widget(self) -> "ExplanationWidget":
        """The page as a notebook's widget, whose traits say what a person chose there, and which asks the kernel what
        they want to know; what the end of a cell shows. It is the same one until it is closed.

        Raises:
            MissingExtraError: anywidget is not installed.

        Example:
            >>> explanation.widget().position                                                       # doctest: +SKIP
            {'layer': 'mixed4d', 'row': 4, 'column': 1}
        """
        from ..widget import ExplanationWidget

        return ExplanationWidget.of(self)

    def _repr_html_(self) -> str:
        """The page in a frame: what a notebook shows that has no widgets."""
        from ._show import frame

        return frame(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """What Jupyter shows and keeps: the widget, and the page in a frame for where it has no kernel."""
        return output_below(self, **kwargs)

    def _display_(self) -> Any:
        """What marimo shows."""
        return output_beside(self)

    def to_json(self) -> dict[str, Any]:
        """Every number that the page says, without pictures; `seconds` has the time of each panel."""
        return {
            "title": self.title,
            "model": {"name": self.model.name, "weights": self.model.digest},
            "classes": [vars(score) for score in self.classes],
            "layers": {name: self._layer_json(name) for name in self.layers},
            "experiments": [
                {
                    "layer": each.layer,
                    "unit": each.unit,
                    "groups": each.groups,
                    "factor": each.factor,
                    "units": list(each.units),
                    "change": each.change.astype(float).round(5).tolist(),
                    "predicted": each.predicted.astype(float).round(5).tolist(),
                    "probabilities": each.probabilities.astype(float).round(6).tolist(),
                    "winners": [self.model.label(int(index)) for index in each.winners],
                }
                for each in self.experiments
            ],
            "evidence": [vars(entry) for entry in self.evidence],
            "curves": [
                {"layer": name, "class": index, **_curves_json(curves)}
                for name, found in self.curves.items()
                for index, curves in found.items()
            ],
            "settings": dict(self.settings),
            "seconds": dict(self.seconds),
        }

    def _layer_json(self, name: str) -> dict[str, Any]:
        entry, maps = self.dictionaries[name], self.attributions[name]
        told = list(self.told[name])
        return {
            "channels": entry.top.tolist(),
            "activations": np.take_along_axis(entry.activations, entry.top, 2).astype(float).round(4).tolist(),
            "spatial": {str(i): m.positions().round(5).tolist() for i, m in self.maps[name].items()},
            "spatial_attribution": {str(i): m.positions().round(5).tolist() for i, m in maps.items()},
            "channel_attribution": {
                str(i): dict(zip(map(str, told), m.by_channel()[told].round(5).tolist(), strict=True))
                for i, m in maps.items()
            },
            "groups": {
                str(count): {
                    "error": round(groups.error, 5),
                    "spatial": groups.spatial[0].astype(float).round(4).tolist(),
                    "attribution": {str(i): m.by_group(groups).round(5).tolist() for i, m in maps.items()},
                }
                for count, groups in self.groupings[name].items()
            },
        }


def _curves_json(curves: Curves) -> dict[str, Any]:
    return {name: np.round(values, 5).tolist() for name, values in vars(curves).items()}
