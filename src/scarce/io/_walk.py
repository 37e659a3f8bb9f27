"""Looking through folders: what is a sample, what is hidden, what cannot be reached."""

from __future__ import annotations

import os
import posixpath
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from scarce.io._listing import INFO, WARN, Note
from scarce.modality.raw import BAD_LINK, FORBIDDEN, MISSING, SPECIAL

IMAGES = frozenset(".jpg .jpeg .jpe .jfif .png .webp .avif .bmp .dib .tif .tiff .gif .ppm .pgm .pbm .pnm .jp2".split())
SOUNDS = frozenset(".wav .flac .ogg .oga .aif .aiff .mp3".split())
TEXTS = frozenset((".txt", ".md"))
EMPTY, BAD_NAME = "empty: 0 bytes", "unreadable: the file name is not valid UTF-8"
_held: ContextVar[dict[str, Walked] | None] = ContextVar("scarce_walk", default=None)
_HIDDEN = frozenset(("thumbs.db", "desktop.ini", "__macosx", "@eadir", "ehthumbs.db", "__pycache__"))


@dataclass(frozen=True)
class Found:
    """A file: path relative to the root with forward slashes, and why it cannot be used."""

    uri: str
    reason: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders above the file."""
        return tuple(self.uri.split("/")[:-1])

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return posixpath.splitext(posixpath.basename(self.uri))[0]

    @property
    def suffix(self) -> str:
        """The file's ending in small letters."""
        return posixpath.splitext(self.uri)[1].lower()


@dataclass
class Walked:
    """All files below a folder, and what could not be entered."""

    files: list[Found] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def of(self, suffixes: frozenset[str]) -> list[Found]:
        """Return the files with certain endings."""
        return [file for file in self.files if file.suffix in suffixes]

    def notes(self, used: frozenset[str]) -> list[Note]:
        """Return what a person should know about the rest."""
        found = []
        if self.denied:
            found.append(Note("data", f"{len(self.denied)} folders may not be entered: {_few(self.denied)}", WARN))
        if self.loops:
            found.append(Note("data", f"{len(self.loops)} links lead back above themselves: {_few(self.loops)}", INFO))
        if self.empty:
            found.append(Note("data", f"{len(self.empty)} folders are empty: {_few(self.empty)}", WARN))
        others = Counter(file.suffix or "no ending" for file in self.files if file.suffix not in used)
        if others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(5))
            found.append(Note("data", f"{sum(others.values())} files of other kinds were left out: {kinds}", INFO))
        return found


def is_hidden(name: str) -> bool:
    """Return whether a name is one that systems leave behind and people do not mean."""
    return name.startswith((".", "~$", "._")) or name.lower() in _HIDDEN


def walk(root: Path) -> Walked:
    """Return every file below a folder, sorted by path; links are followed, but never in a circle."""
    held = _held.get()
    if held is not None and str(root) in held:
        return held[str(root)]
    found = Walked()
    _enter(str(root), "", (), found)
    if held is not None:
        held[str(root)] = found
    return found


@contextmanager
def walk_once() -> Iterator[None]:
    """Look through each folder only once inside this block."""
    token = _held.set({})
    try:
        yield
    finally:
        _held.reset(token)


def _enter(folder: str, prefix: str, above: tuple[tuple[int, int], ...], found: Walked) -> None:
    try:
        state = Path(folder).stat()
        with os.scandir(folder) as entries:
            items = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        found.denied.append(prefix or folder)
        return
    here = (state.st_dev, state.st_ino)
    if state.st_ino and here in above:
        found.loops.append(prefix)
        return
    count = 0
    for entry in items:
        if is_hidden(entry.name):
            continue
        count += 1
        uri = prefix + entry.name
        if _is_folder(entry):
            _enter(entry.path, uri + "/", (*above, here), found)
        else:
            found.files.append(_look(entry, uri))
    if not count and prefix:
        found.empty.append(prefix.rstrip("/"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _look(entry: os.DirEntry[str], uri: str) -> Found:
    try:
        uri.encode()
    except UnicodeEncodeError:
        return Found(os.fsencode(uri).decode("utf-8", "replace"), BAD_NAME)
    return Found(uri, trouble(entry.path))


def trouble(path: str) -> str | None:
    """Return why a file cannot be a sample as far as its folder tells, or None."""
    try:
        state = Path(path).stat()
    except OSError as error:
        if isinstance(error, PermissionError):
            return FORBIDDEN
        return BAD_LINK if Path(path).is_symlink() else MISSING
    if not stat.S_ISREG(state.st_mode):
        return SPECIAL
    if not state.st_size:
        return EMPTY
    return None if os.access(path, os.R_OK) else FORBIDDEN


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
