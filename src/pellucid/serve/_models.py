"""The networks of a server: loaded when first asked, each with copies for work that must not wait for other work."""

import copy
import dataclasses
import io
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np

from ..bundle import ServedModel
from ..errors import ResourceError, TargetError
from ..explain._icons import QUICK, channel_icon, draw_icons
from ..explain._live import telling_layers
from ..models import Model, usual_layers
from ..pictures import to_picture
from ..store import RenderCache

# Icons that are asked for within a moment are rendered together.
_BATCH, _GATHER_SECONDS = 16, 0.03
_MOST_ASKED = 500
_PAPER = 0.95


class Served:
    """One network, and what it needs to answer several people at once.

    Args:
        load: gives the model; called once, when it is first needed.
        cache: of icons.

    Attributes:
        lock: held by who runs `live`.
    """

    def __init__(self, load: Callable[[], Model], cache: RenderCache) -> None:
        self._load, self._cache = load, cache
        self._loading = threading.Lock()
        self._model: Model | None = None
        self._live: Model | None = None
        self._icons: IconDesk | None = None
        self._card: ServedModel | None = None
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
        if self._card is None:
            model = self.model
            rows, columns = model.size
            layers, usual = telling_layers(model), usual_layers(model)
            self._card = ServedModel(name=model.name, rows=rows, columns=columns, layers=layers, usual=usual)
        return self._card


class IconDesk:
    """Icons of channels: from the cache, or rendered, those that are asked for at the same time together.

    Args:
        model: to render with; nothing else may run it.
        cache: where icons are looked for and kept.
    """

    def __init__(self, model: Model, cache: RenderCache) -> None:
        self.model, self._cache = model, cache
        self._waiting: dict[tuple[str, int], list[Future[bytes]]] = {}
        self._lock = threading.Lock()
        self._working = False

    def icon(self, layer: str, channel: int) -> Future[bytes]:
        """A WebP picture of what excites a channel, once it is there; a cancelled one may never be rendered.

        Raises:
            TargetError: no such layer or channel.
            ResourceError: too many are asked for at once.
        """
        place = self.model.layer(layer)
        if not 0 <= channel < place.channels or place.kind == "vector":
            raise TargetError(f"{layer} has no channel {channel}.")
        answer: Future[bytes] = Future()
        with self._lock:
            if sum(map(len, self._waiting.values())) >= _MOST_ASKED:
                raise ResourceError("too many icons are asked for at once; try again in a minute.")
            self._waiting.setdefault((place.name, channel), []).append(answer)
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="icons", daemon=True).start()
        return answer

    def _work(self) -> None:
        while True:
            time.sleep(_GATHER_SECONDS)
            with self._lock:
                batch: dict[tuple[str, int], list[Future[bytes]]] = {}
                while self._waiting and len(batch) < _BATCH:
                    key = next(iter(self._waiting))
                    wanted = [answer for answer in self._waiting.pop(key) if answer.set_running_or_notify_cancel()]
                    if wanted:
                        batch[key] = wanted
                if not batch:
                    self._working = False
                    return
            try:
                found = self._drawn(list(batch))
            except Exception as error:  # whoever waits is told, and the next batch is tried
                for answers in batch.values():
                    for answer in answers:
                        answer.set_exception(error)
                continue
            for answers, icon in zip(batch.values(), found, strict=True):
                for answer in answers:
                    answer.set_result(icon)

    def _drawn(self, keys: Sequence[tuple[str, int]]) -> list[bytes]:
        targets = [channel_icon(layer, channel) for layer, channel in keys]
        return [webp(image) for image in draw_icons(self.model, targets, look=QUICK, cache=self._cache)]


def webp(image: np.ndarray) -> bytes:
    """A picture with opacity, float32 [height, width, channels + 1] in [0, 1], on light paper as WebP."""
    colours, opacity = image[:, :, :-1], image[:, :, -1:]
    buffer = io.BytesIO()
    shown = to_picture(colours * opacity + _PAPER * (1 - opacity)).convert("RGB")
    shown.save(buffer, "WEBP", quality=88, method=4)
    return buffer.getvalue()


def _copied(model: Model) -> Model:
    return dataclasses.replace(model, module=copy.deepcopy(model.module))
