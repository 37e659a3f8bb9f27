from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce.cli import main
from scarce.errors import DataError, ReadError
from scarce.flywheel.feedback import give, latest, read_csv
from scarce.project import Project

Call = Callable[..., Any]


@pytest.fixture
def served(project: Path) -> Path:
    """A project of real garments whose server answered four times."""
    with Project.open(project) as opened:
        hashes = opened.dataset().table["content_hash"].to_pylist()
        opened.state.log_predictions([
            {"request": f"r{k}", "sample": hashes[k], "model": "m", "served_as": "champion", "label": label,
             "probability": probability, "verdict": "accept", "body": {}}
            for k, (label, probability) in enumerate([("Bag", 0.99), ("Bag", 0.6), ("Coat", 0.8), (None, None)])
        ])  # fmt: skip
    return project


def test_corrections_are_worth_most_and_unsure_confirmations_something(served: Path) -> None:
    with Project.open(served) as opened:
        said = give(opened, [
            {"request": "r0", "confirm": True}, {"request": "r1", "confirm": "yes", "voter": "ben"},
            {"request": "r2", "label": "Bag", "note": "a satchel"}, {"request": "r3", "label": "Coat"},
        ], source="http", voter="ann")  # fmt: skip
        assert (said.kept, said.confirmed, said.corrected, said.refused) == (4, 2, 2, ())
        rows = opened.state.feedback()
        assert [row["worth"] for row in rows] == ["low", "medium", "high", "high"]
        assert [row["voter"] for row in rows] == ["ann", "ben", "ann", "ann"]
        hashes = opened.dataset().table["content_hash"].to_pylist()
        assert (rows[2]["predicted"], rows[2]["label"], rows[2]["sample"]) == ("Coat", "Bag", hashes[2])


def test_what_cannot_be_kept_is_told_and_the_rest_kept(served: Path, call: Call, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("request,label,voter\nr0,,ann\nr9,Bag,ann\nr1,Baag,ann\n,Bag,ann\nr3,,ann\n", encoding="utf-8")
    body = call("feedback", served, "--from", table, code=1)
    assert (body["kept"], body["confirmed"]) == (1, 1)
    told = {row["request"]: row["why"] for row in body["refused"]}
    assert "no prediction with the id r9" in told["r9"]
    assert "did you mean 'Bag'" in told["r1"]
    assert "a new class is kept with --new-classes" in told["r1"]
    assert "names no request" in told[""]
    assert "name a label" in told["r3"]
    assert call("feedback", served)["counts"] == {"confirmed, low": 1}
    assert call("feedback", served, "--request", "r1", "--label", "Baag", "--new-classes")["corrected"] == 1


def test_said_twice_is_kept_once_and_a_change_of_mind_counts(served: Path, call: Call) -> None:
    assert call("feedback", served, "--request", "r2", "--label", "Bag")["kept"] == 1
    assert call("feedback", served, "--request", "r2", "--label", "Bag")["repeated"] == 1
    assert call("feedback", served, "--request", "r2")["confirmed"] == 1
    assert call("feedback", served, "--request", "r2", "--label", "Trouser", "--voter", "ben")["kept"] == 1
    with Project.open(served) as opened:
        rows = opened.state.feedback()
        assert len(rows) == 3
        assert latest(rows)["r2"]["label"] == "Trouser"
        give(opened, [{"request": "r2", "confirm": True, "voter": "cleo"}], source="cli")
        assert latest(opened.state.feedback())["r2"]["label"] == "Coat"  # two against one


def test_wrong_keys_and_files_are_told(served: Path, tmp_path: Path) -> None:
    with Project.open(served) as opened, pytest.raises(DataError, match="did you mean 'label'"):
        give(opened, [{"request": "r0", "lable": "Bag"}], source="http")
    bad = tmp_path / "bad.csv"
    bad.write_text("id,label\nr0,Bag\n", encoding="utf-8")
    with pytest.raises(ReadError, match="no column request"):
        read_csv(bad)
    bad.write_text("request,label,vooter\nr0,Bag,ann\n", encoding="utf-8")
    with pytest.raises(ReadError, match="did you mean 'voter'"):
        read_csv(bad)
    bad.write_bytes(b"request,label\nr0,\xff\xfe\n")
    with pytest.raises(ReadError, match="UTF-8"):
        read_csv(bad)
    with pytest.raises(ReadError, match="cannot be read"):
        read_csv(tmp_path / "absent.csv")


@pytest.mark.parametrize("name", ["class", "answer", "correct", "truth", "True_Label", "correction", "klasse"])
def test_a_table_whose_label_has_another_name_confirms_nothing(served: Path, tmp_path: Path, name: str) -> None:
    table = tmp_path / "said.csv"
    table.write_text(f"request,{name}\nr0,Coat\n", encoding="utf-8")
    assert main(["feedback", str(served), "--from", str(table)]) == 2
    with pytest.raises(ReadError, match=f"is '{name}' the label"):
        read_csv(table)
    with Project.open(served) as opened:
        assert opened.state.feedback() == []


@pytest.mark.parametrize(
    ("text", "why"),
    [("request\nr0\n", "neither a column label nor"), ("request,label,label\nr0,Coat,Bag\n", "2 columns 'label'"),
     ("request,Label,label\nr0,Coat,\n", "2 columns 'label'"), ("", "no column request"),
     ('request,label,note\nr0,Bag,"open\nr1,Coat,\n', "cannot be read")],
)  # fmt: skip
def test_headers_that_could_mean_two_things_are_refused(tmp_path: Path, text: str, why: str) -> None:
    table = tmp_path / "said.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=why):
        read_csv(table)


def test_rows_of_another_length_than_the_header_confirm_nothing(served: Path, call: Call, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("request,label,note\nr0\nr1,Coat\n\nr2,Bag, dark,a satchel\nr0,Coat,seen,,\n", encoding="utf-8")
    body = call("feedback", served, "--from", table, code=1)
    assert (body["kept"], body["corrected"]) == (1, 1)
    told = {row["request"]: row["why"] for row in body["refused"]}
    assert told["r0"] == "line 2 has 1 of 3 columns"
    assert told["r1"] == "line 3 has 2 of 3 columns"
    assert told["r2"].startswith("line 5 has 4 columns, the header 3")


def test_a_truth_in_a_column_that_is_not_read_confirms_nothing(served: Path, call: Call, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("request,label,true_label,class\nr0,,Bag,Coat\nr1,,,Coat\nr2,Bag,Bag,Coat\n", encoding="utf-8")
    body = call("feedback", served, "--from", table, code=1)
    assert [(row["request"], row["why"]) for row in body["refused"]] == [
        ("r0", "line 2 gives no label, and the column true_label, which is not read, says one")
    ]
    assert body["kept"] == 2


@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_tables_of_spreadsheets_are_read(served: Path, call: Call, tmp_path: Path, comma: str) -> None:
    table = tmp_path / "said.csv"
    rows = [["Request", " LABEL ", "when", "comment"], ["r0", "Coat", "2031-01-01", "x"], ["r1", "", "", ""]]
    table.write_text("\n".join(comma.join(row) for row in rows), encoding="utf-8-sig")
    body = call("feedback", served, "--from", table)
    assert (body["kept"], body["corrected"], body["unread"]) == (2, 1, ["when", "comment"])


def test_two_kinds_of_separators_are_told(tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("request;label,note\nr0;Coat,x\n", encoding="utf-8")
    with pytest.raises(ReadError, match="commas between the columns"):
        read_csv(table)


def test_long_ids_are_shortened(served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "said.csv"
    table.write_text(f"request,label,when\n{'x' * 5000},Bag,now\nr0,{'y' * 5000},now\n", encoding="utf-8")
    assert main(["feedback", str(served), "--from", str(table)]) == 1
    told = capsys.readouterr().out
    assert "no prediction with the id xxx" in " ".join(told.split())
    assert "not read: the column when" in told
    assert len(told) < 700


def test_a_column_confirm_alone_says_what_is_confirmed(served: Path, call: Call, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("request,confirm\nr0,true\nr1,no\nr2,\n", encoding="utf-8")
    body = call("feedback", served, "--from", table, code=1)
    assert (body["kept"], body["confirmed"]) == (1, 1)
    assert [row["request"] for row in body["refused"]] == ["r1", "r2"]


def test_a_label_without_a_prediction_is_refused(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", str(served), "--label", "Bag"]) == 2
    assert "--label without a prediction" in capsys.readouterr().err


def test_two_who_speak_at_once_are_both_heard(served: Path) -> None:
    def speak(name: str) -> None:
        with Project.open(served) as opened:
            for request in ("r0", "r1", "r2"):
                give(opened, [{"request": request, "label": "Trouser", "voter": name}], source="http")

    threads = [threading.Thread(target=speak, args=(name,)) for name in ("ann", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sqlite3.connect(served / ".scarce" / "state.db") as database:
        assert database.execute("SELECT count(*) FROM feedback").fetchone() == (6,)
