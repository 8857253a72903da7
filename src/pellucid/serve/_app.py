"""The web application: pages, results, live questions. What it answers is written in docs/serve.md."""

import contextlib
import html
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .. import __version__
from ..app import served_html
from ..bundle import ExperimentRequest, RegionRequest, Result, ServerStatus
from ..errors import ModelError, PellucidError, ResourceError
from ._desk import Desk, NotFoundError
from ._guard import Guard, sentence
from ._limits import Limits
from ._uploads import ACCEPTS, decode_upload

_FOREVER = "private, max-age=31536000, immutable"
_TICK, _HEARTBEAT = 0.15, 15.0
_LONGEST_QUESTION = 64 * 1024
_SWEEP_SECONDS = 30.0
# Pictures that are decoded at the same time; each has memory of its own.
_DECODERS = 2

T = TypeVar("T")


def make_app(desk: Desk, limits: Limits, *, token: str | None = None, any_host: bool = False) -> Starlette:
    """The application.

    Args:
        desk: where results are made and kept; closed when the application ends.
        limits: of uploads.
        token: that everyone must know, or `None`.
        any_host: answer under every name, as is needed beyond this machine; only safe with a token.
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
        Route("/api/models/{model}/icons/{layer}/{channel:int}.webp", pages.icon),
    ]
    guard = Middleware(Guard, token=token, **({"hosts": None} if any_host else {}))
    return Starlette(
        routes=routes,
        middleware=[guard],
        lifespan=lifespan,
        exception_handlers={
            PellucidError: _told,  # type: ignore[dict-item]
            HTTPException: _told,  # type: ignore[dict-item]
            ClientDisconnect: _told,  # type: ignore[dict-item]
            Exception: _unexpected,
        },
    )


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
        self._streams = 0

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
        page = await _aside(self.desk.html, name)
        return _download(page, "text/html", self.desk.result(name).title, "html")

    async def zip(self, request: Request) -> Response:
        name = request.path_params["id"]
        packed = await _aside(self.desk.zip, name)
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
        content = await self._body(request, self.limits.most_bytes, self.limits.upload_seconds)
        if isinstance(content, Response):
            return content
        picture = await _aside(decode_upload, content, self.limits, limiter=self._decoders)
        submit = partial(
            self.desk.submit,
            picture,
            title=asked.get("title", "picture"),
            model=asked.get("model", next(iter(self.desk.models))),
            layers=[part for part in asked.get("layers", "").split(",") if part],
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
        page = await _aside(self.desk.page, request.path_params["id"])
        content = page.files.get(request.path_params["digest"])
        if content is None:
            return sentence(404, "there is no such picture, or no longer.")
        return _picture(content)

    async def thumb(self, request: Request) -> Response:
        return _picture(self.desk.thumb(request.path_params["id"]))

    async def icon(self, request: Request) -> Response:
        asked = request.path_params
        served = self.desk.models.get(asked["model"])
        if served is None:
            return sentence(404, "this server has no such network.")
        return _picture(await _aside(lambda: served.icons.icon(asked["layer"], asked["channel"])))

    async def experiment(self, request: Request) -> Response:
        asked = await self._question(request, ExperimentRequest)
        if isinstance(asked, Response):
            return asked
        live = await _aside(self.desk.live, request.path_params["id"])
        return _json(await _aside(live.experiment, asked))

    async def region(self, request: Request) -> Response:
        asked = await self._question(request, RegionRequest)
        if isinstance(asked, Response):
            return asked
        name = request.path_params["id"]
        live = await _aside(self.desk.live, name)
        model = self.desk.result(name).model

        def icon(layer: str, channel: int) -> str:
            return f"/api/models/{model}/icons/{layer}/{channel}.webp"

        return _json(await _aside(live.region, asked, icon))

    async def events(self, request: Request) -> Response:
        name = request.path_params["id"]
        self.desk.result(name)
        if self._streams >= self.limits.most_streams:
            return sentence(503, "too many pages follow explanations here; reload this one to see how far it is.")
        return StreamingResponse(self._follow(name), media_type="text/event-stream")

    async def _follow(self, name: str) -> AsyncIterator[bytes]:
        """Changes of a result. Nothing is kept for who reads slowly: what comes next is how things are then."""
        self._streams += 1
        try:
            told: tuple[Result | None, Any] = (None, None)
            silent = 0.0
            while True:
                try:
                    now = self.desk.result(name), self.desk.progress(name)
                except NotFoundError:
                    return
                if now[0] != told[0]:
                    yield _event("result", now[0])
                if now[1] is not None and now[1] != told[1]:
                    event = now[1]
                    yield _event(
                        "progress", {"task": event.task, "done": event.done, "total": event.total, "unit": event.unit}
                    )
                if now[0].state in ("done", "failed", "cancelled"):
                    return
                silent = 0.0 if now != told else silent + _TICK
                if silent >= _HEARTBEAT:
                    silent = 0.0
                    yield b": still here\n\n"
                told = now
                await anyio.sleep(_TICK)
        finally:
            self._streams -= 1

    async def _question(self, request: Request, kind: type[T]) -> T | Response:
        content = await self._body(request, _LONGEST_QUESTION, 10)
        if isinstance(content, Response):
            return content
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return sentence(400, f"the question cannot be read: {error}.")

    async def _body(self, request: Request, most: int, seconds: float) -> bytes | Response:
        """What was sent, or the refusal of what is too large or too slow."""
        too_large = f"the upload is larger than {most / 2**20:.3g} MB; make it smaller."
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            return sentence(413, too_large)
        parts: list[bytes] = []
        size = 0
        with anyio.move_on_after(seconds) as scope:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    return sentence(413, too_large)
                parts.append(part)
        if scope.cancelled_caught:
            return sentence(408, f"the upload did not arrive within {seconds:.0f} s.")
        return b"".join(parts)


async def _aside(call: Callable[..., T], *arguments: Any, limiter: anyio.CapacityLimiter | None = None) -> T:
    """What a call returns that runs in a thread, so that others need not wait for it."""
    return await anyio.to_thread.run_sync(partial(call, *arguments), limiter=limiter)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _event(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(value) + b"\n\n"


def _picture(content: bytes) -> Response:
    return Response(content, media_type="image/webp", headers={"Cache-Control": _FOREVER})


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
