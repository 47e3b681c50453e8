"""What was received, kept as received, and the journal of every request.

`objets/ab/<sha256>` holds bytes under the SHA-256 of what they are; `manifeste.jsonl` has one line
per request, one per end of harvest and one per erasure, and is only ever appended to. All that is
known of the past is a function of those lines, read in order. The folder is closed to other
accounts: it holds personal data that no later stage lets through.

One process writes at a time; others may read meanwhile.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa

from lowtech_data import files
from lowtech_data.capture.errors import CaptureError, FailureKind
from lowtech_data.model import TABLES

BLOCK_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RECEIVING = ".recu-"

NEW: Final = "nouveau"
UNCHANGED: Final = "inchange"
FAILED: Final = "erreur"
COMPLETE: Final = "complete"


def instant(moment: datetime) -> str:
    """An instant as every table writes it: ISO 8601, UTC, to the second.

    Raises `ValueError` for a moment without a time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"instant sans fuseau horaire : {moment.isoformat()}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Capture:
    """One page of a source as it was received."""

    url: str
    """What was requested."""
    final_url: str
    """Where it came from, after redirects."""
    sha256: str
    size: int
    captured_at: str
    """When these bytes were received; an unchanged page keeps its first date."""
    media_type: str | None = None
    charset: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    robots: str | None = None
    """Verdict of robots.txt (`autorise`, `absent`); `None` for a local file."""
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Those of `PAGING_HEADERS` that came with the bytes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One harvest that came to an end, successful or not."""

    source_id: str
    started: str
    ended: str
    complete: bool
    unchanged: bool
    """Whether every page was the same as in the last complete harvest before."""
    captures: tuple[Capture, ...]
    """Pages of a complete harvest, in the order of requests; empty after a failure."""
    error: str | None = None
    """A `FailureKind` value."""
    message: str | None = None


@dataclass(slots=True)
class _History:
    """What the lines of the manifest amount to."""

    pending: dict[str, list[Capture]] = field(default_factory=dict)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    complete: dict[str, Attempt] = field(default_factory=dict)
    unfinished: dict[str, dict[str, Capture]] = field(default_factory=dict)
    received: dict[tuple[str, str, str, str], Capture] = field(default_factory=dict)
    expunged: set[str] = field(default_factory=set)

    def apply(self, line: dict[str, Any]) -> None:
        match line["type"]:
            case "reponse":
                self._response(line)
            case "moisson":
                self._end(line)
            case "expurgation":
                self.expunged.add(line["empreinte"])
            case other:
                raise ValueError(f"type de ligne inconnu : {other!r}")

    def _response(self, line: dict[str, Any]) -> None:
        source_id = line["source_id"]
        if line["rang"] == 0:
            # What a killed harvest left is not part of this one.
            self.pending[source_id] = []
        if line["resultat"] == FAILED:
            return
        capture = Capture(
            url=line["url"],
            final_url=line["url_finale"],
            sha256=line["empreinte"],
            size=line["octets"],
            captured_at=line["capture_le"],
            media_type=line["type_mime"],
            charset=line["charset"],
            etag=line["etag"],
            last_modified=line["last_modified"],
            robots=line["robots"],
            headers=line["entetes"],
        )
        self.pending.setdefault(source_id, []).append(capture)
        self.unfinished.setdefault(source_id, {})[capture.url] = capture
        if line["resultat"] == NEW:
            self.expunged.discard(capture.sha256)
            key = (source_id, capture.url, capture.captured_at, capture.sha256)
            self.received[key] = capture

    def _end(self, line: dict[str, Any]) -> None:
        source_id = line["source_id"]
        captures = self.pending.pop(source_id, [])
        complete = line["statut"] == COMPLETE
        if complete and len(captures) != line["pages"]:
            raise ValueError(f"{line['pages']} pages annoncées, {len(captures)} trouvées")
        attempt = Attempt(
            source_id=source_id,
            started=line["moisson"],
            ended=line["fin"],
            complete=complete,
            unchanged=line["inchangee"],
            captures=tuple(captures) if complete else (),
            error=line["erreur"],
            message=line["message"],
        )
        if complete:
            self.complete[source_id] = attempt
        if complete or line["erreur"] == FailureKind.CONTENT:
            # A page that leads nowhere must be asked for again.
            self.unfinished.pop(source_id, None)
        # The past would hold every page of every harvest.
        self.attempts.setdefault(source_id, []).append(replace(attempt, captures=()))


class Incoming:
    """Bytes being received: counted and hashed while they are written."""

    def __init__(self, file: BinaryIO) -> None:
        """Write to `file`, which the store keeps or throws away."""
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """Hash of what was written so far."""
        return self._hash.hexdigest()


class Store:
    """The folder of captures (`root` is that folder). Nothing is created before it is needed.

    A missing folder is an empty store. A manifest whose last line was cut by a crash is read
    without that line, which is removed before the next one is written; any other unreadable line
    raises `CaptureError` (`alteree`), because the past would otherwise be rewritten in silence.
    """

    def __init__(self, root: Path) -> None:
        """Read the manifest of `root`."""
        self.root = root
        self._objects = root / "objets"
        self._manifest = root / "manifeste.jsonl"
        self._lock = threading.Lock()
        self._ready = False
        self._history = _History()
        self._load()

    # Reading

    def last_complete(self, source_id: str) -> Attempt | None:
        """The last harvest of a source in which every page was obtained."""
        return self._history.complete.get(source_id)

    def unfinished(self, source_id: str) -> Sequence[Capture]:
        """Pages obtained since the last complete harvest by those that were interrupted."""
        return tuple(self._history.unfinished.get(source_id, {}).values())

    def attempts(self, source_id: str) -> Sequence[Attempt]:
        """Every harvest of a source that came to an end, oldest first, without their pages."""
        return tuple(self._history.attempts.get(source_id, ()))

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there to be read."""
        return sha256 not in self._history.expunged and self._path(sha256).is_file()

    @contextmanager
    def open(self, sha256: str) -> Iterator[BinaryIO]:
        """The bytes, once they are known to be those that were received.

        Raises `CaptureError`: `expurgee`, `absente`, or `alteree` when the hash differs.
        """
        if sha256 in self._history.expunged:
            raise CaptureError(
                FailureKind.EXPUNGED,
                f"capture {sha256[:12]}… : effacée sur demande ; moissonner à nouveau la source",
            )
        try:
            file = self._path(sha256).open("rb")
        except FileNotFoundError as error:
            raise CaptureError(
                FailureKind.MISSING,
                f"capture {sha256[:12]}… : absente de {self._objects} ; restaurer la sauvegarde, "
                "ou moissonner à nouveau la source",
            ) from error
        with file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise CaptureError(
                    FailureKind.CORRUPT,
                    f"{self._path(sha256)} : le contenu ne correspond plus à son empreinte ; "
                    "restaurer la sauvegarde, ou moissonner à nouveau la source",
                )
            file.seek(0)
            yield file

    def read(self, sha256: str) -> bytes:
        """All the bytes. Raises as `open`."""
        with self.open(sha256) as file:
            return file.read()

    def captures(self) -> pa.Table:
        """Bytes ever received, as rows of the published `captures` table, in total order."""
        rows = [
            {
                "empreinte": capture.sha256,
                "source_id": source_id,
                "url": capture.url,
                "capture_le": capture.captured_at,
                "octets": capture.size,
                "type_mime": capture.media_type,
                "robots": capture.robots,
                "etat": "expurgee" if capture.sha256 in self._history.expunged else "conservee",
            }
            for (source_id, *_), capture in sorted(self._received(), key=lambda item: item[0])
        ]
        return pa.Table.from_pylist(rows, TABLES["captures"].arrow_schema())

    # Writing

    @contextmanager
    def receive(self) -> Iterator[Incoming]:
        """A place for bytes to come: kept under their hash if the block ends well, else erased."""
        self._prepare()
        descriptor, name = tempfile.mkstemp(prefix=_RECEIVING, dir=self._objects)
        received = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                incoming = Incoming(file)
                yield incoming
                file.flush()
                os.fsync(file.fileno())
            self._keep(received, incoming.sha256)
        finally:
            received.unlink(missing_ok=True)

    def expunge(self, sha256: str, reason: str, *, now: datetime) -> None:
        """Erase bytes for good, leaving a tombstone that says when and why.

        The same bytes received again are kept again: what must stay out is stopped at ingestion.
        Raises `CaptureError` (`absente`) when the store never received them.
        """
        if not any(capture.sha256 == sha256 for _, capture in self._received()):
            raise CaptureError(
                FailureKind.MISSING, f"capture {sha256} : inconnue de {self._manifest}"
            )
        tombstone = {"expurgee_le": instant(now), "motif": reason}
        self._append({"type": "expurgation", "empreinte": sha256, **tombstone})
        self._prepare()
        descriptor, name = tempfile.mkstemp(prefix=_RECEIVING, dir=self._objects)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(tombstone, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(Path(name), sha256)

    def recorder(self, source_id: str, started: str) -> Recorder:
        """The journal of a new harvest of a source."""
        return Recorder(self, source_id, started)

    def _received(self) -> list[tuple[tuple[str, str, str, str], Capture]]:
        with self._lock:
            return list(self._history.received.items())

    def _keep(self, received: Path, sha256: str) -> None:
        target = self._path(sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        received.replace(target)
        files.sync(target.parent)

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise CaptureError(
                FailureKind.MISSING, f"« {sha256[:80]} » n’est pas une empreinte SHA-256"
            )
        return self._objects / sha256[:2] / sha256

    def _prepare(self) -> None:
        """Once, before the first writing: the folders, and what a killed process left."""
        with self._lock:
            if self._ready:
                return
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
            self._objects.mkdir(mode=0o700, exist_ok=True)
            for leftover in self._objects.glob(f"{_RECEIVING}*"):
                leftover.unlink()
            self._mend()
            self._ready = True

    def _mend(self) -> None:
        if not self._manifest.exists():
            return
        with self._manifest.open("r+b") as file:
            content = file.read()
            whole, torn = _split_torn(content)
            if torn is not None:
                file.truncate(len(whole))
            elif content and not content.endswith(b"\n"):
                file.write(b"\n")
            os.fsync(file.fileno())

    def _load(self) -> None:
        if not self._manifest.exists():
            return
        whole, _ = _split_torn(self._manifest.read_bytes())
        for number, line in enumerate(io.BytesIO(whole), start=1):
            try:
                self._history.apply(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise CaptureError(
                    FailureKind.CORRUPT,
                    f"{self._manifest}:{number} : ligne illisible ({error!r}) ; "
                    "restaurer la sauvegarde du manifeste",
                ) from error

    def _append(self, line: dict[str, Any]) -> None:
        self._prepare()
        with self._lock:
            is_new = not self._manifest.exists()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            descriptor = os.open(self._manifest, flags, 0o600)
            with os.fdopen(descriptor, "ab", buffering=0) as file:
                end = os.fstat(descriptor).st_size
                try:
                    _write_all(file, json.dumps(line, ensure_ascii=False).encode() + b"\n")
                    os.fsync(descriptor)
                except OSError:
                    # The next line must not be glued to the part that a full disk took.
                    file.truncate(end)
                    raise
            if is_new:
                files.sync(self.root)
            self._history.apply(line)


class Recorder:
    """Writes the lines of one harvest, in order."""

    def __init__(self, store: Store, source_id: str, started: str) -> None:
        """Start the journal of the harvest of `source_id` that began at `started`."""
        self._store = store
        self._source_id = source_id
        self._started = started
        self._rank = 0
        self._obtained = 0

    def page(self, capture: Capture, *, status: int | None, asked_at: str, changed: bool) -> None:
        """A page was obtained: its bytes are new, or those already known."""
        self._obtained += 1
        self._response(
            url=capture.url,
            url_finale=capture.final_url,
            demande_le=asked_at,
            statut_http=status,
            etag=capture.etag,
            last_modified=capture.last_modified,
            empreinte=capture.sha256,
            octets=capture.size,
            type_mime=capture.media_type,
            charset=capture.charset,
            entetes=dict(sorted(capture.headers.items())),
            robots=capture.robots,
            resultat=NEW if changed else UNCHANGED,
            capture_le=capture.captured_at,
        )

    def failed_page(self, url: str, error: CaptureError, *, asked_at: str) -> None:
        """A page was not obtained."""
        self._response(
            url=url,
            demande_le=asked_at,
            resultat=FAILED,
            erreur=error.kind.value,
            message=error.message,
        )

    def complete(self, *, ended: str, unchanged: bool) -> None:
        """Every page that there is was obtained: this harvest is now the reference."""
        self._end(ended, statut=COMPLETE, inchangee=unchanged, erreur=None, message=None)

    def failed(self, error: CaptureError, *, ended: str) -> None:
        """The harvest failed: the last complete one stays the reference."""
        self._end(
            ended, statut=FAILED, inchangee=False, erreur=error.kind.value, message=error.message
        )

    def _response(self, **fields: Any) -> None:
        self._line("reponse", rang=self._rank, **fields)
        self._rank += 1

    def _end(self, ended: str, **fields: Any) -> None:
        self._line("moisson", pages=self._obtained, fin=ended, **fields)

    def _line(self, kind: str, **fields: Any) -> None:
        head = {"type": kind, "source_id": self._source_id, "moisson": self._started}
        self._store._append({**head, **fields})


def _write_all(file: io.FileIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]


def _split_torn(content: bytes) -> tuple[bytes, bytes | None]:
    """The whole lines, and the piece of a last one that was being written, if any.

    A last line that only lacks its end of line is whole.
    """
    end = content.rfind(b"\n") + 1
    tail = content[end:]
    if not tail:
        return content, None
    try:
        is_whole = isinstance(json.loads(tail), dict)
    except ValueError:
        is_whole = False
    return (content, None) if is_whole else (content[:end], tail)
