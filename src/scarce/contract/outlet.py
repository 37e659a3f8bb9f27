"""What a gate tells other programs: JUnit XML, and annotations for GitHub Actions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from scarce.contract._limit import Outcome

FAILING: Final = {"warning": ("error", "warning"), "error": ("error",), "never": ()}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(outcomes: Sequence[Outcome], *, fail_on: str = "error", name: str = "contract", at: str = "") -> str:
    """Return the outcomes as JUnit XML: one test case a rule.

    What fails the gate is a failure, what cannot be told is skipped, any other warning is written to system-out.

    Args:
        outcomes: from :func:`scarce.contract.judge`.
        fail_on: ``warning``, ``error`` or ``never``.
        name: of the suite.
        at: ISO time of the check.
    """
    failing = [item.level in FAILING[fail_on] for item in outcomes]
    skipped = [not bad and item.outcome == "unknown" for bad, item in zip(failing, outcomes, strict=True)]
    counts = {"tests": len(outcomes), "failures": sum(failing), "errors": 0, "skipped": sum(skipped), "time": 0}
    attributes = {key: str(value) for key, value in counts.items()}
    root = ET.Element("testsuites", attributes)
    suite = ET.SubElement(root, "testsuite", {"name": _clean(name), **attributes})
    if at:
        suite.set("timestamp", at)
    for item, bad, left in zip(outcomes, failing, skipped, strict=True):
        case = ET.SubElement(
            suite, "testcase", {"classname": "scarce.contract", "name": _clean(item.rule), "time": "0"}
        )
        if bad:
            told = ET.SubElement(case, "failure", {"message": _clean(item.what), "type": item.level})
            told.text = _clean(_long(item))
        elif left:
            ET.SubElement(case, "skipped", {"message": _clean(item.what)})
        elif item.outcome != "holds":
            ET.SubElement(case, "system-out").text = _clean(f"{item.level}: {_long(item)}")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def github(outcomes: Sequence[Outcome], *, file: str = "", text: str = "") -> list[str]:
    """Return workflow commands of GitHub Actions, one for each rule that does not hold.

    Args:
        outcomes: from :func:`scarce.contract.judge`.
        file: of the contract, relative to the repository.
        text: of that file, to find the line that a rule stands on.
    """
    lines = []
    for item in outcomes:
        if item.outcome == "holds":
            continue
        command = {"error": "error", "warning": "warning"}.get(item.level, "notice")
        where = {"file": file, "line": _line(text, item.rule) if file else "", "title": f"contract: {item.rule}"}
        given = ",".join(f"{key}={_property(value)}" for key, value in where.items() if value)
        lines.append(f"::{command} {given}::{_message(_long(item))}")
    return lines


def _long(item: Outcome) -> str:
    parts = [item.what, f"for example {', '.join(item.examples)}" if item.examples else "", item.do]
    return ". ".join(part.rstrip(".") for part in parts if part)


def _line(text: str, rule: str) -> str:
    pattern = re.compile(rf"^\s*(?:\[\s*)?{re.escape(rule)}\s*(?:=|\]|\.)")
    return next((str(number) for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), "")


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
