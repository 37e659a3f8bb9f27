"""Policies as TOML: one ``[[operation]]`` table each, groups with ``op = "one_of"``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from scarce.augment._base import AbstractOperation
from scarce.augment._group import OneOf
from scarce.errors import ConfigError, unknown_name
from scarce.registry import load

WHO = "augment.policy"
KEYS = frozenset({"name", "why", "operation", "normalize", "to_tensor"})


def read_toml(text: str) -> dict[str, Any]:
    """Return the fields of a policy.

    Raises:
        ConfigError: the text is no TOML, or an operation or a setting is unknown.
    """
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(WHO, f"the policy is no valid TOML ({error})") from error
    if set(body) - KEYS:
        raise unknown_name(WHO, "key", min(set(body) - KEYS), KEYS)
    tables = body.get("operation", [])
    if not isinstance(tables, list):
        raise _no_table(tables)
    operations = tuple(build_entry(table) for table in tables)
    found: dict[str, Any] = {
        "operations": operations,
        "name": str(body.get("name", "own")),
        "why": str(body.get("why", "")),
    }
    if "normalize" in body:
        found["normalize"] = _moments(body["normalize"])
    return found | {"to_tensor": bool(body.get("to_tensor", False))}


def build_entry(table: Any) -> AbstractOperation | OneOf:
    """Return an operation or a group from plain values; ``p`` is short for ``probability``.

    Raises:
        UnknownNameError: no such operation.
        ConfigError: a setting is unknown or wrong.
    """
    if not isinstance(table, Mapping) or "op" not in table:
        raise _no_table(table)
    settings = {("probability" if key == "p" else key): value for key, value in table.items() if key != "op"}
    if str(table["op"]).replace("-", "_") != "one_of":
        return load("augment", str(table["op"]), AbstractOperation).from_params(settings)
    known = ("choices", "weights", "probability")
    if set(settings) - set(known):
        raise unknown_name("augment.one_of", "setting", min(set(settings) - set(known)), known)
    choices = settings.get("choices", [])
    rows = [choice if isinstance(choice, list) else [choice] for choice in choices]
    built = tuple(tuple(_operation(one) for one in row) for row in rows)
    weights = tuple(float(weight) for weight in settings.get("weights", ()))
    return OneOf(built, weights, float(settings.get("probability", 1.0)))


def _operation(table: Any) -> AbstractOperation:
    found = build_entry(table)
    if isinstance(found, OneOf):
        raise ConfigError(
            "augment.one_of", "a choice holds another one_of", do="write its choices into the outer group"
        )
    return found


def _moments(value: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    fits = isinstance(value, list) and len(value) == 2 and all(isinstance(part, list) for part in value)
    if not fits or len(value[0]) != len(value[1]) or len(value[0]) not in (1, 3) or min(value[1]) <= 0:
        do = "write normalize = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], or one number each"
        raise ConfigError(WHO, f"normalize = {value!r} is no mean and deviation", do=do)
    return tuple(map(float, value[0])), tuple(map(float, value[1]))


def _no_table(found: Any) -> ConfigError:
    return ConfigError(WHO, f"{found!r} is no operation", "a policy needs [[operation]] tables, each with a key op",
                       'write [[operation]] and op = "flip"')  # fmt: skip


def write_toml(body: Mapping[str, Any], why: str) -> str:
    """Return the plain values of a policy as TOML."""
    lines = [f"name = {_value(body['name'])}", f"why = {_value(why)}"]
    lines += [f"{key} = {_value(body[key])}" for key in ("normalize", "to_tensor") if key in body]
    for table in body["operations"]:
        lines += ["", "[[operation]]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list) and value and isinstance(value[0], list) and value[0] and isinstance(value[0][0], dict):
        return "[\n" + "".join(f"  {_value(item)},\n" for item in value) + "]"
    return "[" + ", ".join(_value(item) for item in value) + "]" if isinstance(value, list) else repr(value)
