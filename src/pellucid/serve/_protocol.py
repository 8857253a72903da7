"""HTTP connections that do not wait forever: for a request, for its head, or for a client that does not read."""

import asyncio
from contextlib import suppress
from typing import Any

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from ._guard import MOST_HEADER_BYTES

# A process may usually have 1,024 files open, sockets among them.
MOST_ANSWERED, _MOST_CONNECTIONS = 600, 800
_CHECK_SECONDS = 5.0
_HEAD_SECONDS = 15.0
_STALLED_SECONDS = 20.0


class Connection(H11Protocol):
    """uvicorn's connection, with the time limits that it lacks."""

    head_seconds, stalled_seconds, check_seconds = _HEAD_SECONDS, _STALLED_SECONDS, _CHECK_SECONDS
    most_connections = _MOST_CONNECTIONS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._idle_since = self._moved = 0.0
        self._unsent = 0
        self._check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._idle_since = self._moved = self.loop.time()
        self._check = self.loop.call_later(self.check_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or has too long a head, in the form in which all else is refused."""
        said = f"the request cannot be read, or its headers are larger than {MOST_HEADER_BYTES // 1024} kB."
        body = msgspec.json.encode({"problem": said})
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        with suppress(h11.LocalProtocolError):  # an answer to what came before is on its way
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _look(self) -> None:
        """End the connection where nothing has moved for too long."""
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        if unsent < self._unsent or not unsent:
            self._moved = now
        self._unsent = unsent
        idle = self.cycle is None or self.cycle.response_complete
        late = idle and not unsent and now - self._idle_since > self.head_seconds
        if late or now - self._moved > self.stalled_seconds:
            self.transport.abort()
        else:
            self._check = self.loop.call_later(self.check_seconds, self._look)
