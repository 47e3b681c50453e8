"""Files that are whole or absent: everything is written beside, then renamed.

A process killed between any two lines leaves either the old state or the new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = ".part-"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content at once, surviving a crash at any point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{_PARTIAL}{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def new_directory(parent: Path) -> Iterator[Path]:
    """A directory to fill, removed at the end of the block unless it was renamed by then."""
    parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=parent))
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def commit_directory(partial: Path, final: Path) -> Path:
    """Give a filled directory its final name in one rename, and return it.

    An existing `final` is left as it is: names are content addresses, so it holds the same.
    """
    partial.chmod(0o755)
    for file in partial.rglob("*"):
        if file.is_file():
            sync(file)
    if not final.exists():
        partial.rename(final)
        sync(final.parent)
    return final


def content_address(directory: Path) -> str:
    """A name that says what a directory holds: a hash of its files' names and bytes."""
    digest = hashlib.sha256()
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = file.relative_to(directory).as_posix()
        digest.update(f"{name}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()[:16]


def switch_link(link: Path, target: str) -> None:
    """Point a symbolic link to `target` (a name beside it) in one rename."""
    temporary = link.with_name(f"{_PARTIAL}{link.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    sync(link.parent)


def remove_partials(directory: Path) -> None:
    """Remove what an interrupted process left unfinished. Call it under the warehouse's lock."""
    if not directory.is_dir():
        return
    for path in directory.rglob(f"{_PARTIAL}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file's bytes, or a directory's entries, on disk before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(directory: Path) -> None:
    """Remove a directory that nothing points to any more."""
    shutil.rmtree(directory, ignore_errors=True)
