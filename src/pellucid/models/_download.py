"""Files fetched over HTTP: resumed where they stopped, checked, and never seen half written.

While a file is fetched, three others stand beside it: `<file>.part` with the bytes so far, `<file>.part.json` with
the version of the file that they belong to, and `<file>.lock`, held so that two processes do not write one part.
"""

import errno
import hashlib
import http.client
import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pellucid.errors import DownloadError, ResourceError, WeightsError
from pellucid.events import Event, Progress, silent

_CHUNK = 1 << 18
_EVENT_EVERY = 1 << 18  # a local server sends small chunks by the thousand
_ADVICE = "check the connection, or set PELLUCID_DATA to a folder that holds the file, or pass weights= with its path"


def download(
    url: str,
    destination: Path,
    *,
    max_bytes: int,
    sha256: str | None = None,
    timeout: float = 30.0,
    progress: Progress = silent,
    resume: bool = True,
) -> str:
    """The SHA-256 of the file at `url`, which is at `destination` afterwards, whole.

    The bytes go to `<destination>.part`, which takes the file's name once it is complete. What an interruption (a lost
    connection, a full disk, Ctrl-C) leaves is continued by the next call, provided that the server still has the same
    version (HTTP `Range` with `If-Range` [1]); a server that cannot tell sends everything again. Where another process
    fetches to the same destination, this one waits, and takes that file.

    Args:
        url: an http or https address; redirections are followed, save from https to http.
        destination: the file to write; missing folders are made, and a file already there is replaced.
        max_bytes: the largest size accepted, whatever the server says.
        sha256: the digest that the file must have, in hexadecimal, or `None` to take any.
        timeout: seconds without a byte after which the server counts as lost.
        progress: receives the bytes so far, and of how many, in steps of 256 KiB or more.
        resume: `False` starts over even where an earlier part is usable.

    Returns:
        Sixty-four lowercase hexadecimal digits.

    Raises:
        DownloadError: the address is not http(s), the server is unreachable, silent or answers with an error, the
            file is larger than `max_bytes`, stops short, or has another digest.
        ResourceError: the disk is full, or will be; the part is kept.
        WeightsError: the folder cannot be written.

    Example:
        >>> import functools, http.server, tempfile, threading
        >>> class Files(http.server.SimpleHTTPRequestHandler):
        ...     def log_message(self, *arguments): ...
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "weights.bin").write_bytes(b"weights")
        >>> server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
        >>> threading.Thread(target=server.serve_forever, daemon=True).start()
        >>> address = f"http://127.0.0.1:{server.server_port}/weights.bin"
        >>> download(address, folder / "fetched.bin", max_bytes=100) == hashlib.sha256(b"weights").hexdigest()
        True
        >>> server.shutdown(); server.server_close()

    References:
        [1] https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
    """
    sha256 = sha256 and sha256.lower()
    if not url.lower().startswith(("http://", "https://")):
        raise DownloadError(f"{url!r} is not an http or https address; {_ADVICE}.")
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        before = _stamp(destination)
    task = f"downloading {destination.name}"

    def waiting() -> None:
        progress(Event(task, 0, None, "byte", "another process is fetching this file: waiting for it"))

    with file_lock(destination, waiting=waiting) as locked:
        if _stamp(destination) not in (None, before):
            # Another process has finished this file while this one waited.
            digest = _sha256(destination)
            if sha256 in (None, digest):
                return digest
        # Where the file system has no locks, a part of one's own is safe, though nobody can continue it.
        name = destination.name if locked else f"{destination.name}.{uuid.uuid4().hex}"
        fetch = _Fetch(url, destination, destination.with_name(f"{name}.part"), max_bytes, sha256, timeout, progress)
        try:
            return fetch.run(resume and locked)
        finally:
            if not locked:
                fetch.forget()


def extract_member(archive: Path, member: str, destination: Path, max_bytes: int) -> str:
    """The SHA-256 of one member of a zip archive, which is at `destination` afterwards, whole.

    Args:
        archive: the zip file.
        member: the member's name, folders included.
        destination: the file to write; missing folders are made, and a file already there is replaced.
        max_bytes: the largest size accepted, declared or not.

    Returns:
        Sixty-four lowercase hexadecimal digits.

    Raises:
        WeightsError: the archive is missing, is no zip, is damaged or encrypted, lacks the member, or unpacks to more
            than `max_bytes`; or the destination cannot be written.
        ResourceError: the disk is full.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        ...     archive.writestr("graph.pb", b"weights")
        >>> digest = extract_member(folder / "a.zip", "graph.pb", folder / "graph.pb", 100)
        >>> (folder / "graph.pb").read_bytes()
        b'weights'
    """
    temporary = destination.with_name(f"{destination.name}.{uuid.uuid4().hex}.tmp")
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _unpacking(archive), zipfile.ZipFile(archive) as files:
            if member not in files.namelist():
                held = ", ".join(files.namelist()[:5]) or "nothing"
                raise WeightsError(f"{archive} has no member {member!r} (it holds {held}); fetch the right archive.")
            size = files.getinfo(member).file_size
            if size > max_bytes:
                raise WeightsError(f"{member} of {archive} unpacks to {size} bytes, more than the {max_bytes} allowed.")
            with files.open(member) as source:
                digest = _copy(source, temporary, destination, size)
        with writing(destination):
            os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


@contextmanager
def file_lock(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Whether `<path>.lock` is held for the block; `False` only on file systems that know no locks.

    Args:
        path: what is protected; its folder exists.
        waiting: called once if another process, or another thread, holds the lock.

    Raises:
        WeightsError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with file_lock(Path(tempfile.mkdtemp()) / "weights.pb") as held:
        ...     held
        True
    """
    lock = path.with_name(f"{path.name}.lock")
    told = False
    while True:
        with writing(lock):
            file = lock.open("ab")
        try:
            held = _lock(file.fileno())
            # The holder deletes the file as it lets go: a lock on a deleted file protects nothing.
            if held is not None and _same(file.fileno(), lock):
                try:
                    yield held
                finally:
                    with suppress(OSError):  # Windows deletes no open file; one that stays does no harm
                        lock.unlink()
                return
        finally:
            file.close()
        if held is None:
            if not told:
                told = True
                waiting()
            time.sleep(0.05)


@contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[None]:
    """Nothing; errors of the operating system in the block become ours, said of `path`.

    Args:
        path: what the block writes.
        needed: bytes that it still needs, for the message.

    Raises:
        ResourceError: the disk, or the user's share of it, is full.
        WeightsError: any other error.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "note.json"
        >>> with writing(file):
        ...     _ = file.write_text("{}")
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            need = "more room" if needed is None else f"{needed} more bytes"
            raise ResourceError(
                f"{path} needs {need} and the disk is full; make room, "
                "or set PELLUCID_CACHE to a folder on another disk."
            ) from error
        raise WeightsError(
            f"{path} cannot be written ({error.strerror or error}); set PELLUCID_CACHE to a folder that can be."
        ) from error


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool | None:
        """`True` where the lock is ours now, `None` where another holds it."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return None
        return True
else:
    import fcntl

    def _lock(descriptor: int) -> bool | None:
        """`True` where the lock is ours now, `None` where another holds it, `False` where there are no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        except OSError:
            return False
        return True


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


@dataclass
class _Fetch:
    """One download under way; owns the part and the note beside it."""

    url: str
    destination: Path
    part: Path
    max_bytes: int
    sha256: str | None
    timeout: float
    progress: Progress

    @property
    def note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def forget(self) -> None:
        """Remove the part, the note last: a note without a part is harmless."""
        for path in (self.part, self.note):
            with suppress(OSError):
                path.unlink()

    def run(self, resume: bool) -> str:
        offset, version = self.kept() if resume else (0, None)
        response = self.request(offset, version)
        if response is None:  # the part was complete already
            digest, size = _sha256(self.part), offset
        else:
            with response:
                digest, size = self.stream(response, offset)
        if self.sha256 is not None and digest != self.sha256:
            self.forget()
            raise DownloadError(
                f"{self.url} has the SHA-256 {digest}, expected {self.sha256}; it was removed: "
                "fetch it again, or pass weights= with the path of the right file."
            )
        with writing(self.destination):
            os.replace(self.part, self.destination)
        self.forget()
        self.progress(Event(f"downloading {self.destination.name}", size, size, "byte"))
        return digest

    def kept(self) -> tuple[int, str | None]:
        """How many bytes of an earlier part can be continued, and the version that they belong to."""
        try:
            note = json.loads(self.note.read_text("utf-8"))
            size = self.part.stat().st_size
            if note["url"] == self.url and 0 < size <= self.max_bytes and (note["version"] or self.sha256):
                return size, note["version"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, None

    def request(self, offset: int, version: str | None) -> http.client.HTTPResponse | None:
        """The server's answer, from byte `offset` on if it agrees; `None` where nothing is left to send."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "pellucid"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if version:
                headers["If-Range"] = version
        try:
            response = _opener().open(urllib.request.Request(self.url, headers=headers), timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if offset and error.code == 416:
                    # Nothing follows `offset`: the part is the whole file, or belongs to another one.
                    if error.headers.get("Content-Range", "").replace(" ", "") == f"bytes*/{offset}":
                        return None
                    return self.request(0, None)
                raise self.failed(f"the server says {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.failed(_reason(error)) from error
        # Some servers heed Range and not If-Range: a piece of another version is then no use.
        changed = version is not None and _version(response) not in (None, version)
        began = response.headers.get("Content-Range", "").replace(" ", "")
        if response.status == 206 and (changed or not (offset and began.startswith(f"bytes{offset}-"))):
            response.close()
            if not offset:
                raise self.failed("the server sent a piece that was not asked for")
            return self.request(0, None)
        return response

    def stream(self, response: http.client.HTTPResponse, offset: int) -> tuple[str, int]:
        """The digest and size of the whole file, once `response` has been written to the part."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self.failed(f"the server sent it packed as {response.headers['Content-Encoding']}")
        if response.status != 206:
            offset = 0
        total = None if response.length is None else offset + response.length
        if (total or 0) > self.max_bytes:
            self.forget()
            raise DownloadError(f"{self.url} has {total} bytes, more than the {self.max_bytes} allowed; {_ADVICE}.")
        self.check_room(total, offset)
        resumable = self.begin(response) if offset == 0 else True
        task, done, told = f"downloading {self.destination.name}", offset, offset
        digest = hashlib.sha256()
        self.progress(Event(task, done, total, "byte", f"continuing at {offset} bytes" if offset else ""))
        with writing(self.part, total):
            file = self.part.open("r+b" if offset else "wb", buffering=0)
        with file:
            while offset and (chunk := file.read(_CHUNK)):
                digest.update(chunk)
            while chunk := self.receive(response, done, total, resumable):
                done += len(chunk)
                if done > self.max_bytes:
                    self.forget()
                    raise DownloadError(f"{self.url} has more than the {self.max_bytes} bytes allowed; {_ADVICE}.")
                with writing(self.part, None if total is None else total - done + len(chunk)):
                    _append(file, chunk)
                digest.update(chunk)
                if done - told >= _EVENT_EVERY:
                    told = done
                    self.progress(Event(task, done, total, "byte"))
            if total is not None and done < total:
                raise self.stopped("the connection closed", done, total, resumable)
            with writing(self.part):
                os.fsync(file.fileno())
        return digest.hexdigest(), done

    def check_room(self, total: int | None, offset: int) -> None:
        if total is None:
            return
        with suppress(OSError):
            free = shutil.disk_usage(self.part.parent).free
            if free < total - offset:
                raise ResourceError(
                    f"{self.part} needs {total - offset} more bytes and the disk has {free} free; "
                    "make room, or set PELLUCID_CACHE to a folder on another disk."
                )

    def begin(self, response: http.client.HTTPResponse) -> bool:
        """Start over: empty part, new note. Whether the part could be continued later."""
        version = _version(response)
        # In this order no note ever stands beside bytes of another version.
        self.forget()
        if not (version or self.sha256):
            return False
        with writing(self.note):
            self.note.write_text(json.dumps({"url": self.url, "version": version}), "utf-8")
        return True

    def receive(self, response: http.client.HTTPResponse, done: int, total: int | None, resumable: bool) -> bytes:
        try:
            return response.read1(_CHUNK)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.stopped(_reason(error), done, total, resumable) from error

    def stopped(self, reason: str, done: int, total: int | None, resumable: bool) -> DownloadError:
        after = f"after {done} of {total} bytes" if total is not None else f"after {done} bytes"
        if resumable:
            then = "they are kept, and the same call continues there"
        else:
            self.forget()
            then = "the same call starts over, as the server does not name the file's version"
        return DownloadError(f"{self.url} stopped {after} ({reason}); {then}, or pass weights= with the file's path.")

    def failed(self, reason: str) -> DownloadError:
        return DownloadError(f"{self.url} cannot be fetched: {reason}; {_ADVICE}.")


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never gives up encryption on the way."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        schemes = {"https"} if req.type == "https" else {"http", "https"}
        if urlsplit(newurl).scheme not in schemes:
            fp.close()
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not {' or '.join(sorted(schemes))}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """An opener for http and https alone; the default one of urllib also reads files and ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
        _Redirections,
    ):
        opener.add_handler(handler())
    return opener


def _version(response: http.client.HTTPResponse) -> str | None:
    """What names the file's version, as If-Range wants it: a weak ETag does not promise equal bytes."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _reason(error: Exception) -> str:
    """What went wrong on the line, in words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    if isinstance(cause, socket.gaierror):
        return "the server's name is not known"
    if isinstance(cause, http.client.IncompleteRead):
        return "the connection closed"
    return str(cause) or type(cause).__name__


def _copy(source: IO[bytes], temporary: Path, destination: Path, size: int) -> str:
    """The digest of `source`, which is in `temporary` afterwards."""
    digest = hashlib.sha256()
    with writing(destination, size):
        file = temporary.open("xb", buffering=0)
    with file:
        while chunk := source.read(_CHUNK):  # zipfile reads no more than the declared size, and checks the CRC
            digest.update(chunk)
            with writing(destination, size):
                _append(file, chunk)
    return digest.hexdigest()


def _append(file: IO[bytes], chunk: bytes) -> None:
    """Write all of `chunk`; an unbuffered file may take less at a time, but never fails on closing."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def _unpacking(archive: Path) -> Iterator[None]:
    """Turns the errors of reading a zip archive into ours."""
    try:
        yield
    except (WeightsError, ResourceError, MemoryError):
        raise
    except Exception as error:  # zipfile lets through whatever its decompressors raise: zlib, bz2, lzma, struct ...
        reason = "it is a web page" if _is_page(archive) else getattr(error, "strerror", None) or str(error)
        raise WeightsError(f"{archive} is not a zip archive that can be read: {reason}; fetch it again.") from error


def _is_page(path: Path) -> bool:
    """Whether a server (or a hotel's network) sent a page to read where a file was due."""
    try:
        with path.open("rb") as file:
            return file.read(512).lstrip()[:5].lower() in (b"<!doc", b"<html")
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
