"""Plugins: one file each, found by file name, imported on demand.

A stage is a package of scarce (``scarce.audit``). Each of its public files holds one plugin: the class whose name is
the file name in camel case. Files that are not plugins are listed in the stage's ``MODULES``. Other packages join
through the entry-point group of the same name (``scarce.audit``).
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import pkgutil
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

from scarce.errors import ConfigError, DataError, closest, unknown_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plugin:
    """Base of every plugin: a frozen dataclass whose fields are its parameters.

    The same fields give the TOML keys, the command-line help, the lineage record and the repr.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """Columns that must be present, for example ``("pred_probs",)``."""
    extra: ClassVar[str | None] = None
    """The extra of scarce that this plugin needs."""

    @classmethod
    def plugin_name(cls) -> str:
        """Return the public name: the file's name, for example ``near_duplicate``."""
        return cls.__module__.rpartition(".")[2]

    def params(self) -> dict[str, Any]:
        """Return the parameters as plain values that JSON and TOML can hold."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Build the plugin from plain values, for example a TOML section.

        Raises:
            ConfigError: a key is unknown or a value has the wrong type.
        """
        hints = _hints(typing.cast("Any", cls))
        known = [field.name for field in dataclasses.fields(cls)]
        values: dict[str, Any] = {}
        for key, value in params.items():
            name = key.replace("-", "_")
            if name not in known:
                raise ConfigError(cls.plugin_name(), f"unknown setting {key!r}", closest(name, known))
            values[name] = coerce(cls.plugin_name(), name, value, hints[name])
        return cls(**values)

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring: what the command line and the report show."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


AnyPlugin = TypeVar("AnyPlugin", bound=Plugin)


def camel(name: str) -> str:
    """Return the class name for a plugin name: ``near_duplicate`` gives ``NearDuplicate``."""
    return "".join(part.capitalize() for part in name.split("_"))


def canonical(name: str) -> str:
    """Return a plugin name as its file is called: ``near-duplicate`` gives ``near_duplicate``."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


@cache
def _files(stage: str) -> tuple[str, ...]:
    package = importlib.import_module(f"scarce.{stage}")
    others = set(getattr(package, "MODULES", ()))
    found = [item.name for item in pkgutil.iter_modules(package.__path__)]
    return tuple(sorted(name for name in found if not name.startswith("_") and name not in others))


@cache
def _entry_points(stage: str) -> dict[str, importlib.metadata.EntryPoint]:
    group = f"scarce.{stage.replace('/', '.')}"
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=group):
        name = canonical(point.name)
        if name in found or name in _files(stage):
            raise DataError("registry", f"two plugins of {stage} are called {name!r}", do="uninstall or rename one")
        found[name] = point
    return found


def names(stage: str) -> tuple[str, ...]:
    """Return the sorted names of a stage's plugins, without importing them."""
    return tuple(sorted({*_files(stage), *_entry_points(stage)}))


def load(stage: str, name: str, base: type[AnyPlugin]) -> type[AnyPlugin]:
    """Import one plugin class.

    Args:
        stage: the package below ``scarce``, for example ``"audit"``.
        name: the public name, with underscores or hyphens.
        base: the stage's base class; the plugin must be a subclass.

    Raises:
        UnknownNameError: no such plugin; the message names the closest ones.
    """
    key = canonical(name)
    if key in _files(stage):
        module = importlib.import_module(f"scarce.{stage}.{key}")
        plugin = getattr(module, camel(key), None)
    elif key in _entry_points(stage):
        plugin = _entry_points(stage)[key].load()
    else:
        raise unknown_name(f"scarce.{stage}", f"{stage} plugin", name, names(stage))
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        raise DataError("registry", f"scarce.{stage}.{key} holds no class {camel(key)} under {base.__name__}")
    return plugin


def part(package: str, name: str) -> types.ModuleType:
    """Import a plugin's module, or another public one, as an attribute of its stage: what ``__getattr__`` asks for.

    Args:
        package: the stage's full name, ``scarce.label.query``.
        name: the module's.

    Raises:
        AttributeError: the stage has no such part.
    """
    known = (*getattr(importlib.import_module(package), "MODULES", ()), *names(package.removeprefix("scarce.")))
    if name.startswith("_") or name not in known:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return importlib.import_module(f"{package}.{name}")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def _choices(hint: Any) -> list[str]:
    """Return the words that a literal type, or one of a union's, takes."""
    if typing.get_origin(hint) is typing.Literal:
        return [item for item in typing.get_args(hint) if isinstance(item, str)]
    return [item for part in typing.get_args(hint) for item in _choices(part)]


def coerce(who: str, name: str, value: Any, hint: Any) -> Any:
    """Return a plain value as the type that a field's annotation asks for.

    Raises:
        ConfigError: the value does not fit.
    """
    origin = typing.get_origin(hint)
    if origin is None:
        fits, found = _plain_value(value, hint)
    else:
        fits, found = _composed(who, name, value, hint)
    if fits:
        return found
    choices = _choices(hint)
    if len(choices) > 1 and isinstance(value, str):
        do = f"take one of {', '.join(choices)}"
        raise ConfigError(who, f"{name} = {value!r} is unknown", closest(value, choices), do)
    wanted = (getattr(hint, "__name__", str(hint)) if origin is None else str(hint)).replace("typing.", "")
    raise ConfigError(who, f"{name} = {value!r} has the wrong type or value", f"it takes {wanted}")


def refuse_types(who: str, plugin: Plugin) -> None:
    """Refuse values of a plugin's fields whose type is another than the annotation says; NumPy's scalars count as ours.

    Raises:
        ConfigError: a value does not fit.
    """
    hints = _hints(typing.cast("Any", type(plugin)))
    for field in dataclasses.fields(plugin):
        coerce(who, field.name, _without_numpy(getattr(plugin, field.name)), hints[field.name])


def _without_numpy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_numpy(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_without_numpy(item) for item in value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _plain_value(value: Any, hint: Any) -> tuple[bool, Any]:
    """Return whether a value fits a plain type, and the value as that type."""
    if hint is Any:
        return True, value
    if hint in (int, float):
        number = isinstance(value, int | float if hint is float else int) and not isinstance(value, bool)
        return number, hint(value) if number else value
    return isinstance(hint, type) and isinstance(value, hint), value


def _composed(who: str, name: str, value: Any, hint: Any) -> tuple[bool, Any]:
    """Return whether a value fits a union, literal, tuple or mapping, and the value as that type."""
    origin, kinds = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value in kinds, value
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return type(None) in kinds, None
        for option in kinds:
            try:
                return True, coerce(who, name, value, option)
            except ConfigError:
                continue
    elif origin is tuple and isinstance(value, tuple | list):
        kinds = (kinds[0],) * len(value) if len(kinds) == 2 and kinds[1] is Ellipsis else kinds
        if len(kinds) == len(value):
            return True, tuple(coerce(who, name, item, kind) for item, kind in zip(value, kinds, strict=True))
    elif origin in (dict, Mapping) and isinstance(value, Mapping):
        return True, {str(key): coerce(who, f"{name}.{key}", item, kinds[1]) for key, item in value.items()}
    return False, value
