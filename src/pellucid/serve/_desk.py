"""The work of a server: explanations wait, are made one after another, grow while one looks, are kept for a time."""

import dataclasses
import hashlib
import io
import os
import re
import secrets
import shutil
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import filelock
import msgspec
import safetensors.numpy
from PIL import Image
from safetensors import SafetensorError

from ..app import page_html
from ..bundle import (
    AtlasManifest,
    Bundle,
    ExplanationManifest,
    Manifest,
    ReportManifest,
    Result,
    check_pictures,
    encode_manifest,
    pictures,
    read_bundle,
    write_bundle,
)
from ..errors import BundleError, InputError, PellucidError, ResourceError, TargetError
from ..events import Event
from ..explain import Explanation, explain
from ..explain._bundle import to_bundle
from ..explain._live import Live
from ..models._view import view
from ..store import RenderCache, write_file
from ._cache import UnitCache
from ._limits import Limits
from ._models import Served

ENDED = ("done", "failed", "cancelled")
# So many results that are not being made are held in memory, and so many that questions are asked about.
_HELD, _HELD_LIVE = 16, 8
_THUMB = 192
_LONGEST_TITLE = 80
_RECORD, _BUNDLE, _LIVE, _PICTURE = "result.json", "bundle.zip", "live.safetensors", "thumb.webp"
_LOCK = ".lock"
_KINDS: Mapping[type[Manifest], Literal["explanation", "atlas", "report"]] = {
    ExplanationManifest: "explanation",
    AtlasManifest: "atlas",
    ReportManifest: "report",
}


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
        files: pictures by digest, those of earlier revisions too while they may be asked for.
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
        self.stopped = threading.Event()

    @property
    def ended(self) -> bool:
        return self.result.state in ENDED

    @property
    def over(self) -> bool:
        """Whether its time is over."""
        return self.result.expires is not None and self.result.expires <= datetime.now(UTC)


class Desk:
    """All results of a server, and the thread that makes them.

    Args:
        models: the networks, by the name that they are asked for with.
        folder: where results are kept; made for its owner only.
        limits: how many, and how long.
        cache: of icons; of what photos had a part in, nothing is written there.

    Attributes:
        changes: a number that grows whenever something that pages show has changed.
        closed: whether the server is ending.

    Raises:
        InputError: the folder cannot be used, or another server uses it.
    """

    def __init__(self, models: Mapping[str, Served], folder: Path, limits: Limits, cache: RenderCache) -> None:
        self.models, self.folder, self.limits, self._cache = models, folder, limits, UnitCache(cache)
        self.changes, self.closed = 0, False
        self._jobs: dict[str, Job] = {}
        self._open: dict[str, Job] = {}
        self._recent: OrderedDict[str, Page] = OrderedDict()
        self._recent_live: OrderedDict[str, Live] = OrderedDict()
        self._leftover: set[Path] = set()
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        # What is read from the disk is read once, however many ask for it.
        self._reading = threading.Lock()
        self._mine = filelock.FileLock(folder / _LOCK, timeout=0, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._mine.acquire()
        except filelock.Timeout:
            raise InputError(f"another server keeps its results in {folder}; name another folder.") from None
        except (OSError, NotImplementedError) as error:
            raise InputError(f"cannot keep results in {folder}: {getattr(error, 'strerror', error)}.") from None
        self._find_kept()
        self._thread = threading.Thread(target=self._run, name="explanations", daemon=True)
        self._thread.start()

    # What pages ask for

    def results(self) -> list[Result]:
        """All results, the newest first."""
        with self._lock:
            ahead = {name: place for place, name in enumerate(self._open)}
            told = [
                msgspec.structs.replace(job.result, ahead=ahead[name]) if name in ahead else job.result
                for name, job in self._jobs.items()
                if not job.over
            ]
        return sorted(told, key=lambda result: result.created, reverse=True)

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
        page = self._held_page(name)
        if page is not None:
            return page
        with self._reading:
            page = self._held_page(name)
            if page is not None:
                return page
            with self._lock:
                job = self._job(name)
            page = _page_of(self.bundle(name), name, job.result.revision)
            with self._lock:
                self._job(name)  # it may have been removed in the meantime
                _hold(self._recent, name, page, _HELD)
        return page

    def _held_page(self, name: str) -> Page | None:
        with self._lock:
            page = self._job(name).page or self._recent.get(name)
            if name in self._recent:
                self._recent.move_to_end(name)
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
        try:
            return read_bundle(folder / _BUNDLE)
        except (BundleError, InputError):
            raise NotFoundError("what was kept of this result is damaged; explain the photo again.") from None

    def html(self, name: str) -> bytes:
        """Its page as one file."""
        return page_html(self.bundle(name))

    def zip(self, name: str) -> bytes:
        """Its bundle as one file."""
        bundle = self.bundle(name)
        files = {file: bundle.files[file] for file in pictures(bundle.manifest)}
        packed = self.folder / f".{secrets.token_hex(9)}.zip"
        try:
            return write_bundle(bundle.manifest, files, packed).read_bytes()
        finally:
            packed.unlink(missing_ok=True)

    def live(self, name: str) -> Live:
        """What answers questions about it.

        Raises:
            NotFoundError: there is none of that name, or it answers no questions.
        """
        live = self._held_live(name)
        if live is not None:
            return live
        with self._reading:
            live = self._held_live(name)
            if live is not None:
                return live
            with self._lock:
                job = self._job(name)
                if not job.result.live or job.folder is None:
                    raise NotFoundError("nothing can be tried out here: the network that was asked is not at hand.")
                folder, served = job.folder, self.models[job.model]
            if self.bundle(name).manifest.provenance.weights != served.live.digest:
                raise NotFoundError(f"{job.model} has other weights now than when the photo was explained.")
            try:
                arrays = safetensors.numpy.load_file(folder / _LIVE)
                live = Live.from_arrays(served.live, arrays, served.lock)
            except (OSError, SafetensorError, InputError):
                raise NotFoundError(
                    "what this result needs to answer has been lost; explain the photo again."
                ) from None
            with self._lock:
                self._job(name)
                _hold(self._recent_live, name, live, _HELD_LIVE)
        return live

    def _held_live(self, name: str) -> Live | None:
        with self._lock:
            self._job(name)
            if name in self._recent_live:
                self._recent_live.move_to_end(name)
            return self._recent_live.get(name)

    # What pages want done

    def check(self, model: str, layers: Sequence[str]) -> list[str]:
        """The layers by their own names, after a look at whether `submit` would take them now.

        Raises:
            TargetError: no such network or layer, or a layer without positions.
            InputError: too many layers.
            ResourceError: too many wait already.
        """
        if model not in self.models:
            raise TargetError(f"this server has no network {model[:60]!r}; it has {', '.join(self.models)}.")
        network = self.models[model].model
        names = list(dict.fromkeys(network.layer(layer).name for layer in layers))
        for name in names:
            if network.layer(name).kind == "vector":
                raise TargetError(f"{name} has no positions; choose a layer that has.")
        if len(names) > self.limits.most_layers:
            raise InputError(f"{len(names)} layers at once; choose at most {self.limits.most_layers}.")
        with self._lock:
            self._check_queue()
        return names

    def _check_queue(self) -> None:
        if len(self._open) >= self.limits.most_waiting:
            raise ResourceError(f"{len(self._open)} explanations wait already; try again later.")

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
            TargetError: no such network or layer, or a layer without positions.
            InputError: too many layers.
            ResourceError: too many wait already.
        """
        names = self.check(model, layers)
        photo = view(self.models[model].model, picture).photo
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
        result = msgspec.structs.replace(result, thumb=f"/api/results/{result.id}/thumb.webp")
        job = Job(result, model=model, photo=photo)
        job.thumb = _thumb(photo)
        with self._work:
            self._check_queue()
            self._jobs[result.id] = self._open[result.id] = job
            over = self._make_room()
            self._changed()
            self._work.notify_all()
            told = self._told(job)
        for other in over:
            self._clear(other)
        return told

    def cancel(self, name: str) -> Result:
        """The result, whose work ends as soon as it can."""
        with self._lock:
            job = self._job(name)
            job.stopped.set()
            if job.result.state == "waiting":
                self._end(job, state="cancelled")
            return self._told(job)

    def remove(self, name: str) -> None:
        """None, after the result and everything that was kept of it is gone."""
        with self._lock:
            job = self._job(name)
            self._forget(job)
        self._clear(job)

    def show(self, bundle: Bundle) -> Result:
        """A result that shows a bundle which the server was given; it stays, and answers no questions."""
        manifest = bundle.manifest
        first = manifest.body.classes[0] if isinstance(manifest, ExplanationManifest) else None
        result = Result(
            id=secrets.token_hex(9),
            kind=_KINDS[type(manifest)],
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
        thumb = b""
        if isinstance(manifest, ExplanationManifest):
            with Image.open(io.BytesIO(bundle.files[manifest.body.photo.file])) as photo:
                thumb = _thumb(photo.convert("RGB"))
            result = msgspec.structs.replace(result, thumb=f"/api/results/{result.id}/thumb.webp")
        job = Job(result, model=result.model)
        job.bundle, job.thumb = bundle, thumb
        with self._lock:
            self._jobs[result.id] = job
            self._changed()
        return result

    def sweep(self) -> None:
        """None, after results whose time is over are gone."""
        with self._lock:
            over = [job for job in self._jobs.values() if job.over]
            for job in over:
                self._forget(job)
            leftover, self._leftover = self._leftover, set()
        for job in over:
            self._clear(job)
        for folder in leftover:
            self._delete(folder)

    def stop(self) -> None:
        """None; work ends as soon as it can, and so do the streams of pages that follow it."""
        with self._work:
            self.closed = True
            for job in self._open.values():
                job.stopped.set()
            self._work.notify_all()

    def close(self) -> None:
        """None, after the work has ended."""
        self.stop()
        self._thread.join(timeout=30)
        self._mine.release()

    # The thread

    def _run(self) -> None:
        while True:
            with self._work:
                while not self.closed and not self._open:
                    self._work.wait()
                if self.closed:
                    return
                job = next(iter(self._open.values()))
                self._change(job, state="running")
            self._make(job)

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
            with self._lock:
                job.progress = event
                self._changed()

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
        answers = Live.of(dataclasses.replace(explanation, model=served.live), served.lock)
        answers.prepare(explanation.layers)
        stop()
        self._keep(job, bundle, answers)

    def _publish(self, job: Job, explanation: Explanation) -> Bundle:
        bundle = to_bundle(explanation)
        page = _page_of(bundle, job.result.id, job.result.revision + 1)
        first = explanation.classes[0]
        with self._lock:
            if job.page is not None:  # somebody may still be fetching the pictures of an earlier revision
                page = dataclasses.replace(page, files={**job.page.files, **page.files})
            job.page = page
            self._change(
                job,
                revision=page.revision,
                layers=list(explanation.settings["layers"]),
                answer=first.label,
                probability=first.probability,
            )
        return bundle

    def _keep(self, job: Job, bundle: Bundle, answers: Live) -> None:
        """Write a finished result, and call it done once it is wholly there."""
        name = job.result.id
        part, folder = self.folder / f".{name}.part", self.folder / name
        done = {"state": "done", "live": True}
        try:
            part.mkdir(mode=0o700)
            write_bundle(bundle.manifest, bundle.files, part / _BUNDLE)
            write_file(part / _LIVE, safetensors.numpy.save(answers.arrays()))
            write_file(part / _PICTURE, job.thumb)
            write_file(part / _RECORD, msgspec.json.encode(msgspec.structs.replace(job.result, **done)))
            with self._lock:
                if self._jobs.get(name) is not job:
                    raise _CancelledError
                part.rename(folder)
                job.folder = folder
                _hold(self._recent_live, name, answers, _HELD_LIVE)
                self._end(job, **done)
        except (OSError, ResourceError, InputError) as error:
            print(f"pellucid: {error}", file=sys.stderr)
            raise ResourceError("the result could not be kept: the server's disk is full or not writable.") from None
        finally:
            self._delete(part)

    def _end(self, job: Job, **fields: Any) -> None:
        """Nothing more is done for a job; what is held of its page gives way to others'."""
        with self._lock:
            if job.page is not None and self._jobs.get(job.result.id) is job:
                _hold(self._recent, job.result.id, job.page, _HELD)
            job.page = job.photo = job.progress = None
            self._open.pop(job.result.id, None)
            self._change(job, **fields)

    def _change(self, job: Job, **fields: Any) -> None:
        job.result = msgspec.structs.replace(job.result, **fields)
        self._changed()

    def _changed(self) -> None:
        self.changes += 1

    # Keeping

    def _job(self, name: str) -> Job:
        job = self._jobs.get(name)
        if job is None or job.over:
            raise NotFoundError("there is no such result; it may have been removed.")
        return job

    def _told(self, job: Job) -> Result:
        if job.result.state != "waiting":
            return job.result
        return msgspec.structs.replace(job.result, ahead=list(self._open).index(job.result.id))

    def _make_room(self) -> list[Job]:
        """The oldest results that are too many, forgotten; what was kept of them has yet to be cleared away."""
        own = [job for job in self._jobs.values() if job.ended and job.result.expires]
        over = own[: max(0, len(self._jobs) - self.limits.most_results)]
        for job in over:
            self._forget(job)
        return over

    def _forget(self, job: Job) -> None:
        job.stopped.set()
        name = job.result.id
        for held in (self._jobs, self._recent, self._recent_live):
            held.pop(name, None)
        if job.result.state == "waiting":
            self._open.pop(name, None)
        self._changed()

    def _clear(self, job: Job) -> None:
        if job.folder is not None:
            self._delete(job.folder)

    def _delete(self, folder: Path) -> None:
        """Delete a folder of this server; what cannot be deleted now is tried again at the next sweep."""
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            print(f"pellucid: cannot delete {folder}: {error.strerror or error}", file=sys.stderr)
            with self._lock:
                self._leftover.add(folder)

    def _find_kept(self) -> None:
        """Take up what an earlier server left in the folder; what it did not finish is cleared away."""
        found: list[Job] = []
        for path in list(self.folder.iterdir()):
            if re.fullmatch(r"\.[0-9a-f]{18}\.(part|zip)|\.\.[0-9a-f]{18}\.zip\.[0-9a-f]{12}\.part", path.name):
                if path.is_dir() and not path.is_symlink():
                    self._delete(path)
                else:
                    path.unlink(missing_ok=True)
            elif re.fullmatch(r"[0-9a-f]{18}", path.name) and path.is_dir() and not path.is_symlink():
                job = self._kept(path)
                if job is None:
                    self._delete(path)
                else:
                    found.append(job)
        for job in sorted(found, key=lambda job: job.result.created):
            self._jobs[job.result.id] = job
        self.sweep()
        with self._lock:
            over = self._make_room()
        for job in over:
            self._clear(job)

    def _kept(self, folder: Path) -> Job | None:
        """A finished result in a folder; it stays no longer than this server keeps results."""
        try:
            result = msgspec.json.decode((folder / _RECORD).read_bytes(), type=Result)
            thumb = (folder / _PICTURE).read_bytes()
        except (OSError, ValueError):
            return None
        if result.id != folder.name or result.state != "done" or result.expires is None:
            return None
        expires = min(result.expires, result.created + timedelta(seconds=self.limits.retention_seconds))
        live = result.live and result.model in self.models
        job = Job(msgspec.structs.replace(result, expires=expires, live=live), model=result.model, folder=folder)
        job.thumb = thumb
        return job


def _hold(held: OrderedDict[str, Any], name: str, value: Any, most: int) -> None:
    """Hold what was used last, and no more than `most`."""
    held[name] = value
    held.move_to_end(name)
    while len(held) > most:
        held.popitem(last=False)


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
