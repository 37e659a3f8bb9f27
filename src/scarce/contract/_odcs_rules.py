"""What single rules of an ODCS document say, where scarce checks the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scarce.errors import ConfigError

CUSTOM: Final = {
    "min_completeness": "completeness", "max_label_error_rate": "accuracy", "max_duplicate_rate": "uniqueness",
    "min_agreement": "consistency", "class_minimum": "coverage", "min_per_class": "coverage",
    "max_set_aside": "completeness", "max_age_days": "timeliness", "columns": "conformity",
}  # fmt: skip
"""Rules of ours that the standard has no word for, with the dimension of quality that it files them under."""
DEFAULTS: Final = {"min_per_class": 0, "max_set_aside": 1.0, "max_age_days": 0.0, "columns": ()}
SLA: Final = {"frequency": "update_hours", "freshness": "max_staleness_hours"}
HOURS: Final = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0, "y": 8766.0}
UNITS: Final = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"), **dict.fromkeys(("min", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "h"), **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"), **dict.fromkeys(("y", "yr", "year", "years"), "y"),
}  # fmt: skip
MISSING: Final = ("missingValues", "nullValues", "nullCheck")
VALID: Final = ("invalidValues", "validValues")
Told = tuple[str, Any]


def about_values(rule: Mapping[str, Any]) -> Told | None:
    """Return what a quality rule of a property says, if scarce checks it."""
    metric, most = rule.get("metric") or rule.get("rule"), _at_most(rule)
    if metric in MISSING:
        if most == 0 or metric == "nullCheck":
            return "completeness", 1.0
        return ("completeness", round(1 - most / 100, 12)) if most is not None and _percent(rule) else None
    if metric in VALID:
        given = (rule.get("arguments") or {}).get("validValues", rule.get("validValues"))
        return ("allowed", [str(value) for value in given]) if isinstance(given, list) and most in (0, None) else None
    if metric in ("duplicateValues", "duplicateCount") and most == 0:
        return "unique", True
    return None


def about_table(rule: Mapping[str, Any]) -> Told | None:
    """Return what a quality rule of the whole table says, if scarce checks it."""
    made = rule.get("implementation")
    if rule.get("engine") == "scarce" and isinstance(made, Mapping):
        known = made.get("rule")
        if known not in CUSTOM or "limit" not in made:
            raise ConfigError("contract", f"a rule of engine scarce reads {dict(made)!r}", f"known are {list(CUSTOM)}")
        return str(known), made["limit"]
    if (rule.get("metric") or rule.get("rule")) == "rowCount":
        for word, more in (("mustBeGreaterOrEqualTo", 0), ("mustBeGreaterThan", 1)):
            if isinstance(rule.get(word), int):
                return "min_rows", rule[word] + more
    return None


def about_service(item: Mapping[str, Any]) -> Told | None:
    rule, value = SLA.get(str(item.get("property"))), item.get("value")
    unit = UNITS.get(str(item.get("unit", "")).lower())
    if rule is None or unit is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return rule, round(float(value) * HOURS[unit], 9)
    except ValueError:
        return None


def _at_most(rule: Mapping[str, Any]) -> float | None:
    for word in ("mustBe", "mustBeLessOrEqualTo"):
        value = rule.get(word)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _percent(rule: Mapping[str, Any]) -> bool:
    return str(rule.get("unit", "")).lower() in ("percent", "%")
