from __future__ import annotations

import errno
import io
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer

from scarce.cli._screen import RESUME, console, plain, safe, screen, table
from scarce.errors import ConflictError, ContractError, DataError


def ended(error: BaseException, **options: bool) -> int:
    with pytest.raises(typer.Exit) as end, screen(options.pop("as_json", False), **options):
        raise error
    return end.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("run", "there is no 'x'"), 2),
        (ConflictError("store", "main has moved"), 2),
        (ContractError("contract", "min_rows"), 1),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 2),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), 2),
        (OSError("LanceError(IO): something"), 2),
        (ZeroDivisionError("division by zero"), 3),
    ],
)
def test_exit_codes_and_no_traceback(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(error) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert len(shown.err.strip()) > 10


def test_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    ended(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert "the disk is full" in capsys.readouterr().err
    ended(KeyboardInterrupt())
    assert capsys.readouterr().err.strip() == RESUME
    ended(ZeroDivisionError("division by zero"))
    assert "scarce doctor" in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(ZeroDivisionError(), debug=True) == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_failed_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(DataError("run", "there is no 'fotos'", "did you mean 'photos'?", "look"), as_json=True) == 2
    body = json.loads(capsys.readouterr().out)
    assert body["exit_code"] == 2
    assert body["error"]["who"] == "run"
    assert body["error"]["there"] == "did you mean 'photos'?"


def test_stdout_holds_the_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with screen(True) as out:
        print("a library that prints")
        out.show({"a": np.float32(0.5), "nan": math.nan}, lambda _: None)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"a": 0.5, "nan": None}
    assert "a library that prints" in shown.err


def test_plain() -> None:
    @dataclass
    class Thing:
        where: Path
        values: np.ndarray

    body = plain({"thing": Thing(Path("a/b"), np.array([1.0, np.inf])), 3: ("x", {2, 1}), "flag": np.bool_(True)})
    assert body == {"thing": {"where": str(Path("a/b")), "values": [1.0, None]}, "3": ["x", [1, 2]], "flag": True}


def test_names_cannot_command_the_terminal() -> None:
    name = "cat\x1b]0;owned\x07\x9b31m"
    assert safe(name).isprintable()
    stream = io.StringIO()
    console(stream).print(table(["class", "n"], [[name, 3], ["[red]x[/red]", 4], ["schön 猫", None]]))
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    assert "schön 猫" in text


def test_stdout_is_back_after_an_error() -> None:
    before = sys.stdout
    ended(DataError("x", "y"))
    assert sys.stdout is before
