"""A contract as a document of the Open Data Contract Standard (ODCS) 3, and back; what others wrote is kept.

What the standard can say is said in its words (``required``, ``unique``, ``rowCount``, ``missingValues``,
``invalidValues``, ``frequency``, ``freshness``); the rest are quality rules of ``type: custom``, ``engine: scarce``,
which other tools show and leave alone. Read: 3.0, 3.1, 3.2. Written: 3.1.0, or the version that was read. Comments are
lost, keys and their order are not.

Source: Open Data Contract Standard v3.1.0, Bitol, LF AI & Data.
"""

from __future__ import annotations

import copy
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scarce import columns
from scarce.contract._beside import FEATURE
from scarce.contract._odcs_rules import CUSTOM, DEFAULTS, SLA, Told, about_service, about_table, about_values
from scarce.contract._schema import TYPES, type_of
from scarce.contract._terms import LIMITS, SCHEMA_RULES, Contract, text_of
from scarce.contract._yaml import read_yaml, write_yaml
from scarce.errors import ConfigError
from scarce.registry import coerce

API: Final = "v3.1.0"
TABLE: Final = "samples"
KNOWN: Final = frozenset(
    "version kind apiVersion id name tenant tags status servers dataProduct description domain context schema "
    "support price team roles slaDefaultElement slaProperties authoritativeDefinitions customProperties "
    "contractCreatedTs".split()
)
OPTIONAL, UNTYPED, WARN, ON_VIOLATION = "scarceOptional", "scarceUntyped", "scarceWarn", "scarceOnViolation"
Body = dict[str, Any]


@dataclass(frozen=True)
class Imported:
    """A document that was read: what scarce checks, the document itself, and what scarce does not check."""

    contract: Contract
    document: Mapping[str, Any]
    notes: tuple[str, ...]


def load(path: str | Path) -> Imported:
    """Read an ODCS file; see :func:`loads`."""
    return loads(text_of(path))


def loads(text: str) -> Imported:
    """Read an ODCS document from YAML (or JSON).

    Raises:
        ConfigError: it is no YAML, no data contract of version 3, or a value in it is wrong or contradicts another.
        MissingExtraError: PyYAML is not installed.
    """
    body = read_yaml(text)
    _expect_version(body)
    notes = [f"{key}: no key of the standard; kept" for key in body if key not in KNOWN]
    values: Body = {"required": [], "min_rows": 0}
    warn: set[str] = set()
    table = _table(body, notes)
    for item in _rules(table, "schema"):
        _take(values, about_table(item), item, notes, warn)
    for prop in _dicts(table.get("properties"), "schema.properties"):
        _take_property(values, prop, notes)
    for item in _dicts(body.get("slaProperties"), "slaProperties"):
        told = about_service(item)
        _take(values, told, item, notes, set())
    own = {item.get("property"): item.get("value") for item in _dicts(body.get("customProperties"), "customProperties")}
    warn |= {str(rule) for rule in own.get(WARN) or ()}
    values["warn"] = [rule for rule in (*SCHEMA_RULES, *LIMITS) if rule in warn]
    if own.get(ON_VIOLATION) is not None:
        values["on_violation"] = own[ON_VIOLATION]
    return Imported(_built(values), body, tuple(notes))


def dumps(contract: Contract, *, base: Mapping[str, Any] | None = None, name: str = "data") -> str:
    """Return a contract as an ODCS document in YAML.

    Args:
        contract: what is promised.
        base: a document that was read before; everything in it that is not ours is kept as it is.
        name: of the contract, where the base has none.

    Raises:
        MissingExtraError: PyYAML is not installed.
    """
    body: Body = copy.deepcopy(dict(base or {}))
    head = {"apiVersion": API, "kind": "DataContract", "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"scarce:{name}")),
            "name": name, "version": "1.0.0", "status": "active"}  # fmt: skip
    body = {**{key: value for key, value in head.items() if key not in body}, **body}
    tables = body.setdefault("schema", [])
    table = _chosen(tables)
    if table is None:
        table = {"name": TABLE, "logicalType": "object", "physicalType": "table"}
        tables.append(table)
    _put_properties(table, contract)
    _put_rules(table, _object_rules(contract), about_table)
    _put_service(body, contract, str(table.get("name", TABLE)))
    _put_custom(body, contract)
    return write_yaml(body)


def _expect_version(body: Mapping[str, Any]) -> None:
    if body.get("kind") != "DataContract":
        raise ConfigError("contract", f"kind = {body.get('kind')!r}", "an ODCS document has kind: DataContract")
    version = str(body.get("apiVersion", ""))
    if not re.fullmatch(r"v?3\.\d+\.\d+", version):
        raise ConfigError(
            "contract", f"apiVersion = {version!r} is not read", "versions 3.0 to 3.2 are", "convert the document"
        )


def _table(body: Mapping[str, Any], notes: list[str]) -> Body:
    tables = _dicts(body.get("schema"), "schema")
    found = _chosen(tables)
    if tables and found is None:
        names = ", ".join(str(item.get("name")) for item in tables)
        raise ConfigError("contract", f"schema describes {len(tables)} objects", f"they are {names}",
                          f"name the one that holds the samples {TABLE!r}")  # fmt: skip
    notes += [f"schema.{item.get('name')}: another object; kept" for item in tables if item is not found]
    return found or {}


def _chosen(tables: Sequence[Body]) -> Body | None:
    named = next((item for item in tables if item.get("name") == TABLE), None)
    return named or (tables[0] if len(tables) == 1 else None)


def _dicts(value: Any, place: str) -> list[Body]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError("contract", f"{place} is no list of mappings", f"it is {value!r}"[:120])
    return value


def _rules(item: Mapping[str, Any], place: str) -> list[Body]:
    return _dicts(item.get("quality"), f"{place}.quality")


def _take(values: Body, told: Told | None, item: Mapping[str, Any], notes: list[str], warn: set[str]) -> None:
    if told is None:
        words = item.get("name") or item.get("property") or item.get("metric") or item.get("rule") or item.get("type")
        notes.append(f"{words}: not checked by scarce; kept")
        return
    values[told[0]] = told[1]
    if str(item.get("severity", "")).lower() in ("warning", "info"):
        warn.add(told[0])


def _take_property(values: Body, prop: Mapping[str, Any], notes: list[str]) -> None:
    name = prop.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError("contract", f"a property has the name {name!r}", do="give every property a name")
    if not any(item.get("property") == OPTIONAL for item in _dicts(prop.get("customProperties"), name)):
        values["required"].append(name)
    for kind, value in _about_property(prop):
        if kind == "unique":
            values.setdefault("unique", []).append(name)
        elif kind == "classes" or (kind == "allowed" and name == "label"):
            values["classes"] = value
        else:
            values.setdefault(kind, {})[name] = value
    notes += [
        f"{name}.{item.get('name') or item.get('metric') or item.get('rule') or item.get('type')}: not checked by "
        "scarce; kept" for item in _rules(prop, name) if about_values(item) is None
    ]  # fmt: skip


def _about_property(prop: Mapping[str, Any]) -> Iterator[Told]:
    """Yield what a property promises about its column."""
    kind, own = prop.get("logicalType"), _dicts(prop.get("customProperties"), "customProperties")
    if kind in TYPES and _typed(str(prop.get("name"))) and not any(item.get("property") == UNTYPED for item in own):
        yield "types", kind
    if prop.get("required") is True:
        yield "completeness", 1.0
    if prop.get("unique") is True or prop.get("primaryKey") is True:
        yield "unique", True
    listed = [item.get("value") for item in _dicts(prop.get("enum"), "enum")]
    if listed:
        yield "allowed", [str(value) for value in listed]
    options = prop.get("logicalTypeOptions") or {}
    if isinstance(options, Mapping) and not {"minimum", "maximum"}.isdisjoint(options):
        yield "ranges", [options.get("minimum", -math.inf), options.get("maximum", math.inf)]
    yield from (told for item in _rules(prop, str(prop.get("name"))) if (told := about_values(item)) is not None)


def _built(values: Body) -> Contract:
    import typing

    hints = typing.get_type_hints(Contract)
    return Contract(**{name: coerce("contract", name, value, hints[name]) for name, value in values.items()})


def _object_rules(contract: Contract) -> dict[str, Body]:
    """Return rule to the quality rule that says it."""
    out: dict[str, Body] = {}
    if contract.min_rows:
        out["min_rows"] = {"name": "min_rows", "type": "library", "metric": "rowCount", "dimension": "coverage",
                           "mustBeGreaterOrEqualTo": contract.min_rows, "unit": "rows"}  # fmt: skip
    for rule, dimension in CUSTOM.items():
        limit = getattr(contract, rule)
        if limit not in (None, {}, DEFAULTS.get(rule)):
            limit = dict(limit) if isinstance(limit, Mapping) else list(limit) if isinstance(limit, tuple) else limit
            out[rule] = {"name": rule, "type": "custom", "dimension": dimension, "engine": "scarce",
                         "implementation": {"rule": rule, "limit": limit}}  # fmt: skip
    for rule, item in out.items():
        item["severity"] = "warning" if rule in contract.warn else "error"
    return out


def _put_rules(item: Body, wanted: Mapping[str, Body], about: Any) -> None:
    """Keep rules that are not ours, and ours that still say the same; replace the others, add what is new."""
    left, kept = dict(wanted), []
    for rule in _rules(item, str(item.get("name"))):
        told = about(rule)
        same = told is not None and told[0] in left and about(left[told[0]]) == told
        if same and str(rule.get("severity", "error")) == str(left[told[0]].get("severity", "error")):
            left.pop(told[0])
            kept.append(rule)
        elif told is None:
            kept.append(rule)
        elif told[0] in left:
            kept.append({**rule, **left.pop(told[0])} if "implementation" in rule else left.pop(told[0]))
    kept += left.values()
    if kept or "quality" in item:
        item["quality"] = kept
    if not item.get("quality"):
        item.pop("quality", None)


def _put_properties(table: Body, contract: Contract) -> None:
    listed = _dicts(table.setdefault("properties", []), "properties")
    known = {item.get("name") for item in listed}
    named = [
        *contract.required,
        *contract.types,
        *contract.completeness,
        *contract.allowed,
        *contract.ranges,
        *contract.unique,
    ]
    named += ["label"] if contract.classes else []
    listed += [
        {"name": name, **({"physicalName": name.removeprefix(FEATURE)} if name.startswith(FEATURE) else {}),
         "logicalType": _type_of(name)} for name in dict.fromkeys(named) if name not in known
    ]  # fmt: skip
    for prop in listed:
        _put_property(prop, contract)


def _put_property(prop: Body, contract: Contract) -> None:
    name = str(prop.get("name"))
    own = [item for item in prop.get("customProperties", ()) if item.get("property") not in (OPTIONAL, UNTYPED)]
    own += [] if name in contract.required else [{"property": OPTIONAL, "value": True}]
    if _typed(name):
        known = prop.get("logicalType") or "string"
        prop["logicalType"] = contract.types.get(name) or ("number" if name in contract.ranges else known)
        own += [] if name in contract.types else [{"property": UNTYPED, "value": True}]
    _set(prop, "customProperties", own or None)
    share, values = contract.completeness.get(name), contract.allowed.get(name)
    if name == "label" and contract.classes:
        values = contract.classes
    before = dict(_about_property(prop))
    if before.get("completeness") != share:
        _set(prop, "required", True if share == 1.0 else None)
    if bool(before.get("unique")) != (name in contract.unique):
        _set(prop, "unique", True if name in contract.unique else None)
        _set(prop, "primaryKey", None)
    if before.get("allowed") != (list(values) if values else None):
        _set(prop, "enum", None)
    _put_range(prop, contract.ranges.get(name))
    rules: dict[str, Body] = {}
    if share is not None and (share < 1.0 or prop.get("required") is not True):
        rules["completeness"] = {"name": "completeness", "type": "library", "metric": "missingValues",
                                 "dimension": "completeness", "unit": "percent",
                                 "mustBeLessOrEqualTo": round(100 * (1 - share), 10)}  # fmt: skip
    if values and not prop.get("enum"):
        rules["allowed"] = {"name": "classes" if name == "label" else "allowed", "type": "library",
                            "metric": "invalidValues", "dimension": "conformity",
                            "arguments": {"validValues": list(values)}, "mustBe": 0}  # fmt: skip
    if name in contract.unique and not (prop.get("unique") or prop.get("primaryKey")):
        rules["unique"] = {"type": "library", "metric": "duplicateValues", "mustBe": 0}
    _put_rules(prop, rules, about_values)


def _put_range(prop: Body, limits: tuple[float, float] | None) -> None:
    options = {key: value for key, value in (prop.get("logicalTypeOptions") or {}).items()
               if key not in ("minimum", "maximum")}  # fmt: skip
    if limits is not None:
        options |= {key: value for key, value in zip(("minimum", "maximum"), limits, strict=True)
                    if math.isfinite(value)}  # fmt: skip
    _set(prop, "logicalTypeOptions", options or None)


def _put_service(body: Body, contract: Contract, table: str) -> None:
    kept = []
    left = {rule: getattr(contract, rule) for rule in SLA.values() if getattr(contract, rule) is not None}
    for item in _dicts(body.get("slaProperties"), "slaProperties"):
        told = about_service(item)
        if told is None:
            kept.append(item)
        elif told[0] in left:
            hours = left.pop(told[0])
            kept.append(item if told[1] == hours else {**item, "value": hours, "unit": "h"})
    words = {rule: word for word, rule in SLA.items()}
    kept += [{"property": words[rule], "value": hours, "unit": "h", "element": f"{table}.captured_at"}
             for rule, hours in left.items()]  # fmt: skip
    _set(body, "slaProperties", kept or None)


def _put_custom(body: Body, contract: Contract) -> None:
    own = [item for item in _dicts(body.get("customProperties"), "customProperties")
           if item.get("property") not in (WARN, ON_VIOLATION)]  # fmt: skip
    rest = [rule for rule in contract.warn if rule not in _object_rules(contract)]
    own += [{"property": WARN, "value": rest}] if rest else []
    own += [{"property": ON_VIOLATION, "value": "warn"}] if contract.on_violation == "warn" else []
    _set(body, "customProperties", own or None)


def _set(item: Body, key: str, value: Any) -> None:
    if value is None:
        item.pop(key, None)
    else:
        item[key] = value


def _typed(name: str) -> bool:
    """Return whether a column may have any type: one of the user's own."""
    return name.startswith("meta.") or name not in {column.name for column in columns.NARROW}


def _type_of(name: str) -> str:
    """Return the logical type of a column of ours; text for a column of the user's, until somebody knows better."""
    return "string" if _typed(name) else type_of(columns.describe(name).type)
