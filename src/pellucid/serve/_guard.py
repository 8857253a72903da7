"""Who may ask what: hosts, tokens, cross-site requests, and the headers of every answer."""

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
# uvicorn refuses more only where it does not arrive at once.
MOST_HEADER_BYTES = 16 * 1024
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
# Pages bring a stricter policy of their own, which names their one script.
_PAGE_POLICY = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"


class Guard:
    """Refuses what no page of this server would ask, and sets the headers of its answers.

    Args:
        app: what is guarded.
        token: that everyone must know; `None` where only this machine can ask.
        hosts: names by which the server may be called; `None` for any, which only a token makes safe.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: Iterable[str] | None = LOOPBACK) -> None:
        self.app, self.token = app, token
        self.hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                page = headers.get("content-type", "").startswith("text/html")
                headers.setdefault("Content-Security-Policy", _PAGE_POLICY if page else _POLICY)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, method = Headers(scope=scope), scope["method"]
        size = sum(len(name) + len(value) for name, value in scope["headers"])
        if size + len(scope["raw_path"]) + len(scope["query_string"]) > MOST_HEADER_BYTES:
            return sentence(431, f"the address and headers of a request are at most {MOST_HEADER_BYTES // 1024} kB.")
        host = headers.get("host", "")
        if self.hosts is not None and _name_of(host) not in self.hosts:
            return sentence(
                421, f"this server does not answer for {host[:80]!r}; open it by the address that it printed."
            )
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return sentence(403, "requests of other sites are refused.")
        site = headers.get("sec-fetch-site", "none")
        opened = headers.get("sec-fetch-mode") == "navigate" and method in _SAFE
        if site not in ("same-origin", "none") and not opened:
            return sentence(403, "requests of other sites are refused.")
        if method not in _SAFE and headers.get("x-pellucid") != "1":
            return sentence(403, "requests that change something need the header X-Pellucid: 1.")
        return self._ask_token(scope, headers) if self.token is not None else None

    def _ask_token(self, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        # Browsers send the cookies of one port to all others of the machine, so each server has a name of its own.
        cookie = f"pellucid_token_{(scope.get('server') or ('', 0))[1]}"
        if given and self._right(given[0]) and scope["method"] == "GET":
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            # A path that starts with two slashes would lead to another host.
            path = "/" + scope["path"].lstrip("/\\")
            answer = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(cookie, self.token or "", httponly=True, samesite="strict", path="/")
            return answer
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._right(bearer) or self._right(_cookie(headers.get("cookie", ""), cookie)):
            return None
        return sentence(401, "this server needs its access token; open the address that it printed when it started.")

    def _right(self, given: str) -> bool:
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())


def sentence(status: int, problem: str) -> Response:
    """An answer that says in one sentence what is wrong: {"problem": …}."""
    return Response(msgspec.json.encode({"problem": problem}), status, media_type="application/json")


def _name_of(host: str) -> str:
    """A host without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
