"""The networks of a server: loaded when first asked, each with copies for work that must not wait for other work."""

import copy
import dataclasses
import io
import threading
from collections.abc import Callable, Sequence

import numpy as np

from ..bundle import ServedModel
from ..errors import ResourceError, TargetError
from ..explain._explain import usual_layers
from ..explain._icons import QUICK, channel_icon, draw_icons
from ..explain._live import telling_layers
from ..models import Model
from ..pictures import to_picture
from ..store import RenderCache

# Icons that are asked for within a moment are rendered together.
_BATCH, _GATHER_SECONDS = 16, 0.03
_ICON_PATIENCE = 180.0
_PAPER = 0.95


class Served:
    """One network, and what it needs to answer several people at once.

    Args:
        load: gives the model; called once.

    Attributes:
        lock: held by who runs `live`.
    """

    def __init__(self, load: Callable[[], Model], cache: RenderCache) -> None:
        self._load, self._cache = load, cache
        self._loading = threading.Lock()
        self._model: Model | None = None
        self._live: Model | None = None
        self._icons: IconDesk | None = None
        self.lock = threading.Lock()

    @property
    def model(self) -> Model:
        """What explanations are computed with, one at a time."""
        with self._loading:
            if self._model is None:
                self._model = self._load()
                # Running a model borrows its module; no two threads may do so at once.
                self._live = _copied(self._model)
                self._icons = IconDesk(_copied(self._model), self._cache)
            return self._model

    @property
    def live(self) -> Model:
        """A copy for questions that are answered while an explanation is computed; see `lock`."""
        _ = self.model
        assert self._live is not None
        return self._live

    @property
    def icons(self) -> "IconDesk":
        """Where icons of channels are had."""
        _ = self.model
        assert self._icons is not None
        return self._icons

    def card(self) -> ServedModel:
        """What a page says about the network."""
        model = self.model
        rows, columns = model.size
        return ServedModel(
            name=model.name, rows=rows, columns=columns, layers=telling_layers(model), usual=usual_layers(model)
        )


class IconDesk:
    """Icons of channels: from the cache, or rendered, those that are asked for at the same time together."""

    def __init__(self, model: Model, cache: RenderCache) -> None:
        self.model, self._cache = model, cache
        self._waiting: dict[tuple[str, int], list[_Answer]] = {}
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None

    def icon(self, layer: str, channel: int) -> bytes:
        """A WebP picture of what excites a channel.

        Raises:
            TargetError: no such layer or channel.
            ResourceError: too many are asked for at once.
        """
        place = self.model.layer(layer)
        if not 0 <= channel < place.channels or place.kind == "vector":
            raise TargetError(f"{layer} has no channel {channel}.")
        answer = _Answer()
        with self._changed:
            if len(self._waiting) > 500:
                raise ResourceError("too many icons are asked for at once; try again in a minute.")
            self._waiting.setdefault((place.name, channel), []).append(answer)
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, name="icons", daemon=True)
                self._worker.start()
        if not answer.ready.wait(_ICON_PATIENCE):
            raise ResourceError("the icon could not be rendered in time; try again in a minute.")
        if isinstance(answer.found, bytes):
            return answer.found
        raise answer.found or ResourceError("the icon could not be rendered.")

    def _work(self) -> None:
        while True:
            threading.Event().wait(_GATHER_SECONDS)
            with self._changed:
                batch = list(self._waiting.items())[:_BATCH]
                if not batch:
                    self._worker = None
                    return
                for key, _ in batch:
                    del self._waiting[key]
            try:
                found: Sequence[bytes | Exception] = self._drawn([key for key, _ in batch])
            except Exception as error:  # whoever waits is told, and the next batch is tried
                found = [error] * len(batch)
            for (_, answers), icon in zip(batch, found, strict=True):
                for answer in answers:
                    answer.found = icon
                    answer.ready.set()

    def _drawn(self, keys: Sequence[tuple[str, int]]) -> list[bytes]:
        targets = [channel_icon(layer, channel) for layer, channel in keys]
        return [webp(image) for image in draw_icons(self.model, targets, look=QUICK, cache=self._cache)]


class _Answer:
    def __init__(self) -> None:
        self.ready = threading.Event()
        self.found: bytes | Exception | None = None


def webp(image: np.ndarray) -> bytes:
    """A picture with opacity, float32 [height, width, channels + 1] in [0, 1], on light paper as WebP."""
    colours, opacity = image[:, :, :-1], image[:, :, -1:]
    buffer = io.BytesIO()
    shown = to_picture(colours * opacity + _PAPER * (1 - opacity)).convert("RGB")
    shown.save(buffer, "WEBP", quality=88, method=4)
    return buffer.getvalue()


def _copied(model: Model) -> Model:
    return dataclasses.replace(model, module=copy.deepcopy(model.module))
