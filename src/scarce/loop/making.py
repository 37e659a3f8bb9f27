"""Synthetic samples into a folder, from a project or from data that lies anywhere."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scarce.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made.

    Args:
        kind: kind of defect.
        n: accepted samples.
        label: class of the samples; empty = found by its name.
        settings: texts ``name=value`` that set the kind's parameters; they come before those of the project.
        normal: classes of sound parts; empty = those that the data knows.
        seed: of everything random.
        minutes: of wall time; None = no limit.
        per_original: most uses of one sound picture; None = no limit.
        workers: threads.
    """

    kind: str
    n: int
    label: str = ""
    settings: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    seed: int = 0
    minutes: float | None = None
    per_original: int | None = None
    workers: int | None = None


def make_from(path: Path, order: Order, out: Path) -> Any:
    """Make synthetic samples from a project's newest version, or from a folder or manifest; neither is changed.

    Args:
        path: a project, or data as ``scarce.read`` takes it.
        order: what is to be made.
        out: the folder.

    Returns:
        A ``scarce.synthesize.Made``.

    Raises:
        ConfigError: a setting is wrong.
        DataError, ReadError, UnknownNameError: see ``scarce.synthesize.make``.
    """
    from scarce import io, synthesize
    from scarce.loop.generating import generate_from
    from scarce.project import Project, is_project
    from scarce.registry import canonical, load, names

    if canonical(order.kind) in names("synthesize.generate"):
        return generate_from(path, order, out)
    plugin = load("synthesize", order.kind, synthesize.AbstractDefect)  # type: ignore[type-abstract]
    params: dict[str, Any] = {}
    if is_project(path):
        with Project.open(path) as project:
            ds = project.dataset()
            params |= dict(project.config.synthesize.plugins.get(canonical(order.kind), {}))
    else:
        ds = io.read(path)
    if order.normal:
        ds = io.with_normal(ds, order.normal)
    params |= settings_of(order.settings)
    limits = synthesize.Limits(
        seconds=None if order.minutes is None else 60 * order.minutes, per_original=order.per_original
    )
    return synthesize.make(
        ds, plugin.from_params(params), n=order.n, out=out, label=order.label or None, seed=order.seed, limits=limits,
        workers=order.workers,
    )  # fmt: skip


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value``; values are written as in TOML, plain words need no quotes.

    Raises:
        ConfigError: a text has no name or no value.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ConfigError("synthesize", f"the setting {text!r} is not of the form NAME=VALUE",
                              do="for example --set severity=0.8")  # fmt: skip
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = value.strip()
    return found
