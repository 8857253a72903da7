"""Starting the server."""

import ipaddress
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle import read_bundle
from ..errors import InputError, missing_extra
from ..models import Model
from ..store import RenderCache, cache_folder
from ._limits import Limits

if TYPE_CHECKING:
    import uvicorn

    from ._desk import Desk

PORT = 8391
_PORTS_TRIED = 20
# As cookies, addresses and headers take it, and long enough not to be guessed.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{12,200}")


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
        bundles: explanations, atlases and reports to show as they are.
        models: what gives each network, by the name that people choose it with; the first is the usual one. All are
            loaded before the address is told.
        host: address to listen at. Beyond this machine everyone needs the token.
        port: by default 8391, or the next that is free.
        folder: where results are kept, for this server alone; by default in the user's cache.
        limits: of uploads, and how long results are kept.
        token: that people need, of at least 12 letters, digits, `-` and `_`; one is made up beyond this machine.
        cache: of icons; by default the user's.
        ready: is given the address to open.

    Raises:
        InputError: the port is taken, another server uses the folder, or an address, folder or token cannot be used.
        BundleError: a bundle cannot be read.
        MissingExtraError: Starlette or uvicorn is not installed.

    Example:
        >>> serve(["report.zip"], models={"tiny_inception": pellucid.load})    # doctest: +SKIP
    """
    try:
        from ._app import make_app
        from ._protocol import Connection  # noqa: F401  # so that a missing package is noticed before the work
    except ImportError as error:
        raise missing_extra(error.name or "starlette", "serve") from None
    from ._desk import Desk
    from ._models import Served

    if token is not None and not _TOKEN.fullmatch(token):
        raise InputError("the token is too short or has other signs than letters, digits, - and _; 12 or more of them.")
    limits, cache = limits or Limits(), cache or RenderCache()
    shown = [read_bundle(path) for path in bundles]
    local = _is_loopback(host)
    if not local and token is None:
        token = secrets.token_urlsafe(18)
    with closing(_listen(host, port)) as listening:
        served = {name: Served(load, cache) for name, load in models.items()}
        with closing(Desk(served, folder or cache_folder() / "explanations", limits, cache)) as desk:
            for network in served.values():
                network.card()
            for bundle in shown:
                desk.show(bundle)
            name = f"[{host}]" if ":" in host else host
            app = make_app(desk, limits, token=token, any_host=not local, host=name)
            if host in ("", "0.0.0.0", "::"):  # every address of this machine
                name = socket.gethostname()
            address = f"http://{name}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
            server = make_server(app, desk, lambda: ready(address))
            with suppress(KeyboardInterrupt):  # uvicorn passes on what ended it
                server.run(sockets=[listening])


def make_server(app: Any, desk: "Desk", ready: Callable[[], None]) -> "uvicorn.Server":
    """What answers over HTTP.

    Args:
        app: from `make_app`.
        desk: is told when the server ends, so that nothing waits for it.
        ready: is called when requests are answered.
    """
    import uvicorn

    from ._guard import MOST_HEADER_BYTES
    from ._protocol import MOST_ANSWERED, Connection

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            desk.stop()
            await super().shutdown(sockets=sockets)

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
        limit_concurrency=MOST_ANSWERED,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        http=Connection,
        ws="none",
    )
    return Server(config)


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
