"""Writing a dataset in a format that others read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from scarce import registry
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError, unknown_name
from scarce.io._base import AbstractReader
from scarce.io._outlet import Files, Outlet


@dataclass(frozen=True)
class Written:
    """What was written.

    Args:
        path: the file or folder.
        format: the format's name.
        samples: number of samples.
        files: number of pictures, sounds and masks that were copied or linked.
        skipped: reason to number of samples that were left out; those that are set aside count, too.
        lost: what the format has no place for, to how often it was there.
    """

    path: Path
    format: str
    samples: int
    files: int
    skipped: Mapping[str, int]
    lost: Mapping[str, int]


def formats() -> dict[str, str]:
    """Return the formats that can be written, and what each is."""
    kinds = {name: registry.load("io", name, AbstractReader) for name in registry.names("io")}  # type: ignore[type-abstract]
    return {name: kind.summary() for name, kind in kinds.items() if kind.writes}


def write(ds: Dataset, path: str | Path, *, format: str, files: Files | None = None) -> Written:  # noqa: A002
    """Write the kept samples of a dataset in a format that others read.

    Nothing is replaced: the path must be new, or an empty folder. It appears when everything is written.

    Args:
        ds: what to write.
        path: a new folder; formats of one file also take a file with their ending (``.json``, ``.xml``, ``.csv`` ...).
        format: a name out of :func:`formats`.
        files: ``copy`` the pictures into the folder, ``link`` them, or ``none``: name them where they lie. By default
            copied into a folder, and not with a single file.

    Raises:
        UnknownNameError: there is no such format.
        DataError: the path is taken, nothing is left to write, or the format cannot hold such data.
        ReadError: the path cannot be written.
    """
    path = Path(path).expanduser()
    known = formats()
    name = registry.canonical(format)
    if name not in known:
        raise unknown_name("io.write", "format", format, list(known))
    if files not in (None, *get_args(Files)):
        raise unknown_name("io.write", "way with files", str(files), list(get_args(Files)))
    writer = registry.load("io", name, AbstractReader)()  # type: ignore[type-abstract]
    if os.path.lexists(path) and not (path.is_dir() and not path.is_symlink() and not any(path.iterdir())):
        what = f"{path} is there already" + (" and not empty" if path.is_dir() else "")
        raise DataError("io.write", what, do="name a new folder or file: nothing is replaced")
    single = bool(writer.ending) and path.suffix.lower() == writer.ending
    if not single and not writer.ending and path.suffix.lower() in (".json", ".xml", ".csv", ".jsonl", ".parquet"):
        raise DataError("io.write", f"{name} is a folder, and {path.name} looks like a file", do="name a folder")
    if not bool(ds["keep"].any()):
        raise DataError("io.write", "no sample is kept, so there is nothing to write", f"{len(ds)} are set aside")
    part = path.with_name(f".{path.name}.part")
    target = path.parent if single else path
    out = Outlet(
        whole=ds, root=part, target=target, name=path.name if single else "",
        files=files or ("none" if single else "copy"),
    )  # fmt: skip
    aside = len(ds) - len(out.ds)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        writer.write(out)
        _settle(out, path, single=single)
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        what = f"{path} cannot be written ({error.strerror or error})"
        raise ReadError("io.write", what, do="check the path, its rights and the space on the disk") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    skipped = {**({"set aside": aside} if aside else {}), **dict(out.skipped)}
    samples = len(out.pictures) - sum(out.skipped.values())
    return Written(path, name, samples, out.written, skipped, {k: n for k, n in out.lost.items() if n})


def _settle(out: Outlet, path: Path, *, single: bool) -> None:
    """Move what was written to its place; a single file brings the pictures that were copied along."""
    if len(out.pictures) == sum(out.skipped.values()):
        reason, count = out.skipped.most_common(1)[0]
        raise DataError("io.write", "not one sample could be written", f"{count} times: {reason}")
    if not single:
        if path.is_dir():
            path.rmdir()
        out.root.rename(path)
        return
    for item in sorted(out.root.iterdir()):
        place = path.parent / item.name
        if os.path.lexists(place):
            raise DataError("io.write", f"{place} is there already", do="name another folder: nothing is replaced")
    for item in sorted(out.root.iterdir()):
        item.rename(path.parent / item.name)
