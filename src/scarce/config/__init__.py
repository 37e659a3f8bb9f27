"""`scarce.toml`: typed settings, one section a stage; unknown keys are refused with the closest match.

A section is a frozen dataclass whose fields carry their own documentation, so the commented default file, the reader
and the checks cannot disagree. Below a stage's section, a table named after a plugin holds that plugin's parameters
(``[audit.near_duplicate]``). They are handed to ``Plugin.from_params``, which checks them.
"""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any, Final

from scarce import registry
from scarce.config._sections import Rebalance, Sections, Split, Train
from scarce.errors import ConfigError, closest

__all__ = [
    "Config", "Rebalance", "Split", "Train", "check_types", "migrate", "to_toml", "value_to_toml",
]  # fmt: skip

FORMAT = 1
WIDTH: Final = 116
Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Config(Sections):
    """All settings of a project; every field is a section of `scarce.toml`."""

    @classmethod
    def from_toml(cls, text: str, *, who: str = "scarce.toml") -> Config:
        """Read settings; files of an earlier format are migrated in memory.

        Raises:
            ConfigError: no TOML, a later format, an unknown section or key (with the closest one), or a wrong value.
        """
        try:
            body = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(who, f"this is not TOML: {error}", do="mend that line") from error
        body = migrate(body, who=who)
        body.pop("format", None)
        config: Config = _section(who, cls, body)
        _check_together(who, config)
        return config

    @classmethod
    def load(cls, path: str | Path) -> Config:
        """Read a file."""
        path = Path(path)
        return cls.from_toml(path.read_text(encoding="utf-8-sig"), who=path.name)

    def to_toml(self) -> str:
        """Return the whole file with every key documented; keys that still have their default are commented out."""
        lines = ["# Settings of this scarce project. A commented key shows its default.", f"format = {FORMAT}"]
        for item in fields(self):
            lines += _render(item.name, getattr(self, item.name))
        return "\n".join(lines) + "\n"

    def with_values(self, section: str, **values: Any) -> Config:
        """Return settings with some keys of a section changed, checked as if they came from the file."""
        known = [item.name for item in fields(self)]
        if section not in known:
            raise ConfigError("config", f"unknown section [{section}]", closest(section, known))
        old = getattr(self, section)
        body = {item.name: getattr(old, item.name) for item in fields(old) if not _nested(item.name, old)}
        new = _section("config", type(old), {**body, **values}, name=section)
        kept = {item.name: getattr(old, item.name) for item in fields(old) if _nested(item.name, old)}
        changed = replace(self, **{section: replace(new, **kept)})
        _check_together("config", changed)
        return changed


def migrate(body: Mapping[str, Any], *, who: str = "scarce.toml") -> Body:
    """Return settings of any earlier format in the present one.

    Raises:
        ConfigError: the format is later than this scarce knows, or no number.
    """
    new: Body = {**body}
    version = new.get("format", FORMAT)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= FORMAT:
        raise ConfigError(
            who, f"format = {version!r} is not known", f"this scarce reads formats 1 to {FORMAT}", "upgrade scarce"
        )
    for step in MIGRATIONS[version - 1 : FORMAT - 1]:
        new = step(new)
    new["format"] = FORMAT
    return new


MIGRATIONS: tuple[Callable[[Body], Body], ...] = ()
"""Entry k turns format k + 1 into format k + 2."""


def check_types(who: str, cls: type, body: Mapping[str, Any]) -> Body:
    """Return the values of a dataclass's fields with the types that its annotations ask for.

    Raises:
        ConfigError: a key is unknown (with the closest one) or a value does not fit.
    """
    hints, known = _hints(cls), {item.name: item for item in fields(cls)}
    values: Body = {}
    for key, value in body.items():
        name = key.replace("-", "_")
        if name not in known:
            raise ConfigError(who, f"unknown key {key!r}", closest(name, known))
        values[name] = registry.coerce(who, name, value, hints[name])
        _bounds(who, name, values[name], known[name].metadata)
    return values


def to_toml(body: Mapping[str, Any]) -> str:
    """Return nested plain values as TOML; None and empty tables are left out."""
    return "\n".join(_lines(body, ())) + "\n"


def value_to_toml(value: Any) -> str:
    """Return one value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(value_to_toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {value_to_toml(item)}" for name, item in value.items()) + " }"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _check_together(who: str, config: Config) -> None:
    """Refuse values that fit their own key but not the others, or no plugin."""
    ratios, wheel = config.split.ratios, config.flywheel
    if len(ratios) != 3 or abs(sum(ratios) - 1) > 1e-6:
        raise ConfigError(f"{who} [split]", f"ratios = {list(ratios)}", "three shares that sum to 1 are wanted")
    if abs(wheel.uncertainty + wheel.rarity + wheel.diversity - 1) > 1e-6:
        what = f"uncertainty = {wheel.uncertainty:g}, rarity = {wheel.rarity:g}, diversity = {wheel.diversity:g}"
        raise ConfigError(f"{who} [flywheel]", what, "three shares that sum to 1 are wanted", "give all three")
    known = registry.names("label.query") if wheel.strategy else ()
    if wheel.strategy and registry.canonical(wheel.strategy) not in known:
        what = f"strategy = {wheel.strategy!r} is not known"
        raise ConfigError(f"{who} [flywheel]", what, closest(registry.canonical(wheel.strategy), known))


def _nested(name: str, section: Any) -> bool:
    """Return whether a field is a section of its own, or the tables of plugins."""
    return name == "plugins" or is_dataclass(getattr(section, name))


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _key(name: str) -> str:
    return (
        name
        if re.fullmatch(r"[A-Za-z0-9_-]+", name)
        else json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
    )


def _lines(body: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"{_key(key)} = {value_to_toml(value)}" for key, value in body.items()
             if value is not None and not isinstance(value, Mapping)]  # fmt: skip
    for key, value in body.items():
        if isinstance(value, Mapping) and value:
            lines += ["", "[" + ".".join(_key(part) for part in (*path, key)) + "]", *_lines(value, (*path, key))]
    return lines


def _section(who: str, cls: type, body: Mapping[str, Any], *, name: str = "") -> Any:
    """Build one section with its inner sections and the tables of its plugins."""
    place = f"{who} [{name}]" if name else who
    hints = _hints(cls)
    inner: dict[str, type] = {key: hint for key, hint in hints.items() if is_dataclass(hint) and isinstance(hint, type)}
    values: Body = {}
    flat: Body = {}
    tables: Body = {}
    for key, value in body.items():
        at = key.replace("-", "_")
        if at in inner:
            if not isinstance(value, Mapping):
                raise ConfigError(place, f"{key} = {value!r}", "a section is wanted", f"write [{key}]")
            values[at] = _section(who, inner[at], value, name=f"{name}.{at}" if name else at)
        elif isinstance(value, Mapping) and "plugins" in hints:
            tables[_plugin(place, name, key)] = dict(value)
        elif not name:
            raise ConfigError(who, f"unknown section [{key}]", closest(at, inner))
        elif at == "plugins":
            raise ConfigError(place, f"unknown key {key!r}", closest(at, [item for item in hints if item != "plugins"]))
        else:
            flat[key] = value
    values |= check_types(place, cls, flat)
    return cls(**values, **({"plugins": tables} if tables else {}))


def _plugin(place: str, stage: str, key: str) -> str:
    name = registry.canonical(key)
    try:
        known = registry.names(stage)
    except ModuleNotFoundError:
        known = ()
    if name not in known:
        raise ConfigError(place, f"unknown section [{stage}.{key}]", closest(name, known))
    return name


def _bounds(who: str, name: str, value: Any, meta: Mapping[str, Any]) -> None:
    low, high, choices = meta.get("low"), meta.get("high"), meta.get("choices") or ()
    for number in value if isinstance(value, tuple) else (value,):
        if low is not None and not number >= low:
            raise ConfigError(who, f"{name} = {number!r} is too small", f"the least is {low:g}")
        if high is not None and not number <= high:
            raise ConfigError(who, f"{name} = {number!r} is too large", f"the greatest is {high:g}")
    if choices and value not in choices:
        raise ConfigError(who, f"{name} = {value!r} is not known", closest(str(value), choices))


def _render(name: str, section: Any) -> list[str]:
    lines = ["", f"# {(type(section).__doc__ or '').strip()}", f"[{name}]"]
    for item in fields(section):
        value = getattr(section, item.name)
        if "doc" in item.metadata:
            lines += [f"# {line}" for line in textwrap.wrap(item.metadata["doc"], WIDTH)]
            default = item.default if item.default is not MISSING else None
            lines.append(f"{'#' if value == default else ''}{item.name} = {value_to_toml(value)}")
    for item in fields(section):
        value = getattr(section, item.name)
        if item.name == "plugins":
            lines += _lines({key: body or {} for key, body in value.items()}, (name,))
        elif "doc" not in item.metadata:
            lines += _render(f"{name}.{item.name}", value)
    return lines
