"""The page of an explanation as a widget."""

import base64
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from traitlets import Dict, Int

from ..bundle import ExperimentRequest, RegionAnswer, RegionRequest
from ..errors import TargetError
from ..explain._bundle import icon_picture, to_bundle
from ..explain._icons import channel_icon, find_icons
from ..explain._live import Live
from ._page_widget import Answerer, PageWidget, whole

if TYPE_CHECKING:
    from ..explain import Explanation

_MOST_ICONS = 1024


class ExplanationWidget(PageWidget):
    """The page of an explanation; what a person chooses there can be observed, and what they ask the kernel answers.

    Args:
        explanation: from `pellucid.explain`.

    Traits, all but `hash` and `height` written by the page:
        position: `{"layer", "row", "column"}`, or `None` while none was chosen.
        channel: `{"layer", "channel"}` or `None`.
        group: `{"layer", "groups", "group"}`, of which `groups` says in how many the layer is divided; or `None`.
        class_index: number of the class that is looked at; `None` before the page is shown.
        versus: number of the class that it is set against, or `None`.
        hash, layer, height: as for `PageWidget`.

    Example:
        >>> widget = explanation.widget()                                                           # doctest: +SKIP
        >>> widget.observe(lambda change: print(change.new), "position")                            # doctest: +SKIP
        >>> widget                                                                                  # doctest: +SKIP
    """

    position = Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    channel = Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    group = Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    class_index = Int(None, allow_none=True, read_only=True).tag(sync=True)
    versus = Int(None, allow_none=True, read_only=True).tag(sync=True)

    def __init__(self, explanation: "Explanation") -> None:
        self.explanation = explanation
        self._icon = lru_cache(_MOST_ICONS)(self._find_icon)
        super().__init__(to_bundle(explanation))

    def select(
        self,
        layer: str | None = None,
        *,
        position: tuple[int, int] | None = None,
        channel: int | None = None,
        group: tuple[int, int] | None = None,
        label: int | str | None = None,
        versus: int | str | None = None,
    ) -> None:
        """Show something on the page; what is not named stays as it is.

        Args:
            layer: to look at; by default the one that is looked at.
            position: row and column of the layer's grid.
            channel: of the layer; one that the page tells of.
            group: in how many groups the layer is divided, and the number of one of them.
            label: name or number of the class to look at.
            versus: of the class to set it against.

        Raises:
            TargetError: the explanation is not about such a layer, channel, group or class.
            InputError: the layer has no such position.

        Example:
            >>> widget.select("mixed4d", position=(4, 1), label="Labrador retriever")               # doctest: +SKIP
        """
        told = self.explanation
        name = told._explained(layer or self.layer or told.layers[-1])
        words: dict[str, str | None] = {"layer": name}
        if layer is not None and layer != self.layer:
            words["at"] = None
        if position is not None:
            rows, columns = told.activations[name].shape[:2]
            row, column = position
            words["at"] = f"{whole(row, rows, 'row')},{whole(column, columns, 'column')}"
        if channel is not None:
            if channel not in told.told[name]:
                raise TargetError(f"the page tells of {len(told.told[name])} channels of {name}, not of {channel}.")
            words["channel"] = f"{name}:{channel}"
        if group is not None:
            count, number = group
            whole(number, len(told.groups(name, count).channels), "group")
            words["group"] = f"{name}:{count}:{number}"
        if label is not None:
            words["class"] = str(told._class(label))
        if versus is not None:
            words["versus"] = str(told._class(versus))
        self._show(words)

    @cached_property
    def _live(self) -> Live:
        return Live.of(self.explanation)

    def _answerers(self) -> Mapping[str, Answerer]:
        return {"experiment": (ExperimentRequest, self._live.experiment), "region": (RegionRequest, self._region)}

    def _region(self, request: RegionRequest) -> RegionAnswer:
        return self._live.region(request, self._icon)

    def _find_icon(self, layer: str, channel: int) -> str:
        """Address of a channel's icon: one of the explanation's, or of those that come with the package."""
        icons = self.explanation.icons.get(layer)
        if icons is not None and channel in icons.keys:
            image: Any = icons[channel]
        else:
            image = find_icons(self.explanation.model, [channel_icon(layer, channel)]).get(0)
        if image is None:
            return ""
        return "data:image/webp;base64," + base64.b64encode(icon_picture(image)).decode("ascii")
