"""The work of a server: explanations wait, are made one after another, grow while one looks, and are kept for a time."""

import dataclasses
import hashlib
import io
import os
import secrets
import shutil
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import safetensors.numpy
from PIL import Image
from safetensors import SafetensorError

from ..app import page_html
from ..bundle import (
    Bundle,
    ExplanationManifest,
    Result,
    check_pictures,
    encode_manifest,
    pictures,
    read_bundle,
    write_bundle,
)
from ..errors import InputError, PellucidError, ResourceError, TargetError
from ..events import Event
from ..explain import Explanation, explain
from ..explain._bundle import to_bundle
from ..explain._live import Live
from ..models._view import view
from ..store import RenderCache, write_file
from ._limits import Limits
from ._models import Served

_ENDED = ("done", "failed", "cancelled")
# So many finished results are held in memory, and as many that questions can be asked about at once.
_HELD, _HELD_LIVE = 16, 8
_THUMB = 192
_LONGEST_TITLE = 80
_RECORD, _BUNDLE, _LIVE, _PICTURE = "result.json", "bundle.zip", "live.safetensors", "thumb.webp"


class NotFoundError(TargetError):
    """There is no such result, or no longer."""


class _CancelledError(Exception):
    """Ends the work on a result that nobody wants any more."""


@dataclasses.dataclass(frozen=True)
class Page:
    """What a page is told of a result.

    Args:
        revision: its number, from 1.
        manifest: JSON.
        images: address of each picture, by file.
        files: pictures by digest.
    """

    revision: int
    manifest: bytes
    images: Mapping[str, str]
    files: Mapping[str, bytes]


class Job:
    """One result, from its photo to its end."""

    def __init__(self, result: Result, *, model: str, photo: Image.Image | None = None, folder: Path | None = None):
        self.result, self.model, self.photo, self.folder = result, model, photo, folder
        self.progress: Event | None = None
        self.thumb = b""
        self.page: Page | None = None
        self.bundle: Bundle | None = None
        self.live: Live | None = None
        self.stopped = threading.Event()

    @property
    def ended(self) -> bool:
        return self.result.state in _ENDED

    def change(self, **fields: Any) -> None:
        self.result = msgspec.structs.replace(self.result, **fields)


class Desk:
    """All results of a server, and the thread that makes them.

    Args:
        models: the networks, by the name that they are asked for with.
        folder: where results are kept; made for its owner only.
        limits: how many, and how long.
    """

    def __init__(self, models: Mapping[str, Served], folder: Path, limits: Limits, cache: RenderCache) -> None:
        self.models, self.folder, self.limits, self._cache = models, folder, limits, cache
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._recent: OrderedDict[str, Page] = OrderedDict()
        self._recent_live: OrderedDict[str, Live] = OrderedDict()
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._closed = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(f"cannot keep results in {folder}: {error.strerror or error}.") from None
        self._find_kept()
        self._thread = threading.Thread(target=self._run, name="explanations", daemon=True)
        self._thread.start()

    # What pages ask for

    def results(self) -> list[Result]:
        """All results, the newest first."""
        with self._lock:
            return [self._told(job) for job in reversed(self._jobs.values())]

    def result(self, name: str) -> Result:
        """One of them.

        Raises:
            NotFoundError: there is none of that name, or no longer.
        """
        with self._lock:
            return self._told(self._job(name))

    def progress(self, name: str) -> Event | None:
        """What is being done for it now."""
        with self._lock:
            return self._job(name).progress

    def thumb(self, name: str) -> bytes:
        """Its small picture, WebP."""
        with self._lock:
            thumb = self._job(name).thumb
        if not thumb:
            raise NotFoundError("there is no picture of this result.")
        return thumb

    def page(self, name: str) -> Page:
        """What its page shows now.

        Raises:
            NotFoundError: there is none of that name, or nothing to show.
        """
        with self._lock:
            job = self._job(name)
            if job.page is not None:
                return job.page
            if name in self._recent:
                self._recent.move_to_end(name)
                return self._recent[name]
        bundle = self.bundle(name)
        page = _page_of(bundle, name, job.result.revision)
        with self._lock:
            self._recent[name] = page
            while len(self._recent) > _HELD:
                self._recent.popitem(last=False)
        return page

    def bundle(self, name: str) -> Bundle:
        """Its bundle, once it is done.

        Raises:
            NotFoundError: there is none of that name, or it is not done.
        """
        with self._lock:
            job = self._job(name)
            if job.bundle is not None:
                return job.bundle
            if job.folder is None or job.result.state != "done":
                raise NotFoundError("this explanation is not finished.")
            folder = job.folder
        return read_bundle(folder / _BUNDLE)

    def html(self, name: str) -> bytes:
        """Its page as one file."""
        return page_html(self.bundle(name))

    def zip(self, name: str) -> bytes:
        """Its bundle as one file."""
        bundle = self.bundle(name)
        with self._lock:
            folder = self._job(name).folder
        if folder is not None:
            return (folder / _BUNDLE).read_bytes()
        kept = self.folder / f".{secrets.token_hex(6)}.zip"
        try:
            return write_bundle(bundle.manifest, bundle.files, kept).read_bytes()
        finally:
            kept.unlink(missing_ok=True)

    def live(self, name: str) -> Live:
        """What answers questions about it.

        Raises:
            NotFoundError: there is none of that name, or it answers no questions.
        """
        with self._lock:
            job = self._job(name)
            if job.live is not None:
                return job.live
            if name in self._recent_live:
                self._recent_live.move_to_end(name)
                return self._recent_live[name]
            if not job.result.live or job.folder is None:
                raise NotFoundError("nothing can be tried out here: the network that was asked is not at hand.")
            folder, served = job.folder, self.models[job.model]
        try:
            arrays = safetensors.numpy.load_file(folder / _LIVE)
        except (OSError, SafetensorError):
            raise NotFoundError("what this result needs to answer has been lost; explain the photo again.") from None
        if self.bundle(name).manifest.provenance.weights != served.live.digest:
            raise NotFoundError(f"{job.model} has other weights now than when the photo was explained.")
        live = Live.from_arrays(served.live, arrays, served.lock)
        with self._lock:
            self._recent_live[name] = live
            while len(self._recent_live) > _HELD_LIVE:
                self._recent_live.popitem(last=False)
        return live

    # What pages want done

    def submit(
        self, picture: Image.Image, *, title: str, model: str, layers: Sequence[str] = (), quick: bool = False
    ) -> Result:
        """A new result, which waits for its turn.

        Args:
            picture: the photo.
            title: a name for it; what cannot be printed is left out.
            model: one of the server's networks.
            layers: to explain; the usual ones where none are named.
            quick: a first look only.

        Raises:
            TargetError: no such network or layer.
            ResourceError: too many wait already.
        """
        if model not in self.models:
            raise TargetError(f"this server has no network {model[:60]!r}; it has {', '.join(self.models)}.")
        network = self.models[model].model
        names = [network.layer(layer).name for layer in layers]
        for name in names:
            if network.layer(name).kind == "vector":
                raise TargetError(f"{name} has no positions; choose a layer that has.")
        photo = view(network, picture).photo
        now = datetime.now(UTC)
        result = Result(
            id=secrets.token_hex(9),
            kind="explanation",
            title=_clean(title),
            model=model,
            layers=names,
            quick=quick,
            state="waiting",
            ahead=0,
            problem="",
            answer="",
            probability=None,
            thumb="",
            revision=0,
            created=now,
            expires=now + timedelta(seconds=self.limits.retention_seconds),
            live=False,
        )
        job = Job(result, model=model, photo=photo)
        job.thumb = _thumb(photo)
        job.change(thumb=f"/api/results/{result.id}/thumb.webp")
        with self._work:
            waiting = [each for each in self._jobs.values() if not each.ended]
            if len(waiting) >= self.limits.most_waiting:
                raise ResourceError(f"{len(waiting)} explanations wait already; try again later.")
            self._jobs[result.id] = job
            self._make_room()
            self._work.notify_all()
            return self._told(job)

    def cancel(self, name: str) -> Result:
        """The result, whose work ends as soon as it can."""
        with self._lock:
            job = self._job(name)
            job.stopped.set()
            if job.result.state == "waiting":
                job.change(state="cancelled")
                job.photo = None
            return self._told(job)

    def remove(self, name: str) -> None:
        """None, after the result and everything that was kept of it is gone."""
        with self._lock:
            job = self._job(name)
            job.stopped.set()
            del self._jobs[name]
            self._recent.pop(name, None)
            self._recent_live.pop(name, None)
        if job.folder is not None:
            shutil.rmtree(job.folder, ignore_errors=True)

    def show(self, bundle: Bundle) -> Result:
        """A result that shows a bundle which the server was given; it stays, and answers no questions."""
        manifest = bundle.manifest
        first = manifest.body.classes[0] if isinstance(manifest, ExplanationManifest) else None
        result = Result(
            id=secrets.token_hex(9),
            kind="explanation" if first else "atlas",
            title=manifest.body.title,
            model=manifest.body.model.name,
            layers=[layer.name for layer in manifest.body.layers],
            quick=False,
            state="done",
            ahead=0,
            problem="",
            answer=first.label if first else "",
            probability=first.probability if first else None,
            thumb="",
            revision=1,
            created=manifest.provenance.created,
            expires=None,
            live=False,
        )
        job = Job(result, model=result.model)
        job.bundle = bundle
        if isinstance(manifest, ExplanationManifest):
            with Image.open(io.BytesIO(bundle.files[manifest.body.photo.file])) as photo:
                job.thumb = _thumb(photo.convert("RGB"))
            job.change(thumb=f"/api/results/{result.id}/thumb.webp")
        with self._lock:
            self._jobs[result.id] = job
            return self._told(job)

    def sweep(self) -> None:
        """None, after results whose time is over are gone."""
        now = datetime.now(UTC)
        with self._lock:
            over = [name for name, job in self._jobs.items() if job.result.expires and job.result.expires <= now]
        for name in over:
            with suppress(NotFoundError):
                self.remove(name)

    def close(self) -> None:
        """None, after the work has ended."""
        with self._work:
            self._closed = True
            for job in self._jobs.values():
                if not job.ended:
                    job.stopped.set()
            self._work.notify_all()
        self._thread.join(timeout=30)

    # The thread

    def _run(self) -> None:
        while True:
            with self._work:
                while not self._closed and self._next() is None:
                    self._work.wait()
                job = self._next()
                if self._closed or job is None:
                    return
                job.change(state="running")
            self._make(job)

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.result.state == "waiting"), None)

    def _make(self, job: Job) -> None:
        try:
            self._explain(job)
        except _CancelledError:
            self._end(job, state="cancelled")
        except PellucidError as error:
            self._end(job, state="failed", problem=str(error))
        except MemoryError:
            self._end(job, state="failed", problem="the server ran out of memory; choose fewer layers or a quick look.")
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._end(
                job, state="failed", problem=f"something went wrong that should not have ({type(error).__name__})."
            )

    def _explain(self, job: Job) -> None:
        def stop() -> None:
            if job.stopped.is_set():
                raise _CancelledError

        def progress(event: Event) -> None:
            stop()
            job.progress = event

        def partial(explanation: Explanation) -> None:
            stop()
            self._publish(job, dataclasses.replace(explanation, title=job.result.title))

        stop()
        served, photo = self.models[job.model], job.photo
        assert photo is not None
        explanation = explain(
            served.model,
            photo,
            layers=job.result.layers or None,
            quick=job.result.quick,
            cache=self._cache,
            partial=partial,
            progress=progress,
        )
        explanation = dataclasses.replace(explanation, title=job.result.title)
        bundle = self._publish(job, explanation)
        live = dataclasses.replace(explanation, model=served.live)
        answers = Live.of(live, served.lock)
        answers.prepare(explanation.layers)
        folder = self.folder / job.result.id
        write_bundle(bundle.manifest, bundle.files, folder / _BUNDLE)
        write_file(folder / _LIVE, safetensors.numpy.save(answers.arrays()))
        write_file(folder / _PICTURE, job.thumb)
        with self._lock:
            gone = job.result.id not in self._jobs
            if not gone:
                job.change(state="done", live=True)
                job.folder, job.page, job.photo, job.progress = folder, None, None, None
                self._recent_live[job.result.id] = answers
        if gone:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            write_file(folder / _RECORD, msgspec.json.encode(job.result))

    def _publish(self, job: Job, explanation: Explanation) -> Bundle:
        bundle = to_bundle(explanation)
        page = _page_of(bundle, job.result.id, job.result.revision + 1)
        first = explanation.classes[0]
        with self._lock:
            job.page = page
            job.change(
                revision=page.revision,
                layers=list(explanation.settings["layers"]),
                answer=first.label,
                probability=first.probability,
            )
        return bundle

    def _end(self, job: Job, **fields: Any) -> None:
        with self._lock:
            job.photo = job.progress = None
            job.change(**fields)
        shutil.rmtree(self.folder / job.result.id, ignore_errors=True)

    # Keeping

    def _job(self, name: str) -> Job:
        job = self._jobs.get(name)
        if job is None:
            raise NotFoundError("there is no such result; it may have been removed.")
        return job

    def _told(self, job: Job) -> Result:
        if job.result.state != "waiting":
            return job.result
        ahead = 0
        for other in self._jobs.values():
            if other is job:
                break
            ahead += not other.ended
        return msgspec.structs.replace(job.result, ahead=ahead)

    def _make_room(self) -> None:
        own = [name for name, job in self._jobs.items() if job.ended and job.result.expires]
        for name in own[: max(0, len(self._jobs) - self.limits.most_results)]:
            self.remove(name)

    def _find_kept(self) -> None:
        """Take up what an earlier server left in the folder; what it did not finish is cleared away."""
        found: list[Job] = []
        for folder in self.folder.iterdir():
            if not folder.is_dir() or not _is_name(folder.name):
                continue
            try:
                result = msgspec.json.decode((folder / _RECORD).read_bytes(), type=Result)
                job = Job(result, model=result.model, folder=folder)
                job.thumb = (folder / _PICTURE).read_bytes()
                if result.id != folder.name:
                    raise ValueError("of another name")
            except (OSError, ValueError):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if result.model not in self.models:
                job.change(live=False)
            found.append(job)
        for job in sorted(found, key=lambda job: job.result.created):
            self._jobs[job.result.id] = job
        self.sweep()


def _page_of(bundle: Bundle, name: str, revision: int) -> Page:
    check_pictures(bundle.manifest, bundle.files)
    images, files = {}, {}
    for file in pictures(bundle.manifest):
        digest = hashlib.sha256(bundle.files[file]).hexdigest()[:24]
        files[digest] = bundle.files[file]
        images[file] = f"/api/results/{name}/files/{digest}.webp"
    return Page(revision, encode_manifest(bundle.manifest), images, files)


def _thumb(photo: Image.Image) -> bytes:
    small = photo.copy()
    small.thumbnail((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _clean(title: str) -> str:
    """A title as a person reads it: the file's own name without folders and ending, nothing that cannot be printed."""
    title = os.path.basename(title.replace("\\", "/"))
    stem = title.rpartition(".")[0] or title
    kept = " ".join("".join(letter if letter.isprintable() else " " for letter in stem).split())
    return kept[:_LONGEST_TITLE] or "picture"


def _is_name(name: str) -> bool:
    return len(name) == 18 and all(letter in "0123456789abcdef" for letter in name)
