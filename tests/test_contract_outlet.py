"""What a gate tells other programs: JUnit XML that a reader reads, and annotations that nothing breaks out of."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scarce.contract import Outcome
from scarce.contract.outlet import github, junit

EVIL = 'a <b> & "c" ]]> \x1b[31m\x00 %0A::error::x\r\n::warning file=x::y \ud800 ünï'
OUTCOMES = [
    Outcome(rule="max_duplicate_rate", outcome="broken", level="error", what="too many", examples=("a,b:c.png",)),
    Outcome(rule="class_minimum", outcome="broken", level="warning", what=EVIL),
    Outcome(rule="min_completeness", outcome="unknown", level="warning", what="cannot be told", needed=12),
    Outcome(rule="update_hours", outcome="unknown", level="note", what="no time"),
    Outcome(rule="classes", outcome="holds", what="as promised"),
]


@pytest.mark.parametrize(("fail_on", "failures", "skipped"), [("error", 1, 2), ("warning", 3, 1), ("never", 0, 2)])
def test_a_junit_reader_reads_it(fail_on: str, failures: int, skipped: int, tmp_path: Path) -> None:
    parser = pytest.importorskip("junitparser", reason="the oracle junitparser is not installed")
    path = tmp_path / "contract.xml"
    path.write_text(junit(OUTCOMES, fail_on=fail_on, name=EVIL, at="2026-03-01T12:00:00+00:00"), encoding="utf-8")
    found = parser.JUnitXml.fromfile(str(path))
    assert (found.tests, found.failures, found.skipped, found.errors) == (5, failures, skipped, 0)
    cases = [case for suite in found for case in suite]
    assert [case.name for case in cases] == [item.rule for item in OUTCOMES]
    kinds = [{type(result).__name__ for result in case.result} for case in cases]
    assert sum("Failure" in kind for kind in kinds) == failures
    assert sum("Skipped" in kind for kind in kinds) == skipped
    if failures:
        assert cases[0].result[0].message == "too many"
        assert cases[0].result[0].type == "error"


def test_text_from_files_stays_text() -> None:
    root = ET.fromstring(junit(OUTCOMES, fail_on="warning"))
    message = root.find(".//testcase[@name='class_minimum']/failure").get("message")
    assert message.startswith('a <b> & "c" ]]> \ufffd[31m\ufffd %0A')


def test_annotations_are_one_line_each_and_escaped() -> None:
    text = "format = 1\nmax_duplicate_rate = 0.01\n\n[class_minimum]\ngood = 5\n"
    lines = github(OUTCOMES, file="a b,c:d.toml", text=text)
    assert len(lines) == 4
    command = re.compile(r"^::(error|warning|notice) ([^:\r\n]*)::([^\r\n]*)$")
    parts = [command.match(line) for line in lines]
    assert [part and part[1] for part in parts] == ["error", "warning", "warning", "notice"]
    properties = dict(item.split("=") for item in parts[0][2].split(","))
    assert properties == {"file": "a b%2Cc%3Ad.toml", "line": "2", "title": "contract%3A max_duplicate_rate"}
    assert "line=4" in parts[1][2]
    assert parts[0][3] == "too many. for example a,b:c.png"
    back = parts[1][3].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert back.startswith(EVIL[:30])


def test_nothing_is_said_of_what_holds() -> None:
    assert github(OUTCOMES[-1:]) == []
    assert "failure" not in junit(OUTCOMES[-1:]).replace("failures", "")
