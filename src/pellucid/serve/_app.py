"""The web application: pages, results, live questions. What it answers is written in docs/serve.md."""

import asyncio
import contextlib
import html
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import __version__
from ..app import served_html
from ..bundle import ExperimentAnswer, ExperimentRequest, RegionAnswer, RegionRequest, Result, ServerStatus
from ..errors import ModelError, PellucidError, ResourceError
from ..events import Event
from ._desk import ENDED, Desk, NotFoundError
from ._guard import LOOPBACK, Guard, sentence
from ._limits import Limits
from ._uploads import ACCEPTS, decode_upload

_FOREVER = 365 * 24 * 3600
# How long browsers may keep pictures of a result, and never beyond its time.
_SOME_TIME = 3600
_TICK, _HEARTBEAT = 0.15, 15.0
_LONGEST_QUESTION, _QUESTION_SECONDS = 64 * 1024, 10.0
_SWEEP_SECONDS = 10.0
_ICON_SECONDS = 180.0
# What needs memory or the network takes turns, so that it leaves threads to all else: pictures that are decoded (each
# with memory of its own), questions, and results packed into one file.
_DECODERS, _QUESTIONS, _PACKERS = 2, 4, 2

T = TypeVar("T")


def make_app(
    desk: Desk, limits: Limits, *, token: str | None = None, any_host: bool = False, host: str = "localhost"
) -> ASGIApp:
    """The application.

    Args:
        desk: where results are made and kept; closed when the application ends.
        limits: of uploads.
        token: that everyone must know, or `None`.
        any_host: answer under every name, as is needed beyond this machine; only safe with a token.
        host: a name that it answers under besides those of this machine itself.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_sweep, desk)
            yield
            tasks.cancel_scope.cancel()
        await anyio.to_thread.run_sync(desk.close)

    pages = _Pages(desk, limits)
    routes = [
        Route("/", pages.home),
        Route("/r/{id}.html", pages.html),
        Route("/r/{id}.zip", pages.zip),
        Route("/r/{id}", pages.result),
        Route("/api/status", pages.status),
        Route("/api/results", pages.results),
        Route("/api/results", pages.submit, methods=["POST"]),
        Route("/api/results/{id}", pages.one),
        Route("/api/results/{id}", pages.remove, methods=["DELETE"]),
        Route("/api/results/{id}/cancel", pages.cancel, methods=["POST"]),
        Route("/api/results/{id}/manifest", pages.manifest),
        Route("/api/results/{id}/files/{digest}.webp", pages.file),
        Route("/api/results/{id}/thumb.webp", pages.thumb),
        Route("/api/results/{id}/events", pages.events),
        Route("/api/results/{id}/experiment", pages.experiment, methods=["POST"]),
        Route("/api/results/{id}/region", pages.region, methods=["POST"]),
        Route("/api/models/{model:path}/icons/{layer}/{channel}.webp", pages.icon),
    ]
    application = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            PellucidError: _told,  # type: ignore[dict-item]
            HTTPException: _told,  # type: ignore[dict-item]
            ClientDisconnect: _told,  # type: ignore[dict-item]
            Exception: _unexpected,
        },
    )
    return Guard(application, token=token, hosts=None if any_host else {*LOOPBACK, host})


async def _sweep(desk: Desk) -> None:
    while True:
        await anyio.to_thread.run_sync(desk.sweep)
        await anyio.sleep(_SWEEP_SECONDS)


async def _told(_: Request, error: Exception) -> Response:
    """One sentence, and the status that fits it."""
    if isinstance(error, ClientDisconnect):
        return sentence(400, "the request ended before it was whole.")
    if isinstance(error, HTTPException):
        words = {404: "there is nothing at this address.", 405: "this address does not take such requests."}
        return sentence(error.status_code, words.get(error.status_code, error.detail))
    if isinstance(error, NotFoundError):
        return sentence(404, str(error))
    if isinstance(error, ResourceError):
        return sentence(503, str(error))
    return sentence(500 if isinstance(error, ModelError) else 400, str(error))


async def _unexpected(_: Request, error: Exception) -> Response:
    return sentence(500, f"something went wrong that should not have ({type(error).__name__}).")


class _Pages:
    """What each address answers."""

    def __init__(self, desk: Desk, limits: Limits) -> None:
        self.desk, self.limits = desk, limits
        self._decoders = anyio.CapacityLimiter(_DECODERS)
        self._questions = anyio.CapacityLimiter(_QUESTIONS)
        self._packers = anyio.CapacityLimiter(_PACKERS)
        self._streams = self._arrived = 0

    async def home(self, _: Request) -> Response:
        return _page(served_html(None))

    async def result(self, request: Request) -> Response:
        name = request.path_params["id"]
        try:
            self.desk.result(name)
        except NotFoundError as error:
            return _page(_lost(str(error)), 404)
        return _page(served_html(name))

    async def html(self, request: Request) -> Response:
        name = request.path_params["id"]
        page = await _aside(self.desk.html, name, limiter=self._packers)
        return _download(page, "text/html", self.desk.result(name).title, "html")

    async def zip(self, request: Request) -> Response:
        name = request.path_params["id"]
        packed = await _aside(self.desk.zip, name, limiter=self._packers)
        return _download(packed, "application/zip", self.desk.result(name).title, "zip")

    async def status(self, _: Request) -> Response:
        cards = [await _aside(served.card) for served in self.desk.models.values()]
        return _json(
            ServerStatus(
                version=__version__,
                models=cards,
                accepts=ACCEPTS,
                most_bytes=self.limits.most_bytes,
                most_pixels=self.limits.most_pixels,
                most_layers=self.limits.most_layers,
                retention_seconds=self.limits.retention_seconds,
            )
        )

    async def results(self, _: Request) -> Response:
        return _json({"results": self.desk.results()})

    async def one(self, request: Request) -> Response:
        return _json(self.desk.result(request.path_params["id"]))

    async def submit(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ACCEPTS:
            return sentence(415, f"{kind[:60] or 'this'} is not read here; give one of {', '.join(ACCEPTS)}.")
        asked = request.query_params
        model = asked.get("model", next(iter(self.desk.models)))
        layers = [part for part in asked.get("layers", "").split(",") if part]
        await _aside(self.desk.check, model, layers)
        async with self._body(request, self.limits.most_bytes, self.limits.upload_seconds) as content:
            picture = await _aside(decode_upload, content, self.limits, limiter=self._decoders)
        submit = partial(
            self.desk.submit,
            picture,
            title=asked.get("title", "picture"),
            model=model,
            layers=layers,
            quick=asked.get("quick", "0") == "1",
        )
        return _json(await _aside(submit), 201)

    async def cancel(self, request: Request) -> Response:
        return _json(self.desk.cancel(request.path_params["id"]))

    async def remove(self, request: Request) -> Response:
        await _aside(self.desk.remove, request.path_params["id"])
        return Response(status_code=204)

    async def manifest(self, request: Request) -> Response:
        name = request.path_params["id"]
        if not self.desk.result(name).revision:
            return sentence(409, "there is nothing to show yet.")
        page = await _aside(self.desk.page, name)
        told = {"revision": page.revision, "manifest": msgspec.Raw(page.manifest), "images": page.images}
        return _json(told)

    async def file(self, request: Request) -> Response:
        name = request.path_params["id"]
        page = await _aside(self.desk.page, name)
        content = page.files.get(request.path_params["digest"])
        if content is None:
            return sentence(404, "there is no such picture, or no longer.")
        return _picture(content, self._keep_for(name))

    async def thumb(self, request: Request) -> Response:
        name = request.path_params["id"]
        return _picture(self.desk.thumb(name), self._keep_for(name))

    def _keep_for(self, name: str) -> int:
        """Seconds that a browser may keep a result's pictures."""
        expires = self.desk.result(name).expires
        if expires is None:
            return _SOME_TIME
        return max(0, min(_SOME_TIME, int((expires - datetime.now(UTC)).total_seconds())))

    async def icon(self, request: Request) -> Response:
        asked = request.path_params
        served, channel = self.desk.models.get(asked["model"]), asked["channel"]
        if served is None or not (channel.isascii() and channel.isdigit() and len(channel) < 10):
            return sentence(404, "there is no such icon.")
        icons = await _aside(lambda: served.icons)
        waits = asyncio.wrap_future(icons.icon(asked["layer"], int(channel)))
        try:
            return _picture(await asyncio.wait_for(waits, _ICON_SECONDS), _FOREVER)
        except TimeoutError:
            return sentence(503, "the icon could not be rendered in time; try again in a minute.")

    async def experiment(self, request: Request) -> Response:
        asked = await self._question(request, ExperimentRequest)
        name = request.path_params["id"]

        def answer() -> ExperimentAnswer:
            return self.desk.live(name).experiment(asked)

        return _json(await _aside(answer, limiter=self._questions))

    async def region(self, request: Request) -> Response:
        asked = await self._question(request, RegionRequest)
        name = request.path_params["id"]
        model = quote(self.desk.result(name).model, safe="")

        def icon(layer: str, channel: int) -> str:
            return f"/api/models/{model}/icons/{quote(layer, safe='')}/{channel}.webp"

        def answer() -> RegionAnswer:
            return self.desk.live(name).region(asked, icon)

        return _json(await _aside(answer, limiter=self._questions))

    async def events(self, request: Request) -> Response:
        name = request.path_params["id"]
        self.desk.result(name)
        if self._streams >= self.limits.most_streams:
            return sentence(503, "too many pages follow explanations here; reload this one to see how far it is.")
        return _Stream(self, name)

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Counts a page that follows."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def follow(self, name: str) -> AsyncIterator[bytes]:
        """Changes of a result. Nothing is kept for who reads slowly: what comes next is how things are then."""
        told: tuple[Result | None, Event | None] = None, None
        seen, silent = -1, 0.0
        while not self.desk.closed:
            news = b""
            if seen != self.desk.changes:
                seen = self.desk.changes
                try:
                    result, event = self.desk.result(name), self.desk.progress(name)
                except NotFoundError:
                    return
                if result != told[0]:
                    news += _event("result", result)
                if event is not None and event != told[1]:
                    progress = {"task": event.task, "done": event.done, "total": event.total, "unit": event.unit}
                    news += _event("progress", progress)
                told = result, event
            silent = 0.0 if news else silent + _TICK
            if silent >= _HEARTBEAT:
                news, silent = b": still here\n\n", 0.0
            if news:
                yield news
            if told[0] is not None and told[0].state in ENDED:
                return
            await anyio.sleep(_TICK)

    async def _question(self, request: Request, kind: type[T]) -> T:
        async with self._body(request, _LONGEST_QUESTION, _QUESTION_SECONDS) as content:
            try:
                return msgspec.json.decode(content, type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise HTTPException(400, f"the question cannot be read: {error}.") from None

    @contextlib.asynccontextmanager
    async def _body(self, request: Request, most: int, seconds: float) -> AsyncIterator[bytearray]:
        """What was sent, which counts as one of all that are held at the same time until the block ends.

        Raises:
            HTTPException: it is too large or too slow.
            ResourceError: there is no room for it now.
        """
        content = bytearray()
        try:
            with anyio.move_on_after(seconds) as scope:
                length = request.headers.get("content-length", "")
                if length.isdigit() and (len(length) > 15 or int(length) > most):
                    raise _too_large(most)
                async for part in request.stream():
                    content += part
                    self._arrived += len(part)
                    if len(content) > most:
                        raise _too_large(most)
                    if self._arrived > self.limits.most_bytes_at_once:
                        raise ResourceError("much is sent at once; try again in a minute.")
            if scope.cancelled_caught:
                raise HTTPException(408, f"this did not arrive within {seconds:.0f} s; try again.")
            yield content
        finally:
            self._arrived -= len(content)


class _Stream(StreamingResponse):
    """Changes of a result as server-sent events, counted from the first byte to the last."""

    def __init__(self, pages: _Pages, name: str) -> None:
        super().__init__(pages.follow(name), media_type="text/event-stream")
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._pages.followed():
            await super().__call__(scope, receive, send)


def _too_large(most: int) -> HTTPException:
    size = f"{most / 2**20:.3g} MB" if most >= 2**20 else f"{most / 2**10:.3g} kB"
    return HTTPException(413, f"this is larger than {size}; make it smaller.")


async def _aside(call: Callable[..., T], *arguments: Any, limiter: anyio.CapacityLimiter | None = None) -> T:
    """What a call returns that runs in a thread, so that others need not wait for it."""
    return await anyio.to_thread.run_sync(partial(call, *arguments), limiter=limiter)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _event(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(value) + b"\n\n"


def _picture(content: bytes, seconds: int) -> Response:
    kept = f"private, max-age={seconds}, immutable"
    return Response(content, media_type="image/webp", headers={"Cache-Control": kept})


def _page(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="text/html; charset=utf-8")


def _download(content: bytes, kind: str, title: str, ending: str) -> Response:
    name = "".join(letter if letter.isascii() and (letter.isalnum() or letter in " -_") else "_" for letter in title)
    return Response(
        content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name.strip()}.{ending}"'}
    )


def _lost(problem: str) -> bytes:
    """A page that says where nothing is."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Pellucid</title><body><main><h1>Not here</h1>"
        f'<p>{html.escape(problem[:1].upper() + problem[1:])}</p><p><a href="/">All explanations</a></p></main>'
    ).encode()
