"""Starting the server."""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ..bundle import read_bundle
from ..errors import InputError, missing_extra
from ..models import Model
from ..store import RenderCache, cache_folder
from ._limits import Limits

PORT = 8391
_PORTS_TRIED = 20
_MOST_CONNECTIONS = 1000
_MOST_HEADER_BYTES = 16 * 1024


def serve(
    bundles: Sequence[str | Path] = (),
    *,
    models: Mapping[str, Callable[[], Model]],
    host: str = "127.0.0.1",
    port: int | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
    token: str | None = None,
    cache: RenderCache | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve pages that explain photos while one looks, until the process is ended.

    Args:
        bundles: explanations and atlases to show as they are.
        models: what gives each network, by the name that people choose it with; the first is the usual one.
        host: address to listen at. Beyond this machine everyone needs the token.
        port: by default 8391, or the next that is free.
        folder: where results are kept; by default in the user's cache.
        limits: of uploads, and how long results are kept.
        token: that people need; one is made up beyond this machine.
        cache: of icons; by default the user's.
        ready: is given the address to open.

    Raises:
        InputError: the port is taken, or an address or folder cannot be used.
        BundleError: a bundle cannot be read.
        MissingExtraError: Starlette or uvicorn is not installed.

    Example:
        >>> serve(["report.zip"], models={"tiny_inception": pellucid.load})    # doctest: +SKIP
    """
    try:
        import uvicorn

        from ._app import make_app
    except ImportError as error:
        raise missing_extra(error.name or "starlette", "serve") from None
    from ._desk import Desk
    from ._models import Served

    limits, cache = limits or Limits(), cache or RenderCache()
    shown = [read_bundle(path) for path in bundles]
    local = _is_loopback(host)
    if not local and token is None:
        token = secrets.token_urlsafe(18)
    listening = _listen(host, port)
    desk = Desk(
        {name: Served(load, cache) for name, load in models.items()},
        folder or cache_folder() / "explanations",
        limits,
        cache,
    )
    for bundle in shown:
        desk.show(bundle)
    app = make_app(desk, limits, token=token, any_host=not local)
    shown_host = f"[{host}]" if ":" in host else host
    address = f"http://{shown_host}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            ready(address)

    with closing(listening), suppress(KeyboardInterrupt):  # uvicorn passes on what ended it
        Server(server_config(app)).run(sockets=[listening])


def server_config(app: Any) -> Any:
    """How uvicorn runs the application: what it bears of connections and headers."""
    import uvicorn

    return uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        http="h11",
        ws="none",
    )


def _listen(host: str, port: int | None) -> socket.socket:
    tried = range(PORT, PORT + _PORTS_TRIED) if port is None else [port]
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    except OSError:
        raise InputError(f"{host} is no address of this machine.") from None
    for number in tried:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
        except (OSError, OverflowError):
            listening.close()
            continue
        listening.set_inheritable(False)
        return listening
    ports = f"port {port} is" if port is not None else f"ports {PORT} to {PORT + _PORTS_TRIED - 1} are"
    raise InputError(f"cannot listen at {host}: {ports} taken, or the address is not this machine's; name another.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
