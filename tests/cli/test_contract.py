"""``scarce contract`` on projects and on data that is none; ``scarce audit`` and ``status`` show the quality."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce.cli import main

Call = Callable[..., Any]
SLIM = 'classes = ["Bag", "Coat", "Trouser"]\nmin_rows = 10\nmax_duplicate_rate = 0.5\nmin_completeness = 0.5\n'


def test_data_that_is_no_project(
    photos: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in photos.rglob("*"))
    assert main(["contract", "check", str(photos)]) == 2
    assert "scarce contract init" in capsys.readouterr().err
    made = call("contract", "init", photos)
    assert Path(made["path"]) == Path("contract.toml")
    assert made["contract"]["max_label_error_rate"] == 0.05
    (tmp_path / "contract.toml").write_text(SLIM, encoding="utf-8")
    body = call("contract", "check", photos, "--junit", "out/contract.xml")
    assert (body["fine"], body["errors"], body["violations"]) == (True, 0, [])
    rules = {item["rule"]: item for item in body["rules"]}
    assert rules["max_duplicate_rate"]["n"] == 72
    assert rules["min_completeness"]["value"] == pytest.approx(72 / 73)
    assert "<testsuites" in (tmp_path / "out" / "contract.xml").read_text(encoding="utf-8")
    assert sorted(path.name for path in photos.rglob("*")) == before  # nothing is written beside the photos
    strict = tmp_path / "strict.toml"
    strict.write_text("min_rows = 5000\nmin_completeness = 0.99\n", encoding="utf-8")
    broken = call("contract", "check", photos, "--contract", strict, "--as-is", code=1)
    assert broken["violations"][0]["rule"] == "min_rows"
    assert [item["rule"] for item in broken["rules"] if item["outcome"] == "unknown"] == ["min_completeness"]
    call("contract", "check", photos, "--contract", strict, "--as-is", "--fail-on", "never")
    assert main(["contract", "check", str(photos), "--version", "v1"]) == 2
    assert main(["contract", "check", str(photos), "--contract", "gone.toml"]) == 2
    assert main(["contract", "check", str(tmp_path / "gone"), "--contract", str(strict)]) == 2


def test_ranges_on_measurements_of_pictures_are_checked(photos: Path, tmp_path: Path, call: Call) -> None:
    promised = tmp_path / "c.toml"

    def told(ranges: str, code: int = 0) -> list[tuple[str, str, str]]:
        promised.write_text(f"min_rows = 1\n[ranges]\n{ranges}\n", encoding="utf-8")
        body = call("contract", "check", photos, "--contract", promised, code=code)
        return [(row["outcome"], row["what"], row["do"]) for row in body["rules"] if row["rule"] == "ranges"]

    assert told('"scan.mean" = [0, 255]\n"scan.width" = [28, 28]') == [("holds", "as promised", "")]
    ((outcome, what, _),) = told('"scan.mean" = [100, 101]', 1)
    assert (outcome, what.startswith("scan.mean is ")) == ("broken", True)
    assert told('"scan.maen" = [0, 255]\nprice = [0, 1]')[0][:2] == (
        "unknown", "scan.maen, price: there is no such column"
    )  # fmt: skip
    assert "'scan.mean'" in told('"scan.maen" = [0, 255]')[0][2]
    assert told('"scan.thumbnail" = [0, 255]')[0][0] == "unknown"  # no single number a sample


@pytest.mark.parametrize("rule", ["[allowed]\nplant = ['a', 'b']", "[ranges]\nprice = [0, 1]", "unique = ['part']"])
def test_what_is_promised_of_a_column_that_is_nowhere_does_not_hold(
    project: Path, tmp_path: Path, call: Call, rule: str
) -> None:
    promised = tmp_path / "c.toml"
    promised.write_text(f"min_rows = 1\n{rule}\n", encoding="utf-8")
    body = call("contract", "check", project, "--contract", promised, "--as-is", "--fail-on", "warning", code=1)
    ((outcome, level),) = [
        (row["outcome"], row["level"]) for row in body["rules"] if row["rule"] in {"allowed", "ranges", "unique"}
    ]
    assert (outcome, level) == ("unknown", "warning")


def test_annotations_are_printed_inside_github_actions(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "contract.toml").write_text("format = 1\nmin_rows = 5000\n", encoding="utf-8")
    monkeypatch.chdir(project)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["contract", "check", "--as-is"]) == 1
    out = capsys.readouterr().out
    assert "::error file=contract.toml,line=2,title=contract%3A min_rows::72 kept rows, 5000 promised" in out
    assert main(["contract", "check", "--as-is", "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["errors"] == 1  # one object on stdout, annotations beside it
    assert "::error " in shown.err
    assert main(["contract", "check", "--as-is", "--no-github"]) == 1
    assert "::error" not in capsys.readouterr().out


def test_export_and_import_keep_what_others_wrote(project: Path, tmp_path: Path, call: Call) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed: pip install 'scarce[contract]'")
    call("contract", "init", project)
    written = Path(call("contract", "export", project, "--output", tmp_path / "photos.odcs.yaml")["path"])
    text = written.read_text(encoding="utf-8")
    assert "apiVersion: v3.1.0" in text
    written.write_text(text.replace("status: active", "status: active\nteam: [{username: kim}]"), encoding="utf-8")
    before = (project / "contract.toml").read_text(encoding="utf-8")
    assert main(["contract", "import", str(written), "--project", str(project)]) == 2  # never without --force
    found = call("contract", "import", written, "--project", project, "--force")
    assert found["notes"] == []
    assert (project / "contract.toml").read_text(encoding="utf-8") == before
    again = Path(call("contract", "export", project)["path"])
    assert again == project / "contract.odcs.yaml"
    assert "username: kim" in again.read_text(encoding="utf-8")
    body = call("contract", "check", project, "--contract", written, "--as-is")
    assert body["contract"] == str(written)


@pytest.mark.parametrize(
    "wrong",
    [
        ("bad.yaml", "a: [1", "this is not YAML"), ("bad.toml", "min_completeness = nan", "min_completeness = nan"),
        ("bad.toml", "min_complete = 1", "did you mean"), ("bad.yaml", "kind: x", "kind: DataContract"),
    ],
)  # fmt: skip
def test_a_broken_contract_is_misuse_in_words(
    wrong: tuple[str, str, str], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, text, message = wrong
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["contract", "check", str(photos), "--contract", str(tmp_path / name)]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_audit_and_status_tell_the_quality(project: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    before = call("status", project)["quality"]
    assert before["label_quality"]["value"] is None
    assert before["completeness"]["value"] == pytest.approx(72 / 73)
    told = call("audit", project)["quality"]
    assert told == call("status", project)["quality"]
    assert all(told[part]["value"] is not None for part in ("uniqueness", "label_quality", "consistency"))
    assert set(told["classes"]) == {"Bag", "Coat", "Trouser"}
    assert told["classes"]["Bag"]["balance"]["value"] == 0.5
    assert main(["status", str(project)]) == 0
    assert "label quality" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "format = 1\n", 'format = 1\non_violation = "warn"\n'])
def test_a_contract_that_promises_nothing_is_refused(
    project: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.toml").write_text(text, encoding="utf-8")
    assert main(["contract", "check", str(project), "--contract", str(tmp_path / "empty.toml")]) == 2
    assert "promises nothing" in capsys.readouterr().err
