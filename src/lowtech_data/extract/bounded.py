"""Payloads read in a process of their own, so that none of them can hang a run or eat its memory.

Parsers are other people's code and payloads other people's bytes. A `Reader` keeps one child
process, started when first needed, gives it one harvest at a time, and kills it at the deadline;
what happened is then a `PayloadError` of that source. The child dies with its parent, however that
one ends. It runs `extract.extract`, which stays pure and can be called without it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pyarrow as pa

from lowtech_data.extract.base import (
    BATCH_ROWS,
    Extraction,
    Page,
    PayloadError,
    Platform,
    Request,
    extract,
    mask,
)

if TYPE_CHECKING:
    from lowtech_data.capture import HarvestedPage
    from lowtech_data.registry import Source

BASE_S: Final = 5.0
"""Time to read a harvest of any size."""

S_PER_MB: Final = 10.0
"""Time more for each megabyte. The slowest real pages take 7 s of it, wikis read by selectors."""

BASE_BYTES: Final = 2**30
"""Memory to read a page of any size: `decode.MAX_TAGS` tags take a quarter of it."""

MEMORY_PER_BYTE: Final = 16
"""Memory more for each byte of the largest page: JSON of objects takes ten times its size."""

START_S: Final = 60.0
"""Time for the child to start on a machine that does much else; it takes less than a second."""

IDLE_S: Final = 30.0
"""After this long without work the child ends, for its memory; another is started when needed."""

GROWN_BYTES: Final = 2**29
"""A child that has grown beyond this ends after its answer, for the same reason."""

MESSAGE_CHARS: Final = 1_000
"""Length of a refusal, which may quote what it refuses."""

_NO_FOLLOW: Final = next(f.default for f in fields(Platform) if f.name == "follow")

_COUNTS: Final = ("read", "left_out", "left_out_by", "unreadable", "repeated")


class BoundError(PayloadError):
    """A payload whose reading was stopped: too long, too much memory, or a parser that crashed."""


class ReaderBugError(Exception):
    """A bug of ours that a payload woke, told without what the payload holds."""

    def __init__(self, message: str, trace: str) -> None:
        """`message` is one line with the place to look at; `trace` is the path through the code."""
        super().__init__(message)
        self.trace = trace

    @classmethod
    def of(cls, error: Exception) -> ReaderBugError:
        """Any error, with personal data masked; the trace has no messages, which may quote."""
        return error if isinstance(error, cls) else cls(_described(error), _trace(error))


def seconds_for(source: Source, size: int) -> float:
    """Time to read `size` bytes of a source: its `limites.lecture_s`, else the rule above."""
    return source.limites.lecture_s or BASE_S + S_PER_MB * size / 1e6


def _described(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, ligne {frames[-1].lineno})" if frames else ""
    reason = f"{type(error).__name__} : {mask(str(error))}"
    return f"erreur du programme en lisant la réponse{place} : {reason}"


def _trace(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    before = f"{_trace(cause)}\n" if cause else ""
    return f"{before}{''.join(traceback.format_tb(error.__traceback__))}{type(error).__qualname__}"


@dataclass(frozen=True, slots=True)
class _File:
    """A page whose bytes are in a file."""

    path: Path
    size: int
    page: Page
    """Everything but the bytes."""

    @classmethod
    def of(cls, harvested: HarvestedPage) -> _File:
        with harvested.store.open(harvested.sha256) as file:
            path = Path(file.name)
        return cls(path, harvested.capture.size, harvested.head())

    def read(self) -> Page:
        return replace(self.page, body=self.path.read_bytes())


@dataclass(frozen=True, slots=True)
class _Job:
    source: Source
    pages: Sequence[_File] = ()
    follow: Page | None = None
    """The page whose next ones are asked for, instead of reading `pages`."""
    seconds: float = BASE_S
    memory: int = BASE_BYTES


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    connection: Connection
    lifeline: int

    def end(self) -> int:
        """Kill it if it still runs; its exit code."""
        self.process.kill()
        self.connection.close()
        with suppress(OSError):
            os.close(self.lifeline)
        return self.process.wait()


class Reader:
    """Reads harvests in a child process. Threads may share it: they wait for each other."""

    def __init__(
        self, platforms: str = "lowtech_data.extract:PLATFORMS", *, idle_s: float = IDLE_S
    ) -> None:
        """Start nothing yet. `platforms` is where the child finds them (`module:mapping`)."""
        self._platforms = platforms
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def extract(self, source: Source, pages: Sequence[HarvestedPage]) -> Extraction:
        """What `extract.extract` gives for the pages of one harvest, read from the store.

        Raises `PayloadError` as it does, `BoundError` when a bound was met, `ReaderBugError`,
        `CaptureError` when bytes are gone or altered, and `OSError` for a fault of this machine.
        """
        files = [_File.of(page) for page in pages]
        sizes = [file.size for file in files]
        answer, tables = self._run(
            _Job(
                source,
                pages=files,
                seconds=seconds_for(source, sum(sizes)),
                memory=BASE_BYTES + MEMORY_PER_BYTE * max(sizes, default=0),
            )
        )
        fiches, rejects = tables
        return Extraction(fiches=fiches, rejects=rejects, **answer["counts"])

    def follow(self, source: Source, page: Page) -> Sequence[Request]:
        """What the platform's `follow` gives for one page. Raises as `extract`, and a bug that the
        page woke is a `PayloadError` too.
        """
        size = len(page.body)
        job = _Job(
            source,
            follow=page,
            seconds=seconds_for(source, size),
            memory=BASE_BYTES + MEMORY_PER_BYTE * size,
        )
        try:
            answer, _ = self._run(job)
        except ReaderBugError as error:
            raise PayloadError(str(error)) from error
        return tuple(Request(**request) for request in answer["requests"])

    def following(self, platform: Platform) -> Platform:
        """The platform, with its next pages looked for in the child."""
        return platform if platform.follow is _NO_FOLLOW else replace(platform, follow=self.follow)

    def close(self) -> None:
        """End the child, if there is one. Another is started if the reader is used again."""
        with self._lock:
            self._discard()

    def _discard(self) -> int:
        child, self._child = self._child, None
        return child.end() if child else 0

    def _run(self, job: _Job) -> tuple[dict[str, Any], list[pa.Table]]:
        with self._lock:
            try:
                answer, tables, place = self._ask(job)
            except BaseException:
                self._discard()
                raise
        match answer["kind"]:
            case "refused":
                raise PayloadError(answer["message"])
            case "memory":
                raise _too_much_memory(job, place)
            case "system":
                raise OSError(*answer["reason"])
            case "bug":
                raise ReaderBugError(answer["message"], answer["trace"])
        return answer, tables

    def _ask(self, job: _Job) -> tuple[dict[str, Any], list[pa.Table], str]:
        """The answer, the tables that follow it, and the page that was being read."""
        while True:
            child = self._child = self._child or self._start()
            place = ""
            try:
                child.connection.send(job)
                end = time.monotonic() + job.seconds
                while child.connection.poll(max(end - time.monotonic(), 0)):
                    answer = json.loads(child.connection.recv_bytes())
                    if answer["kind"] != "page":
                        rest = range(answer.get("tables", 0))
                        return answer, [_received(child.connection) for _ in rest], place
                    place = answer["page"]
            except (EOFError, ConnectionError):
                code = child.process.wait()
                self._discard()
                if code == 0 and not place:
                    continue  # it ended for want of work while the job was on its way
                if code == -signal.SIGXCPU:
                    raise _too_long(job, place) from None
                raise _crashed(job, place, code) from None
            raise _too_long(job, place)

    def _start(self) -> _Child:
        ours, theirs = Pipe()
        held, lifeline = os.pipe()
        call = f"serve({theirs.fileno()}, {held}, {self._platforms!r}, {self._idle_s!r})"
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; {call}"
        try:
            process = subprocess.Popen(  # noqa: S603 (our own interpreter and code)
                [sys.executable, "-I", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), held),
                # Arenas reserved in advance would count as memory in use.
                env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
                # Ctrl-C in a terminal is for the parent, and the child follows it.
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(held)
        child = _Child(process, ours, lifeline)
        try:
            if ours.poll(START_S):
                ours.recv_bytes()
                return child
        except EOFError:
            pass
        reason = f"le processus de lecture ne démarre pas (code {child.end()})"
        raise OSError(errno.ECHILD, reason, sys.executable)


def _place(job: _Job, page: str) -> str:
    url = page or (job.follow.url if job.follow else job.source.url)
    return f"source {job.source.id} : {url}"


def _too_long(job: _Job, page: str) -> BoundError:
    rule = (
        "limites.lecture_s"
        if job.source.limites.lecture_s
        else f"{BASE_S:g} s et {S_PER_MB:g} s par Mo"
    )
    return BoundError(
        f"{_place(job, page)} : lecture arrêtée au bout de {job.seconds:.3g} s ({rule}) ; si la"
        " réponse est bien la liste, augmenter limites.lecture_s ; sinon corriger url ou options"
    )


def _too_much_memory(job: _Job, page: str) -> BoundError:
    return BoundError(
        f"{_place(job, page)} : lecture arrêtée à {job.memory // 2**20} Mio de mémoire"
        f" ({BASE_BYTES // 2**20} Mio et {MEMORY_PER_BYTE} fois la plus grande réponse) ; vérifier"
        " que la réponse est bien la liste, ou la demander en plusieurs pages"
    )


def _crashed(job: _Job, page: str, code: int) -> BoundError:
    name = signal.Signals(-code).name if code < 0 else f"code {code}"
    return BoundError(
        f"{_place(job, page)} : la lecture s’est arrêtée net ({name}) ; vérifier que la réponse est"
        " bien la liste et que la machine a de la mémoire, sinon mettre la source en_pause"
    )


READER: Final = Reader()
"""The reader of this process."""


def serve(connection: int, lifeline: int, platforms: str, idle_s: float) -> NoReturn:
    """What the child does: answer jobs until there are none for a while, or no parent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _die_with_parent(lifeline)
    pa.set_cpu_count(1)
    channel = Connection(connection)
    known: Mapping[str, Platform] = resolve_name(platforms)
    _say(channel, kind="ready")
    with suppress(EOFError, ConnectionError):
        while channel.poll(idle_s):
            _work(channel, channel.recv(), known)
            if _held_bytes() > GROWN_BYTES:
                break
    os._exit(0)


def _die_with_parent(lifeline: int) -> None:
    """Only the parent holds the other end: when it is gone, SIGIO ends this process at once, even
    inside a parser that never comes back to Python.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


def _held_bytes() -> int:
    """Memory of this process now. Its peak would be that of the process that started it, if that
    one was larger: Linux hands it down. Nothing where the system does not tell.
    """
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()


def _work(channel: Connection, job: _Job, platforms: Mapping[str, Platform]) -> None:
    _bound(resource.RLIMIT_CPU, math.ceil(time.process_time() + job.seconds) + 1)
    _bound(resource.RLIMIT_DATA, job.memory)
    platform = platforms[job.source.plateforme]
    tables: list[pa.Table] = []
    answer: dict[str, Any]
    try:
        if job.follow:
            requests = platform.follow(job.source, job.follow)
            answer = {"kind": "ok", "requests": [asdict(request) for request in requests]}
        else:
            extraction = extract(job.source, platform, _told(channel, job.pages))
            tables = [extraction.fiches, extraction.rejects]
            counts = {name: getattr(extraction, name) for name in _COUNTS}
            answer = {"kind": "ok", "counts": counts, "tables": len(tables)}
    except PayloadError as error:
        answer = {"kind": "refused", "message": str(error)[:MESSAGE_CHARS]}
    except MemoryError:
        answer = {"kind": "memory"}
    except OSError as error:
        answer = {"kind": "system", "reason": (error.errno, error.strerror, str(error.filename))}
    except Exception as error:
        bug = ReaderBugError.of(error)
        answer = {"kind": "bug", "message": str(bug), "trace": bug.trace}
    _say(channel, **answer)
    for table in tables:
        _send(channel, table)


def _bound(kind: int, soft: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _told(channel: Connection, pages: Sequence[_File]) -> Iterator[Page]:
    """The pages, one at a time, each announced before it is read."""
    for file in pages:
        _say(channel, kind="page", page=file.page.url)
        yield file.read()


def _send(channel: Connection, table: pa.Table) -> None:
    """A table in parts, each a stream of its own, then an empty message: whole, it would be held
    three times.
    """
    for part in [table.schema.empty_table(), *table.to_batches(max_chunksize=BATCH_ROWS)]:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write(part)
        channel.send_bytes(sink.getvalue())
    channel.send_bytes(b"")


def _received(channel: Connection) -> pa.Table:
    parts = iter(channel.recv_bytes, b"")
    return pa.concat_tables(pa.ipc.open_stream(part).read_all() for part in parts)


def _say(channel: Connection, **answer: Any) -> None:
    # Only JSON and Arrow come back: the parent never unpickles what hostile bytes went through.
    channel.send_bytes(json.dumps(answer).encode())
